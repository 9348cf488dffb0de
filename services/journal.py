"""The journal: takes the events of many runs without ever blocking them, and stores them in groups over `EventLog`.

An idle journal stores at once, a busy one at most once per window, all runs in one transaction. It is not the memory of
a run: an event may be lost, a step may not. Everything here belongs to one asyncio loop and is not safe from other
threads. Above are the runs, below is the log.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from weakref import WeakValueDictionary

from .errors import Fenced
from .events import Chunk, Event, Progress, Reasoning
from .ports import EventLog, JournalRow

WINDOW_S = 0.03  # short enough to look live, long enough for many runs to share a transaction
RETRY_DELAYS_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # rides out a database that drops its connections
APPEND_DEADLINE_S = 5.0  # longer is failure; rows that are stored after all are skipped when they come again
MAX_BATCH_ROWS = 5_000  # keeps the transaction short when there is much to catch up with
MAX_PENDING_ROWS = 1_000  # of one run while the log is down: with the next bound, a few megabytes at the very most
MAX_MERGED_CHARS = 4_000  # of text that is merged into one row
MAX_SUSPECTS = 3  # so many runs refused one by one and none stored: the log is down, no single run is at fault

_logger = logging.getLogger(__name__)


class JournalFailed(Exception):
    """Events could not be stored, after all retries: viewers lack some news. The run's steps are not affected."""


