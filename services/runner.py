"""One run from its inputs to its end: load, loop, persist.

It never raises for what goes wrong in a run: that becomes the run's end, which people see. Only a cancellation that is
not a stop leaves it, after the run went back into the queue. Where even that cannot be stored, the run is left as it
is, for a sweep to find. Above: the host's worker. Below: the loop and the ports.
"""

import asyncio
import logging
from contextlib import suppress

from .errors import Fenced, RunError, RunTimeout, Unavailable
from .journal import Journal, JournalFailed, RunJournal
from .llm import Models
from .loop import Loop
from .mcp_pool import McpPool
from .ports import RunStore, Tools
from .specs import Outcome, RunInputs
from .states import RunState
from .tools import open_tools

_logger = logging.getLogger(__name__)

NOTHING = Outcome("", 0)


class Runner:
    """Executes runs; one for all runs of a host, so that they share connections to models and MCP servers."""

    def __init__(self, store: RunStore, journal: Journal, models: Models, pool: McpPool):
        self._store = store
        self._journal = journal
        self._models = models
        self._pool = pool
        self._active: set[asyncio.Task] = set()  # not the runs: an attempt may still be leaving while the next begins
        self._stopping: set[asyncio.Task] = set()

    async def run(self, run_id: int, attempt: int) -> None:
        """Execute one attempt of a run, to its end or to where it has to wait for a person.

        Raises:
            asyncio.CancelledError: the host shuts down; the run is back in the queue.
        """
        task = asyncio.current_task()
        self._active.add(task)
        try:
            if inputs := await self._begin(run_id, attempt):
                await self._execute(inputs)
        except Fenced:
            _logger.info("Run %s: a newer attempt than %s owns it", run_id, attempt)
        except Unavailable as error:
            _logger.warning("Run %s: attempt %s is given up, a later one goes on: %s", run_id, attempt, error)
        except asyncio.CancelledError:
            with suppress(Unavailable):
                await asyncio.shield(self._store.hand_back(run_id, attempt))
            raise
        finally:
            self._active.discard(task)
            self._stopping.discard(task)

    def stop(self, task: asyncio.Task) -> bool:
        """Stop the run that `task` executes; False where it is just ending, or has ended."""
        if task not in self._active:
            return False
        self._stopping.add(task)
        task.cancel()
        return True

    async def _begin(self, run_id: int, attempt: int) -> RunInputs | None:
        try:
            return await self._store.begin(run_id, attempt)
        except RunError as error:
            await self._store.finish(run_id, attempt, RunState.ERROR, NOTHING, error)
            return None

    async def _execute(self, inputs: RunInputs) -> None:
        task = asyncio.current_task()
        journal = self._journal.open(inputs.run_id, inputs.attempt, inputs.next_seq, on_fenced=task.cancel)
        loop = self._loop(inputs, journal)
        try:
            async with asyncio.timeout(inputs.deadline - inputs.seconds_worked):
                outcome = await loop.run(inputs.messages, await self._prepare(inputs, journal))
        except asyncio.CancelledError:
            if task not in self._stopping:
                raise
            task.uncancel()
            await self._end(inputs, journal, loop, RunState.CANCELLED)
        except (Fenced, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the run's end
            await self._end(inputs, journal, loop, RunState.ERROR, _explained(error, inputs))
        else:
            if outcome.waiting:
                await self._park(inputs, journal, outcome)
            else:
                await self._end(inputs, journal, loop, RunState.DONE)

    def _loop(self, inputs: RunInputs, journal: RunJournal) -> Loop:
        return Loop(
            self._models.get(inputs.model),
            self._store.steps(inputs.run_id, inputs.attempt),
            journal.emit,
            max_rounds=inputs.max_rounds,
            deadline=inputs.deadline,
            seconds_worked=inputs.seconds_worked,
            spent=inputs.spent,
            checkpoint=inputs.checkpoint,
            room=inputs.room,
        )

    async def _prepare(self, inputs: RunInputs, journal: RunJournal) -> Tools:
        """Open the run's tools, and tell people what is missing."""
        tools, notices = await open_tools(inputs.tools, self._pool, inputs.limits)
        for notice in (*inputs.notices, *notices):
            journal.emit(notice)
        return tools

    async def _park(self, inputs: RunInputs, journal: RunJournal, outcome: Outcome) -> None:
        await _flush(journal)
        await self._store.park(inputs.run_id, inputs.attempt, outcome, inputs.messages)

    async def _end(
        self, inputs: RunInputs, journal: RunJournal, loop: Loop, state: RunState, error: RunError | None = None
    ) -> None:
        """Close what is open, then end the run. From here on, a stop comes too late."""
        self._active.discard(asyncio.current_task())
        if state is not RunState.DONE:
            await loop.close("Cancelled: the run was stopped." if error is None else "Cancelled: the run failed.")
        await _flush(journal)
        await self._store.finish(inputs.run_id, inputs.attempt, state, loop.outcome, error)


async def _flush(journal: RunJournal) -> None:
    """Store what viewers should see before the run's end; events that cannot be stored don't keep a run from ending."""
    try:
        await journal.flush()
    except JournalFailed as failure:
        _logger.error("%s", failure)


def _explained(error: Exception, inputs: RunInputs) -> RunError:
    """What ended a run, as people should read it; the log gets what they should not."""
    match error:
        case RunError():
            return error
        case TimeoutError():
            return RunTimeout(f"The run took longer than {inputs.deadline:.0f} seconds and was ended.")
        case _:
            _logger.error("Run %s failed unexpectedly", inputs.run_id, exc_info=error)
            return RunError("Something went wrong on our side. Try again; the server's log says more.")
