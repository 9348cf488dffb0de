"""Executes the runs of one database: procrastinate's worker, what each job does, and what keeps both alive.

Importing this imports openai, mcp, procrastinate and psycopg, which takes a second: only a host's thread does.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial

import procrastinate
import psycopg
from odoo.sql_db import connection_info_for
from procrastinate import exceptions, job_context, jobs, manager
from psycopg import sql

from ..services.errors import Unavailable
from ..services.journal import Journal
from ..services.llm import Models
from ..services.mcp_pool import McpPool
from ..services.runner import Runner
from . import queue
from .database import Database
from .event_log import EventLog
from .servers import ServerRecords
from .store import Store

CONCURRENCY = 1000  # runs of one host; they only wait
POOL_MIN, POOL_MAX = 1, 2  # connections of the worker, beside its LISTEN and the journal's
CONNECT_TIMEOUT_S = 10
RECONNECT_PAUSE_S = 3  # an administrator who closed our connections wants to drop or copy the database: not at once
BACKOFF_S = (1, 2, 5, 10, 30)  # between two workers, where the first has failed
STEADY_S = 60  # a worker that lived this long starts the backoff anew
LISTEN_CHECK_S = 30  # a connection that is silent for so long is tried
SWEEP_S = 2  # with queue.STALLED_AFTER_S, a lost run goes on within 15 seconds
TYPING_S = 50  # clients forget that somebody types after 60
FINISH_DELAYS_S = (0.2, 1, 3)  # between tries to end a job, whose lock holds up its channel

_logger = logging.getLogger(__name__)


class NotOurs(Exception):
    """The runs of this database are not for this process, now or ever; the message says why and what to do."""


async def serve(db_name: str) -> None:
    """Execute the runs of a database until cancelled, or until they are no longer ours (then return)."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # two lines for each run would be said otherwise
    clock = asyncio.get_running_loop().time
    failures = 0
    while True:
        started = clock()
        try:
            async with await _connect(db_name) as connection:
                await _check(connection)
            await _serve_once(db_name)
        except NotOurs as reason:
            _logger.warning("No runs of the database %s are executed here: %s", db_name, reason)
            return
        except Exception as error:
            _logger.warning("Runs of the database %s cannot be executed for now: %s", db_name, error, exc_info=True)
        failures = 1 if clock() - started > STEADY_S else failures + 1
        await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])


async def _serve_once(db_name: str) -> None:
    """One worker, from its start until it fails or is cancelled. Its runs are handed back in either case."""
    async with _execution(db_name) as execution:
        app = procrastinate.App(connector=_Connector(db_name))
        app.job_manager = jobs_ = _Jobs(app.connector)
        app.task(name=queue.TASK, queue=queue.QUEUE, pass_context=True)(execution.execute)
        async with app.open_async():
            worker = asyncio.create_task(
                app.run_worker_async(
                    queues=[queue.QUEUE],
                    concurrency=CONCURRENCY,
                    shutdown_graceful_timeout=0,
                    install_signal_handlers=False,
                    update_heartbeat_interval=queue.HEARTBEAT_S,
                    stalled_worker_timeout=queue.STALLED_AFTER_S,
                )
            )
            watch = asyncio.create_task(jobs_.failed.wait())
            try:
                await asyncio.wait([worker, watch], return_when=asyncio.FIRST_COMPLETED)
            finally:
                watch.cancel()
                worker.cancel()
                await asyncio.wait([worker])
            if not worker.cancelled():
                worker.result()
    raise ConnectionError("the worker has ended")


@asynccontextmanager
async def _execution(db_name: str) -> AsyncIterator["_Execution"]:
    """What runs need, opened together and closed in the opposite order."""
    database, log = Database(db_name), EventLog(_conninfo(db_name))
    servers = ServerRecords(database)
    store, journal, models, pool = Store(database), Journal(log), Models(), McpPool(watch=servers)
    execution = _Execution(store, Runner(store, journal, models, pool))
    chores = [
        asyncio.create_task(_repeatedly(SWEEP_S, store.sweep)),
        asyncio.create_task(_repeatedly(TYPING_S, execution.show_running)),
        asyncio.create_task(servers.keep(pool)),
    ]
    try:
        yield execution
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        for close in (journal.aclose, log.aclose, pool.aclose, models.aclose):
            await _tolerate(close)
        database.close()


class _Execution:
    """What the queue's jobs do."""

    def __init__(self, store: Store, runner: Runner):
        self._store = store
        self._runner = runner
        self._active: set[int] = set()

    async def execute(self, context: job_context.JobContext, run_id: int, attempt: int) -> None:
        """The job: one attempt of a run. It always ends well for the queue; how the run ended is the run's matter."""
        work = asyncio.create_task(self._runner.run(run_id, attempt), name=f"run {run_id}")
        self._active.add(run_id)
        try:
            while not work.done():
                try:
                    await asyncio.wait([work])
                except asyncio.CancelledError:
                    self._interrupt(work, context.abort_reason())
            if not work.cancelled() and (error := work.exception()):
                _logger.error("Run %s: its attempt %s failed unexpectedly", run_id, attempt, exc_info=error)
                await _tolerate(partial(self._store.fail, run_id, attempt))
        finally:
            self._active.discard(run_id)

    def _interrupt(self, work: asyncio.Task, reason: job_context.AbortReason | None) -> None:
        """A person stops the run, which comes too late where it is just ending, or another host has it by now; or this
        host shuts down and hands it back."""
        if reason is job_context.AbortReason.USER_REQUEST:
            self._runner.stop(work)
        else:
            work.cancel()

    async def show_running(self) -> None:
        if self._active:
            await self._store.show_running(self._active)


