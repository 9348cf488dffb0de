"""In-memory doubles of the engine's ports: what a test of the loop or the runner puts in place of the outside world."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.errors import RunError
from services.events import Chunk, Notice, Progress, Reasoning
from services.messages import AssistantMessage, Message, ToolCall, ToolResult, Turn
from services.ports import CLEARED, Clearance, JournalRow, ReportProgress
from services.specs import Outcome, RunInputs, ServerSpec, ToolSpec
from services.states import RunState
from services.tools import Tool, ToolOutput

Reply = Sequence[Chunk | Reasoning | Notice | Turn | RunError]


def answer(*pieces: str) -> Reply:
    """A reply that is text, streamed in `pieces`."""
    return [*map(Chunk, pieces), Turn(AssistantMessage("".join(pieces)))]


def calls(*tool_calls: ToolCall, text: str = "") -> Reply:
    """A reply that asks for tools, after saying `text`."""
    spoken = [Chunk(text)] if text else []
    return [*spoken, Turn(AssistantMessage(text, tool_calls), "tool_calls")]


class ScriptedModel:
    """Gives the scripted replies in order, one per request; a `RunError` among the items is raised there."""

    def __init__(self, *replies: Reply):
        self._replies = list(replies)
        self.requests: list[tuple[list[Message], list[str]]] = []  # messages and names of the offered tools

    async def ask(
        self, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncIterator[Chunk | Reasoning | Notice | Turn]:
        self.requests.append((list(messages), [tool.name for tool in tools]))
        for item in self._replies.pop(0):
            if isinstance(item, RunError):
                raise item
            yield item


ToolFunction = Callable[..., Awaitable[str | ToolOutput]]


class LocalTools:
    """Coroutine functions as tools; each is read-only unless named in `writes`, and free unless named in `asks`."""

    def __init__(self, *functions: ToolFunction, writes: Iterable[str] = (), asks: Iterable[str] = ()):
        self._functions = {function.__name__: function for function in functions}
        server = ServerSpec(1, "Local", "streamable_http")
        self.offered = {
            name: Tool(name, ToolSpec(
                number, server, name,
                approval="ask" if name in asks else "auto",
                read_only=name not in writes,
            ))
            for number, name in enumerate(self._functions, 1)
        }

    async def call(self, tool: Tool, arguments: Mapping[str, Any], report: ReportProgress) -> ToolOutput:
        output = await self._functions[tool.name](**arguments)
        return output if isinstance(output, ToolOutput) else ToolOutput(output)


class MemorySteps:
    """Steps that are kept in a list, as `(what, subject)`."""

    def __init__(self):
        self.log: list[tuple[str, Any]] = []
        self.asking: set[str] = set()  # ids of the calls whose records wait for a decision
        self.clearances: dict[str, Clearance] = {}  # by call id, where it is not simply given
        self.notes: dict[str, str] = {}  # by call id, what the model is told beside the result
        self.spent = ""  # which budget is used up
        self.problem: Exception | None = None  # why nothing can be kept

    async def turn_taken(
        self, round: int, turn: Turn, tools: Mapping[str, Tool], asking: Container[str]
    ) -> str:
        self._keep("turn", round)
        self.asking.update(call.id for call in turn.message.tool_calls if call.id in asking)
        return self.spent

    async def call_sent(self, call: ToolCall) -> Clearance:
        clearance = self.clearances.get(call.id, CLEARED)
        if clearance.is_given:
            self._keep("sent", call.id)
        return clearance

    async def call_progressed(self, call: ToolCall, progress: Progress) -> None:
        self._keep("progress", progress)

    async def call_ended(self, call: ToolCall, result: ToolResult) -> ToolResult:
        self._keep(str(result.state), call.id)
        return replace(result, note=self.notes.get(call.id, ""))

    def _keep(self, what: str, subject: Any) -> None:
        if self.problem:
            raise self.problem
        self.log.append((what, subject))


class MemoryStore:
    """A `RunStore` of runs that a test puts in, and an `EventLog` of what happened in them."""

    def __init__(self, *inputs: RunInputs | RunError):
        self._inputs = list(inputs)
        self._steps: dict[int, MemorySteps] = defaultdict(MemorySteps)
        self.ended: list[tuple[int, RunState, Outcome, RunError | None]] = []
        self.parked: list[Outcome] = []
        self.handed_back: list[int] = []
        self.taken_over: set[int] = set()  # runs that have a newer attempt
        self.rows: list[JournalRow] = []
        self.changed = asyncio.Event()

    async def begin(self, run_id: int, attempt: int) -> RunInputs | None:
        inputs = self._inputs.pop(0)
        if isinstance(inputs, RunError):
            raise inputs
        return inputs

    def steps(self, run_id: int, attempt: int) -> MemorySteps:
        return self._steps[run_id]

    async def park(self, run_id: int, attempt: int, outcome: Outcome, messages: Sequence[Message]) -> None:
        self.parked.append(outcome)

    async def finish(
        self, run_id: int, attempt: int, state: RunState, outcome: Outcome, error: RunError | None = None
    ) -> None:
        self.ended.append((run_id, state, outcome, error))

    async def hand_back(self, run_id: int, attempt: int) -> None:
        self.handed_back.append(run_id)

    async def append(self, rows: Sequence[JournalRow]) -> Iterable[int]:
        self.rows.extend(row for row in rows if row.run_id not in self.taken_over)
        self.changed.set()
        return self.taken_over
