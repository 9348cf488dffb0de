"""The demo's model: a small OpenAI-compatible server, and openly a scripted stand-in for a real one.

It needs no network and no key, so that the demo works anywhere. This is only the protocol: what it says, and which
tools it calls, is `demo_script`. Run it as `python -m dev.demo_model --port N`.
"""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from dev import demo_peer
from dev.demo_script import Call, Request, Result, next_reply

MODEL = "scripted-demo"
WORDS_PER_SECOND = 25.0  # about what people are used to from hosted models
FIRST_WORD_WORDS = 8  # the pause before the first word, in words: nobody answers at once
CHARACTERS_PER_TOKEN = 4  # a usual rule of thumb, good enough for a usage figure
# What Odoo says before the result of a call that a person has changed; the scripts answer to the result.
CHANGED = re.compile(r"\A\[[^\n]* changed the arguments before approving\. [^\n]*\]\n\n")


def build(words_per_second: float = WORDS_PER_SECOND) -> Starlette:
    """The server; at 0 words per second it doesn't pause at all."""
    app = Starlette(
        routes=[
            Route("/v1/models", _models),
            Route("/v1/chat/completions", _chat_completions, methods=["POST"]),
        ]
    )
    app.state.pause_seconds = 1 / words_per_second if words_per_second > 0 else 0.0
    return app


async def _models(http: HttpRequest) -> Response:
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "the demo: a scripted stand-in, not a model"}
    return JSONResponse({"object": "list", "data": [model]})


async def _chat_completions(http: HttpRequest) -> Response:
    try:
        body = await http.json()
        request = read_request(body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _bad_request(f"The request cannot be understood: {error!r}")
    reply = next_reply(request)
    usage = _usage(body, reply)
    if body.get("stream"):
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        frames = _stream(reply, usage if wants_usage else None, http.app.state.pause_seconds)
        return StreamingResponse(frames, media_type="text/event-stream")
    await asyncio.sleep(http.app.state.pause_seconds * FIRST_WORD_WORDS)
    return JSONResponse(_completion(reply, usage))


def _bad_request(message: str) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status_code=400)


# -- Reading a request -------------------------------------------------------------------------------------------------


def read_request(body: Mapping[str, Any]) -> Request:
    """The request as the script reads it: the last user message, and the rounds of calls after it."""
    messages = body["messages"]
    asked = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if not asked:
        return Request("help", offered=_offered(body))
    question, record = _parted(_text(messages[asked[-1]]))
    return Request(
        text=question,
        record=record,
        earlier=[_text(messages[index]) for index in asked[:-1]],
        offered=_offered(body),
        rounds=_rounds(messages[asked[-1] + 1 :]),
    )


def _parted(text: str) -> tuple[str, str]:
    """What a person wrote, without the files attached to it; and what the addon adds of a record that it is about."""
    text, _introduction, rest = text.partition("\n\n[The question is asked beside the record")
    return text.partition("\n[Attached ")[0], rest.partition("]\n")[2]


def _offered(body: Mapping[str, Any]) -> dict[str, str]:
    if body.get("tool_choice") == "none":
        return {}
    functions = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    return {function["name"]: function.get("description") or "" for function in functions}


def _rounds(messages: Sequence[Mapping[str, Any]]) -> list[list[Result]]:
    """The results of each assistant message with calls, in the order of its calls."""
    texts = {message["tool_call_id"]: _text(message) for message in messages if message["role"] == "tool"}
    return [
        [_result(texts.get(call["id"], "(no result)")) for call in message["tool_calls"]]
        for message in messages
        if message["role"] == "assistant" and message.get("tool_calls")
    ]


def _result(text: str) -> Result:
    text = CHANGED.sub("", text)
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    return Result(text, data if isinstance(data, dict) else None)


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


# -- Writing a reply ---------------------------------------------------------------------------------------------------


async def _stream(reply: str | list[Call], usage: Mapping[str, int] | None, pause: float) -> AsyncIterator[str]:
    """The reply as server-sent events, word by word."""
    head = {"id": _identity("chatcmpl"), "object": "chat.completion.chunk", "created": int(time.time()), "model": MODEL}

    def frame(delta: Mapping[str, Any], finish_reason: str | None = None) -> str:
        return _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    yield frame({"role": "assistant", "content": ""})
    await asyncio.sleep(pause * FIRST_WORD_WORDS)
    for delta in _deltas(reply):
        yield frame(delta)
        await asyncio.sleep(pause)
    yield frame({}, _finish_reason(reply))
    if usage is not None:
        yield _event({**head, "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def _deltas(reply: str | list[Call]) -> Iterator[dict[str, Any]]:
    if isinstance(reply, str):
        for word in _words(reply):
            yield {"content": word}
        return
    for index, call in enumerate(reply):
        function = {"name": call.tool, "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": _identity("call"), "type": "function", "function": function}]}
        for piece in _words(json.dumps(call.arguments, ensure_ascii=False)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _completion(reply: str | list[Call], usage: Mapping[str, int]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply if isinstance(reply, str) else None}
    if not isinstance(reply, str):
        message["tool_calls"] = [
            {
                "id": _identity("call"),
                "type": "function",
                "function": {"name": call.tool, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in reply
        ]
    return {
        "id": _identity("chatcmpl"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": _finish_reason(reply)}],
        "usage": usage,
    }


def _finish_reason(reply: str | list[Call]) -> str:
    return "stop" if isinstance(reply, str) else "tool_calls"


def _usage(body: Mapping[str, Any], reply: str | list[Call]) -> dict[str, int]:
    said = reply if isinstance(reply, str) else "".join(json.dumps(call.arguments) for call in reply)
    prompt = len(json.dumps([body["messages"], body.get("tools")])) // CHARACTERS_PER_TOKEN
    completion = len(said) // CHARACTERS_PER_TOKEN + 1
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _words(text: str) -> list[str]:
    """The text in words, each with the white space after it: joined, they are the text."""
    return re.findall(r"\s*\S+\s*", text) or [text]


def _event(payload: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(payload, ensure_ascii=False)}\n\n"


def _identity(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(12)}"


def main() -> None:
    parser = demo_peer.arguments("The demo's model: an OpenAI-compatible, scripted stand-in.")
    parser.add_argument(
        "--words-per-second", type=float, default=WORDS_PER_SECOND, help="how fast it speaks; 0: without any pause"
    )
    options = parser.parse_args()
    demo_peer.serve(build(options.words_per_second), options.port, "/v1")


if __name__ == "__main__":
    main()
