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
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from odoo import SUPERUSER_ID, api
from odoo.exceptions import ConcurrencyError
from odoo.modules.registry import Registry
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from psycopg2 import DatabaseError, InterfaceError, OperationalError
from psycopg2.pool import PoolError

from ..services.errors import Unavailable
from .queue import STALLED_AFTER_S

THREADS = 4  # a transaction is mostly Python: more threads would only wait for each other
CONFLICTS = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError)
CONFLICT_TRIES = 12
CONFLICT_DELAY_S = 0.005  # the first, doubled each time up to MAX_CONFLICT_DELAY_S; half of it is chance
MAX_CONFLICT_DELAY_S = 0.5
OUTAGE_DELAYS_S = (0.1, 0.3, 1, 2, 4, 8)  # rides out a restart of PostgreSQL, and a burst that takes all connections
MAX_IDLE_S = STALLED_AFTER_S  # in a transaction: the process is frozen or cut off, and others wait for what it holds

THREAD_NAME = "ai_discuss.database"

T = TypeVar("T")
_logger = logging.getLogger(__name__)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """A conflict is no error here: the transaction begins anew, and nobody needs to read of it in the log."""
    is_conflict = any(isinstance(argument, PG_CONCURRENCY_EXCEPTIONS_TO_RETRY) for argument in record.args)
    return not (is_conflict and record.threadName.startswith(THREAD_NAME))


logging.getLogger("odoo.sql_db").addFilter(_is_worth_a_line)


def is_outage(error: Exception) -> bool:
    """Whether `error` says that the database cannot be reached for now. Of a connection that broke while Odoo's pool
    kept it, psycopg says no more than `DatabaseError`."""
    return isinstance(error, OperationalError | InterfaceError | PoolError) or type(error) is DatabaseError


class Database:
    """One database, for the coroutines of one loop."""

    def __init__(self, db_name: str):
        self.name = db_name
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{THREAD_NAME}.{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    async def transact(self, work: Callable[[api.Environment], T]) -> T:
        """Call `work` with a superuser's environment in one transaction, again where it conflicts with another.

        What it does in the database must therefore be repeatable, and what it does elsewhere harmless. A coroutine that
        is cancelled while it waits does not undo the transaction.

        Raises:
            Unavailable: the database is away for longer than a restart takes.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._orders.put(_Order(work, loop, future))
        return await future

    def close(self) -> None:
        """Let the threads end after what they have to do."""
        for _thread in self._threads:
            self._orders.put(None)

    def _serve(self) -> None:
        threading.current_thread().dbname = self.name  # for Odoo's log
        while order := self._orders.get():
            try:
                self._transact(order)
            except BaseException as error:
                if order.is_done:
                    _logger.warning("What follows a commit on %s failed", self.name, exc_info=True)
                order.fail(error)
            del order

    def _transact(self, order: "_Order") -> None:
        conflicts, outages = 0, 0
        while True:
            try:
                return self._once(order)
            except CONFLICTS as error:
                conflicts += 1
                if order.is_done or conflicts == CONFLICT_TRIES:
                    raise
                delay = min(CONFLICT_DELAY_S * 2**conflicts, MAX_CONFLICT_DELAY_S) * random.uniform(0.5, 1)
                _logger.debug("A transaction of %s conflicts (%s), again in %.3f s", self.name, error, delay)
            except (DatabaseError, InterfaceError, PoolError) as error:
                if order.is_done or not is_outage(error):
                    raise
                if outages == len(OUTAGE_DELAYS_S):
                    raise Unavailable(str(error)) from error
                delay = OUTAGE_DELAYS_S[outages]
                outages += 1
                _logger.warning("The database %s is not available (%s), again in %s s", self.name, error, delay)
            time.sleep(delay)

    def _once(self, order: "_Order") -> None:
        registry = Registry(self.name)
        with registry.cursor() as cr:
            cr.execute("SET LOCAL idle_in_transaction_session_timeout = %s", [f"{MAX_IDLE_S}s"])
            registry = registry.check_signaling(cr)
            results = []
            # before the hooks of Odoo: to announce notifications on the bus takes longer than all the rest
            cr.postcommit.add(lambda: order.answer(results[0]))
            try:
                results.append(order.work(api.Environment(cr, SUPERUSER_ID, {})))
                cr.commit()
            except BaseException:
                registry.reset_changes()
                raise
        registry.signal_changes()


@dataclass(slots=True)
class _Order:
    """A transaction that a coroutine waits for."""

    work: Callable[[api.Environment], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future
    is_done: bool = False  # it is committed

    def answer(self, result: Any) -> None:
        self.is_done = True
        self._tell(lambda: self.future.set_result(result))

    def fail(self, error: BaseException) -> None:
        self._tell(lambda: self.future.set_exception(error))

    def _tell(self, settle: Callable[[], None]) -> None:
        def tell() -> None:
            if not self.future.done():
                settle()

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(tell)
