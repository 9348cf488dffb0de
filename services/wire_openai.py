"""Events as OpenAI's streaming chunks, with a frame of our own for each event of a tool between them.

It maps and never decides. What that format has no words for is left out: notices, progress, the ends of rounds, and
restarts, whose text comes twice because such a client cannot take any back. Framing is `sse`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .events import (
    ApprovalRequested,
    Chunk,
    Event,
    Failed,
    Reasoning,
    RoundEnded,
    RunFinished,
    RunStarted,
    ToolCallFinished,
    ToolCallStarted,
    now_ms,
)
from .messages import Usage
from .states import RunState, ToolCallState

DONE = b"data: [DONE]\n\n"  # closes the stream, after the frames of `RunFinished`

STATE_NAMES = {
    ToolCallState.PENDING: "Pending",
    ToolCallState.APPROVAL: "ApprovalRequired",
    ToolCallState.INVOKING: "Executing",
    ToolCallState.DONE: "Completed",
    ToolCallState.ERROR: "Failed",
    ToolCallState.DENIED: "Denied",
    ToolCallState.CANCELLED: "Sealed",
}
_OWN_FINISH_REASONS = {"length", "content_filter"}  # the model's, and true for the run; all others are "stop"

Payload = dict[str, Any]


@dataclass(slots=True)
class Encoder:
    """The frames of one response; it remembers why the model ended, which only the last frame says."""

    completion_id: str  # "chatcmpl-…"
    model: str
    created: int  # seconds since 1970
    include_usage: bool = False  # the request's `stream_options.include_usage`
    clock: Callable[[], int] = now_ms  # for events without a time of their own
    _finish_reason: str = field(default="stop", init=False)

    def encode(self, event: Event) -> list[Payload]:
        """The frames of `event`, of which there may be none."""
        match event:
            case RunStarted():
                return [self._chunk({"role": "assistant", "content": ""})]
            case Chunk(content):
                return [self._chunk({"content": content})]
            case Reasoning(content):
                return [self._chunk({"reasoning_content": content})]
            case ToolCallStarted():
                return [self._tool("tool:start", event.id, event.tool, event.state, event.timestamp)]
            case ApprovalRequested(call_id, tool):
                return [self._tool("tool:start", call_id, tool, ToolCallState.APPROVAL, self.clock())]
            case ToolCallFinished():
                return [self._tool_end(event)]
            case RoundEnded(_, finish_reason):
                self._finish_reason = finish_reason if finish_reason in _OWN_FINISH_REASONS else "stop"
                return []
            case Failed(code, message):
                return [{"error": {"message": message, "type": "server_error", "code": code}}]
            case RunFinished():
                return self._end(event)
            case _:
                return []

    def _chunk(self, delta: Payload, finish_reason: str | None = None) -> Payload:
        chunk = self._frame([{"index": 0, "delta": delta, "finish_reason": finish_reason}])
        return chunk | {"usage": None} if self.include_usage else chunk

    def _frame(self, choices: list[Payload]) -> Payload:
        return {
            "id": self.completion_id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _tool(self, name: str, call_id: str, tool: str, state: ToolCallState, timestamp: int, **more: Any) -> Payload:
        return self._chunk({}) | {
            "event": name,
            "tool_call_id": call_id,
            "tool_name": tool,
            "state": STATE_NAMES[state],
            **more,
            "timestamp": timestamp,
        }

    def _tool_end(self, event: ToolCallFinished) -> Payload:
        name, more = ("tool:error", {"error": event.result}) if event.is_error else ("tool:end", {})
        return self._tool(
            name, event.id, event.tool, event.state, event.timestamp, duration_ms=event.duration_ms, **more
        )

    def _end(self, event: RunFinished) -> list[Payload]:
        frames = []
        if event.state is not RunState.ERROR:  # then the error was the end, and no reason of OpenAI's is true
            frames.append(self._chunk({}, self._finish_reason))
        if self.include_usage:
            frames.append(self._frame([]) | {"usage": usage(event.usage)})
        return frames


def usage(tokens: Usage) -> Payload:
    """Tokens as OpenAI reports them."""
    return {
        "prompt_tokens": tokens.input_tokens,
        "completion_tokens": tokens.output_tokens,
        "total_tokens": tokens.input_tokens + tokens.output_tokens,
        "prompt_tokens_details": {"cached_tokens": tokens.cached_tokens},
    }
