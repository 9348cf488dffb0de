"""A TCP proxy in front of Odoo, for tests: it cuts connections exactly when the test says so, as bad networks do.

It changes no byte of what it lets through. Connections are told apart by the address that was last asked for on them:

    with CuttingProxy(live.port) as proxy:
        …                                          # a browser opens proxy.url
        proxy.cut_inside("/api/ai/stream/", "moon")  # the next stream ends in the middle of that word
        proxy.lose_network()                       # every connection is cut, and none can be made …
        proxy.find_network()                       # … until now
"""

import asyncio
import contextlib
import re
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Self

PATIENCE = 10.0  # seconds a waiting method gives the other side before the test fails
REQUEST_HEAD = re.compile(rb"^[A-Z]+ (?P<path>\S+) HTTP/1\.[01]\r\n")
MOST_BYTES = 65_536  # read at once


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a request, as it came over the wire."""

    path: str
    headers: dict[str, str]  # names in lower case


@dataclass(eq=False, slots=True)
class _Connection:
    """Both sides of a connection, and what was last asked for on it."""

    browser: asyncio.StreamWriter
    odoo: asyncio.StreamWriter
    task: asyncio.Task
    path: str = ""

    def cut(self) -> None:
        for side in (self.browser, self.odoo):
            side.transport.abort()


@dataclass(eq=False, slots=True)
class _Trap:
    """Where the next connection for `path` is cut: in the middle of `needle`."""

    path: str
    needle: bytes
    sprung: Future = field(default_factory=Future)


class CuttingProxy:
    """The proxy; a context manager. It lives in a thread with a loop of its own."""

    def __init__(self, port: int) -> None:
        self.requests: list[Head] = []
        self._target = port
        self._connections: set[_Connection] = set()
        self._traps: list[_Trap] = []
        self._is_down = False
        self._ready: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._ready.result(PATIENCE)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(PATIENCE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked_for(self, path: str) -> list[Head]:
        """The requests so far whose address begins with `path`."""
        return [head for head in self.requests if head.path.startswith(path)]

    def cut(self, path: str = "/") -> int:
        """Cut the connections on which an address was last asked for that begins with `path`; how many they were."""
        return self._in_loop(lambda: self._cut(path))

    def cut_inside(self, path: str, needle: str) -> Future:
        """Cut the next connection of `path` on which Odoo sends `needle`, after half of it; done when it has been."""
        trap = _Trap(path, needle.encode())
        self._in_loop(lambda: self._traps.append(trap))
        return trap.sprung

    def lose_network(self) -> None:
        """Cut every connection, and refuse new ones."""
        self._is_down = True
        self.cut()

    def find_network(self) -> None:
        """Take connections again."""
        self._is_down = False

    def _in_loop(self, do):
        async def call():
            return do()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(PATIENCE)

    def _cut(self, path: str) -> int:
        found = [connection for connection in self._connections if connection.path.startswith(path)]
        for connection in found:
            connection.cut()
        return len(found)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self._ready.set_result(server.sockets[0].getsockname()[1])
        await self._stopped.wait()
        server.close()
        tasks = [connection.task for connection in self._connections]
        self._cut("")
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, from_browser: asyncio.StreamReader, browser: asyncio.StreamWriter) -> None:
        if self._is_down:
            browser.transport.abort()
            return
        from_odoo, odoo = await asyncio.open_connection("127.0.0.1", self._target)
        connection = _Connection(browser, odoo, asyncio.current_task())
        self._connections.add(connection)
        try:
            await asyncio.gather(self._up(from_browser, connection), self._down(from_odoo, connection))
        finally:
            connection.cut()
            self._connections.discard(connection)

    async def _up(self, source: asyncio.StreamReader, connection: _Connection) -> None:
        """What the browser sends. It sends no request before the last one is answered."""
        with contextlib.suppress(ConnectionError):
            while data := await source.read(MOST_BYTES):
                if match := REQUEST_HEAD.match(data):
                    connection.path = match["path"].decode()
                    self.requests.append(_head(data))
                connection.odoo.write(data)
                await connection.odoo.drain()
            connection.odoo.close()

    async def _down(self, source: asyncio.StreamReader, connection: _Connection) -> None:
        """What Odoo sends, up to a trap."""
        seen = b""  # the end of what was sent, where a needle may have begun
        with contextlib.suppress(ConnectionError):
            while data := await source.read(MOST_BYTES):
                trap, half = self._find_trap(connection, seen, data)
                connection.browser.write(data if trap is None else data[:half])
                await connection.browser.drain()
                if trap:
                    self._traps.remove(trap)
                    connection.browser.close()  # what was written still leaves
                    connection.odoo.transport.abort()
                    trap.sprung.set_result(None)
                    return
                seen = (seen + data)[-MOST_BYTES:]
            connection.browser.close()

    def _find_trap(self, connection: _Connection, seen: bytes, data: bytes) -> tuple[_Trap | None, int]:
        """The trap that is sprung by `data`, and how much of it still gets through."""
        for trap in self._traps:
            if connection.path.startswith(trap.path):
                start = max(len(seen) - len(trap.needle) + 1, 0)
                place = (seen + data).find(trap.needle, start)
                if place >= 0:
                    return trap, max(place + len(trap.needle) // 2 - len(seen), 0)
        return None, 0


def _head(data: bytes) -> Head:
    request_line, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return Head(request_line.split(" ")[1], {name.strip().lower(): value.strip() for name, _, value in fields})
