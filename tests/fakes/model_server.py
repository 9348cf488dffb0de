"""A scripted OpenAI-compatible server on loopback, for tests: any bytes, in any order, exactly when the test says so.

It is not a model and decides nothing: each request gets the next reply of its script, or what the responder makes of
it. It lives in a thread with a loop of its own, so any thread, loop or process may be its client. All waiting is done
with gates and events, never with sleeps; the waiting methods block, so call them from a coroutine as
`await asyncio.to_thread(server.wait_for_request)`.

    gate = hold()
    with ModelServer() as server:
        server.script(calls(("get_time", {"tz": "UTC"})), text("It is ", gate, "noon."))
        …                       # a client talks to server.base_url
        gate.wait_reached()     # "It is " has been sent, nothing after it
        gate.release()
        assert server.requests[1].body["messages"][-1]["role"] == "tool"
"""

import asyncio
import contextlib
import http.client
import itertools
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field, replace
from typing import Any, Self

PATIENCE = 10.0  # seconds a waiting method gives the other side before the test fails


class Gate:
    """A point in a reply where the server stops until the test opens it. One gate serves one reply."""

    def __init__(self):
        self._reached: Future[None] = Future()
        self._released: Future[None] = Future()

    def release(self) -> None:
        """Let the reply go on; harmless when repeated, or before the gate is reached."""
        with contextlib.suppress(InvalidStateError):
            self._released.set_result(None)

    def wait_reached(self, timeout: float = PATIENCE) -> None:
        """Block until everything before this gate has been sent."""
        self._reached.result(timeout)

    async def _pass(self) -> None:
        with contextlib.suppress(InvalidStateError):
            self._reached.set_result(None)
        await asyncio.shield(asyncio.wrap_future(self._released))


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next part: the pace of benchmarks and demos. Tests use gates."""

    seconds: float


class Drop:
    """Cut the connection here, without ending the reply."""


class Reset:
    """Cut the connection here as a server does that crashes: with a reset."""


@dataclass(frozen=True, slots=True)
class UsageFrame:
    """The usage frame, sent only where the request asked for it (`stream_options.include_usage`)."""

    input_tokens: int
    output_tokens: int


Part = bytes | Gate | Pause | Drop | Reset | UsageFrame


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request gets. Each bytes part of the body leaves as an HTTP chunk of its own."""

    parts: tuple[Part, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    is_raw: bool = False  # the parts are the whole answer as it goes over the socket, status line included

    def sliced(self, size: int = 1) -> "Reply":
        """The same body in chunks of `size` bytes, so that lines and characters are torn apart."""
        return replace(self, parts=tuple(itertools.chain.from_iterable(_slices(part, size) for part in self.parts)))


@dataclass(slots=True, eq=False)
class Request:
    """A request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    raw_body: bytes
    body: Any  # parsed JSON; None where there is none
    connection: int  # which TCP connection it came on, from 1
    answered: threading.Event = field(default_factory=threading.Event)  # the whole reply was sent
    disconnected: threading.Event = field(default_factory=threading.Event)  # the client left before that
    disconnected_at: float | None = None  # time.monotonic()


Responder = Callable[[Request], Reply]


# Replies


def text(*pieces: str | Part, finish: str = "stop", usage: tuple[int, int] = (10, 5)) -> Reply:
    """Stream `pieces` as content, one frame each; gates and other parts may stand between them."""
    body = [delta(content=piece) if isinstance(piece, str) else piece for piece in pieces]
    return sse(delta(role="assistant", content=""), *body, end(finish), UsageFrame(*usage), "[DONE]")


def calls(
    *wanted: tuple, content: str = "", finish: str = "tool_calls", usage: tuple[int, int] = (10, 5)
) -> Reply:
    """Stream calls of tools: `(name, arguments)` or `(name, arguments, id)`; arguments as an object or as raw text."""
    frames = [delta(content=content)] if content else []
    for index, (name, arguments, *identity) in enumerate(wanted):
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
        half = len(raw) // 2
        frames += [
            call_delta(index, id=identity[0] if identity else new_call_id(), name=name, arguments=""),
            call_delta(index, arguments=raw[:half]),
            call_delta(index, arguments=raw[half:]),
        ]
    return sse(delta(role="assistant", content=None), *frames, end(finish), UsageFrame(*usage), "[DONE]")


def sse(*frames: Mapping[str, Any] | str | Part) -> Reply:
    """A stream of frames as `data:` events; bytes are sent as they are."""
    return Reply(tuple(frame_bytes(frame) if isinstance(frame, Mapping | str) else frame for frame in frames))


def raw(*parts: Part) -> Reply:
    """Exactly these bytes on the socket, status line included; then the connection is closed."""
    return Reply(parts, is_raw=True)


def status(code: int, headers: Mapping[str, str] | None = None, body: Any = b"") -> Reply:
    """An answer that is no stream; a body that isn't bytes is sent as JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply((payload,), code, {"Content-Type": "application/json", **(headers or {})})


def error(code: int, message: str, /, **details: Any) -> Reply:
    """An error in OpenAI's shape; `details` go beside the message."""
    return status(code, body={"error": {"message": message, "type": "invalid_request_error", **details}})


def hold() -> Gate:
    """A gate to put between the parts of a reply."""
    return Gate()


# Frames


def delta(**fields: Any) -> dict[str, Any]:
    """A chunk with this delta."""
    return chunk([{"index": 0, "delta": fields, "finish_reason": None}])


def call_delta(index: int | None, **fields: Any) -> dict[str, Any]:
    """A chunk with one fragment of a tool call; `id`, `name` and `arguments` are there only where they are given."""
    fragment: dict[str, Any] = {} if index is None else {"index": index}
    if "id" in fields:
        fragment |= {"id": fields["id"], "type": "function"}
    fragment["function"] = {key: fields[key] for key in ("name", "arguments") if key in fields}
    return delta(tool_calls=[fragment])


def end(finish_reason: str = "stop") -> dict[str, Any]:
    """The chunk that ends a reply."""
    return chunk([{"index": 0, "delta": {}, "finish_reason": finish_reason}])


def chunk(choices: Any, **fields: Any) -> dict[str, Any]:
    """A chunk with these choices, whatever they are."""
    return {
        "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1_700_000_000,
        "model": "scripted", "choices": choices, **fields,
    }


def frame_bytes(frame: Mapping[str, Any] | str) -> bytes:
    """One server-sent event; text is taken as it is."""
    data = frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False)
    return f"data: {data}\n\n".encode()


