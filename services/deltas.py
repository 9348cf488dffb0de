"""Deltas of a streamed reply → events as they come, and one `Turn` at the end.

A pure accumulator over chunks in the shape of OpenAI's `chat.completion.chunk`: no network, no clock, no error handling
(frames that are errors are sorted out in `llm`, above). Servers that call themselves compatible differ most in how they
stream tool calls; every such quirk is handled here, with one comment and one test. Whatever way a reply is cut into
deltas, the result is the same.
"""

import json
import logging
import secrets
import string
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from .events import Chunk, Reasoning
from .messages import AssistantMessage, ToolCall, Turn, Usage, parse_arguments, without_surrogates

_logger = logging.getLogger(__name__)

MINTED_ID_LENGTH = 9  # with letters and digits only: what the strictest provider (Mistral) accepts
MAX_CALLS = 128  # of one reply; each becomes a record and a card, and whoever wants more repeats itself
MAX_ID_LENGTH = 64  # a longer id, or one that cannot be printed, is no id that a database or a provider takes
LENGTH_REASONS = {"length", "max_tokens", "model_length"}  # one thing, by every provider's name for it
CUT_OFF = "The reply reached its length limit within this call, so it was not executed. Send it again, shorter."
WITHHELD = "The provider's content filter ended the reply within this call, so it was not executed."


class Accumulator:
    """One reply of a model. Feed it every chunk, then take its `Turn`.

    `taken_ids` are the ids of the calls that the conversation already has; no call of this reply gets one of them.
    """

    def __init__(self, taken_ids: Container[str] = ()):
        self._taken_ids = taken_ids
        self._text = _Text()
        self._reasoning = _Text()
        self._calls: list[_Fragments] = []
        self._by_index: dict[Any, _Fragments] = {}
        self._by_id: dict[str, _Fragments] = {}
        self._finish_reason = ""
        self._usage = Usage()

    @property
    def finish_reason(self) -> str:
        """Why the reply ends, as soon as the provider has said it; what may still come is the usage."""
        return self._finish_reason

    @property
    def excess_calls(self) -> int:
        """How many calls the `Turn` leaves out, because they are too many."""
        return max(0, len(self._calls) - MAX_CALLS)

    def feed(self, chunk: Any) -> list[Chunk | Reasoning]:
        """Take in one chunk, as a dict or as the SDK's object, and return what is new for people."""
        if not isinstance(chunk, dict):
            chunk = chunk.to_dict(mode="python", warnings=False)
        if usage := chunk.get("usage"):  # in a chunk of its own, or a running total in each
            self._usage = _usage_of(usage)
        choices = chunk.get("choices")
        if not choices:  # usage, pings and content filters come with `choices: []` or null
            return []
        choice = choices[0]  # one answer was asked for
        if reason := choice.get("finish_reason"):
            self._finish_reason = reason
        # A server that does not stream sends the whole `message`; one that has nothing to say sends `delta: null`.
        delta = choice.get("delta") or choice.get("message")
        return self._take(delta) if delta else []

    def finish(self) -> Turn:
        """The reply as a whole. Call it once, after the last chunk."""
        reason = self._finish_reason or ("tool_calls" if self._calls else "stop")
        ids: set[str] = set()
        calls = tuple(self._finished(call, ids) for call in self._calls[:MAX_CALLS])
        message = AssistantMessage(self._text.whole(), calls, self._reasoning.whole())
        return Turn(message, reason, self._usage)

    def _take(self, delta: Mapping[str, Any]) -> list[Chunk | Reasoning]:
        events: list[Chunk | Reasoning] = []
        # Two names for the same thing; servers that send both send the same text in both.
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            self._think(thought, events)
        if content := delta.get("content") or delta.get("refusal"):
            self._say(content, events)
        if fragments := delta.get("tool_calls"):
            for fragment in fragments:
                self._collect(fragment)
        return events

    def _say(self, content: Any, events: list[Chunk | Reasoning]) -> None:
        if not isinstance(content, str):  # Mistral: a list of typed parts, thoughts among them
            for part in content:
                if part.get("type") == "thinking":
                    self._think("".join(thought.get("text") or "" for thought in part["thinking"]), events)
                else:
                    self._say(part.get("text") or "", events)
        elif piece := self._text.add(content):
            events.append(Chunk(piece))

    def _think(self, thought: Any, events: list[Chunk | Reasoning]) -> None:
        if piece := self._reasoning.add(thought):
            events.append(Reasoning(piece))

    # Fragments of tool calls

    def _collect(self, fragment: Mapping[str, Any]) -> None:
        function = fragment.get("function") or {}
        name = function.get("name") or ""
        arguments = function.get("arguments")
        if arguments is None:  # a trailer that only repeats the index
            arguments = ""
        elif not isinstance(arguments, str):  # an object in place of its JSON
            arguments = json.dumps(arguments)
        index = fragment.get("index")
        identity = str(fragment.get("id") or "")  # an empty id says nothing: continuations carry `""` or null
        call = self._find(index, identity, name, arguments)
        if call is None or call.is_followed_by(name, arguments):
            call = self._open(index, identity, name) if identity or name else self._only_call(arguments)
        elif call.is_repeated_by(identity or name, arguments):
            return
        if call is not None:
            call.add(identity, name, arguments)
            call.extra = call.extra or fragment.get("extra_content") or {}
            if identity:
                self._by_id.setdefault(identity, call)

    def _find(self, index: Any, identity: str, name: str, arguments: str) -> "_Fragments | None":
        """The open call that this fragment continues, as far as its index and id tell."""
        at_index = self._calls[-1] if index is None and self._calls else self._by_index.get(index)
        if at_index is None:
            # A known id at a new index: a wrong index if it only continues, an id given twice if it starts a call.
            return None if name else self._by_id.get(identity)
        if not identity or at_index.provider_id in ("", identity):
            return at_index
        # Parallel calls that all say `index: 0`, or none, differ by their ids. Only an id that is new with every
        # fragment (vLLM) says nothing.
        return self._by_id.get(identity) or (None if name or not arguments else at_index)

    def _open(self, index: Any, identity: str, name: str) -> "_Fragments":
        call = _Fragments(identity, name)
        self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        if identity:
            self._by_id[identity] = call
        return call

    def _only_call(self, arguments: str) -> "_Fragments | None":
        """Where arguments go that say nothing of whose they are: they are only certain when there is a single call."""
        if len(self._calls) == 1:
            return self._calls[0]
        if arguments:
            _logger.warning("A fragment of a tool call belongs to none of %s open calls; dropped.", len(self._calls))
        return None

    def _finished(self, call: "_Fragments", ids: set[str]) -> ToolCall:
        raw = without_surrogates("".join(call.arguments))
        arguments, problem = parse_arguments(raw)
        if problem or not raw.strip():  # no arguments at all may be arguments that did not come
            problem = self._interruption() or problem
        identity = call.provider_id
        while not _is_usable(identity) or identity in ids or identity in self._taken_ids:
            identity = _minted_id()
        ids.add(identity)
        name = without_surrogates(call.name)
        return ToolCall(identity, name, arguments, raw or "{}", call.provider_id, problem, call.extra)

    def _interruption(self) -> str:
        """Why the last call may be incomplete, as the model is told; empty: it is not."""
        reason = self._finish_reason.lower()
        if reason in LENGTH_REASONS:
            return CUT_OFF
        return WITHHELD if reason == "content_filter" else ""


