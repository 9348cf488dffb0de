"""Our requests wait for their turn before each of them takes a connection to the database.

Odoo takes one for every request, before it looks for the route, and another one after the commit, to announce
notifications. Where all are in use it fails: also then, when the message has been posted. In a server that serves all
requests at once (gevent, threads) a burst of posts would do just that, and would be slower than one after the other. So
only some are served at a time, in the order in which they came. A stream that has begun has had its turn.
"""

import functools
import threading
from collections import deque

from odoo import evented
from odoo.http import Application
from odoo.tools import config
from psycopg2.pool import PoolError

from .dispatcher import PREFIX, describe

MAX_TURNS = 8  # more would share the same processor
CONNECTIONS_PER_TURN = 4  # two for a request, and as many again for everybody else
PATIENCE_S = 60.0  # then the client hears that the server is busy; nothing was posted


class Turns:
    """As many at a time as there are turns; the others in the order in which they came."""

    def __init__(self, count: int):
        self._free = count
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def take(self, patience: float) -> bool:
        """Wait for a turn; False where none came in time."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        if turn.wait(patience):
            return True
        with self._lock:
            if turn.is_set():  # just now
                return True
            self._waiting.remove(turn)
            return False

    def give_back(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


def _connections() -> int:
    return (evented and config["db_maxconn_gevent"]) or config["db_maxconn"]


_turns = Turns(max(1, min(MAX_TURNS, _connections() // CONNECTIONS_PER_TURN)))


def _in_turn(call):
    @functools.wraps(call)
    def wait_and_call(self, environ, start_response):
        if not environ.get("PATH_INFO", "").startswith(PREFIX):
            return call(self, environ, start_response)
        if not _turns.take(PATIENCE_S):
            return describe(PoolError()).response()(environ, start_response)
        try:
            return call(self, environ, start_response)
        finally:
            _turns.give_back()

    return wait_and_call


Application.__call__ = _in_turn(Application.__call__)  # Odoo calls nobody between a request and its connection
