"""What becomes of a run whose job is aborted, at each moment at which that can happen, or whose database is away; and
of a host whose loop hangs."""

import asyncio
import os
import threading
import time
from types import SimpleNamespace

import psycopg2
import pytest
from odoo.addons.ai_discuss.runtime import host
from odoo.addons.ai_discuss.runtime.database import Database
from odoo.addons.ai_discuss.runtime.worker import _Execution
from odoo.addons.ai_discuss.services.errors import Unavailable
from procrastinate.job_context import AbortReason
from psycopg2.pool import PoolError


@pytest.mark.parametrize("error", [psycopg2.OperationalError, psycopg2.DatabaseError, PoolError])
def test_an_outage_that_lasts_is_no_failure_of_whoever_meets_it(monkeypatch, error):
    tries = []

    def fail(database, order):
        tries.append(order)
        raise error("server closed the connection unexpectedly")

    async def main():
        with pytest.raises(Unavailable):
            await Database("nowhere").transact(lambda env: None)

    monkeypatch.setattr(Database, "_once", fail)
    monkeypatch.setattr("odoo.addons.ai_discuss.runtime.database.OUTAGE_DELAYS_S", (0, 0))
    asyncio.run(main())
    assert len(tries) == 3


def test_a_host_that_hangs_keeps_nobody_waiting_for_long(monkeypatch):
    hangs, goes_on = threading.Event(), threading.Event()

    class HangingHost(host.Host):
        async def _serve(self):
            self._main, self._loop = asyncio.current_task(), asyncio.get_running_loop()
            hangs.set()
            goes_on.wait()

    one = HangingHost("nowhere")
    hangs.wait()
    monkeypatch.setitem(host._hosts, (os.getpid(), "nowhere"), one)
    monkeypatch.setattr(host, "SHUTDOWN_S", 0.1)
    began = time.monotonic()
    assert not one.responds(60)
    host.stop_all()
    monkeypatch.setattr(host, "SHUTDOWN_S", 60)
    host.stop_all()  # as at the process's exit
    assert time.monotonic() - began < 30
    goes_on.set()
    one._thread.join()


class EndingRunner:
    """A runner whose one run is being ended: it takes no stop any more, and ends when the test lets it."""

    def __init__(self):
        self.ending = asyncio.Event()
        self.stored = asyncio.Event()
        self.was_cancelled = False

    async def run(self, run_id, attempt):
        self.ending.set()
        try:
            await self.stored.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True

    def stop(self, task):
        return False


@pytest.mark.parametrize(
    ("reason", "is_cut_short"), [(AbortReason.USER_REQUEST, False), (AbortReason.SHUTDOWN, True)]
)
def test_a_stop_comes_too_late_for_a_run_that_is_ending_a_shutdown_does_not(reason, is_cut_short):
    async def main():
        runner = EndingRunner()
        context = SimpleNamespace(abort_reason=lambda: reason)
        job = asyncio.create_task(_Execution(None, runner).execute(context, run_id=1, attempt=1))
        await runner.ending.wait()
        job.cancel()  # as procrastinate does
        await asyncio.wait([job], timeout=0.01)
        runner.stored.set()
        await asyncio.wait([job])
        assert runner.was_cancelled is is_cut_short

    asyncio.run(main())
