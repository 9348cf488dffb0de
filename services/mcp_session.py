"""One MCP session: entered, kept and left by a task of its own, used by calls from any other task of the loop.

It notices when it is lost and when its server's tools are other ones. What follows from that is the pool's affair.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import anyio
import httpx2
from mcp import Client
from mcp.client._transport import Transport
from mcp.client.session import IncomingMessage
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import Implementation, ToolListChangedNotification
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from .mcp_errors import explain, is_closed
from .mcp_port import McpTool, McpUnreachable
from .mcp_wire import (
    ANSWER_MAX_BYTES,
    ANSWER_TYPES,
    AnswerTooLarge,
    Exchange,
    WireClient,
    exchange,
    watched,
)
from .pinned_transport import PinnedTransport
from .ports import ReportProgress
from .redaction import secrets_in
from .specs import ServerSpec
from .tool_content import to_output
from .tools import ToolOutput

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")

# What a server gets wrong is a result for the model, and its record says so; in the SDK's words it would be an error of
# this process, with a traceback and with whatever the server has echoed.
logging.getLogger("mcp.client").setLevel(logging.CRITICAL)

START_SECONDS = 15.0  # for a command to answer: it may have to start an interpreter or even fetch its package first
LISTING_MAX_PAGES = 100  # a server that paginates for ever is broken
PROGRESS_MAX_CHARS = 500  # of what a tool says of a step: it is one of many, and people read a line
CHANGE_PAUSE_SECONDS = 5.0  # between two listings because of a change: some servers announce one with each listing
LISTEN_PAUSE_SECONDS = 30.0  # before a stream of changes that ended is opened again

STOPPING = "This process is about to stop."
_CLIENT = Implementation(name="ai_discuss", title="AI Assistants for Discuss", version="1.0")
_EVENT_TOO_LARGE = "SSE stream failed"  # what the SDK says of an answer that is too large for its parser of events
_NO_ERROR_BODY = "Server returned an error response"  # its word for an HTTP status alone
_TOO_MANY_REQUESTS = 429
_GATEWAY_ERROR = 502  # and above: it speaks for a server that did not


class SessionLost(Exception):
    """The session broke under a request. What became of the request:"""

    def __init__(self, *, unsent: bool = False, executed: bool = False) -> None:
        super().__init__("the session was lost")
        self.unsent = unsent  # certainly not executed
        self.executed = executed  # certainly executed


class NoAnswer(Exception):
    """HTTP answered a request with something that is not of the protocol; the session may be well."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class TimedOut(Exception):
    """A call has had all its time, and was cancelled."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} seconds")
        self.seconds = seconds


class Session:
    """One session, from its first attempt to connect to its end."""

    def __init__(
        self,
        server: ServerSpec,
        *,
        connect_seconds: float,
        idle_seconds: float,
        on_open: Callable[["Session"], None],
        on_change: Callable[["Session"], None],
        on_end: Callable[["Session", McpUnreachable | None], None],
    ) -> None:
        self.server = server
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._on_open = on_open
        self._on_change = on_change  # the server has other tools now
        self._on_end = on_end  # with an `McpUnreachable`, it never began
        self._active = 0
        self._retired = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._http: WireClient | None = None  # of a transport without a standing connection
        self._changed = asyncio.Event()
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
            SessionLost: the session broke; it is not used again.
            NoAnswer: the server is there, but what it sent was no answer.
            Exception: whatever else `ask` raises.
        """
        if self._end.is_set():
            raise SessionLost(unsent=True)
        seen = Exchange()
        token = exchange.set(seen)
        self._begin_use()
        try:
            return await ask(self._client.result())
        except (MCPError, ValidationError, RuntimeError) as error:
            if lost := self._what_was_lost(error, seen):
                raise lost from error
            if _is_no_answer(error, seen):
                raise NoAnswer(seen.status) from error
            raise
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
            self._retired = self._retired or bool(seen.failure) or seen.status >= _GATEWAY_ERROR
            exchange.reset(token)
            self._end_use()
        return self.usable

    def retire(self) -> None:
        """Have no more calls begin; it ends when the last one has."""
        self._retired = True
        if not self._active:
            self.close()

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

    def _what_was_lost(self, error: Exception, seen: Exchange) -> SessionLost | None:
        """Tell an error of the session from an error of the request, and retire the session."""
        closed, refused = is_closed(error), self._is_refused(error, seen)
        if isinstance(seen.failure, AnswerTooLarge) or (closed and str(error).startswith(_EVENT_TOO_LARGE)):
            return SessionLost(executed=True)
        if not (refused or closed or seen.failure or _is_outage(error, seen) or self._end.is_set()):
            return None
        self._retired = True
        over_http = self.server.transport != "stdio"
        return SessionLost(unsent=refused or (over_http and not seen.sent))

    def _is_refused(self, error: Exception, seen: Exchange) -> bool:
        """Whether HTTP itself turned the request away, so that no tool saw it: the session is not known (any more), the
        credentials are not good (any more), or the server has moved. Other refusals with a body in JSON are the
        protocol's, not HTTP's; and who is asked too often should not be asked anew."""
        if not 300 <= seen.status < 500 or seen.status == _TOO_MANY_REQUESTS:
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
                self._on_open(self)
                self._begin_use()
                self._end_use()  # idle from now on
                await self._keep(client)
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
        transport = watched(await self._transport(stack), self._end.set, secrets_in(self.server.headers))
        client = Client(transport, client_info=_CLIENT, cache=None, message_handler=self._hear)
        await stack.enter_async_context(client)
        # Asked for at once: the client checks results and mirrors arguments by what was listed, and would otherwise
        # have to ask in the middle of the first call.
        await list_tools(client)
        return client

    async def _transport(self, stack: AsyncExitStack) -> Transport:
        server = self.server
        match server.transport:
            case "stdio":
                command = StdioServerParameters(
                    command=server.command,
                    args=list(server.args),
                    encoding_error_handler="replace",  # otherwise the SDK stops reading, and nobody hears of it
                )
                # `errlog=None`: what the child complains about goes where this process's own complaints go.
                return stdio_client(command, errlog=None)
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

    async def _hear(self, message: IncomingMessage) -> None:
        """What the server says without being asked, over any protocol."""
        if isinstance(message, ToolListChangedNotification):
            self._changed.set()

    async def _keep(self, client: Client) -> None:
        """Until its end, follow the changes of its server."""
        exchange.set(Exchange())
        chores = [asyncio.create_task(self._list_changes(client))]
        if _must_be_listened_to(client):
            chores.append(asyncio.create_task(self._listen(client)))
        try:
            await self._end.wait()
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.wait(chores)

    async def _list_changes(self, client: Client) -> None:
        """Learn what the server's tools are after each change: the client checks by it what they return."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                async with asyncio.timeout(self.server.timeout):
                    await list_tools(client)
            except Exception as error:  # noqa: BLE001 - a fault of its server; what the session knows may be right
                _logger.info("The changed tools of MCP server %s cannot be listed: %r", self.server.id, error)
            self._on_change(self)
            await asyncio.sleep(CHANGE_PAUSE_SECONDS)

    async def _listen(self, client: Client) -> None:
        """Keep the stream open over which the server tells of changes; `_hear` gets them."""
        missed = False
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    if missed:  # nobody repeats it
                        self._changed.set()
                    async for _ in changes:
                        pass
            except Exception as error:  # noqa: BLE001 - a fault of its server; calls may go on
                _logger.info("MCP server %s does not tell of changes now: %r", self.server.id, error)
            missed = True
            await asyncio.sleep(LISTEN_PAUSE_SECONDS)


def _is_outage(error: Exception, seen: Exchange) -> bool:
    """Whether HTTP failed at the server. With an error in JSON-RPC it is the protocol's, unless a gateway made it."""
    return seen.status >= (500 if _is_without_body(error) else _GATEWAY_ERROR)


