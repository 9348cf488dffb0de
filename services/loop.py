"""The loop: ask the model, run the calls that it wants, feed the results back, until it answers.

Pure over its ports: what a model is, where tools live and how steps are stored is none of its business. It ends with an
`Outcome`, or raises what ended it; either way `outcome` says how far it came. Above: `runner` and `chat`.
"""

import asyncio
import json
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Self

from . import context, history
from .errors import ModelEmpty
from .events import (
    ApprovalRequested,
    Chunk,
    Event,
    Notice,
    Progress,
    Restart,
    RoundEnded,
    ToolCallFinished,
    ToolCallStarted,
    now_ms,
)
from .messages import TEXT_SEPARATOR, Message, ToolCall, ToolResult, Turn, Usage, join_texts, without_surrogates
from .ports import Model, Steps, Tools
from .specs import Checkpoint, Outcome, Room
from .states import ToolCallState
from .tools import NO_TOOLS, Tool

_logger = logging.getLogger(__name__)

MAX_IDENTICAL_CALLS = 3  # a fourth call with the same arguments cannot tell the model anything new
PROGRESS_PAUSE_S = 1.0  # between two steps of one call's progress: people read them
LAST_TOOLS_SHARE = 0.8  # of the time for a run; the rest is for the answer
MAX_REFUSED_ROUNDS = 4  # in a row: a mistake and three more tries after being told what is wrong


