"""The HTTP and the streams under an MCP session: what the SDK leaves open there, and nothing of MCP's meaning.

One failed exchange must not end a session that others are using, answers have a size limit, and a caller learns what
really happened to its request.
What is not limited here: a line from a stdio server (a command of the administrator's), which the SDK reads whole. Over
the older transport with two streams ("sse") the SDK's own limit is smaller, 1 MB, and a larger answer ends the session.
"""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

import httpx2
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)

from . import url_guard
from .redaction import redacted

_logger = logging.getLogger(__name__)

ANSWER_MAX_BYTES = 16 * 1024 * 1024  # of one JSON answer or one server-sent event; it is parsed in memory
ANSWER_TYPES = frozenset({"application/json", "text/event-stream"})
SIDE_REQUEST_SECONDS = 3.0  # for requests that nobody waits for: notifications and the end of a session
_SIDE_REQUEST_MAX_BYTES = 4096  # a notification of ours is smaller


class AnswerTooLarge(Exception):
    """More came than is read into memory; the call was executed, its answer was dropped."""


class AnswerEncoded(Exception):
    """The server compressed its answer though it was asked not to: its size would be anybody's guess."""


@dataclass(slots=True)
class Exchange:
    """What HTTP did for one operation; stays as it is for stdio."""

    sent: bool = False  # something of a request may have reached the server
    status: int = 0
    content_type: str = ""
    failure: Exception | None = None  # what kept the operation from having its answer


exchange: ContextVar[Exchange] = ContextVar("exchange")