class Journal:
    """The journals of all runs of a host, and the one task that stores them."""

    def __init__(self, log: EventLog, window: float = WINDOW_S, retry_delays: Sequence[float] = RETRY_DELAYS_S):
        self._log = log
        self._window = window
        self._retry_delays = tuple(retry_delays)
        self._runs: WeakValueDictionary[int, RunJournal] = WeakValueDictionary()
        self._dirty: dict[RunJournal, None] = {}  # have rows to store, in the order in which they got them
        self._work = asyncio.Event()  # there is something to store
        self._urgent = asyncio.Event()  # … and somebody waits for it, so don't wait for the window's end
        self._flusher: asyncio.Task[None] | None = None
        self._closed = False

    def open(
        self, run_id: int, attempt: int, next_seq: int, on_fenced: Callable[[], object] = lambda: None
    ) -> "RunJournal":
        """The journal of one attempt of a run. That of an earlier attempt, where this host still has it, is fenced.

        `on_fenced` is called once a newer attempt owns the run: the journal is often the first to hear of it."""
        earlier = self._runs.get(run_id)
        if earlier is not None:
            self._end(earlier, Fenced())
        run = self._runs[run_id] = RunJournal(self, run_id, attempt, next_seq, on_fenced)
        return run

    async def aclose(self) -> None:
        """Store what is left, as far as the log allows, and stop. What is emitted from now on is dropped."""
        self._closed = True
        await asyncio.gather(*(run.flush() for run in self._dirty), return_exceptions=True)
        if self._flusher is not None:
            self._flusher.cancel()
            with suppress(asyncio.CancelledError):
                await self._flusher

    def _add(self, run: "RunJournal") -> None:
        self._dirty[run] = None
        self._work.set()
        if self._flusher is None:
            self._flusher = asyncio.get_running_loop().create_task(self._store_forever(), name="ai_discuss journal")

    def _hurry(self) -> None:
        self._work.set()
        self._urgent.set()

    async def _store_forever(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await self._work.wait()
            self._work.clear()
            self._urgent.clear()
            window_end = clock() + self._window
            await self._store(self._take())
            with suppress(TimeoutError):
                async with asyncio.timeout_at(window_end):
                    await self._urgent.wait()

    def _take(self) -> dict["RunJournal", list[JournalRow]]:
        batch: dict[RunJournal, list[JournalRow]] = {}
        room = MAX_BATCH_ROWS
        for run in self._dirty:
            batch[run] = run._take(room)
            room -= len(batch[run])
            if not room:
                break
        return batch

    async def _store(self, batch: Mapping["RunJournal", list[JournalRow]]) -> None:
        if not batch:
            return
        for delay in (0, *self._retry_delays):
            await asyncio.sleep(delay)
            if await self._appended(batch):
                return
        await self._give_up(batch)

    async def _appended(self, batch: Mapping["RunJournal", list[JournalRow]]) -> bool:
        try:
            async with asyncio.timeout(APPEND_DEADLINE_S):
                refused = set(await self._log.append([row for rows in batch.values() for row in rows]))
        except Exception as error:  # noqa: BLE001 - whatever the log raises, the runs go on
            _logger.warning("Events of %s runs could not be stored: %r", len(batch), error)
            return False
        for run, rows in batch.items():
            if run.run_id in refused:
                self._end(run, Fenced())
            else:
                run._stored(len(rows))
            if not run._pending:
                self._dirty.pop(run, None)
        if self._dirty:  # came meanwhile, or found no room in this batch
            self._work.set()
        return True

    async def _give_up(self, batch: Mapping["RunJournal", list[JournalRow]]) -> None:
        """The log refuses the batch. Store run by run, so that the rows of one run don't hold up everybody's.

        A run is at fault where others pass, and its journal ends. Where none passes, the log is down: the rows stay,
        and are tried again with the next event or `flush`; only runs that wait in `flush` now are told, and end.
        """
        suspects: list[RunJournal] = []
        passed = 0
        for run, rows in batch.items():
            if await self._appended({run: rows}):
                passed += 1
            else:
                suspects.append(run)
            if not passed and len(suspects) == MAX_SUSPECTS:
                break
        if passed:
            failed = [run for run in suspects if not await self._appended({run: batch[run]})]
        else:
            failed = [run for run in batch if run._waiting]
        for run in failed:
            self._end(run, JournalFailed(f"The events of run {run.run_id} could not be stored; its viewers lack some."))

    def _end(self, run: "RunJournal", reason: Exception) -> None:
        run._end(reason)
        self._dirty.pop(run, None)


class RunJournal:
    """The events of one attempt of a run, in order; made by `Journal.open`."""

    def __init__(
        self, journal: Journal, run_id: int, attempt: int, next_seq: int, on_fenced: Callable[[], object]
    ):
        self.run_id = run_id
        self.attempt = attempt
        self.next_seq = next_seq  # of the next event that is not merged into the one before it
        self._journal = journal
        self._on_fenced = on_fenced
        self._pending: list[JournalRow] = []
        self._handed_out = 0  # so many of them the log has seen, and perhaps stored: they must not change any more
        self._moved = asyncio.Event()
        self._waiting = 0  # callers of `flush`
        self._is_speaking = False  # the last event was text
        self._reason: Exception | None = None  # why nothing is stored any more

    def emit(self, event: Event) -> None:
        """Keep `event` for the next flush; never blocks and never raises.

        The first words after anything else are stored at once, whatever the window says: somebody waits for them. Text
        that follows text of its kind joins it in one row, until the log has seen that row; of a call's progress the
        newest takes the place of what was there, because some tools report thousands of steps. While the log is down,
        `MAX_PENDING_ROWS` are kept; beyond that, text and progress are dropped (the reply itself is not made from the
        journal), and everything else is still kept. Does nothing once the journal has ended.
        """
        if self._reason is not None or self._journal._closed or self._merge(event):
            return
        if len(self._pending) >= MAX_PENDING_ROWS and isinstance(event, Chunk | Reasoning | Progress):
            return
        self._pending.append(JournalRow(self.run_id, self.attempt, self.next_seq, event))
        self.next_seq += 1
        self._journal._add(self)
        is_speaking, self._is_speaking = self._is_speaking, isinstance(event, Chunk | Reasoning)
        if self._is_speaking and not is_speaking:
            self._journal._hurry()

    async def flush(self) -> None:
        """Return when everything emitted so far is stored; does not wait for the window.

        Raises:
            Fenced: a newer attempt owns the run.
            JournalFailed: it could not be stored. The journal has ended, so that nothing of it comes late.
        """
        end = self.next_seq
        self._waiting += 1
        try:
            while self._pending and self._pending[0].seq < end:
                self._moved.clear()
                self._journal._hurry()
                await self._moved.wait()
        finally:
            self._waiting -= 1
        if self._reason is not None:
            raise self._reason

    def _merge(self, event: Event) -> bool:
        if isinstance(event, Progress):
            return self._replace(event)
        if len(self._pending) <= self._handed_out or not isinstance(event, Chunk | Reasoning):
            return False
        last = self._pending[-1]
        if type(last.event) is not type(event) or len(last.event.content) + len(event.content) > MAX_MERGED_CHARS:
            return False
        self._pending[-1] = replace(last, event=type(event)(last.event.content + event.content))
        return True

    def _replace(self, event: Progress) -> bool:
        """Put `event` in the place of progress of the same call, as long as nothing else has happened since."""
        for index in range(len(self._pending) - 1, self._handed_out - 1, -1):
            match self._pending[index].event:
                case Progress(id=event.id):
                    self._pending[index] = replace(self._pending[index], event=event)
                    return True
                case Progress():
                    continue
                case _:
                    return False
        return False

    def _take(self, room: int) -> list[JournalRow]:
        rows = self._pending[:room]
        self._handed_out = max(self._handed_out, len(rows))
        return rows

    def _stored(self, count: int) -> None:
        del self._pending[:count]
        self._handed_out = max(0, self._handed_out - count)
        self._moved.set()

    def _end(self, reason: Exception) -> None:
        if isinstance(reason, Fenced) and self._reason is None:
            self._on_fenced()
        self._reason = self._reason or reason
        self._pending.clear()
        self._moved.set()
