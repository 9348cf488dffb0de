"""What a chat request to a model's provider says, in the way in which its server wants it said. Pure.

Everything is first said as OpenAI defines it; a `Quirk` changes one thing, for servers that are known to need it.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any

from .deltas import MINTED_ID_LENGTH
from .llm_failures import Quirk
from .messages import AssistantMessage, Message, ToolMessage, UserMessage, to_wire
from .specs import ModelSpec
from .tools import Tool

NOT_SHOWN = "[Images that belong here cannot be shown to you.]"
NO_SIGNATURE = {"google": {"thought_signature": "skip_thought_signature_validator"}}  # Gemini's own way out


def request_body(
    spec: ModelSpec, messages: Sequence[Message], tools: Sequence[Tool], quirks: Collection[Quirk]
) -> dict[str, Any]:
    """The body of a streaming chat completion."""
    offered = () if Quirk.NO_TOOLS in quirks else tools
    if Quirk.NO_IMAGES in quirks:
        messages = _without_images(messages)
    if Quirk.CALLS_AS_TEXT in quirks and not offered:
        messages = _with_calls_as_text(messages)
    body: dict[str, Any] = {"model": spec.model, "messages": _wire_messages(messages, quirks), "stream": True}
    if spec.temperature is not None:
        body["temperature"] = spec.temperature
    if offered:  # many servers refuse an empty list
        body["tools"] = [_definition(tool) for tool in offered]
    if Quirk.NO_USAGE not in quirks:
        body["stream_options"] = {"include_usage": True}
    return body


def _wire_messages(messages: Sequence[Message], quirks: Collection[Quirk]) -> list[dict[str, Any]]:
    wire = [to_wire(message) for message in messages]
    for message, data in zip(messages, wire, strict=True):
        if isinstance(message, AssistantMessage):
            _echo(message, data, quirks)
        if Quirk.SHORT_IDS in quirks:
            _shorten_ids(data)
    return wire


def _echo(message: AssistantMessage, data: dict[str, Any], quirks: Collection[Quirk]) -> None:
    """Add to a reply of the model what its server wants to hear again."""
    if Quirk.ECHO_REASONING in quirks and (message.reasoning or message.tool_calls):
        data["reasoning_content"] = message.reasoning
    if Quirk.ECHO_EXTRA in quirks and message.tool_calls:
        extras = [call.extra for call in message.tool_calls]
        if not any(extras):  # calls of another model, or told by an older version of ours
            extras[0] = NO_SIGNATURE
        for extra, call in zip(extras, data["tool_calls"], strict=True):
            if extra:
                call["extra_content"] = extra


def _shorten_ids(data: dict[str, Any]) -> None:
    for call in data.get("tool_calls", ()):
        call["id"] = _short_id(call["id"])
    if "tool_call_id" in data:
        data["tool_call_id"] = _short_id(data["tool_call_id"])


def _short_id(identity: str) -> str:
    """An id that every provider takes, always the same for the same one."""
    if len(identity) == MINTED_ID_LENGTH and identity.isascii() and identity.isalnum():
        return identity
    return hashlib.sha256(identity.encode()).hexdigest()[:MINTED_ID_LENGTH]


def _with_calls_as_text(messages: Sequence[Message]) -> list[Message]:
    """The same conversation for a server that does not take calls without tools: what was called is said."""
    told: list[Message] = []
    names: dict[str, str] = {}
    for message in messages:
        match message:
            case AssistantMessage(text, calls) if calls:
                names |= {call.id: call.name for call in calls}
                said = [f"[I call {call.name} with {json.dumps(call.arguments, ensure_ascii=False)}]" for call in calls]
                told.append(AssistantMessage("\n".join(filter(None, [text, *said])), reasoning=message.reasoning))
            case ToolMessage(call_id, text):
                told.append(UserMessage(f"[Result of {names.get(call_id, 'a call')}]\n{text}"))
            case _:
                told.append(message)
    return told


def _without_images(messages: Sequence[Message]) -> list[Message]:
    """The same conversation for a model that sees none: that there are images is said."""
    return [
        UserMessage(f"{message.text}\n{NOT_SHOWN}") if isinstance(message, UserMessage) and message.images else message
        for message in messages
    ]


def _definition(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "parameters": tool.schema or {"type": "object", "properties": {}}}
    if tool.spec.description:
        function["description"] = tool.spec.description
    return {"type": "function", "function": function}