class _Connector(procrastinate.PsycopgConnector):
    """procrastinate's connections, with a LISTEN that does not come back at once, and that shows that its worker lives
    (see `queue`): a process that is killed closes its connections, long before its heartbeat is missed."""

    worker_id = 0

    def __init__(self, db_name: str):
        super().__init__(
            conninfo=_conninfo(db_name), min_size=POOL_MIN, max_size=POOL_MAX, timeout=CONNECT_TIMEOUT_S
        )
        self._db_name = db_name

    async def listen_notify(self, on_notification, channels: Iterable[str]) -> None:
        while True:
            async with await _connect(self._db_name) as connection:
                await _check(connection)
                # shared: what is left of the connection before may still hold it
                await connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", [queue.CONNECTED, self.worker_id])
                for channel in channels:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                try:
                    await _relay(connection, on_notification)
                except psycopg.OperationalError as error:
                    _logger.info("LISTEN on the database %s has ended: %s", self._db_name, error)
            await asyncio.sleep(RECONNECT_PAUSE_S)


async def _relay(connection: psycopg.AsyncConnection, on_notification) -> None:
    while True:
        async for notification in connection.notifies(timeout=LISTEN_CHECK_S):
            await on_notification(channel=notification.channel, payload=notification.payload)
        await connection.execute("SELECT 1")


class _Jobs(manager.JobManager):
    """procrastinate's jobs, ended in any case: an open one holds up its channel as long as the worker lives."""

    def __init__(self, connector):
        super().__init__(connector)
        self.failed = asyncio.Event()  # a job cannot be ended: only a new worker frees what this one holds

    async def register_worker(self) -> int:
        self.connector.worker_id = await super().register_worker()
        return self.connector.worker_id

    async def finish_job(self, job: jobs.Job, status: jobs.Status, delete_job: bool) -> None:
        for delay in FINISH_DELAYS_S:
            try:
                return await super().finish_job(job, status, delete_job)
            except exceptions.ConnectorException as error:
                if isinstance(error.__cause__, psycopg.errors.RaiseException):
                    return None  # somebody took the run over and has ended the job
                _logger.warning("Job %s cannot be ended: %s", job.id, error.__cause__)
            await asyncio.sleep(delay)
        return self.failed.set()


def _conninfo(db_name: str) -> str:
    """How Odoo reaches the database, for psycopg."""
    _name, info = connection_info_for(db_name)
    parameters = {"connect_timeout": CONNECT_TIMEOUT_S, **info}
    dsn, database = parameters.pop("dsn", ""), parameters.pop("database", None)
    if database:
        parameters["dbname"] = database
    return psycopg.conninfo.make_conninfo(dsn, **parameters)


async def _connect(db_name: str) -> psycopg.AsyncConnection:
    try:
        return await psycopg.AsyncConnection.connect(_conninfo(db_name), autocommit=True)
    except psycopg.OperationalError as error:
        if error.sqlstate == psycopg.errors.InvalidCatalogName.sqlstate or "does not exist" in str(error):
            raise NotOurs("it does not exist any more") from error
        raise


async def _check(connection: psycopg.AsyncConnection) -> None:
    """Make sure that this is the database whose runs these are, with the queue that we know."""
    keys = ["database.uuid", queue.DATABASE_PARAMETER, queue.VERSION_PARAMETER]
    try:
        rows = await connection.execute("SELECT key, value FROM ir_config_parameter WHERE key = ANY(%s)", [keys])
    except psycopg.errors.UndefinedTable as error:
        raise NotOurs("it is not an Odoo database any more") from error
    found = dict(await rows.fetchall())
    uuid, ours, version = (found.get(key) for key in keys)
    if not version:
        raise NotOurs("AI Assistants for Discuss is not installed there any more")
    if version < queue.newest_version():
        raise NotOurs("its queue is older than the installed procrastinate; upgrade the module: -u ai_discuss")
    if uuid != ours:
        raise NotOurs(
            "it is a copy of another database, whose runs must not be executed twice. If it replaces the original, set "
            f"the system parameter {queue.DATABASE_PARAMETER} to {uuid}"
        )


async def _repeatedly(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _tolerate(work)
        await asyncio.sleep(seconds * random.uniform(0.8, 1))


async def _tolerate(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Unavailable as error:
        _logger.warning("A chore of the host has to wait for the database: %s", error)
    except Exception:
        _logger.warning("A chore of the host failed", exc_info=True)
