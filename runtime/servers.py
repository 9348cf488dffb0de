"""How MCP servers are doing, as a host's runs experience it, written into their records.

The pool tells its news in the loop and goes on at once. Only the newest of each server is kept, and it is written in
short transactions, so that neither a storm of news nor a slow database holds a run up. Not a policy: what is written
here keeps no run from using a server; that is the pool's.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from odoo.exceptions import AccessError

from ..services.mcp_pool import McpPool
from ..services.mcp_port import CREDENTIALS_REJECTED, McpTool, McpUnreachable
from ..services.specs import ServerSpec
from .database import Database

SYNC_PAUSE_S = 5.0  # between two synchronisations of a server, however often it announces a new list

_logger = logging.getLogger(__name__)


class ServerRecords:
    """The records of one database's servers, for a host's pool (`mcp_port.McpWatch`)."""

    def __init__(self, database: Database):
        self._database = database
        self._news: dict[tuple[int, int], _News] = {}  # by server and whose account
        self._changed: dict[int, ServerSpec] = {}  # who announced a new list
        self._synchronising: set[int] = set()
        self._arrived = asyncio.Event()

    def server_failed(self, server: ServerSpec, problem: str, failures: int, pause: float) -> None:
        self._hear(_News(server, problem, failures, _after(pause) if pause else False))

    def server_answered(self, server: ServerSpec) -> None:
        self._hear(_News(server))

    def tools_changed(self, server: ServerSpec) -> None:
        self._changed[server.id] = server
        self._arrived.set()

    async def keep(self, pool: McpPool) -> None:
        """Write down what is told, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                for server_id in self._changed.keys() - self._synchronising:
                    self._synchronising.add(server_id)
                    group.create_task(self._synchronise(server_id, pool))
                while self._news:
                    _key, news = self._news.popitem()
                    await self._transact(partial(_record, news=news))

    def _hear(self, news: "_News") -> None:
        self._news[news.server.id, news.server.user_id] = news
        self._arrived.set()

    async def _synchronise(self, server_id: int, pool: McpPool) -> None:
        """Take over what the server offers now, and again as long as it announces something else."""
        while server := self._changed.pop(server_id, None):
            if lister := await self._transact(partial(_lister, spec=server)):
                await self._take_over(lister, pool)
            await asyncio.sleep(SYNC_PAUSE_S)
        self._synchronising.discard(server_id)

    async def _take_over(self, server: ServerSpec, pool: McpPool) -> None:
        try:
            found = await pool.list_tools(server)
        except McpUnreachable as problem:
            _logger.info("The new tools of MCP server %s cannot be listed: %s", server.id, problem)
        except Exception:
            _logger.warning("The new tools of MCP server %s cannot be listed", server.id, exc_info=True)
        else:
            await self._transact(partial(_take_over, spec=server, found=found))

    async def _transact(self, work: Callable[[Any], Any]) -> Any:
        """`work` in a transaction. News that cannot be written are lost: the next ones are as good."""
        try:
            return await self._database.transact(work)
        except Exception:
            _logger.warning("What is new of an MCP server could not be stored", exc_info=True)
            return None


@dataclass(frozen=True, slots=True)
class _News:
    """How a server is doing since when it is told; without a problem it answers."""

    server: ServerSpec
    problem: str = ""
    failures: int = 0
    retry_at: datetime | bool = False  # as Odoo writes "none"

    @property
    def is_about_a_person(self) -> bool:
        """Whether the server is well, and has only turned a person's own credentials down."""
        return bool(self.server.user_id) and self.problem.startswith(CREDENTIALS_REJECTED)


def _after(seconds: float) -> datetime:
    """The moment in so many seconds as Odoo stores it, rounded up: nobody tries before it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(tzinfo=None, microsecond=0)


def _record(env, news: _News) -> None:
    server = _current(env, news.server)
    if not server:
        return
    if news.server.user_id and (news.is_about_a_person or not news.problem):
        server._credential_of(_user(env, news.server))._record(news.problem)
    if not news.problem:
        server._record_answer()
    elif not news.is_about_a_person:
        server._record_failure(news.problem, news.failures, news.retry_at)


def _lister(env, spec: ServerSpec) -> ServerSpec | None:
    """As whom a server's tools are listed for everybody: as somebody who might press the button, or as the server's
    own account, where it has one."""
    server = _current(env, spec)
    if not server or not spec.user_id or server.with_user(spec.user_id).has_access("write"):
        return spec if server else None
    own = server._spec(None)
    return own if own.headers else None


def _take_over(env, spec: ServerSpec, found: Sequence[McpTool]) -> None:
    if server := _current(env, spec):
        server._take_over(found)


def _current(env, spec: ServerSpec):
    """The record of the server; none where another address or account has been entered since, or nobody has connected
    it yet: what an old run tells is not about that."""
    server = env["mcp.server"].browse(spec.id).exists()
    if not server or server.state == "draft":
        return server.browse()
    try:
        now = server._spec(_user(env, spec))
    except AccessError:
        return server.browse()
    return server if _identity(now) == _identity(spec) else server.browse()


def _identity(spec: ServerSpec) -> tuple[Any, ...]:
    return spec.transport, spec.url, spec.command, spec.args, spec.headers


def _user(env, spec: ServerSpec):
    return env["res.users"].browse(spec.user_id) if spec.user_id else None