def _is_no_answer(error: Exception, seen: Exchange) -> bool:
    if 200 <= seen.status < 300:
        return seen.content_type not in ANSWER_TYPES
    return seen.status >= 400 and _is_without_body(error)


def _is_without_body(error: Exception) -> bool:
    """Whether the SDK made `error` from an HTTP status, because there was no error in JSON-RPC."""
    return isinstance(error, MCPError) and error.message == _NO_ERROR_BODY


def _must_be_listened_to(client: Client) -> bool:
    """Whether the server tells of changes of its tools only to whoever asks: so in protocols without a handshake."""
    tools = client.server_capabilities.tools
    return bool(tools and tools.list_changed) and client.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS


async def list_tools(client: Client) -> list[McpTool]:
    """All pages of the listing. The empty string is a cursor like any other; one that comes back ends the walk."""
    tools: dict[str, McpTool] = {}
    cursor: str | None = None
    cursors: set[str] = set()
    if client.server_capabilities.tools is None:
        return []
    for _ in range(LISTING_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            tools.setdefault(tool.name, _describe(tool))
        cursor = page.next_cursor
        if cursor is None or cursor in cursors:
            break
        cursors.add(cursor)
    return list(tools.values())


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


async def call_tool(
    client: Client,
    *,
    tool_name: str,
    arguments: Mapping[str, Any],
    report: ReportProgress,
    seconds: float,
    max_seconds: float,
) -> ToolOutput:
    """One call. It has `seconds`, again after each sign of progress, and `max_seconds` in all; leaving it cancels it in
    its protocol's way.

    Raises:
        TimedOut: its time was over.
    """
    hard_limit = _now() + max_seconds
    with anyio.CancelScope(deadline=_now() + seconds) as scope:

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            scope.deadline = min(_now() + seconds, hard_limit)
            report(progress, total, message and message[:PROGRESS_MAX_CHARS])

        return to_output(await client.call_tool(tool_name, dict(arguments), progress_callback=on_progress))
    raise TimedOut(max_seconds if _now() >= hard_limit else seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()