class Loop:
    """One conversation from its messages to its final answer; used once."""

    def __init__(
        self, model: Model, steps: Steps, emit: Callable[[Event], None], *, max_rounds: int,
        deadline: float = math.inf, seconds_worked: float = 0.0, checkpoint: Checkpoint = Checkpoint(),
        spent: str = "", room: Room = Room(),
    ):
        self._model = model
        self._steps = steps
        self._emit = emit
        self._max_rounds = max_rounds
        self._hurries_at = time.monotonic() + LAST_TOOLS_SHARE * deadline - seconds_worked
        self._room = room
        self._told: set[str] = set()  # codes of the notices that people have had: one holds for the whole run
        self._checkpoint = checkpoint  # how far an earlier attempt came: this one goes on behind it
        self._turns = list(checkpoint.turns)
        self._results = dict(checkpoint.results)
        self._rounds = len(self._turns)  # started, so one more than turns while the model speaks
        self._refused_rounds = 0  # of the last ones, how many had calls of which none could be sent
        self._made: Counter[tuple[str, str]] = Counter()  # calls, by name and arguments
        self._repeats: dict[str, int] = {}  # by call id: how many calls before it were the same
        for turn in self._turns:
            self._count(turn)
        self._partial: list[str] = []  # what it has said of the present round, piece by piece
        self._tools: Tools = NO_TOOLS
        self._spent = spent  # which budget is used up
        self._held_back: set[str] = set()  # calls that a person has to decide on after all

    async def run(self, messages: Sequence[Message], tools: Tools) -> Outcome:
        """Answer `messages` with the help of `tools`.

        Raises:
            RunError: the model could not be had, or gave nothing.
            Fenced: a newer attempt owns the run.
        """
        self._tools = tools
        self._catch_up()
        while True:
            if waiting := await self._perform(self.open_calls):
                return replace(self.outcome, waiting=waiting)
            if self._turns and not self._turns[-1].message.tool_calls:
                return self.outcome
            await self._ask(self._request(messages))

    @property
    def outcome(self) -> Outcome:
        """How far the conversation came; its text is what was streamed."""
        texts = [*(turn.message.text for turn in self._turns), "".join(self._partial)]
        usage = sum((turn.usage for turn in self._turns), Usage())
        return Outcome(join_texts(texts), self._rounds, usage)

    @property
    def open_calls(self) -> list[ToolCall]:
        """The calls of the last turn that have no result yet."""
        calls = self._turns[-1].message.tool_calls if self._turns else ()
        return [call for call in calls if call.id not in self._results]

    async def close(self, reason: str) -> None:
        """Give every open call its result: cancelled, because of `reason`. For a run that is stopped or fails."""
        for call in self.open_calls:
            await self._end(call, ToolResult(call.id, reason, ToolCallState.CANCELLED))

    def _catch_up(self) -> None:
        """Say what the journal of an earlier attempt could not say any more."""
        checkpoint = self._checkpoint
        if checkpoint.streamed_round > self._rounds:
            self._emit(Restart(checkpoint.streamed_round))
        for round, turn in enumerate(self._turns, 1):
            for call in turn.message.tool_calls:
                if call.id not in checkpoint.announced:
                    self._announce(call, round)
                if call.id in self._results and call.id not in checkpoint.reported:
                    self._report(call, self._results[call.id])

    def _request(self, messages: Sequence[Message]) -> list[Message]:
        """`messages` and what has been done since, as far as the model can read it."""
        steps = history.replay((), Checkpoint(tuple(self._turns), self._results))
        request, notices = context.fit(messages, steps, self._room)
        for notice in notices:
            self._notify(notice)
        return request

    async def _ask(self, messages: Sequence[Message]) -> None:
        """One round of the model. The last one that is allowed gets no tools, so that it has to answer."""
        self._rounds += 1
        offered = dict(self._tools.offered)
        if offered and (limit := self._limit()):
            offered = {}
            if self._turns:
                self._notify(limit)
        turn = await self._listen(messages, tuple(offered.values()))
        if not offered:
            turn = _without_calls(turn)
        if not turn.message.tool_calls and not turn.message.text:
            raise ModelEmpty("The model gave no answer. Try again, or choose another model for this assistant.")
        self._count(turn)
        asking = frozenset(call.id for call in turn.message.tool_calls if self._asks(call))
        self._spent = await self._steps.turn_taken(self._rounds, turn, offered, asking)
        self._turns.append(turn)
        self._partial.clear()
        self._refused_rounds += 1  # until one of its calls is sent
        for call in turn.message.tool_calls:
            self._announce(call, self._rounds)
        self._emit(RoundEnded(self._rounds, turn.finish_reason))

    def _count(self, turn: Turn) -> None:
        for call in turn.message.tool_calls:
            made = call.name, json.dumps(call.arguments, sort_keys=True)
            self._repeats[call.id] = self._made[made]
            self._made[made] += 1

    def _limit(self) -> Notice | None:
        """Why the model gets no more tools."""
        so_far = "The answer is made of what is known so far."
        if self._spent:
            return Notice("budget_limit", f"{self._spent} {so_far}")
        if self._rounds >= self._max_rounds:
            return Notice("round_limit", f"The limit of {self._max_rounds} rounds is reached. {so_far}")
        if time.monotonic() >= self._hurries_at:
            return Notice("time_limit", f"The time for this reply is almost over. {so_far}")
        if self._refused_rounds >= MAX_REFUSED_ROUNDS:
            text = f"In {self._refused_rounds} rounds the model made no call that can be executed. {so_far}"
            return Notice("calls_refused", text)
        return None

    async def _listen(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Turn:
        """Stream one reply to whoever watches, and return it whole."""
        spoken_before = any(turn.message.text for turn in self._turns)
        async for item in self._model.ask(messages, tools):
            match item:
                case Turn():
                    return item
                case Notice():
                    self._notify(item)
                    continue
                case Chunk(content):
                    if spoken_before and not self._partial:
                        self._emit(Chunk(TEXT_SEPARATOR))
                    self._partial.append(content)
            self._emit(item)
        raise ModelEmpty("The model's reply had no end. Try again.")

    def _notify(self, notice: Notice) -> None:
        if notice.code not in self._told:
            self._told.add(notice.code)
            self._emit(notice)

    async def _perform(self, calls: Sequence[ToolCall]) -> tuple[str, ...]:
        """Run `calls`, as far as nobody has to decide first; return the ids of those that wait for a decision."""
        for batch in _batches(calls, self._is_read_only):
            await _together(self._execute(call) for call in batch if not self._asks(call))
            if any(map(self._asks, batch)):  # also those that were found to ask only when they were to be sent
                return self._request_approvals(calls)
        return ()

    def _is_read_only(self, call: ToolCall) -> bool:
        tool = self._tools.offered.get(call.name)
        return tool is None or tool.spec.read_only

    def _asks(self, call: ToolCall) -> bool:
        """Whether a person has to decide before `call` may be sent. Nobody is asked about what is refused anyway."""
        if call.id in self._held_back:
            return True
        if call.id in self._checkpoint.approved or self._refusal(call):
            return False
        return self._tools.offered[call.name].spec.approval == "ask"

    def _request_approvals(self, calls: Iterable[ToolCall]) -> tuple[str, ...]:
        waiting = [call for call in calls if self._asks(call)]
        for call in waiting:
            self._emit(ApprovalRequested(call.id, self._real_name(call), call.arguments))
        return tuple(call.id for call in waiting)

    async def _execute(self, call: ToolCall) -> None:
        """Give `call` its result, whatever happens; unless it turns out that a person has to decide on it first."""
        if refusal := self._refusal(call):
            await self._end(call, ToolResult(call.id, refusal, ToolCallState.ERROR))
            return
        self._refused_rounds = 0
        clearance = await self._steps.call_sent(call)
        if clearance.asks:
            self._held_back.add(call.id)
        elif clearance.refusal:
            text = history.OUTCOME_UNKNOWN if call.id in self._checkpoint.sent else clearance.refusal
            await self._end(call, ToolResult(call.id, text, ToolCallState.ERROR))
        else:
            changed = clearance.arguments
            await self._end(call, await self._invoke(call if changed is None else replace(call, arguments=changed)))

    def _refusal(self, call: ToolCall) -> str:
        """Why `call` is not sent, in words that help the model to do better; empty: it is."""
        if call.id in self._checkpoint.sent and not self._may_repeat(call):
            return history.OUTCOME_UNKNOWN
        if call.problem:
            return f"Not executed. {call.problem}"
        if call.name not in self._tools.offered:
            names = ", ".join(sorted(self._tools.offered)) or "none"
            return f"Not executed: there is no tool named {call.name!r}. The available tools are: {names}."
        if (made := self._repeats[call.id]) >= MAX_IDENTICAL_CALLS:
            return (
                f"Not executed: this call was made {made} times with the same arguments. "
                "Use the results that you have, or try something else."
            )
        return ""

    def _may_repeat(self, call: ToolCall) -> bool:
        """Whether a call that was sent by an earlier attempt is sent again: twice must be the same as once, and nobody
        has to be asked for the second time."""
        if call.name not in self._tools.offered:
            return False
        spec = self._tools.offered[call.name].spec
        return (spec.read_only or spec.idempotent) and (spec.approval == "auto" or call.id in self._checkpoint.approved)

    async def _invoke(self, call: ToolCall) -> ToolResult:
        started = time.monotonic()
        try:
            async with _Progressing(call, self._steps, self._emit) as progressing:
                output = await self._tools.call(self._tools.offered[call.name], call.arguments, progressing.report)
        except Exception:  # a fault of ours: the conversation goes on, and the log has the rest
            _logger.exception("The call %s of the tool %s failed unexpectedly", call.id, call.name)
            return ToolResult(call.id, "The tool failed unexpectedly.", ToolCallState.ERROR, _elapsed_ms(started))
        state = ToolCallState.ERROR if output.is_error else ToolCallState.DONE
        text = without_surrogates(output.text)  # half a character could be neither stored nor sent
        return ToolResult(call.id, text, state, _elapsed_ms(started), output.truncated, output.parts)

    async def _end(self, call: ToolCall, result: ToolResult) -> None:
        result = await self._steps.call_ended(call, result)
        # files are kept for people by now; a run may go on for long, and only images are needed again
        seen = tuple(part for part in result.parts if part.kind == "image") if self._room.sees_images else ()
        self._results[call.id] = replace(result, parts=seen)
        self._report(call, result)

    def _announce(self, call: ToolCall, round: int) -> None:
        tool = self._tools.offered.get(call.name)
        state = ToolCallState.APPROVAL if self._asks(call) else ToolCallState.PENDING
        raw = call.raw_arguments if call.problem else None
        server = tool.spec.server.name if tool else ""
        self._emit(ToolCallStarted(call.id, self._real_name(call), server, call.arguments, state, round, now_ms(), raw))

    def _report(self, call: ToolCall, result: ToolResult) -> None:
        self._emit(ToolCallFinished(
            call.id, self._real_name(call), result.text, result.state, result.duration_ms, now_ms(), result.truncated,
            result.args,
        ))

    def _real_name(self, call: ToolCall) -> str:
        tool = self._tools.offered.get(call.name)
        return tool.spec.name if tool else call.name


class _Progressing:
    """A call while it runs: all its progress is an event, and the newest a step, beside the call and in no hurry."""

    def __init__(self, call: ToolCall, steps: Steps, emit: Callable[[Event], None]):
        self._call = call
        self._steps = steps
        self._emit = emit
        self._newest: Progress | None = None  # that is no step yet
        self._telling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])

    def report(self, progress: float, total: float | None, message: str | None) -> None:
        self._newest = Progress(self._call.id, progress, total, message)
        self._emit(self._newest)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while newest := self._newest:
            self._newest = None
            try:
                await self._steps.call_progressed(self._call, newest)
            except Exception:  # whatever is wrong, the call's end will meet it, too
                _logger.debug("The progress of call %s could not be kept", self._call.id, exc_info=True)
            await asyncio.sleep(PROGRESS_PAUSE_S)


def _without_calls(turn: Turn) -> Turn:
    return replace(turn, message=replace(turn.message, tool_calls=()))


def _batches(calls: Iterable[ToolCall], is_read_only: Callable[[ToolCall], bool]) -> Iterator[list[ToolCall]]:
    """Runs of calls that may overlap: read-only neighbours together, every other call alone, in the model's order."""
    batch: list[ToolCall] = []
    for call in calls:
        if not is_read_only(call):
            if batch:
                yield batch
            yield [call]
            batch = []
        else:
            batch.append(call)
    if batch:
        yield batch


async def _together(coroutines: Iterable[Awaitable[None]]) -> None:
    """Await all of `coroutines` at once; the first failure cancels the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _elapsed_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
