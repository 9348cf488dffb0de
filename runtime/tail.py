"""Reads the journals of runs for viewers, as they are written, in whichever process the viewer is.

One thread per process and database has one connection with a LISTEN; it reads what is new once for all viewers and
hands it to each one's queue. A viewer therefore holds no connection and no transaction. It drives nothing: a run
neither knows nor waits for its viewers. Works in Odoo's gevent process, too, where the thread is a greenlet.
"""

import contextlib
import json
import logging
import os
import queue
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import psycopg2
from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry
from odoo.service.server import CommonServer
from odoo.sql_db import connection_info_for
from psycopg2.pool import PoolError

from ..services import wire_v1
from ..services.states import RUN_ENDS
from . import JOURNAL_CHANNEL

Frame = tuple[int, dict]

RECHECK_S = 5  # everybody's journals are read this often even if no notification came
RECONNECT_S = 3  # an administrator who closed our connection wants to drop or copy the database
LINGER_S = 30  # the connection is kept this long for the next viewer
POOL_DELAYS_S = (0.1, 0.3, 1, 3)  # between tries to get a connection of Odoo's where all of them are in use

# New rows of the runs that are followed, each from where its slowest viewer is.
READ = """
SELECT event.run_id, event.seq, event.payload
  FROM unnest(%s, %s) AS wanted(run_id, seq)
  JOIN ai_run_event event ON event.run_id = wanted.run_id AND event.seq > wanted.seq
 ORDER BY event.run_id, event.seq
"""
# Runs that will write nothing more (or don't exist), and whether there is a journal of them.
OVER = """
SELECT wanted.id, EXISTS (SELECT FROM ai_run_event event WHERE event.run_id = wanted.id)
  FROM unnest(%s) AS wanted(id)
 WHERE NOT EXISTS (SELECT FROM ai_run run WHERE run.id = wanted.id AND run.state <> ALL(%s))
"""

_logger = logging.getLogger(__name__)
_readers: dict[tuple[int, str], "_Reader"] = {}
_lock = threading.Lock()
_stopping = threading.Event()


def follow(db_name: str, run_id: int, after_seq: int = 0, idle: float = 10.0) -> Iterator[Frame | None]:
    """The frames of a run after `after_seq` as (seq, payload), those that are stored and then those to come; None each
    time that nothing came for `idle` seconds. Ends after `done`. A replay from the beginning leaves out what is void.

    Blocks, so call it from a thread (or greenlet) that is the viewer's own. Closing it releases everything.
    """
    follower = _Follower(run_id, after_seq)
    reader = _reader(db_name)
    reader.add(follower)
    if _stopping.is_set():
        follower.end(_End.STOPPING)
    try:
        yield from _frames(db_name, follower, idle)
    finally:
        reader.remove(follower)


def release_all() -> None:
    """End every viewer of this process, without `done`: their clients come again. A thread with a viewer that is
    still being served would keep the process from ending."""
    _stopping.set()
    with _lock:
        readers = [reader for (pid, _db_name), reader in _readers.items() if pid == os.getpid()]
    for reader in readers:
        reader.release()


class _End(Enum):
    """Why a viewer gets no more frames though it has not seen `done`."""

    READ_UP = "it had seen everything before"
    PURGED = "the journal is gone, or the run is"
    STOPPING = "this process ends, and another one will go on"


@dataclass(eq=False)
class _Follower:
    """A viewer: how far it has been served, and what waits for it."""

    run_id: int
    after_seq: int  # what its viewer has seen already
    position: int = field(init=False)  # the last seq that was put into the queue
    batches: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)  # of lists of frames, or an _End
    is_new: bool = True
    is_served: bool = False  # it has been given its end

    def __post_init__(self):
        self.position = self.after_seq

    def give(self, frames: list[Frame]) -> None:
        self.position = frames[-1][0]
        self.is_served = frames[-1][1]["type"] == "done"
        self.batches.put(frames)

    def end(self, reason: _End) -> None:
        self.is_served = True
        self.batches.put(reason)


def _frames(db_name: str, follower: _Follower, idle: float) -> Iterator[Frame | None]:
    is_replay = not follower.after_seq
    while True:
        try:
            frames = follower.batches.get(timeout=idle)
        except queue.Empty:
            yield None
            continue
        if frames in (_End.READ_UP, _End.STOPPING):
            return
        if frames is _End.PURGED:
            frames = [frame for frame in _from_records(db_name, follower.run_id) if frame[0] > follower.position]
            yield from frames
            return
        if is_replay:
            frames = wire_v1.without_void(frames)
            is_replay = False
        for frame in frames:
            yield frame
            if frame[1]["type"] == "done":
                return


def _from_records(db_name: str, run_id: int) -> list[Frame]:
    """The frames of a run whose journal has been purged."""
    with _cursor(db_name) as cr:
        run = api.Environment(cr, SUPERUSER_ID, {})["ai.run"].browse(run_id).exists()
        return run._journal_from_records() if run else []


