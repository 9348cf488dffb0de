"""A process that is there for nothing but runs: what `odoo-bin ai_runner` owes to whoever has started it.

It waits for its databases, says when it is ready and how it is doing (in the log, and to systemd), ends in time when
it is asked to, with its runs handed back, and ends with an error where it is of no use any more. What a host does is
`host`'s.
"""

import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Sequence

import psycopg2
from odoo.modules.registry import Registry
from odoo.sql_db import connection_info_for

from . import health, host

BEAT_S = 1.0
RESPONSE_S = 10.0  # a loop that is silent for so long hangs: systemd may restart us (WatchdogSec)
STATUS_S = 60.0
TROUBLE_S = 5.0  # the same, while something is wrong; at first, while the queue does not know our hosts
DATABASE_PAUSE_S = 2.0  # between tries to reach a database that is not there yet
FILES = 65536  # that may be open: each run has a connection or more

_logger = logging.getLogger(__name__)


def serve(db_names: Sequence[str]) -> int:
    """Execute the runs of these databases until SIGTERM or SIGINT comes.

    Returns the exit code: 0 where it came, 1 where no database is left whose runs are ours.
    """
    asked_to_stop = _listen_for_stop()
    _allow_many_files()
    for db_name in db_names:
        _await_database(db_name, asked_to_stop)
        if not asked_to_stop.is_set():
            Registry(db_name)
        if asked_to_stop.is_set():
            return 0
    service = _Service(db_names)
    try:
        while not asked_to_stop.wait(BEAT_S):
            if not service.beat():
                _logger.error("There is nothing left to do here: no host lives")
                return 1
        return 0
    finally:
        _tell_systemd("STOPPING=1")
        host.stop_all()


class _Service:
    """The hosts of this process, and what was told of them."""

    def __init__(self, db_names: Sequence[str]):
        self._hosts = {db_name: host.start(db_name) for db_name in db_names}
        self._is_ready = False
        self._told: list[health.Health] = []
        self._next_status = time.monotonic() + TROUBLE_S

    def beat(self) -> bool:
        """Tell how it goes; False where no host is left."""
        living = [one for one in self._hosts.values() if not one.has_ended]
        if not living:
            return False
        for db_name, one in self._hosts.items():
            if one.is_over:
                self._hosts[db_name] = host.start(db_name)
        if all(one.responds(RESPONSE_S) for one in living):
            _tell_systemd("WATCHDOG=1" if self._is_ready else "READY=1")
            self._is_ready = True
        if time.monotonic() >= self._next_status:
            self._tell_status()
            is_well = not any(one.problem for one in self._told)
            self._next_status = time.monotonic() + (STATUS_S if is_well else TROUBLE_S)
        return True

    def _tell_status(self) -> None:
        seen = [health.look(db_name) for db_name in self._hosts]
        _tell_systemd("STATUS=" + "; ".join(map(str, seen)))
        if seen != self._told:
            for db_name, one in zip(self._hosts, seen, strict=True):
                _logger.info("Runs of the database %s: %s", db_name, one)
        self._told = seen


def _listen_for_stop() -> threading.Event:
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: asked_to_stop.set())
    return asked_to_stop


def _allow_many_files() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _await_database(db_name: str, asked_to_stop: threading.Event) -> None:
    """Wait until a database answers: at a boot, everything starts at the same time."""
    _name, info = connection_info_for(db_name)
    is_told = False
    while not asked_to_stop.is_set():
        try:
            return psycopg2.connect(**info).close()
        except psycopg2.OperationalError as error:
            if not is_told:
                _logger.warning("Waiting for the database %s: %s", db_name, str(error).strip())
            is_told = True
        asked_to_stop.wait(DATABASE_PAUSE_S)
    return None


def _tell_systemd(message: str) -> None:
    """systemd's protocol, where it or another one who speaks it has started us: a datagram to a socket."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(message.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            _logger.debug("systemd was not told %r: %s", message, error)
