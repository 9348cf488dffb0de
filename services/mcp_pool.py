"""MCP sessions that live across calls and runs: opened once, shared by all who may share them, replaced when lost.

A session belongs to one server with one identity (equal `ServerSpec`s); calls go through it from any task of the loop,
as many at a time as there are. What goes wrong in a call is its output; only having no session at all is an exception.
Not a policy: who may call what was decided before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PARSE_ERROR
from pydantic import ValidationError

from .mcp_breaker import PAUSE_SECONDS, Breaker
from .mcp_errors import explain, quote
from .mcp_port import McpTool, McpUnreachable, McpWatch, NoWatch
from .mcp_session import STOPPING, NoAnswer, Session, SessionLost, TimedOut, call_tool, list_tools
from .mcp_wire import ANSWER_MAX_BYTES, Exchange
from .ports import ReportProgress
from .specs import ServerSpec
from .tools import ToolOutput

_T = TypeVar("_T")

CONNECT_SECONDS = 5.0  # a person waits for it: the first answer of a run comes after its servers are connected
IDLE_SECONDS = 300.0  # a conversation has pauses; a child process and a socket for longer than that are waste
CLOSE_SECONDS = 10.0  # the SDK gives a child 2 s to leave, 2 s after SIGTERM and 2 s after SIGKILL

UNREADABLE = "The server's answer could not be understood. The call may have been executed."
BROKEN = "The connection broke during a call."
LATE = "A call was not answered in time."


class McpPool:
    """The sessions of one event loop."""

    def __init__(
        self,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        pause_seconds: Sequence[float] = PAUSE_SECONDS,
        watch: McpWatch = NoWatch(),
    ) -> None:
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._pause_seconds = pause_seconds
        self._watch = watch
        self._current: dict[ServerSpec, Session] = {}
        self._alive: set[Session] = set()  # the current ones, and replaced ones that are still at work or closing
        self._breakers: dict[ServerSpec, Breaker] = {}
        self._closed = False

    async def connect(self, server: ServerSpec) -> None:
        """Have a session with `server`; where there is one, all this costs is to see that it still answers.

        Raises:
            McpUnreachable: there is none, and none can be had now.
        """
        session = await self._session(server)
        if not await session.still_answers():
            await self._session(server)

    async def list_tools(self, server: ServerSpec) -> list[McpTool]:
        """All tools of `server`, as it describes them now.

        Raises:
            McpUnreachable: the server cannot be reached, or does not list them.
        """
        try:
            async with asyncio.timeout(server.timeout):
                return await self._use(server, list_tools, safe_to_repeat=True)
        except SessionLost as error:
            raise McpUnreachable("The connection broke while the server listed its tools.") from error
        except (TimeoutError, NoAnswer, MCPError, ValidationError) as error:
            raise McpUnreachable(explain(error, Exchange(), server)) from error

    async def call(
        self,
        server: ServerSpec,
        tool_name: str,
        arguments: Mapping[str, Any],
        report: ReportProgress,
        *,
        seconds: float = 0.0,
        safe_to_repeat: bool = False,
    ) -> ToolOutput:
        """Call a tool. What goes wrong is said in the output, for the model.

        A call whose session is lost is sent once more where it was certainly not executed, or is `safe_to_repeat`.
        """
        seconds = seconds or server.timeout
        ask = partial(
            call_tool,
            tool_name=tool_name,
            arguments=arguments,
            report=report,
            seconds=seconds,
            max_seconds=max(seconds, server.max_timeout),
        )
        began = _now()
        try:
            with self._breaker(server).calling():
                output = await self._use(server, ask, safe_to_repeat=safe_to_repeat)
        except McpUnreachable as error:
            return _failed(f"The tool was not called. {error.message}")
        except TimedOut as error:
            self._note_failure(server, LATE, began)
            return _failed(_explain_late(error))
        except SessionLost as lost:
            if not lost.executed:
                self._note_failure(server, BROKEN, began)
            return _failed(_explain_lost(lost))
        except (NoAnswer, MCPError, RuntimeError, ValidationError) as error:
            output = _failed(_explain_refused(error, server))
        self._breaker(server).answered()
        return output

    async def aclose(self) -> None:
        """Close every session, and leave no task, socket or child process behind."""
        self._closed = True
        tasks = [session.close() for session in self._alive]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CLOSE_SECONDS)

    async def _use(
        self, server: ServerSpec, ask: Callable[[Client], Awaitable[_T]], *, safe_to_repeat: bool
    ) -> _T:
        """`ask` on a session; once more on a new one where the session was lost and that is safe."""
        session = await self._session(server)
        try:
            return await session.use(ask)
        except SessionLost as lost:
            if lost.executed or not (lost.unsent or safe_to_repeat):
                raise
            try:
                session = await self._session(server)
            except McpUnreachable:
                if lost.unsent:
                    raise
                raise lost from None
        return await session.use(ask)

    async def _session(self, server: ServerSpec) -> Session:
        if self._closed:
            raise McpUnreachable(STOPPING)
        self._breaker(server).check()
        session = self._current.get(server)
        if session is None or not session.usable:
            session = Session(
                server,
                connect_seconds=self._connect_seconds,
                idle_seconds=self._idle_seconds,
                on_open=self._note_open,
                on_change=self._note_change,
                on_end=self._note_end,
            )
            self._current[server] = session
            self._alive.add(session)
        await session.opened()
        return session

    def _breaker(self, server: ServerSpec) -> Breaker:
        if server not in self._breakers:
            self._forget_the_sound()
            self._breakers[server] = Breaker(server, self._watch, _now, self._pause_seconds)
        return self._breakers[server]

    def _forget_the_sound(self) -> None:
        """Drop the breakers that nobody needs: each holds somebody's credentials."""
        for server in [server for server, breaker in self._breakers.items() if breaker.is_sound]:
            if server not in self._current:
                del self._breakers[server]

    def _note_open(self, session: Session) -> None:
        self._breaker(session.server).connected()

    def _note_change(self, session: Session) -> None:
        self._watch.tools_changed(session.server)

    def _note_end(self, session: Session, failure: McpUnreachable | None) -> None:
        """A session has ended; with a `failure`, it never began."""
        server = session.server
        self._alive.discard(session)
        if self._current.get(server) is session:
            del self._current[server]
        if failure and not self._closed:
            self._breaker(server).not_connected(failure.message)
        elif self._breaker(server).is_sound and server not in self._current:
            del self._breakers[server]

    def _note_failure(self, server: ServerSpec, problem: str, began: float) -> None:
        """A call broke or was late. A server that keeps failing is tried on a new session: the present one, or the
        command behind it, may be what hangs."""
        if self._closed:
            return
        breaker = self._breaker(server)
        breaker.call_failed(problem, began)
        if breaker.is_open and (session := self._current.get(server)):
            session.retire()


