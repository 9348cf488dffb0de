"""The journal over a log in memory that a test can hold, break and wait for; no test depends on how fast it runs."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from services import journal as journal_module
from services.errors import Fenced
from services.events import Chunk, Notice, Progress, Reasoning, RoundEnded
from services.journal import MAX_MERGED_CHARS, MAX_PENDING_ROWS, Journal, JournalFailed
from services.ports import JournalRow

NEVER_S = 3600.0  # a window that does not end while a test runs


class MemoryLog:
    """An `EventLog` that keeps its rows, once each, and says when there are some."""

    def __init__(self):
        self.rows: dict[tuple[int, int], JournalRow] = {}
        self.transactions: list[list[JournalRow]] = []
        self.fenced: set[int] = set()
        self.failures = 0  # so many of the next calls raise
        self.poison: set[int] = set()  # runs whose rows make any call raise
        self.recovered = asyncio.Event()  # `failures` has come down to zero
        self.lost_replies = 0  # so many of the next calls raise after they have stored
        self.gate = asyncio.Event()  # closed: a call waits before it stores
        self.gate.set()
        self.called = asyncio.Event()
        self._stored = asyncio.Condition()

    async def append(self, rows: Sequence[JournalRow]) -> Iterable[int]:
        self.called.set()
        await self.gate.wait()
        if self.failures or self.poison & {row.run_id for row in rows}:
            self.failures = max(0, self.failures - 1)
            if not self.failures:
                self.recovered.set()
            raise ConnectionError("the log is down")
        accepted = [row for row in rows if row.run_id not in self.fenced]
        for row in accepted:
            self.rows.setdefault((row.run_id, row.seq), row)
        self.transactions.append(accepted)
        async with self._stored:
            self._stored.notify_all()
        if self.lost_replies:
            self.lost_replies -= 1
            raise ConnectionError("the connection broke after the commit")
        return self.fenced & {row.run_id for row in rows}

    async def wait_until_stored(self, count: int) -> None:
        async with self._stored:
            await asyncio.wait_for(self._stored.wait_for(lambda: len(self.rows) >= count), 10)

    def texts(self, run_id: int = 1) -> list[str]:
        return [row.event.content for row in self.rows.values() if row.run_id == run_id]


def with_journal(test, window: float = NEVER_S, retries: int = 2):
    """Run the coroutine function `test(journal, log)`."""

    async def main():
        log = MemoryLog()
        journal = Journal(log, window, (0,) * retries)
        try:
            await asyncio.wait_for(test(journal, log), 10)
        finally:
            log.gate.set()
            await journal.aclose()

    asyncio.run(main())


def test_an_idle_journal_stores_at_once():
    async def test(journal, log):
        journal.open(1, 1, 1).emit(Chunk("Hello"))
        await log.wait_until_stored(1)
        assert log.texts() == ["Hello"]

    with_journal(test)


def test_a_busy_journal_stores_again_when_the_window_ends():
    async def test(journal, log):
        run = journal.open(1, 1, 1)
        run.emit(Chunk("Hello"))
        await log.wait_until_stored(1)
        run.emit(Chunk(" world"))
        assert log.texts() == ["Hello"]
        await log.wait_until_stored(2)
        assert log.texts() == ["Hello", " world"]

    with_journal(test, window=0.01)


def test_a_flush_does_not_wait_for_the_window():
    async def test(journal, log):
        run = journal.open(1, 1, 1)
        for text in "abc":
            run.emit(Chunk(text))
            await run.flush()
        assert log.texts() == ["a", "b", "c"]

    with_journal(test)


def test_the_first_words_after_anything_else_do_not_wait_for_the_window():
    async def test(journal, log):
        run = journal.open(1, 1, 1)
        run.emit(Notice("code", "Careful."))
        await log.wait_until_stored(1)
        run.emit(Chunk("Hello"))
        await log.wait_until_stored(2)
        run.emit(Chunk(" world"))
        run.emit(RoundEnded(1, "tool_calls"))
        run.emit(Reasoning("Hm."))
        await log.wait_until_stored(5)
        assert [len(rows) for rows in log.transactions] == [1, 1, 3]

    with_journal(test)


def test_a_flush_of_nothing_returns():
    async def test(journal, log):
        await journal.open(1, 1, 1).flush()
        assert not log.transactions

    with_journal(test)


def test_text_of_one_kind_inside_a_window_becomes_one_row():
    async def test(journal, log):
        run = journal.open(1, 1, 5)
        for event in (Reasoning("Let "), Reasoning("me see"), Chunk("It "), Chunk("is 12"), Notice("x", "y")):
            run.emit(event)
        run.emit(Chunk("."))
        await run.flush()
        assert [(row.seq, row.event) for row in log.rows.values()] == [
            (5, Reasoning("Let me see")), (6, Chunk("It is 12")), (7, Notice("x", "y")), (8, Chunk(".")),
        ]
        assert run.next_seq == 9

    with_journal(test)


def test_of_the_progress_of_calls_that_run_together_the_newest_of_each_is_stored():
    async def test(journal, log):
        run = journal.open(1, 1, 1)
        run.emit(Chunk("Hello"))
        await log.wait_until_stored(1)
        for step in range(1000):
            run.emit(Progress("a", step))
            run.emit(Progress("b", step))
        run.emit(RoundEnded(1, "stop"))
        run.emit(Progress("a", 1000))
        await run.flush()
        assert [row.event for row in log.rows.values()] == [
            Chunk("Hello"), Progress("a", 999), Progress("b", 999), RoundEnded(1, "stop"), Progress("a", 1000),
        ]
        assert [row.seq for row in log.rows.values()] == [1, 2, 3, 4, 5]

    with_journal(test)


def test_progress_that_the_log_has_seen_is_not_changed():
    async def test(journal, log):
        log.gate.clear()
        run = journal.open(1, 1, 1)
        run.emit(Progress("a", 1))
        await log.called.wait()
        run.emit(Progress("a", 2))
        log.gate.set()
        await run.flush()
        assert [row.event for row in log.rows.values()] == [Progress("a", 1), Progress("a", 2)]

    with_journal(test)


def test_a_merged_row_stays_small():
    async def test(journal, log):
        run = journal.open(1, 1, 1)
        for _ in range(MAX_MERGED_CHARS + 1):
            run.emit(Chunk("x"))
        await run.flush()
        assert [len(text) for text in log.texts()] == [MAX_MERGED_CHARS, 1]

    with_journal(test)


def test_a_row_that_the_log_has_seen_takes_no_more_text():
    async def test(journal, log):
        log.gate.clear()
        run = journal.open(1, 1, 1)
        run.emit(Chunk("seen"))
        await log.called.wait()
        run.emit(Chunk("later"))
        log.gate.set()
        await run.flush()
        assert log.texts() == ["seen", "later"]

    with_journal(test)


def test_rows_that_were_stored_although_the_call_failed_are_not_stored_twice():
    async def test(journal, log):
        log.lost_replies = 1
        run = journal.open(1, 1, 1)
        run.emit(Chunk("once"))
        await log.wait_until_stored(1)
        run.emit(Chunk("more"))
        await run.flush()
        assert log.texts() == ["once", "more"]

    with_journal(test)


def test_what_many_runs_emit_meanwhile_is_one_transaction():
    async def test(journal, log):
        log.gate.clear()
        runs = [journal.open(run_id, 1, 1) for run_id in range(1, 101)]
        runs[0].emit(Chunk("first"))
        await log.called.wait()
        for run in runs:
            run.emit(RoundEnded(1, "stop"))
        log.gate.set()
        await asyncio.gather(*(run.flush() for run in runs))
        assert [len(rows) for rows in log.transactions] == [1, 100]

    with_journal(test)


def test_more_than_a_batch_is_stored_in_several_transactions(monkeypatch):
    monkeypatch.setattr(journal_module, "MAX_BATCH_ROWS", 3)

    async def test(journal, log):
        runs = [journal.open(run_id, 1, 1) for run_id in (1, 2, 3)]
        for run in runs:
            run.emit(RoundEnded(1, "stop"))
            run.emit(RoundEnded(2, "stop"))
        await log.wait_until_stored(6)
        assert [len(rows) for rows in log.transactions] == [3, 3]
        assert all([row.seq for row in log.rows.values() if row.run_id == run.run_id] == [1, 2] for run in runs)

    with_journal(test, window=0)


def test_a_log_that_fails_for_a_moment_loses_nothing():
    async def test(journal, log):
        log.failures = 2
        run = journal.open(1, 1, 1)
        run.emit(Chunk("still here"))
        await run.flush()
        assert log.texts() == ["still here"]

    with_journal(test, retries=2)


def test_a_flush_into_a_log_that_stays_down_fails_after_the_retries_and_ends_the_journal():
    async def test(journal, log):
        log.failures = 10_000
        run = journal.open(1, 1, 1)
        run.emit(Chunk("lost"))
        with pytest.raises(JournalFailed, match="run 1"):
            await run.flush()
        log.failures = 0
        run.emit(Chunk("too late"))
        with pytest.raises(JournalFailed):
            await run.flush()
        assert not log.rows

    with_journal(test)


def test_a_log_that_comes_back_gets_what_was_kept():
    async def test(journal, log):
        log.failures = 4  # three tries of the group and one alone
        run = journal.open(1, 1, 1)
        run.emit(Chunk("kept"))
        await log.recovered.wait()
        run.emit(RoundEnded(1, "stop"))
        await run.flush()
        assert [row.seq for row in log.rows.values()] == [1, 2]

    with_journal(test)


def test_a_full_journal_drops_text_and_keeps_everything_else():
    async def test(journal, log):
        log.gate.clear()
        run = journal.open(1, 1, 1)
        for number in range(MAX_PENDING_ROWS // 2):
            run.emit(Chunk(f"{number} "))
            run.emit(Reasoning("hm"))
        run.emit(Chunk("dropped"))
        run.emit(RoundEnded(1, "stop"))
        run.emit(Chunk("dropped, too"))
        log.gate.set()
        await run.flush()
        seqs = [row.seq for row in log.rows.values()]
        assert seqs == list(range(1, MAX_PENDING_ROWS + 2))
        assert log.rows[1, MAX_PENDING_ROWS + 1].event == RoundEnded(1, "stop")

    with_journal(test)


def test_a_fenced_run_goes_silent_and_the_others_of_its_flush_are_stored():
    async def test(journal, log):
        log.fenced = {1}
        fenced, other = journal.open(1, 1, 1), journal.open(2, 1, 1)
        fenced.emit(Chunk("old"))
        other.emit(Chunk("fine"))
        await other.flush()
        with pytest.raises(Fenced):
            await fenced.flush()
        log.fenced = set()
        fenced.emit(Chunk("ignored"))
        other.emit(Chunk("goes on"))
        await other.flush()
        assert [(row.run_id, row.event.content) for row in log.rows.values()] == [(2, "fine"), (2, "goes on")]

    with_journal(test)


def test_the_next_attempt_in_the_same_host_fences_the_one_before():
    async def test(journal, log):
        log.gate.clear()
        journal.open(9, 1, 1).emit(Chunk("the log is busy"))
        await log.called.wait()
        first = journal.open(1, 1, 1)
        first.emit(Chunk("old"))
        second = journal.open(1, 2, 1)
        second.emit(Chunk("new"))
        log.gate.set()
        await second.flush()
        with pytest.raises(Fenced):
            await first.flush()
        assert log.texts(1) == ["new"]

    with_journal(test)


def test_rows_that_nobody_can_store_cost_only_their_own_run():
    async def test(journal, log):
        log.poison = {2}
        runs = [journal.open(run_id, 1, 1) for run_id in (1, 2, 3)]
        for run in runs:
            run.emit(Chunk("text"))
        await asyncio.gather(runs[0].flush(), runs[2].flush())
        with pytest.raises(JournalFailed, match="run 2"):
            await runs[1].flush()
        assert {row.run_id for row in log.rows.values()} == {1, 3}

    with_journal(test)


def test_a_cancelled_flush_leaves_the_journal_as_it_was():
    async def test(journal, log):
        log.gate.clear()
        run = journal.open(1, 1, 1)
        run.emit(Chunk("text"))
        flush = asyncio.create_task(run.flush())
        await log.called.wait()
        flush.cancel()
        log.gate.set()
        await run.flush()
        assert flush.cancelled() and log.texts() == ["text"]

    with_journal(test)


def test_closing_stores_what_is_left_and_drops_what_comes_later():
    async def test(journal, log):
        run = journal.open(1, 1, 1)
        run.emit(Chunk("a"))
        await log.wait_until_stored(1)
        run.emit(Chunk("b"))
        await journal.aclose()
        run.emit(Chunk("c"))
        assert log.texts() == ["a", "b"]
        assert len(asyncio.all_tasks()) == 2  # this test and the one that runs it

    with_journal(test)
