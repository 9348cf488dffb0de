"""Replies of models that go wrong, by the number that they have in docs/faults.md, made new for each request.

What a reply says or calls begins with a mark that no other has, so that what came of it can be found again.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.fakes.model_server import (
    Drop,
    Pause,
    Reply,
    Reset,
    UsageFrame,
    call_delta,
    chunk,
    delta,
    end,
    error,
    new_call_id,
    raw,
    sse,
    status,
    text,
)

STALL_S = 30.0  # longer than any patience
WORDS = "Größe 😀\u2028\x85 line\r\nline </script> \"data: [DONE]\"\n\n店"
MALFORMED = ('{"n": 1,}', '{"n": ', "n = 1", '{"n": NaN}', '{"n":' * 60 + "1" + "}" * 60)
NO_OBJECTS = ("[1]", '"UTC"', "7", "true", "null")
HTML = b"<html><body>Bad gateway</body></html>"

# Arguments by the last word of a tool's name; tools that are not named take none.
ARGUMENTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "note": lambda mark: {"text": mark},
    "echo": lambda mark: {"text": f"{mark} {WORDS}"},
    "slow": lambda mark: {"text": mark},
    "fail": lambda mark: {"message": mark},
    "add": lambda mark: {"a": 1, "b": 2},
    "steps": lambda mark: {"count": 1},
    "talk": lambda mark: {"chars": 2000},
    "structured": lambda mark: {"city": mark},
    "huge": lambda mark: {"chars": 200_000},
}


class Asked:
    """One request, and what its reply may be made of."""

    def __init__(self, random: Random, mark: str, tools: Sequence[str]):
        self.random = random
        self.mark = mark
        self.tools = tools
        self._called = 0

    def call(self) -> dict[str, str]:
        """A call of a tool that there is, as the fields of a fragment."""
        self._called += 1
        name = self.random.choice(self.tools or ["missing"])
        word = max((word for word in ARGUMENTS if name.endswith(word)), key=len, default="")
        arguments = ARGUMENTS[word](f"{self.mark}.{self._called}") if word else {}
        return {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}

    def half_call(self) -> tuple[dict[str, str], str]:
        """The same, and the second half of its arguments."""
        whole = self.call()
        at = len(whole["arguments"]) // 2
        return {**whole, "arguments": whole["arguments"][:at]}, whole["arguments"][at:]


def answer(ask: Asked) -> Reply:
    """Nothing wrong with it."""
    return text(f"{ask.mark} says ", "that all is well.")


def good_calls(ask: Asked) -> Reply:
    calls = (call_delta(index, id=new_call_id(), **ask.call()) for index in range(ask.random.randint(1, 3)))
    return _calling(*calls, spoken=ask.random.choice(["", f"{ask.mark} looks it up."]))


def fault(number: int, ask: Asked) -> Reply:
    """A reply with that fault, in one of the ways in which it comes."""
    return ask.random.choice(FAULTS[number])(ask)


def _calling(*fragments: Any, spoken: str = "", reason: str = "tool_calls") -> Reply:
    said = [delta(content=spoken)] if spoken else []
    return sse(delta(role="assistant", content=None), *said, *fragments, end(reason), UsageFrame(10, 5), "[DONE]")


def _saying(*frames: Any, spoken: str) -> Reply:
    """A reply in which `frames` come behind its first words."""
    return sse(delta(content=spoken), *frames)


def _two_at_index_zero(ask: Asked) -> Reply:
    return _calling(*(call_delta(0, id=new_call_id(), **ask.call()) for _ in range(2)))


def _without_index(ask: Asked) -> Reply:
    (first, rest), second = ask.half_call(), ask.call()
    return _calling(
        call_delta(None, id=new_call_id(), **first), call_delta(None, arguments=rest),
        call_delta(None, id=new_call_id(), **second),
    )  # fmt: skip


def _continued_with(identity: str | None) -> Callable[[Asked], Reply]:
    def reply(ask: Asked) -> Reply:
        first, rest = ask.half_call()
        return _calling(call_delta(0, id=new_call_id(), **first), call_delta(0, id=identity, arguments=rest))

    return reply


def _interleaved(ask: Asked) -> Reply:
    (first, rest), (second, other) = ask.half_call(), ask.half_call()
    return _calling(
        call_delta(0, id=new_call_id(), **first), call_delta(1, id=new_call_id(), **second),
        call_delta(0, arguments=rest), call_delta(1, arguments=other),
    )  # fmt: skip


def _unknown_index(ask: Asked) -> Reply:
    first, rest = ask.half_call()
    others = [call_delta(1, id=new_call_id(), **ask.call())] * ask.random.randint(0, 1)
    return _calling(call_delta(0, id=new_call_id(), **first), *others, call_delta(5, arguments=rest))


def _with_ids(*ids: str) -> Callable[[Asked], Reply]:
    return lambda ask: _calling(*(call_delta(index, id=id_, **ask.call()) for index, id_ in enumerate(ids)))


def _said_twice(ask: Asked) -> Reply:
    call = call_delta(0, id=new_call_id(), **ask.call())
    return _calling(call, call)


def _with_arguments(*choices: str | None) -> Callable[[Asked], Reply]:
    def reply(ask: Asked) -> Reply:
        wanted = {**ask.call(), "arguments": ask.random.choice(choices)}
        return _calling(call_delta(0, id=new_call_id(), **wanted), reason=ask.random.choice(["tool_calls", "stop"]))

    return reply


def _with_trailers(ask: Asked) -> Reply:
    return _calling(
        call_delta(0, id=new_call_id(), **ask.call()), delta(content=None), call_delta(0, arguments=None),
        delta(tool_calls=[{"index": 0, "function": None}]), delta(role="assistant", content=None, tool_calls=[]),
    )  # fmt: skip


def _ended_by(reason: str | None) -> Callable[[Asked], Reply]:
    return lambda ask: _calling(call_delta(0, id=new_call_id(), **ask.call()), reason=reason)


def _cut_by(reason: str) -> Callable[[Asked], Reply]:
    def reply(ask: Asked) -> Reply:
        whole, (first, _rest) = ask.call(), ask.half_call()
        return _calling(call_delta(0, id=new_call_id(), **whole), call_delta(1, id="cut", **first), reason=reason)

    return reply


def _failing_after_a_call(ask: Asked) -> Reply:
    return sse(call_delta(0, id=new_call_id(), **ask.call()), {"error": {"message": "The engine is on fire"}})


def _thoughtful(ask: Asked) -> Reply:
    fragment = {"index": 0, "id": new_call_id(), "extra_content": {"google": {"thought_signature": "c2ln"}}}
    calls = delta(tool_calls=[{**fragment, "function": ask.call()}])
    return _calling(delta(reasoning_content=f"{ask.mark} thinks"), delta(reasoning="."), calls)


def _calling_nobody(ask: Asked) -> Reply:
    name = ask.random.choice(["missing", "functions.echo", "größe", ""])
    return _calling(call_delta(0, id=new_call_id(), **{**ask.call(), "name": name}))


def _torn(ask: Asked) -> Reply:
    return text(f"{ask.mark} says {WORDS}").sliced(ask.random.randint(1, 7))


def _stalling_in_a_call(ask: Asked) -> Reply:
    return _saying(call_delta(0, id=new_call_id(), **ask.call()), Pause(STALL_S), spoken=f"{ask.mark} stalls")


def _unspeakable(ask: Asked) -> Reply:
    return text(f"{ask.mark} {WORDS} \0 ", "\ud83d", " <img src=x onerror=alert(1)>")


def _unspeakable_arguments(ask: Asked) -> Reply:
    arguments = r'{"text": "\u0000 \ud83d </script> ' + ask.mark + '"}'
    return _calling(call_delta(0, id=new_call_id(), name=ask.call()["name"], arguments=arguments))


NOISE = (chunk([]), chunk(None), {"id": "x"}, chunk([{"index": 0, "delta": None}]), chunk([{}]), {})
FIRE = {"error": {"message": "The engine is on fire"}}

FAULTS: dict[int, list[Callable[[Asked], Reply]]] = {
    1: [_two_at_index_zero],
    2: [_without_index],
    3: [_continued_with(""), _continued_with(None)],
    4: [_interleaved],
    5: [_unknown_index],
    6: [_with_ids("", "")],
    7: [_with_ids("x", "x"), _with_ids("y" * 65), _with_ids("a\0b", "größe"), _said_twice],
    8: [_with_arguments("", None, " \n")],
    9: [_with_trailers],
    10: [_with_arguments(*MALFORMED)],
    11: [_with_arguments(*NO_OBJECTS)],
    12: [_ended_by("stop"), _ended_by(None)],
    13: [_cut_by("length"), _cut_by("content_filter")],
    14: [
        lambda ask: status(200, body=FIRE),
        lambda ask: _saying(FIRE, "[DONE]", spoken=f"{ask.mark} burns"),
        lambda ask: _saying(b"event: error\ndata: On fire\n\n", spoken=f"{ask.mark} burns"),
        lambda ask: _saying(end("error"), "[DONE]", spoken=f"{ask.mark} burns"),
        _failing_after_a_call,
    ],
    15: [lambda ask: _saying(*NOISE, delta(content="."), end(), *NOISE, "[DONE]", spoken=f"{ask.mark} is noisy")],
    16: [lambda ask: text(), lambda ask: sse("[DONE]"), lambda ask: status(200)],
    17: [_thoughtful],
    18: [lambda ask: error(400, "Unknown parameter: 'stream_options.include_usage'.", param="stream_options")],
    20: [_calling_nobody],
    24: [
        lambda ask: status(429, {"Retry-After": "0.5"}), lambda ask: status(500), lambda ask: status(503),
        lambda ask: status(502, {"Content-Type": "text/html"}, HTML), lambda ask: raw(), lambda ask: sse(Reset()),
    ],
    25: [
        lambda ask: _saying(Drop(), spoken=f"{ask.mark} breaks"),
        lambda ask: _saying(Reset(), spoken=f"{ask.mark} breaks"),
        lambda ask: _saying(b'data: {"choices": [{"del', Drop(), spoken=f"{ask.mark} breaks"),
        lambda ask: sse(call_delta(0, id=new_call_id(), **ask.call()), Drop()),
    ],
    26: [lambda ask: _saying(Pause(STALL_S), spoken=f"{ask.mark} stalls"), _stalling_in_a_call],
    27: [_torn],
    28: [_unspeakable, _unspeakable_arguments],
    49: [lambda ask: error(400, "This model does not support tools.", param="tools")],
}  # fmt: skip
