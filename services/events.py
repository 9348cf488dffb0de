"""The one vocabulary of events: what happens in a run, for whoever watches.

The loop emits them, the journal keeps them, `wire_v1` and `wire_openai` encode them. An event is news, not state:
losing one is tolerable; what must not be lost is a step (see `ports.Steps`).
All timestamps are milliseconds since 1970, UTC.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .messages import Usage
from .states import RunState, ToolCallState


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first event of every run."""

    run_id: int
    state: RunState


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the answer's text."""

    content: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what the model thinks before it answers."""

    content: str


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """The model asked for a call; exactly one per call."""

    id: str
    tool: str  # the tool's real name, not the one made up for the provider
    server: str
    args: Mapping[str, Any]
    state: ToolCallState
    round: int
    timestamp: int
    raw_args: str | None = None  # set when the model's JSON was invalid


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A call waits for a person's decision; the stream stays open."""

    id: str
    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a tool says of its progress while it runs."""

    id: str
    progress: float
    total: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallFinished:
    """The one result of a call."""

    id: str
    tool: str
    result: str
    state: ToolCallState
    duration_ms: int
    timestamp: int
    truncated: bool = False
    args: Mapping[str, Any] | None = None  # what the call was made with, where a person has changed them

    @property
    def is_error(self) -> bool:
        return self.state is not ToolCallState.DONE


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """The model has finished one reply of this run."""

    round: int
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Restart:
    """What was streamed of this round is void and comes again (after a takeover)."""

    round: int


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person should know, though the run goes on."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Why the run ends without a full answer; `RunFinished` follows."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event of a run, exactly one."""

    run_id: int
    message_id: int | None
    state: RunState
    rounds: int
    usage: Usage = field(default_factory=Usage)


Event = (
    RunStarted | Chunk | Reasoning | ToolCallStarted | ApprovalRequested | Progress | ToolCallFinished
    | RoundEnded | Restart | Notice | Failed | RunFinished
)


def now_ms() -> int:
    """The present as every event's `timestamp` says it."""
    return time.time_ns() // 1_000_000