_call_numbers = itertools.count(1)


def new_call_id() -> str:
    """An id that no other call of this process has."""
    return f"call_{next(_call_numbers)}"


class ModelServer:
    """The server; a context manager. Replies are consumed one per chat request, in the order of arrival."""

    def __init__(self):
        self.requests: list[Request] = []  # for chat completions
        self.other_requests: list[Request] = []  # everything else, such as GET /v1/models
        self.models = ["scripted"]  # what GET /v1/models lists
        self.connections = 0  # accepted so far
        self._news = threading.Condition()
        self._replies: deque[Reply] = deque()
        self._responder: Responder | None = None
        self._others: Responder = self._list_models
        self._open: set[_Connection] = set()
        self._ready: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="model-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._ready.result(PATIENCE)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(PATIENCE)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def forget(self) -> None:
        """Drop what is left of the script."""
        self._replies.clear()

    def script(self, *replies: Reply) -> None:
        """Append replies for the next requests."""
        self._replies.extend(replies)

    def respond_with(self, responder: Responder) -> None:
        """Let `responder` answer whatever the script does not; it runs in the server's thread and must not block."""
        self._responder = responder

    def respond_to_others_with(self, responder: Responder) -> None:
        """Let `responder` answer what is no chat request, in place of the list of models."""
        self._others = responder

    def wait_for_request(self, number: int = 1, timeout: float = PATIENCE) -> Request:
        """Block until that many chat requests have come; the last of them."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests) >= number, timeout):
                raise TimeoutError(f"Only {len(self.requests)} of {number} requests came within {timeout} s.")
            return self.requests[number - 1]

    def wait_for_disconnect(self, number: int = 1, timeout: float = PATIENCE) -> Request:
        """Block until the client of that chat request has closed its connection before its reply was complete."""
        request = self.wait_for_request(number, timeout)
        if not request.disconnected.wait(timeout):
            raise TimeoutError(f"The client of request {number} was still connected after {timeout} s.")
        return request

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self._ready.set_result(server.sockets[0].getsockname()[1])
        await self._stopped.wait()
        server.close()
        tasks = [connection.stop() for connection in list(self._open)]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reply_to(self, request: Request) -> Reply:
        is_chat = request.method == "POST" and request.path.split("?")[0].endswith("/chat/completions")
        with self._news:
            (self.requests if is_chat else self.other_requests).append(request)
            self._news.notify_all()
        try:
            if not is_chat:
                return self._others(request)
            if self._replies:
                return self._replies.popleft()
            if self._responder:
                return self._responder(request)
        except Exception as problem:
            return error(418, f"The test's responder failed: {problem!r}")
        return error(418, "The script of the model server has no reply left.")

    def _list_models(self, request: Request) -> Reply:
        if request.method == "GET" and request.path.split("?")[0] == "/v1/models":
            data = [{"id": name, "object": "model", "created": 0, "owned_by": "tests"} for name in self.models]
            return status(200, body={"object": "list", "data": data})
        return error(404, f"There is no {request.path} here.")


class _Connection(asyncio.Protocol):
    """One TCP connection: requests one after the other, each answered in full before the next is read."""

    def __init__(self, server: ModelServer):
        self._server = server
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._current: Request | None = None
        self._was_cut = False  # by us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server.connections += 1
        self._number = self._server.connections
        self._server._open.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._open.discard(self)
        self._task.cancel()
        if self._current and not self._was_cut:
            self._current.disconnected_at = time.monotonic()
            self._current.disconnected.set()

    def stop(self) -> asyncio.Task:
        self._was_cut = True
        self._task.cancel()
        self._transport.abort()
        return self._task

    async def _run(self) -> None:
        while not self._transport.is_closing():
            self._current = request = await self._read_request()
            await self._send(request, self._server._reply_to(request))
            self._current = None
            request.answered.set()

    async def _read_request(self) -> Request:
        while b"\r\n\r\n" not in self._buffer:
            await self._more()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")
        method, path, _version = request_line.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        self._buffer = bytearray(rest)
        while len(self._buffer) < size:
            await self._more()
        body = bytes(self._buffer[:size])
        del self._buffer[:size]
        return Request(method, path, headers, body, _parsed(body), self._number)

    async def _more(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    async def _send(self, request: Request, reply: Reply) -> None:
        if not reply.is_raw:
            self._transport.write(_head(reply))
        for part in reply.parts:
            match part:
                case bytes():
                    self._write(part, reply)
                case UsageFrame():
                    self._write(_usage_bytes(part, request), reply)
                case Gate():
                    await part._pass()
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Drop():
                    self._close()
                    return
                case Reset():
                    self._reset()
                    return
            await asyncio.sleep(0)  # each part leaves by itself; a client that has gone is noticed
        if reply.is_raw:
            self._close()
        else:
            self._transport.write(b"0\r\n\r\n")

    def _write(self, data: bytes, reply: Reply) -> None:
        if data:
            self._transport.write(data if reply.is_raw else b"%x\r\n%b\r\n" % (len(data), data))

    def _close(self) -> None:
        self._was_cut = True
        self._transport.close()

    def _reset(self) -> None:
        at_once = struct.pack("ii", 1, 0)  # linger: on, for no time
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self._was_cut = True
        self._transport.abort()


def _head(reply: Reply) -> bytes:
    phrase = http.client.responses.get(reply.status, "Unknown")
    lines = [f"{name}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join([f"HTTP/1.1 {reply.status} {phrase}", *lines, "Transfer-Encoding: chunked", "", ""]).encode()


def _usage_bytes(usage: UsageFrame, request: Request) -> bytes:
    if not ((request.body or {}).get("stream_options") or {}).get("include_usage"):
        return b""
    total = usage.input_tokens + usage.output_tokens
    tokens = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens, "total_tokens": total}
    return frame_bytes(chunk([], usage=tokens))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _slices(part: Part, size: int) -> list[Part]:
    if not isinstance(part, bytes):
        return [part]
    return [part[start:start + size] for start in range(0, len(part), size)]
