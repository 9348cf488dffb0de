"""What tests of the session pool share: servers of every kind, pools that must leave nothing behind, who watches."""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import psutil

from services.mcp_pool import McpPool
from services.specs import ServerSpec
from tests.fakes.mcp_servers import PATIENCE_SECONDS, McpHttpServer, open_tasks, stdio_server

TRANSPORTS = ["modern", "legacy", "sse", "stdio"]


def ignore_progress(progress, total, message):
    pass


def spec_of(server, **options):
    if hasattr(server, "command"):
        return ServerSpec(1, "workshop", "stdio", command=server.command, args=server.args, **options)
    transport = getattr(server, "transport", "streamable_http")
    return ServerSpec(1, "workshop", transport, url=server.url, **options)


@contextmanager
def serve(kind):
    if kind == "stdio":
        with stdio_server() as server:
            yield server
    else:
        with McpHttpServer("sse") if kind == "sse" else McpHttpServer(era=kind) as server:
            yield server


@asynccontextmanager
async def open_pool(**options):
    """A pool that must not leave a task behind."""
    before = open_tasks()
    pool = McpPool(**options)
    try:
        yield pool
    finally:
        await pool.aclose()
        assert open_tasks() <= before


async def call(pool, spec, tool, arguments=None, *, report=ignore_progress, safe_to_repeat=False):
    return await pool.call(spec, tool, arguments or {}, report, safe_to_repeat=safe_to_repeat)


async def call_held(pool, spec):
    """A call that is being executed, and goes on for as long as nobody releases it."""
    executing = asyncio.Event()
    calling = asyncio.create_task(call(pool, spec, "steps", {"count": 1}, report=lambda *progress: executing.set()))
    await executing.wait()
    return calling


async def let_begin(*tasks):
    """Give `tasks` one turn of the loop."""
    await asyncio.wait(tasks, timeout=0)


async def happened(wait, *args):
    """Await what blocks until a server noticed something."""
    await asyncio.to_thread(wait, *args)


def process_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Watch:
    """An `McpWatch` that remembers what it was told."""

    def __init__(self):
        self.told = []
        self._news = asyncio.Event()

    def server_failed(self, server, problem, failures, pause):
        self._hear(("failed", failures, pause))
        self.problem = problem
        self.server = server

    def server_answered(self, server):
        self._hear(("answered",))

    def tools_changed(self, server):
        self._hear(("changed",))

    async def hears(self, *news):
        """Wait until it is told."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while news not in self.told:
                self._news.clear()
                await self._news.wait()

    def _hear(self, news):
        self.told.append(news)
        self._news.set()


class Clock:
    """A time that only a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now
