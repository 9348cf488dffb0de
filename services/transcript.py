"""A run's turns as JSON and back: how its steps are stored between two attempts. Pure; storing is others' business."""

from collections.abc import Mapping
from typing import Any

from .messages import AssistantMessage, ToolCall, Turn, Usage
from .wire_v1 import storable


def encode_turn(turn: Turn) -> dict[str, Any]:
    """`turn` as a dict that is valid JSON, and that jsonb stores and returns unchanged."""
    return storable({
        "text": turn.message.text,
        "reasoning": turn.message.reasoning,
        "calls": [
            {
                "id": call.id,
                "name": call.name,
                "arguments": call.arguments,
                "raw_arguments": call.raw_arguments,
                "provider_id": call.provider_id,
                "problem": call.problem,
                "extra": call.extra,
            }
            for call in turn.message.tool_calls
        ],
        "finish_reason": turn.finish_reason,
        "usage": turn.usage.as_dict(),
    })


def decode_turn(data: Mapping[str, Any]) -> Turn:
    """The inverse of `encode_turn`."""
    calls = tuple(ToolCall(**call) for call in data["calls"])
    return Turn(
        AssistantMessage(data["text"], calls, data["reasoning"]), data["finish_reason"], Usage(**data["usage"])
    )
