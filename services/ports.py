"""What the engine needs from outside. Each port says what it is not, so that nothing leaks through it.

The Odoo side is `runtime/store.py`; tests use the in-memory doubles of `tests/fakes/memory.py`.
"""

from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import RunError
from .events import Chunk, Event, Notice, Progress, Reasoning
from .messages import Message, ToolCall, ToolResult, Turn
from .specs import Outcome, RunInputs
from .states import RunState
from .tools import Tool, ToolOutput


class Model(Protocol):
    """A language model. Not a conversation: it keeps nothing between two requests."""

    def ask(
        self, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncIterator[Chunk | Reasoning | Notice | Turn]:
        """Stream one reply; the last item is its `Turn`. The ids of its calls are unique within `messages`.

        Raises:
            RunError: the reply could not be had, or broke off; what was yielded before is all there is.
        """
        ...


class Tools(Protocol):
    """The tools of one run. Not a server: where a tool lives, and how it is reached, is behind it."""

    @property
    def offered(self) -> Mapping[str, Tool]:
        """What the model may call, by the name that the model sees."""
        ...

    async def call(self, tool: Tool, arguments: Mapping[str, Any], report: "ReportProgress") -> ToolOutput:
        """Execute one call. Never raises for what a tool or its server does wrong: that is an output, too."""
        ...


class ReportProgress(Protocol):
    def __call__(self, progress: float, total: float | None, message: str | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Clearance:
    """Whether a call may leave for its server, as people's decisions are at this moment."""

    refusal: str = ""  # why it is not made, in words for the model
    asks: bool = False  # a person has to decide first, though nobody had to when the model asked for it
    arguments: Mapping[str, Any] | None = None  # what a person has made of the call's; None: as the model wrote them

    @property
    def is_given(self) -> bool:
        return not (self.refusal or self.asks)


CLEARED = Clearance()


class Steps(Protocol):
    """The memory of a run: each step is durable when the coroutine returns, and only then does the run go on.

    Not the journal: losing an event is tolerable, losing a step is not.

    Raises:
        Fenced: from any method, when a newer attempt owns the run.
    """

    async def turn_taken(
        self, round: int, turn: Turn, tools: Mapping[str, Tool], asking: Container[str]
    ) -> str:
        """The model has replied. Creates a record for each of its calls: in state `approval` those whose ids are in
        `asking`, `pending` the others. `tools` maps the names that the model used to the tools, where they exist.

        Returns which budget is used up, in a sentence for people: then the model has to answer without tools. Empty
        while there is no such limit."""
        ...

    async def call_sent(self, call: ToolCall) -> Clearance:
        """`call` is about to leave for its server. Where it may, it is recorded as sent (state `invoking`)."""
        ...

    async def call_progressed(self, call: ToolCall, progress: Progress) -> None:
        """What the call's tool says of its progress: the newest, not each. Losing it is tolerable."""
        ...

    async def call_ended(self, call: ToolCall, result: ToolResult) -> ToolResult:
        """`call` has its one result; returns which: where a person has denied the call meanwhile, not the given one."""
        ...


@dataclass(frozen=True, slots=True)
class JournalRow:
    """An event with its place in the journal."""

    run_id: int
    attempt: int
    seq: int
    event: Event


class EventLog(Protocol):
    """Where the journal's rows are kept and announced. Not a queue: rows stay, for anybody to read from the start."""

    async def append(self, rows: Sequence[JournalRow]) -> Iterable[int]:
        """Store and announce `rows` in one transaction; return the ids of the runs whose rows were refused because a
        newer attempt exists. One refused run never fails the others. After an exception the same rows come again,
        and those that had been stored nevertheless are skipped."""
        ...


class RunStore(Protocol):
    """The runs, as the runner sees them: short transactions, none of them open while anything is awaited elsewhere."""

    async def begin(self, run_id: int, attempt: int) -> RunInputs | None:
        """Move the run to `running` and load its inputs; None where there is nothing to do (ended, or a newer attempt).

        Raises:
            NotConfigured: the assistant cannot answer as it is set up.
        """
        ...

    def steps(self, run_id: int, attempt: int) -> Steps:
        """The memory of one attempt."""
        ...

    async def park(self, run_id: int, attempt: int, outcome: Outcome, messages: Sequence[Message]) -> None:
        """Move the run to `waiting`, with a snapshot of the messages that it started from."""
        ...

    async def finish(
        self, run_id: int, attempt: int, state: RunState, outcome: Outcome, error: RunError | None = None
    ) -> None:
        """End the run in `state`: post its reply and write its last events (`Failed` where there is an `error`, then
        `RunFinished`) behind those that are stored, all in one transaction.

        Raises:
            Fenced: a newer attempt owns the run.
        """
        ...

    async def hand_back(self, run_id: int, attempt: int) -> None:
        """The host shuts down: back into the queue, for the next attempt. Does nothing to a run that ended."""
        ...

