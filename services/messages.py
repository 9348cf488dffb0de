"""What is said in a conversation with a model: frozen values without identity, and their wire form.

The wire form is that of OpenAI's chat completions; it is also how snapshots and stateless requests are stored, so there
is one encoding. `history` orders and repairs messages; this module only says what they are.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .states import ToolCallState

MAX_ARGUMENT_DEPTH = 50  # levels; deeper than any tool wants, and as deep as a database keeps them unchanged
NAME_MAX_CHARS = 64  # of a tool's name, in every request
INVALID_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]+")

TEXT_SEPARATOR = "\n\n"  # between what the model says in one round and in the next: a new paragraph


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the model asked for it."""

    id: str  # unique in its run; what events, records and later requests to the model carry
    name: str  # the tool's name as the model wrote it
    arguments: Mapping[str, Any] = field(default_factory=dict)  # {} where `problem` is set
    raw_arguments: str = "{}"  # the model's own text
    provider_id: str = ""  # the id that the provider sent; empty or repeated with some servers
    problem: str = ""  # why the call cannot be executed (malformed or cut-off arguments), said to the model
    extra: Mapping[str, Any] = field(default_factory=dict)  # what the provider wants back with it, where it insists


@dataclass(frozen=True, slots=True)
class ToolPart:
    """Something a tool returned beside text, for people: an image, a file, a link or structured data."""

    kind: str  # "image" | "audio" | "file" | "link" | "structured"
    mime_type: str = ""
    data: str = ""  # base64 for image, audio and file; JSON for structured
    uri: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The one result that every announced call gets."""

    call_id: str
    text: str  # what the model reads
    state: ToolCallState  # one of TOOL_CALL_ENDS
    duration_ms: int = 0
    truncated: bool = False  # `text` is only a part of what the tool returned
    parts: tuple[ToolPart, ...] = ()
    note: str = ""  # what the model has to know beside `text`, which people see elsewhere
    args: Mapping[str, Any] | None = None  # what the call was made with, where a person has changed that

    @property
    def is_error(self) -> bool:
        return self.state is not ToolCallState.DONE


@dataclass(frozen=True, slots=True)
class SystemMessage:
    text: str


@dataclass(frozen=True, slots=True)
class UserMessage:
    text: str
    images: tuple[str, ...] = ()  # http(s) or data URLs


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class ToolMessage:
    call_id: str
    text: str
    images: tuple[str, ...] = ()  # data URLs; shown in a message of their own, see `context`


Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them; zero where it does not say."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )

    def as_dict(self) -> dict[str, int]:
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """One complete reply of the model: the end of a round."""

    message: AssistantMessage
    finish_reason: str = "stop"  # as the provider said it: "stop", "tool_calls", "length", …
    usage: Usage = Usage()


def join_texts(texts: Iterable[str]) -> str:
    """What the model said in several rounds as the one text of a reply, just as it was streamed."""
    return TEXT_SEPARATOR.join(filter(None, texts))


def to_wire(message: Message) -> dict[str, Any]:
    """The message as OpenAI's chat API wants it. Only valid JSON is replayed as a call's arguments."""
    match message:
        case SystemMessage(text):
            return {"role": "system", "content": text}
        case UserMessage(text, ()):
            return {"role": "user", "content": text}
        case UserMessage(text, images):
            parts = [{"type": "image_url", "image_url": {"url": url}} for url in images]
            return {"role": "user", "content": [{"type": "text", "text": text}, *parts]}
        case ToolMessage(call_id, text):  # without its images: a stored request stays small
            return {"role": "tool", "tool_call_id": call_id, "content": text}
        case AssistantMessage():
            return _assistant_to_wire(message)


def from_wire(data: Mapping[str, Any]) -> Message:
    """The inverse of `to_wire`, for snapshots and for requests in OpenAI's format.

    Raises:
        ValueError: the role is unknown, or a part of the message has another shape than the chat API's.
    """
    match data.get("role"):
        case "system" | "developer":
            return SystemMessage(_text_of(data.get("content")))
        case "user":
            return UserMessage(_text_of(data.get("content")), _images_of(data.get("content")))
        case "tool":
            return ToolMessage(str(data.get("tool_call_id") or ""), _text_of(data.get("content")))
        case "assistant":
            calls = tuple(_call_from_wire(call) for call in data.get("tool_calls") or ())
            return AssistantMessage(_text_of(data.get("content")), calls, data.get("reasoning_content") or "")
        case role:
            raise ValueError(f"A message has the role {role!r}; expected system, user, assistant or tool.")


def _assistant_to_wire(message: AssistantMessage) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": "assistant", "content": message.text or None}
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": fit_name(call.name), "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in message.tool_calls
        ]
    elif not message.text:
        wire["content"] = ""  # several servers refuse null without calls
    return wire


def _call_from_wire(data: Mapping[str, Any]) -> ToolCall:
    function = data.get("function") or {}
    raw = function.get("arguments") or "{}"
    arguments, problem = parse_arguments(raw)
    identity = str(data.get("id") or "")
    return ToolCall(identity, str(function.get("name") or ""), arguments, raw, identity, problem)


def parse_arguments(raw: str) -> tuple[dict[str, Any], str]:
    """Arguments as an object, and what is wrong with them: `({}, problem)` for anything but a JSON object."""
    if not raw.strip():
        return {}, ""
    try:
        value = json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return {}, f"The arguments are not valid JSON ({error}). Send one JSON object."
    if _is_deeper(value, MAX_ARGUMENT_DEPTH):
        return {}, f"The arguments are nested more than {MAX_ARGUMENT_DEPTH} levels deep. Send them flatter."
    if not isinstance(value, dict):
        return {}, f"The arguments are a JSON {type(value).__name__}, not an object. Send one JSON object."
    if "\\ud" in raw.lower():  # half a character, escaped, is valid JSON but no text that can be sent on
        value = json.loads(without_surrogates(json.dumps(value, ensure_ascii=False)))
    return value, ""


def fit_name(name: str) -> str:
    """The name of a tool as every provider takes it in a request. The model may have made it up: a provider that
    refuses it would refuse the whole conversation from then on."""
    return INVALID_IN_NAMES.sub("_", name)[:NAME_MAX_CHARS] or "unnamed"


def without_surrogates(text: str) -> str:
    """The text as Unicode: halves of a character are joined, and a half without its other becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(levels == 0 or _is_deeper(item, levels - 1) for item in inner if isinstance(item, dict | list))


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number} is too large a number")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _text_of(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


def _images_of(content: str | Sequence[Mapping[str, Any]] | None) -> tuple[str, ...]:
    if content is None or isinstance(content, str):
        return ()
    return tuple(part["image_url"]["url"] for part in content if part.get("type") == "image_url")
