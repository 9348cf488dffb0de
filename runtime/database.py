"""Odoo's side of the database for an asyncio loop: short transactions in a few threads of their own.

The threads are not `concurrent.futures`': those refuse work once the interpreter ends, and that is when the runs of a
process that is recycled have to be handed back.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from psycopg2 import InterfaceError, OperationalError
from psycopg2.pool import PoolError

THREADS = 4  # a transaction is mostly Python: more threads would only wait for each other
CONFLICT_TRIES = 12
CONFLICT_DELAY_S = 0.005  # the first, doubled each time up to MAX_CONFLICT_DELAY_S; half of it is chance
MAX_CONFLICT_DELAY_S = 0.5
OUTAGE_DELAYS_S = (0.1, 0.3, 1, 2, 4, 8)  # rides out a restart of PostgreSQL, and a burst that takes all connections

T = TypeVar("T")
_logger = logging.getLogger(__name__)


class Database:
    """One database, for the coroutines of one loop."""

    def __init__(self, db_name: str):
        self.name = db_name
        self._work: SimpleQueue = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"ai_discuss.database.{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    async def transact(self, work: Callable[[api.Environment], T]) -> T:
        """Call `work` with a superuser's environment in one transaction, again where it conflicts with another.

        What it does in the database must therefore be repeatable, and what it does elsewhere harmless. A coroutine that
        is cancelled while it waits does not undo the transaction.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._work.put((work, loop, future))
        return await future

    def close(self) -> None:
        """Let the threads end after what they have to do."""
        for _thread in self._threads:
            self._work.put(None)

    def _serve(self) -> None:
        threading.current_thread().dbname = self.name  # for Odoo's log
        while item := self._work.get():
            work, loop, future = item
            try:
                outcome, settle = self._transact(work), future.set_result
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits
                outcome, settle = error, future.set_exception
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, future, settle, outcome)
            del item, work, future, outcome, settle

    def _transact(self, work: Callable[[api.Environment], T]) -> T:
        conflicts, outages = 0, 0
        while True:
            try:
                return self._once(work)
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY as error:
                conflicts += 1
                if conflicts == CONFLICT_TRIES:
                    raise
                delay = min(CONFLICT_DELAY_S * 2**conflicts, MAX_CONFLICT_DELAY_S) * random.uniform(0.5, 1)
                _logger.debug("A transaction of %s conflicts (%s), again in %.3f s", self.name, error, delay)
            except (OperationalError, InterfaceError, PoolError) as error:
                if outages == len(OUTAGE_DELAYS_S):
                    raise
                delay = OUTAGE_DELAYS_S[outages]
                outages += 1
                _logger.warning("The database %s is not available (%s), again in %s s", self.name, error, delay)
            time.sleep(delay)

    def _once(self, work: Callable[[api.Environment], T]) -> T:
        registry = Registry(self.name)
        with registry.cursor() as cr:
            registry = registry.check_signaling(cr)
            try:
                result = work(api.Environment(cr, SUPERUSER_ID, {}))
                cr.commit()
            except BaseException:
                registry.reset_changes()
                raise
        registry.signal_changes()
        return result


def _settle(future, settle, outcome) -> None:
    if not future.cancelled():
        settle(outcome)
