"""When an MCP server is tried, and when not: a circuit breaker for each server with one identity.

Closed, everybody tries. After failures in a row it is open for a while, and nobody does: what fails anyway should cost
nothing. Then it is half open: one trial, to connect or a call, closes it or opens it for longer. Pure: it knows neither
sessions nor sockets. What it learns it tells the `McpWatch`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .mcp_port import McpUnreachable, McpWatch
from .specs import ServerSpec

PAUSE_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)  # after each failure in a row; meanwhile a dead server costs nothing
FORGET_SECONDS = 3600.0  # after its last failure nobody needs to know of it any more
CALLS_TO_OPEN = 3  # broken or late calls in a row; fewer may be the fault of one tool. A failure to connect is enough


class Breaker:
    """Whether one server is tried."""

    def __init__(
        self,
        server: ServerSpec,
        watch: McpWatch,
        clock: Callable[[], float],
        pause_seconds: Sequence[float] = PAUSE_SECONDS,
    ) -> None:
        self._server = server
        self._watch = watch
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._failures = 0  # in a row
        self._problem = ""  # of the last one
        self._failed_at = 0.0
        self._open_until = 0.0
        self._by_calls = False  # the last failure was a call's: that the server can be connected proves nothing
        self._on_trial = False
        self._answers = False  # known to, and told

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to remember: it has not failed since it last answered, or long ago."""
        return not self._failures or self._clock() > self._failed_at + FORGET_SECONDS

    @property
    def is_open(self) -> bool:
        return self._clock() < self._open_until

    def check(self) -> None:
        """Let through whoever may try.

        Raises:
            McpUnreachable: nobody may now.
        """
        if self.is_open:
            raise McpUnreachable(self._problem)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Around one call. Half open, there is one at a time.

        Raises:
            McpUnreachable: none may be made now, or another one is the trial.
        """
        self.check()
        is_trial = self._by_calls and self._failures >= CALLS_TO_OPEN
        if is_trial and self._on_trial:
            raise McpUnreachable(self._problem)
        self._on_trial = self._on_trial or is_trial
        try:
            yield
        finally:
            if is_trial:
                self._on_trial = False

    def connected(self) -> None:
        """A session with the server was opened."""
        if not self._by_calls:
            self.answered()

    def answered(self) -> None:
        """The server has answered a call, whatever it said."""
        self._failures, self._problem, self._by_calls = 0, "", False
        self._open_until = 0.0
        if not self._answers:
            self._answers = True
            self._watch.server_answered(self._server)

    def not_connected(self, problem: str) -> None:
        """No session could be opened."""
        self._by_calls = False
        self._fail(problem, opens=True)

    def call_failed(self, problem: str, began: float) -> None:
        """A call that began then broke, or got no answer in time. What fails together is one failure."""
        if self._failures and began < self._failed_at:
            return
        self._by_calls = True
        self._fail(problem, opens=self._failures + 1 >= CALLS_TO_OPEN)

    def _fail(self, problem: str, *, opens: bool) -> None:
        self._failures += 1
        self._problem = problem
        self._failed_at = self._clock()
        pause = self._pause_seconds[min(self._failures, len(self._pause_seconds)) - 1] if opens else 0.0
        self._open_until = self._failed_at + pause
        self._answers = False
        self._watch.server_failed(self._server, problem, self._failures, pause)
