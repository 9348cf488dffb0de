"""Real MCP servers for tests: the SDK's own, with tools that tests can hold, count and break.

Not mocks: they listen on real sockets of the loopback interface (or run as a child process, for stdio), and clients
reach them with the SDK. Only `JsonServer` is not the SDK's: it answers with whatever a test wants, to play broken
servers. Run as a script, this file is the stdio server; it therefore imports nothing of the engine.

    with McpHttpServer() as server:
        ...  # server.url; then server.calls, server.headers, server.wait_for_call("slow"), server.release()
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypedDict

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

PATIENCE_SECONDS = 10  # how long a test waits for what must happen before it fails
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TONE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="  # a WAV file without a sound
PAGE = "JVBERi0xLjQKJSVFT0YK"  # a PDF file without a page
READ_ONLY = ToolAnnotations(read_only_hint=True)


class Weather(TypedDict):
    city: str
    degrees: int


class ToolLog:
    """What the tools did, readable from any thread; the gate that holds `slow` and `steps`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.cancelled: list[str] = []
        self._changed = threading.Condition()
        self._permits = 0
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def called(self, name: str, **arguments: Any) -> None:
        self._append(self.calls, (name, arguments))

    async def hold(self, name: str) -> None:
        """Wait for one `release`; note it when the client cancels the call meanwhile."""
        try:
            while not self._take_permit():
                event = asyncio.Event()
                self._waiters.append((asyncio.get_running_loop(), event))
                if self._permits:
                    continue
                await event.wait()
        except asyncio.CancelledError:
            self._append(self.cancelled, name)
            raise

    def release(self, times: int = 1) -> None:
        """Let as many held calls (or steps) go on."""
        with self._changed:
            self._permits += times
        waiters, self._waiters = self._waiters, []
        for loop, event in waiters:
            loop.call_soon_threadsafe(event.set)

    def wait_for_call(self, name: str, count: int = 1) -> None:
        """Block until `name` was called `count` times."""
        self.wait_until(lambda: [call[0] for call in self.calls].count(name) >= count)

    def wait_for_cancel(self, name: str) -> None:
        """Block until a held call of `name` was cancelled by its client."""
        self.wait_until(lambda: name in self.cancelled)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Block until `condition` holds; it is looked at whenever something was recorded."""
        with self._changed:
            if not self._changed.wait_for(condition, PATIENCE_SECONDS):
                raise AssertionError(f"Still not so after {PATIENCE_SECONDS} s; calls: {self.calls}")

    def _append(self, record: list[Any], item: Any) -> None:
        with self._changed:
            record.append(item)
            self._changed.notify_all()

    def _take_permit(self) -> bool:
        with self._changed:
            taken = self._permits > 0
            self._permits -= taken
            return taken


def build_server(log: ToolLog, name: str = "workshop") -> MCPServer:
    """An SDK server whose tools report to `log`."""
    server = MCPServer(name, log_level="CRITICAL")

    @server.tool(annotations=READ_ONLY)
    def add(a: int, b: int) -> int:
        """Add two whole numbers."""
        log.called("add", a=a, b=b)
        return a + b

    @server.tool(title="Echo", annotations=READ_ONLY, structured_output=False)
    def echo(text: str) -> str:
        """Give the text back."""
        log.called("echo", text=text)
        return text

    @server.tool(structured_output=False)
    def note(text: str) -> str:
        """Write a note down: a call that acts."""
        log.called("note", text=text)
        return "Noted."

    @server.tool(annotations=READ_ONLY, structured_output=False)
    async def slow(text: str = "late") -> str:
        """Answer once the test releases it."""
        log.called("slow", text=text)
        await log.hold("slow")
        return text

    @server.tool(structured_output=False)
    async def slow_note(text: str) -> str:
        """Write a note down once the test releases it."""
        log.called("slow_note", text=text)
        await log.hold("slow_note")
        return "Noted."

    @server.tool(annotations=READ_ONLY, structured_output=False)
    async def steps(count: int, ctx: Context) -> str:
        """Report progress, one step for each release."""
        log.called("steps", count=count)
        for step in range(1, count + 1):
            await ctx.report_progress(step, count, f"step {step}")
            await log.hold("steps")
        return "all steps"

    @server.tool(annotations=READ_ONLY, structured_output=False)
    async def talk(chars: int, ctx: Context) -> str:
        """Report a step, with as many words."""
        log.called("talk", chars=chars)
        await ctx.report_progress(1, message="x" * chars)
        return "said"

    @server.tool(structured_output=False)
    def fail(message: str) -> str:
        """Fail with a message."""
        log.called("fail", message=message)
        raise ToolError(message)

    @server.tool(annotations=READ_ONLY)
    def structured(city: str) -> Weather:
        """Return structured data."""
        log.called("structured", city=city)
        return {"city": city, "degrees": 21}

    @server.tool(annotations=READ_ONLY, structured_output=False)
    def huge(chars: int) -> str:
        """Return that many characters."""
        log.called("huge", chars=chars)
        return "<" + "x" * (chars - 2) + ">"

    @server.tool(annotations=READ_ONLY, structured_output=False)
    def whoami(ctx: Context) -> str:
        """Tell which credentials came with the call."""
        log.called("whoami")
        return (ctx.headers or {}).get("authorization", "nobody")

    @server.tool(structured_output=False)
    async def change(ctx: Context) -> str:
        """Let `add` return something else than it was listed with, offer `subtract`, and announce both."""
        log.called("change")
        server.remove_tool("add")

        @server.tool()
        def add(a: int, b: int) -> str:
            """Add two whole numbers, in words."""
            return f"{a + b} in all"

        @server.tool()
        def subtract(a: int, b: int) -> int:
            """Subtract a whole number from another."""
            return a - b

        if ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            await ctx.session.send_tool_list_changed()
        else:
            await ctx.notify_tools_changed()
        return "Changed."

    @server.tool(annotations=READ_ONLY)
    def mixed() -> CallToolResult:
        """Return one block of every kind."""
        log.called("mixed")
        return CallToolResult(content=[
            TextContent(type="text", text="See:"),
            ImageContent(type="image", data=PIXEL, mime_type="image/png"),
            AudioContent(type="audio", data=TONE, mime_type="audio/wav"),
            ResourceLink(type="resource_link", name="manual", uri="https://example.com/manual", mime_type="text/html"),
            EmbeddedResource(type="resource", resource=TextResourceContents(
                uri="file:///notes.txt", mime_type="text/plain", text="embedded words")),
            EmbeddedResource(type="resource", resource=BlobResourceContents(
                uri="file:///scan.pdf", mime_type="application/pdf", blob=PAGE)),
        ])

    return server


class _Listener(ABC):
    """An ASGI application behind uvicorn in a thread of its own, on a loopback port that survives restarts."""

    path = "/"

    def __init__(self, *, tls: tuple[str, str] | None = None) -> None:
        self.port = 0
        self._tls = tls  # certificate and key files
        self._uvicorn: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{self.path}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve; after a `stop`, on the same port and with everything forgotten."""
        # With its protocol named, because asyncio turns Nagle's algorithm off only where it sees TCP.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(128)
        self.port = listening.getsockname()[1]
        certificate, key = self._tls or (None, None)
        config = uvicorn.Config(
            self._app(), log_config=None, log_level="warning", access_log=False,
            ssl_certfile=certificate, ssl_keyfile=key,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self._thread.start()  # connections wait in the socket's backlog until it serves

    def stop(self) -> None:
        """Die at once: nothing is answered any more, open connections break."""
        if self._thread is None:
            return
        self._uvicorn.should_exit = self._uvicorn.force_exit = True
        self.drop_connections()
        self._thread.join(PATIENCE_SECONDS)
        self._thread = None

    @property
    def open_connections(self) -> int:
        return len(self._uvicorn.server_state.connections)

    def drop_connections(self) -> None:
        """Break every open connection; the server goes on."""
        for connection in list(self._uvicorn.server_state.connections):
            connection.loop.call_soon_threadsafe(connection.transport.abort)

    def _run(self, listening: socket.socket) -> None:
        self._uvicorn.run(sockets=[listening])

    @abstractmethod
    def _app(self) -> Callable[..., Any]:
        """What is served."""


class McpHttpServer(_Listener, ToolLog):
    """The SDK's server over streamable HTTP or the older SSE.

    `era="legacy"` speaks only protocols with an `initialize` handshake and sessions; a restart forgets the sessions.
    `token` refuses every request without that bearer token; it may be changed at any time.
    """

    def __init__(
        self,
        transport: Literal["streamable_http", "sse"] = "streamable_http",
        *,
        era: Literal["modern", "legacy"] = "modern",
        token: str = "",
        tls: tuple[str, str] | None = None,
        json_response: bool = False,
    ) -> None:
        _Listener.__init__(self, tls=tls)
        ToolLog.__init__(self)
        self.transport = transport
        self.path = "/mcp" if transport == "streamable_http" else "/sse"
        self.requests: list[tuple[str, dict[str, Any]]] = []  # HTTP method, JSON body ({} where there is none)
        self.headers: list[dict[str, str]] = []  # of the same requests
        self._era = era
        self.token = token
        self._json_response = json_response

    @property
    def methods(self) -> list[str]:
        """What was asked for, in order: JSON-RPC methods, or the HTTP method where there is no body."""
        return [body.get("method", "response") if body else verb for verb, body in list(self.requests)]

    def wait_for_method(self, method: str, count: int = 1) -> None:
        """Block until `method` (see `methods`) was asked for `count` times."""
        self.wait_until(lambda: self.methods.count(method) >= count)

    def _app(self) -> Callable[..., Any]:
        server = build_server(self)
        if self.transport == "sse":
            return self._recording(server.sse_app())
        return self._recording(server.streamable_http_app(json_response=self._json_response))

    def _recording(self, app: Callable[..., Any]) -> Callable[..., Any]:
        async def recording(scope: dict, receive: Callable, send: Callable) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
            body = b""
            if scope["method"] == "POST":
                body, receive = await _read_ahead(receive)
            self.headers.append(headers)
            self._append(self.requests, (scope["method"], json.loads(body) if body else {}))
            refusal = self._refusal(headers)
            await (_answer(send, *refusal) if refusal else app(scope, receive, send))

        return recording

    def _refusal(self, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"www-authenticate": "Bearer"}, b"who are you?"
        version = headers.get("mcp-protocol-version")
        if self._era == "legacy" and version and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            return 400, {"content-type": "text/plain"}, b"unsupported protocol version"
        return None


class JsonServer(_Listener):
    """Answers every HTTP request with what `respond(method, headers, body)` returns: status, headers, body.

    `respond` gets the request's body as parsed JSON ({} where there is none); a dict as the response's body is sent
    as JSON, several pieces of bytes one after the other.
    """

    path = "/mcp"

    def __init__(
        self,
        respond: Callable[[str, dict[str, str], dict[str, Any]], tuple[int, dict[str, str], bytes | dict[str, Any]]],
        *,
        tls: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(tls=tls)
        self.bodies: list[dict[str, Any]] = []
        self._respond = respond

    def _app(self) -> Callable[..., Any]:
        async def app(scope: dict, receive: Callable, send: Callable) -> None:
            if scope["type"] != "http":
                return
            raw, _ = await _read_ahead(receive)
            body = json.loads(raw) if raw else {}
            self.bodies.append(body)
            headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
            status, extra, content = self._respond(scope["method"], headers, body)
            if isinstance(content, dict):
                extra, content = {"content-type": "application/json", **extra}, json.dumps(content).encode()
            await _answer(send, status, extra, content)

        return app


def scripted(
    *,
    pages: list[list[dict[str, Any]]] | None = None,
    cursors: list[str | None] | None = None,
    call: Callable[[dict[str, Any]], dict[str, Any]] = lambda params: {"content": []},
) -> Callable[[str, dict[str, str], dict[str, Any]], tuple[int, dict[str, str], bytes | dict[str, Any]]]:
    """What a `JsonServer` needs to be a small MCP server that lies as its test wants.

    The n-th `tools/list` is answered with the n-th of `pages` and `cursors` (the last ones are repeated); `call` makes
    the result of a `tools/call` from its parameters.
    """
    listings = 0

    def result_of(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        nonlocal listings
        if method == "initialize":
            return {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "scripted", "version": "1"},
            }
        if method == "tools/list":
            at, listings = listings, listings + 1
            page = (pages or [[]])[min(at, len(pages or [[]]) - 1)]
            cursor = (cursors or [None])[min(at, len(cursors or [None]) - 1)]
            return {"tools": page} if cursor is None else {"tools": page, "nextCursor": cursor}
        return call(params) if method == "tools/call" else None

    def respond(verb: str, headers: dict[str, str], body: dict[str, Any]):
        if verb != "POST":
            return 405, {}, b""
        if "id" not in body:
            return 202, {}, b""
        result = result_of(body["method"], body.get("params", {}))
        if result is None:
            return 200, {}, {"jsonrpc": "2.0", "id": body["id"], "error": {"code": -32601, "message": "unknown method"}}
        return 200, {}, {"jsonrpc": "2.0", "id": body["id"], "result": result}

    return respond


def open_tasks() -> set[asyncio.Task]:
    """The loop's tasks without the current one, and without the interpreter's own, which finish iterators that were
    left in the middle as soon as the garbage collector sees them."""
    return {
        task for task in asyncio.all_tasks() - {asyncio.current_task()}
        if type(task.get_coro()).__name__ != "async_generator_athrow"
    }


def self_signed(folder: Path, host: str) -> tuple[str, str]:
    """A certificate for `host` and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(encoding))
    files[1].write_bytes(key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))
    return str(files[0]), str(files[1])


async def _read_ahead(receive: Callable) -> tuple[bytes, Callable]:
    """The whole request body, and a `receive` that gives it once more."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> dict[str, Any]:
        return pending.pop() if pending else await receive()

    return body, again


async def _answer(send: Callable, status: int, headers: dict[str, str], body: bytes | Iterable[bytes]) -> None:
    encoded = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    for piece in [body] if isinstance(body, bytes) else body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


class McpStdioServer:
    """How to start this file as a stdio server; the child writes its pid and its calls to `journal`."""

    command = sys.executable

    def __init__(self, journal: Path) -> None:
        self.args = (str(Path(__file__).resolve()), str(journal))
        self._journal = journal

    @property
    def lines(self) -> list[dict[str, Any]]:
        if not self._journal.exists():
            return []
        return [json.loads(line) for line in self._journal.read_text().splitlines()]

    @property
    def pids(self) -> list[int]:
        """The processes that were started, in order."""
        return [line["pid"] for line in self.lines if "pid" in line]

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        return [(line["call"], line["arguments"]) for line in self.lines if "call" in line]

    def wait_for_cancel(self, name: str) -> None:
        """Block until a held call of `name` was cancelled by its client."""
        end = time.monotonic() + PATIENCE_SECONDS
        while {"cancelled": name} not in self.lines:
            if time.monotonic() > end:
                raise AssertionError(f"Nobody has cancelled {name}; what happened: {self.lines}")
            time.sleep(0.01)  # another process writes it


@contextmanager
def stdio_server():
    """An `McpStdioServer` with a journal that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield McpStdioServer(Path(folder) / "journal.jsonl")


class _FileLog(ToolLog):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._write({"pid": os.getpid(), "environment": sorted(os.environ)})

    def called(self, name: str, **arguments: Any) -> None:
        super().called(name, **arguments)
        self._write({"call": name, "arguments": arguments})

    async def hold(self, name: str) -> None:
        try:
            await super().hold(name)
        except asyncio.CancelledError:
            self._write({"cancelled": name})
            raise

    def _write(self, line: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def main() -> None:
    log = _FileLog(Path(sys.argv[1]))
    server = build_server(log)

    @server.tool()
    def die() -> str:
        """End this process without an answer."""
        log.called("die")
        os._exit(3)

    server.run("stdio")


if __name__ == "__main__":
    main()