class WireClient(httpx2.AsyncClient):
    """An HTTP client that reports to the current `Exchange` and turns a failure into an answer.

    The SDK ends the whole session when a request raises; an error in JSON-RPC's own form ends only that request.
    """

    def __init__(self, *, on_lost_message: Callable[[], None] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._on_lost_message = on_lost_message  # for a transport that would wait for its answer for ever
        self.headers["accept-encoding"] = "identity"

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        is_aside = _is_side_request(request)
        seen = Exchange() if is_aside or self._is_standing(request) else exchange.get()
        request.extensions = {**request.extensions, "trace": _Trace(seen)}
        if is_aside:
            timeout = httpx2.Timeout(SIDE_REQUEST_SECONDS)
            request.extensions["timeout"] = timeout.as_dict()
        try:
            response = await super().send(request, **options)
            if response.headers.get("content-encoding", "identity") != "identity":
                await response.aclose()
                raise AnswerEncoded
        except (httpx2.TransportError, url_guard.UrlRefused, OSError, AnswerEncoded) as error:
            seen.failure = error
            response = _stand_in(request)
        else:
            seen.status = response.status_code
            seen.content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            response.stream = _Body(response.stream, seen, request)
        if self._on_lost_message and request.method == "POST" and response.status_code >= 400:
            self._on_lost_message()
        return response

    def _is_standing(self, request: httpx2.Request) -> bool:
        """Whether `request` is for what a server says by itself, while others are asked: not all have that."""
        return request.method == "GET" and self._on_lost_message is None


class _Trace:
    """Notes the moment from which a request may have had an effect."""

    def __init__(self, seen: Exchange) -> None:
        self._seen = seen

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self._seen.sent = True


class _Body(httpx2.AsyncByteStream):
    """A response's body that ends early, with the reason noted, instead of raising or growing without limit. In place
    of a part of JSON, of which the SDK would complain at length, comes an error as the whole answer."""

    def __init__(self, inner: httpx2.AsyncByteStream, seen: Exchange, request: httpx2.Request) -> None:
        self._inner = inner
        self._seen = seen
        self._request = request
        self._is_part = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._seen.content_type != "application/json":
            async for chunk in self._chunks():
                yield chunk
            return
        whole = b"".join([chunk async for chunk in self._chunks()])
        yield json.dumps(_error(_id_of(self._request))).encode() if self._is_part else whole

    async def _chunks(self) -> AsyncIterator[bytes]:
        # A stream of events may go on for hours; the SDK limits each event of it (see `ANSWER_MAX_BYTES`).
        counted = self._seen.content_type != "text/event-stream"
        left = ANSWER_MAX_BYTES
        try:
            async for chunk in self._inner:
                left -= len(chunk) if counted else 0
                if left < 0:
                    raise AnswerTooLarge
                yield chunk
        except (httpx2.TransportError, AnswerTooLarge) as error:
            self._seen.failure = error
            self._is_part = True

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_side_request(request: httpx2.Request) -> bool:
    """Whether `request` ends a session or is a notification: nothing may hang because of it."""
    if request.method == "DELETE":
        return True
    if request.method != "POST" or len(request.content) > _SIDE_REQUEST_MAX_BYTES:
        return False
    return _id_of(request) is None


def _id_of(request: httpx2.Request) -> int | str | None:
    """The id in the protocol's request; a notification has none."""
    return json.loads(request.content).get("id") if request.content else None


def _stand_in(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(503, json=_error(None), request=request)


def _error(identity: int | str | None) -> dict[str, Any]:
    error = {"code": INTERNAL_ERROR, "message": "The request failed."}  # never shown: `Exchange.failure` is
    return {"jsonrpc": "2.0", "id": identity, "error": error}


@asynccontextmanager
async def watched(
    transport: AbstractAsyncContextManager, on_end: Callable[[], None], secrets: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Any, Any]]:
    """`transport`, with `on_end` called when its server has nothing more to say (a child that exited, say), and without
    `secrets` in what it says."""
    async with transport as (read_stream, write_stream):
        yield _ReadStream(read_stream, on_end, secrets), write_stream


class _ReadStream:
    """The messages from a server."""

    def __init__(self, inner: Any, on_end: Callable[[], None], secrets: tuple[str, ...]) -> None:
        self._inner = inner
        self._on_end = on_end
        self._secrets = secrets

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        return await self._inner.receive()

    def aclose(self) -> Awaitable[None]:
        return self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            item = await self._inner.__anext__()
        except StopAsyncIteration:
            self._on_end()
            raise
        if isinstance(item, SessionMessage):
            self._redact(item.message)
            if isinstance(item.message, JSONRPCResponse):
                _mend_listing(item.message.result)
        return item

    def _redact(self, message: JSONRPCMessage) -> None:
        """Whatever a server says may come before people and models: results, progress, errors, what its tools do."""
        match message:
            case JSONRPCResponse():
                message.result = redacted(message.result, self._secrets)
            case JSONRPCError():
                message.error.message = redacted(message.error.message, self._secrets)
                message.error.data = redacted(message.error.data, self._secrets)
            case JSONRPCNotification() | JSONRPCRequest():
                message.params = redacted(message.params, self._secrets)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._inner.__aexit__(*exc_info)


def _mend_listing(result: dict[str, Any]) -> None:
    """Keep one tool with an unusual schema from costing all the others: the SDK refuses a list with any such tool."""
    tools = result.get("tools")
    if not isinstance(tools, list):
        return
    result["tools"] = [tool for tool in tools if _mend_tool(tool)]
    if len(result["tools"]) < len(tools):
        _logger.warning("An MCP server listed %d tools that are none.", len(tools) - len(result["tools"]))


def _mend_tool(tool: Any) -> bool:
    """Make `tool` a valid entry of a listing; False where it cannot be one."""
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        return False
    schema = tool.get("inputSchema")
    schema = schema if isinstance(schema, dict) else {}
    kind = schema.get("type", "object")
    if kind == "object" or (isinstance(kind, list) and "object" in kind):
        tool["inputSchema"] = {**schema, "type": "object"}
    else:  # what that means is for `tool_schema` to judge, when the tool is offered
        tool["inputSchema"] = {"type": "object", "allOf": [schema]}
    output = tool.get("outputSchema")
    if output is not None and not (isinstance(output, dict) and output.get("type") == "object"):
        del tool["outputSchema"]
    return True
