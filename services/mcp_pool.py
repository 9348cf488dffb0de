"""MCP sessions that live across calls and runs: opened once, shared by all who may share them, replaced when lost.

A session belongs to one server with one identity (equal `ServerSpec`s) and to one task, which alone enters and leaves
it; calls go through it from any task of the same loop, as many at a time as there are. What goes wrong in a call is
its output; only having no session at all is an exception. Not a policy: who may call what was decided before.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio
import httpx2
from mcp import Client
from mcp.client._transport import Transport
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, PARSE_ERROR, Implementation
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from .mcp_errors import explain, quote
from .mcp_port import McpTool, McpUnreachable, McpWatch, NoWatch
from .mcp_wire import ANSWER_MAX_BYTES, AnswerTooLarge, Exchange, PinnedTransport, WireClient, exchange, watched
from .ports import ReportProgress
from .specs import ServerSpec
from .tool_content import to_output
from .tools import ToolOutput

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")

CONNECT_SECONDS = 5.0  # a person waits for it: the first answer of a run comes after its servers are connected
START_SECONDS = 15.0  # the same for a command, which may have to start an interpreter or even fetch its package first
IDLE_SECONDS = 300.0  # a conversation has pauses; a child process and a socket for longer than that are waste
CLOSE_SECONDS = 10.0  # the SDK gives a child 2 s to leave, 2 s after SIGTERM and 2 s after SIGKILL
BACKOFF_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)  # after each failure in a row; meanwhile a dead server costs nothing
PROGRESS_EXTENDS_UP_TO = 10  # times the server's timeout: a tool that reports progress lives, one that only ticks ends
LISTING_MAX_PAGES = 100  # a server that paginates for ever is broken

UNREADABLE = "The server's answer could not be understood. The call may have been executed."
STOPPING = "This process is about to stop."
_CLIENT = Implementation(name="ai_discuss", title="AI Assistants for Discuss", version="1.0")


class McpPool:
    """The sessions of one event loop."""

    def __init__(
        self,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        backoff_seconds: Sequence[float] = BACKOFF_SECONDS,
        watch: McpWatch = NoWatch(),
    ) -> None:
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._backoff_seconds = backoff_seconds
        self._watch = watch
        self._current: dict[ServerSpec, _Session] = {}
        self._alive: set[_Session] = set()  # the current ones, and replaced ones that are still at work or closing
        self._failures: dict[ServerSpec, _Failure] = {}
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
                return await self._use(server, _list_tools, safe_to_repeat=True)
        except _SessionLost as error:
            raise McpUnreachable("The connection broke while the server listed its tools.") from error
        except (TimeoutError, MCPError, ValidationError) as error:
            raise McpUnreachable(explain(error, Exchange(), server)) from error

    async def call(
        self,
        server: ServerSpec,
        tool_name: str,
        arguments: Mapping[str, Any],
        report: ReportProgress,
        *,
        safe_to_repeat: bool = False,
    ) -> ToolOutput:
        """Call a tool. What goes wrong is said in the output, for the model.

        A call whose session is lost is sent once more where it was certainly not executed, or is `safe_to_repeat`.
        """
        try:
            ask = partial(_call, server=server, tool_name=tool_name, arguments=arguments, report=report)
            return await self._use(server, ask, safe_to_repeat=safe_to_repeat)
        except McpUnreachable as error:
            return _failed(f"The tool was not called. {error.message}")
        except _SessionLost as lost:
            if lost.executed:
                return _failed(
                    f"The tool ran, but its answer is larger than {ANSWER_MAX_BYTES >> 20} MB and was dropped."
                )
            if lost.unsent:
                return _failed("The tool was not called: its server refused the request.")
            return _failed(
                "The connection to the tool's server broke during the call. "
                "The call may or may not have been executed: find out before you repeat it."
            )
        except MCPError as error:
            if error.code == PARSE_ERROR:
                return _failed(UNREADABLE)
            return _failed(f"The server rejected the call: {quote(error.message, server)}")
        except RuntimeError as error:  # the SDK's word for an answer that is not what the tool declared
            return _failed(
                f"The tool ran, but its output is invalid; calling it again will not help: {quote(str(error), server)}"
            )
        except ValidationError:
            return _failed(UNREADABLE)

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
        except _SessionLost as lost:
            if lost.executed or not (lost.unsent or safe_to_repeat):
                raise
            try:
                session = await self._session(server)
            except McpUnreachable:
                if lost.unsent:
                    raise
                raise lost from None
        return await session.use(ask)

    async def _session(self, server: ServerSpec) -> "_Session":
        if self._closed:
            raise McpUnreachable(STOPPING)
        session = self._current.get(server)
        if session is None or not session.usable:
            failure = self._failures.get(server)
            if failure and failure.until > _now():
                raise McpUnreachable(failure.message)
            session = _Session(server, self._connect_seconds, self._idle_seconds, self._note_end)
            self._current[server] = session
            self._alive.add(session)
        await session.opened()
        return session

    def _note_end(self, session: "_Session", failure: McpUnreachable | None) -> None:
        """A session has ended; with a `failure`, it never began."""
        server = session.server
        self._alive.discard(session)
        if self._current.get(server) is session:
            del self._current[server]
        if failure is None:
            self._failures.pop(server, None)
            return
        row = self._failures[server].row + 1 if server in self._failures else 1
        pause = self._backoff_seconds[min(row, len(self._backoff_seconds)) - 1]
        self._failures[server] = _Failure(_now() + pause, row, failure.message)


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


@dataclass(frozen=True, slots=True)
class _Failure:
    """How often in a row a server could not be reached, and until when nobody tries."""

    until: float
    row: int
    message: str


class _SessionLost(Exception):
    """The session broke under a request. What became of the request:"""

    def __init__(self, *, unsent: bool = False, executed: bool = False) -> None:
        super().__init__("the session was lost")
        self.unsent = unsent  # certainly not executed
        self.executed = executed  # certainly executed


class _Session:
    """One session, from its first attempt to connect to its end, in a task of its own."""

    def __init__(
        self,
        server: ServerSpec,
        connect_seconds: float,
        idle_seconds: float,
        on_end: Callable[["_Session", McpUnreachable | None], None],
    ) -> None:
        self.server = server
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._on_end = on_end
        self._active = 0
        self._retired = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._http: WireClient | None = None  # of a transport without a standing connection
        self._end = asyncio.Event()
        self._client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._client.add_done_callback(lambda client: client.cancelled() or client.exception())  # nobody may be waiting
        self._task = asyncio.create_task(self._own(), name=f"mcp session with server {server.id}")
        self._task.add_done_callback(self._finish)

    @property
    def usable(self) -> bool:
        """Whether calls may begin, now or once it is connected."""
        return not (self._retired or self._end.is_set())

    async def opened(self) -> None:
        """Wait until it is connected. Whoever stops waiting does not stop the others.

        Raises:
            McpUnreachable: it cannot be connected.
        """
        if not self._client.done():
            await asyncio.wait([self._client])
        self._client.result()

    async def use(self, ask: Callable[[Client], Awaitable[_T]]) -> _T:
        """`ask` on the connected client.

        Raises:
            _SessionLost: the session broke; it is not used again.
            Exception: whatever else `ask` raises.
        """
        if self._end.is_set():
            raise _SessionLost(unsent=True)
        seen = Exchange()
        token = exchange.set(seen)
        self._begin_use()
        try:
            return await ask(self._client.result())
        except (MCPError, ValidationError, RuntimeError) as error:
            lost = self._what_was_lost(error, seen)
            if lost is None:
                raise
            raise lost from error
        finally:
            exchange.reset(token)
            self._end_use()

    async def still_answers(self) -> bool:
        """Whether somebody is at the server's address; if not, the session is not used again.

        Over streamable HTTP nothing else tells: between two requests there is no connection that could break. What is
        answered does not matter, as long as no gateway answers in the server's place.
        """
        if self._http is None or not self.usable:
            return self.usable
        seen = Exchange()
        token = exchange.set(seen)
        self._begin_use()
        try:
            async with asyncio.timeout(self._connect_seconds):
                await self._http.head(self.server.url)
        except (TimeoutError, RuntimeError):  # the latter: it is being closed
            self._retired = True
        finally:
            self._retired = self._retired or bool(seen.failure) or seen.status >= 500
            exchange.reset(token)
            self._end_use()
        return self.usable

    def close(self) -> asyncio.Task:
        """Begin to end it; the returned task is done when nothing of it is left."""
        if self._client.done():
            self._end.set()
        else:
            self._task.cancel()
        return self._task

    def _begin_use(self) -> None:
        self._active += 1
        if self._idle_timer:
            self._idle_timer.cancel()

    def _end_use(self) -> None:
        self._active -= 1
        if self._active:
            return
        if self._retired:
            self._end.set()
        else:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._end.set)

    def _what_was_lost(self, error: Exception, seen: Exchange) -> _SessionLost | None:
        """Tell an error of the session from an error of the request, and retire the session."""
        if isinstance(seen.failure, AnswerTooLarge):
            return _SessionLost(executed=True)
        refused = self._is_refused(error, seen)
        closed = isinstance(error, MCPError) and error.code == CONNECTION_CLOSED
        if not (refused or closed or seen.failure or seen.status >= 500 or self._end.is_set()):
            return None
        self._retired = True
        over_http = self.server.transport != "stdio"
        return _SessionLost(unsent=refused or (over_http and not seen.sent))

    def _is_refused(self, error: Exception, seen: Exchange) -> bool:
        """Whether HTTP itself turned the request away, so that no tool saw it: the session is not known (any more), or
        the credentials are not good (any more). Other refusals with a body in JSON are the protocol's, not HTTP's."""
        if not 400 <= seen.status < 500:
            return False
        if seen.status in (401, 403) or seen.content_type != "application/json":
            return True
        # Only protocols with a handshake have sessions over HTTP. The status is 404, with some servers 400.
        has_session = self._client.result().protocol_version in HANDSHAKE_PROTOCOL_VERSIONS
        return has_session and (seen.status == 404 or "session" in str(error).lower())

    async def _own(self) -> McpUnreachable | None:
        """Enter the session, keep it until its end, leave it; the result is why it could not be entered."""
        seen = Exchange()
        exchange.set(seen)
        patience = START_SECONDS if self.server.transport == "stdio" else self._connect_seconds
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(patience):
                    client = await self._connect(stack)
                self._client.set_result(client)
                self._begin_use()
                self._end_use()  # idle from now on
                await self._end.wait()
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the session ends in one way
            if not self._client.done():
                return McpUnreachable(explain(error, seen, self.server))
            _logger.info("A session with MCP server %s broke: %r", self.server.id, error)
        return None

    def _finish(self, task: asyncio.Task) -> None:
        """Not a part of the task itself: one that is cancelled early enough never runs at all."""
        self._end.set()
        if self._idle_timer:
            self._idle_timer.cancel()
        failure = McpUnreachable(STOPPING) if task.cancelled() else task.result()
        began = self._client.done()
        self._on_end(self, None if began else failure)
        if not began:
            self._client.set_exception(failure)

    async def _connect(self, stack: AsyncExitStack) -> Client:
        transport = watched(await self._transport(stack), self._end.set)
        client = await stack.enter_async_context(Client(transport, client_info=_CLIENT, cache=None))
        # Asked for at once: the client checks results and mirrors arguments by what was listed, and would otherwise
        # have to ask in the middle of the first call.
        await _list_tools(client)
        return client

    async def _transport(self, stack: AsyncExitStack) -> Transport:
        server = self.server
        match server.transport:
            case "stdio":
                # `errlog=None`: what the child complains about goes where this process's own complaints go.
                return stdio_client(StdioServerParameters(command=server.command, args=list(server.args)), errlog=None)
            case "sse":
                return sse_client(server.url, httpx_client_factory=lambda **_: self._http_client(self._end.set))
            case _:
                self._http = await stack.enter_async_context(self._http_client())
                return streamable_http_client(server.url, http_client=self._http, max_sse_event_size=ANSWER_MAX_BYTES)

    def _http_client(self, on_lost_message: Callable[[], None] | None = None) -> WireClient:
        return WireClient(
            headers=dict(self.server.headers),
            transport=PinnedTransport() if self.server.guarded else None,
            # No limit on reading: calls have deadlines of their own, and streams of events are silent for long.
            timeout=httpx2.Timeout(self._connect_seconds, read=None, pool=None),
            on_lost_message=on_lost_message,
        )


async def _list_tools(client: Client) -> list[McpTool]:
    """All pages of the listing. The empty string is a cursor like any other; one that comes back ends the walk."""
    tools: list[McpTool] = []
    cursor: str | None = None
    cursors: set[str] = set()
    if client.server_capabilities.tools is None:
        return tools
    for _ in range(LISTING_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools.extend(map(_describe, page.tools))
        cursor = page.next_cursor
        if cursor is None or cursor in cursors:
            break
        cursors.add(cursor)
    return tools


def _describe(tool: Any) -> McpTool:
    hints = tool.annotations
    return McpTool(
        name=tool.name,
        title=tool.title or (hints and hints.title) or "",
        description=tool.description or "",
        input_schema=tool.input_schema,
        read_only=bool(hints and hints.read_only_hint),
        destructive=bool(hints and hints.destructive_hint),
        idempotent=bool(hints and hints.idempotent_hint),
    )


async def _call(
    client: Client, *, server: ServerSpec, tool_name: str, arguments: Mapping[str, Any], report: ReportProgress
) -> ToolOutput:
    """One call with its deadline, which progress moves; leaving it cancels the call in its protocol's way."""
    hard_limit = _now() + PROGRESS_EXTENDS_UP_TO * server.timeout
    with anyio.CancelScope(deadline=_now() + server.timeout) as scope:

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            scope.deadline = min(_now() + server.timeout, hard_limit)
            report(progress, total, message)

        return to_output(await client.call_tool(tool_name, dict(arguments), progress_callback=on_progress))
    limit = PROGRESS_EXTENDS_UP_TO * server.timeout if _now() >= hard_limit else server.timeout
    return _failed(
        f"The tool did not answer within {limit:g} seconds and the call was cancelled. "
        "Whether it had an effect is unknown."
    )


def _failed(text: str) -> ToolOutput:
    return ToolOutput(text, is_error=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