async def probe(server: ServerSpec) -> list[McpTool]:
    """The tools of `server`, over a session for this question alone.

    Raises:
        McpUnreachable: the server cannot be reached, or does not list them.
    """
    pool = McpPool()
    try:
        return await pool.list_tools(server)
    finally:
        await pool.aclose()


def _explain_late(error: TimedOut) -> str:
    return (
        f"The tool did not answer within {error.seconds:g} seconds and the call was cancelled. "
        "Whether it had an effect is unknown."
    )


def _explain_lost(lost: SessionLost) -> str:
    if lost.executed:
        return f"The tool ran, but its answer is larger than {ANSWER_MAX_BYTES >> 20} MB and was dropped."
    if lost.unsent:
        return "The tool was not called: its server refused the request."
    return (
        "The connection to the tool's server broke during the call. "
        "The call may or may not have been executed: find out before you repeat it."
    )


def _explain_refused(error: Exception, server: ServerSpec) -> str:
    """Why a server that has answered gave no result."""
    if isinstance(error, NoAnswer):
        return UNREADABLE if error.status < 400 else f"The tool was not called: HTTP {error.status} from its server."
    if isinstance(error, ValidationError) or (isinstance(error, MCPError) and error.code == PARSE_ERROR):
        return UNREADABLE
    if isinstance(error, MCPError):
        return f"The server rejected the call: {quote(error.message, server)}"
    # the SDK's word for an answer that is not what the tool declared
    return f"The tool ran, but its output is invalid; calling it again will not help: {quote(str(error), server)}"


def _failed(text: str) -> ToolOutput:
    return ToolOutput(text, is_error=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
