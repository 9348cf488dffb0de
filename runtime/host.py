"""Hosts: one native thread with one asyncio loop for each database whose runs this process executes.

This file says where a host lives and for how long; what it does is `worker`'s. A host starts with the first request
that a process serves (`ensure`), or with `odoo-bin ai_runner`; both are processes that live on. It never starts in the
master of a prefork server, in a shell, during an upgrade or in tests, because none of them serves requests.
"""

import asyncio
import atexit
import contextlib
import logging
import math
import os
import sys
import threading
import time

import odoo
from odoo.modules import module
from odoo.service.server import CommonServer
from odoo.tools import config

from . import settings

SHUTDOWN_S = 8  # to hand the runs back; a container is killed 10 seconds after it was asked to stop
SWITCH_S = 0.0005  # of threads; a request asks for its turn after each query, and would wait Python's 5 ms every time
REFUSED_S = 60  # a host that has ended by itself is tried again after this, at the next request

_hosts: dict[tuple[int, str], "Host"] = {}
_lock = threading.Lock()
_logger = logging.getLogger(__name__)


def ensure(db_name: str) -> None:
    """Have a host for `db_name` where this process should have one. Called by every request: cheap."""
    known = _hosts.get((os.getpid(), db_name))
    if known is None or known.is_over:
        _start_one(db_name)


def start(db_name: str) -> "Host":
    """A host for `db_name`, whatever the settings say: for a process that is there for nothing else."""
    host = _hosts[os.getpid(), db_name] = Host(db_name)
    return host


def stop_all() -> None:
    """Hand back what this process executes, and end its hosts. Bounded, also when it is repeated."""
    own = [host for (pid, _db_name), host in _hosts.items() if pid == os.getpid()]
    for host in own:
        host.ask_to_stop()
    for host in own:
        host.join()


class Host:
    """A thread that executes the runs of one database, from its creation on."""

    def __init__(self, db_name: str):
        self._db_name = db_name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task | None = None
        self._stop_by: float | None = None  # when it should have ended; None: nobody has asked it to
        self._responded_at = -math.inf
        self._ended_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"ai_discuss.host.{db_name}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself, long enough ago to be tried again."""
        return self._ended_at is not None and time.monotonic() > self._ended_at + REFUSED_S

    @property
    def has_ended(self) -> bool:
        return self._ended_at is not None

    def responds(self, within: float) -> bool:
        """Whether its loop has lately done what it was asked to. Asked again and again: it waits for nothing."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._note_response)
        return time.monotonic() < self._responded_at + within

    def _note_response(self) -> None:
        self._responded_at = time.monotonic()

    def ask_to_stop(self) -> None:
        if self._stop_by is None:
            self._stop_by = time.monotonic() + SHUTDOWN_S
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._main.cancel)

    def join(self) -> None:
        """Wait for its end, which it was asked to come to."""
        self._thread.join(max(0.0, self._stop_by - time.monotonic()))
        if self._thread.is_alive():
            _logger.warning("The host of the database %s did not end in time; its runs go on elsewhere", self._db_name)

    def _run(self) -> None:
        threading.current_thread().dbname = self._db_name  # for Odoo's log
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            _logger.info("The host of the database %s has stopped", self._db_name)
        except Exception:
            _logger.exception("The host of the database %s failed", self._db_name)
        finally:
            self._ended_at = time.monotonic()

    async def _serve(self) -> None:
        self._main = asyncio.current_task()
        sys.setswitchinterval(SWITCH_S)
        self._loop = asyncio.get_running_loop()
        from .worker import serve  # a second of imports, which no request waits for

        if self._stop_by is None:
            await serve(self._db_name)


def _start_one(db_name: str) -> None:
    if not _is_wanted():
        return
    with _lock:
        known = _hosts.get((os.getpid(), db_name))
        if known is None or known.is_over:
            start(db_name)


def _is_wanted() -> bool:
    """Whether this process may execute runs: it serves requests, and it is no test's and not gevent's, whose asyncio
    could not."""
    in_test = module.current_test or config["test_enable"]
    return settings.hosts_runs() and not odoo.evented and not in_test


CommonServer.on_stop(stop_all)  # a threaded server, before it closes its connections
atexit.register(stop_all)  # an HTTP worker that is recycled or asked to end