@dataclass(slots=True)
class _Fragments:
    """A call that is being assembled."""

    provider_id: str
    name: str
    arguments: list[str] = field(default_factory=list)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def add(self, identity: str, name: str, arguments: str) -> None:
        self.provider_id = self.provider_id or identity
        self.name = self.name or name
        if arguments:
            self.arguments.append(arguments)

    def is_followed_by(self, name: str, arguments: str) -> bool:
        """Whether a fragment that seems to continue this call starts another one: it has another name, or it says the
        name again when the arguments are already whole."""
        if not name or not self.name:
            return False
        return name != self.name or bool(arguments.strip() and self.is_whole() and not self._equals(arguments))

    def is_repeated_by(self, label: str, arguments: str) -> bool:
        """Whether this call is merely said again, as by servers that close a reply with all its calls in full. A
        fragment that only continues has no `label`: neither id nor name."""
        return bool(label and arguments and self.is_whole() and self._equals(arguments))

    def is_whole(self) -> bool:
        return bool(self.arguments) and self.arguments[-1].endswith("}") and _is_json("".join(self.arguments))

    def _equals(self, arguments: str) -> bool:
        return "".join(self.arguments) == arguments


class _Text:
    """Text in pieces. A character outside the basic plane may arrive as two escaped halves in two deltas; the first is
    held back until its other half is there, because alone it is not a character and cannot be stored or sent."""

    def __init__(self):
        self._pieces: list[str] = []
        self._half = ""

    def add(self, piece: str) -> str:
        """The part of `piece` (and of what was held back) that can be shown now."""
        if self._half:
            piece, self._half = self._half + piece, ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        piece = without_surrogates(piece)
        if piece:
            self._pieces.append(piece)
        return piece

    def whole(self) -> str:
        return "".join(self._pieces)


def _usage_of(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    # The second name is DeepSeek's, the third Moonshot's.
    cached = details.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or usage.get("cached_tokens")
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached))


def _count(tokens: Any) -> int:
    """A number of tokens; what is none counts nothing."""
    return tokens if isinstance(tokens, int) and tokens > 0 else 0


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _is_usable(identity: str) -> bool:
    return bool(identity) and len(identity) <= MAX_ID_LENGTH and identity.isascii() and identity.isprintable()


def _minted_id() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(MINTED_ID_LENGTH))