def _cursor(db_name: str):
    for delay in POOL_DELAYS_S:
        with contextlib.suppress(PoolError):
            return Registry(db_name).cursor(readonly=True)
        time.sleep(delay)
    return Registry(db_name).cursor(readonly=True)


def _reader(db_name: str) -> "_Reader":
    with _lock:
        reader = _readers.get((os.getpid(), db_name))
        if reader is None:
            reader = _readers[os.getpid(), db_name] = _Reader(db_name)
        return reader


class _Reader:
    """The one thread that reads for all viewers of a database in this process. It ends when nobody is left."""

    def __init__(self, db_name: str):
        self._db_name = db_name
        self._followers: dict[int, set[_Follower]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def add(self, follower: _Follower) -> None:
        with self._lock:
            self._followers.setdefault(follower.run_id, set()).add(follower)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="ai_discuss.tail", daemon=True)
                self._thread.start()
        self._wake()

    def remove(self, follower: _Follower) -> None:
        with self._lock:
            remaining = self._followers.get(follower.run_id, set())
            remaining.discard(follower)
            if not remaining:
                self._followers.pop(follower.run_id, None)

    def release(self) -> None:
        for follower in self._everybody():
            follower.end(_End.STOPPING)

    def _everybody(self) -> list[_Follower]:
        with self._lock:
            return [follower for followers in self._followers.values() for follower in followers]

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it will wake up anyway
            self._wake_in.send(b"!")

    def _serve(self) -> None:
        threading.current_thread().dbname = self._db_name  # for Odoo's log
        while not self._is_idle():
            try:
                self._listen()
            except psycopg2.Error as error:
                _logger.info("The journals of the database %s cannot be read for now: %s", self._db_name, error)
                time.sleep(RECONNECT_S)
            except Exception:
                _logger.exception("The reader of the journals of the database %s failed", self._db_name)
                time.sleep(RECONNECT_S)

    def _is_idle(self) -> bool:
        """Whether nobody is left; then this thread ends, and the next viewer starts another."""
        with self._lock:
            if self._followers:
                return False
            self._thread = None
            return True

    def _listen(self) -> None:
        """Serve with one connection, as long as it lives and somebody is there."""
        connection = psycopg2.connect(**connection_info_for(self._db_name)[1])
        with contextlib.closing(connection), connection.cursor() as cr, selectors.DefaultSelector() as selector:
            connection.autocommit = True
            cr.execute(f"LISTEN {JOURNAL_CHANNEL}")
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._wake_out, selectors.EVENT_READ)
            due = None  # everything, at first: what came before the LISTEN was not announced to us
            last_needed = time.monotonic()
            while time.monotonic() - last_needed < LINGER_S:
                if self._read(cr, due):
                    last_needed = time.monotonic()
                due = self._wait(connection, selector)

    def _wait(self, connection, selector) -> set[int] | None:
        """The runs that have news; None: any of them may have."""
        # what came together with the answer to a query does not make the connection readable once more
        if not connection.notifies and not selector.select(RECHECK_S):
            return None
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)
        connection.poll()
        due = set()
        while connection.notifies:
            due.update(json.loads(connection.notifies.pop().payload))
        return due

    def _read(self, cr, due: set[int] | None) -> bool:
        """Give viewers what is new of the runs in `due`, and new viewers what there is; False where nobody is left."""
        everybody = self._everybody()
        wanting = [f for f in everybody if not f.is_served and (f.is_new or due is None or f.run_id in due)]
        if wanting:
            # asked before the rows are read: what was over then has written its last row
            over = self._over(cr, [follower.run_id for follower in wanting if follower.is_new or due is None])
            self._give(wanting, self._rows(cr, wanting), over)
        return bool(everybody)

    def _over(self, cr, run_ids: list[int]) -> dict[int, _End]:
        if not run_ids:
            return {}
        cr.execute(OVER, [run_ids, sorted(RUN_ENDS)])
        return {run_id: _End.READ_UP if has_journal else _End.PURGED for run_id, has_journal in cr.fetchall()}

    def _rows(self, cr, followers: list[_Follower]) -> dict[int, list[Frame]]:
        start: dict[int, int] = {}
        for follower in followers:
            start[follower.run_id] = min(follower.position, start.get(follower.run_id, follower.position))
        cr.execute(READ, [list(start), list(start.values())])
        rows: dict[int, list[Frame]] = {}
        for run_id, seq, payload in cr.fetchall():
            rows.setdefault(run_id, []).append((seq, payload))
        return rows

    def _give(self, followers: list[_Follower], rows: dict[int, list[Frame]], over: dict[int, _End]) -> None:
        for follower in followers:
            follower.is_new = False
            if frames := [frame for frame in rows.get(follower.run_id, ()) if frame[0] > follower.position]:
                follower.give(frames)
            if not follower.is_served and follower.run_id in over:
                follower.end(over[follower.run_id])


CommonServer.on_stop(release_all)
