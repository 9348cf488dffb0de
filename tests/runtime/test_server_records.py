"""What a host writes down of its MCP servers and when, with a database and sessions that a test can hold."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from odoo.addons.ai_discuss.runtime import servers
from odoo.addons.ai_discuss.runtime.servers import ServerRecords
from odoo.addons.ai_discuss.services.mcp_port import McpUnreachable
from odoo.addons.ai_discuss.services.specs import ServerSpec

FIRST = ServerSpec(id=1, name="first", transport="streamable_http", url="http://127.0.0.1:1/mcp")
SECOND = ServerSpec(id=2, name="second", transport="streamable_http", url="http://127.0.0.1:2/mcp")


class HeldDatabase:
    """Keeps what it is asked to do instead of doing it; `gate` holds it."""

    def __init__(self):
        self.done = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.problem = None

    async def transact(self, work):
        await self.gate.wait()
        if problem := self.problem:
            self.problem = None
            raise problem
        kind, values = work.func.__name__, work.keywords
        if kind == "_lister":
            return values["spec"]
        told = values.get("news")
        self.done.append((told.server.id, told.failures) if told else (values["spec"].id, "took over"))
        return None


class HeldSessions:
    """Counts the listings of each server, and holds those of the servers in `gates`."""

    def __init__(self):
        self.listed = []
        self.gates = {}

    async def list_tools(self, server):
        self.listed.append(server.id)
        if gate := self.gates.get(server.id):
            await gate.wait()
        return []


@asynccontextmanager
async def keeping(records, sessions):
    task = asyncio.create_task(records.keep(sessions))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def until(condition):
    """Let everybody else work until it is so; nothing here waits for anything outside of this loop."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("It does not become so.")


def played(test, monkeypatch, pause=0):
    monkeypatch.setattr(servers, "SYNC_PAUSE_S", pause)

    async def main():
        database, sessions = HeldDatabase(), HeldSessions()
        records = ServerRecords(database)
        async with keeping(records, sessions):
            await test(records, database, sessions)

    asyncio.run(main())


def test_news_never_wait_for_the_database_and_only_the_newest_is_written(monkeypatch):
    async def test(records, database, sessions):
        database.gate.clear()
        records.server_failed(SECOND, "Down.", 1, 1.0)
        await asyncio.sleep(0)  # it is being written
        for failures in range(1, 1001):
            records.server_failed(FIRST, "Down.", failures, 1.0)
        database.gate.set()
        await until(lambda: len(database.done) == 2)
        assert database.done == [(2, 1), (1, 1000)]

    played(test, monkeypatch)


def test_what_cannot_be_written_is_lost_and_the_next_is_written(monkeypatch):
    async def test(records, database, sessions):
        database.problem = RuntimeError("The disk is full.")
        records.server_failed(FIRST, "Down.", 1, 1.0)
        await until(lambda: database.problem is None)
        records.server_failed(FIRST, "Down.", 2, 1.0)
        await until(lambda: database.done)
        assert database.done == [(1, 2)]

    played(test, monkeypatch)


def test_q38_a_server_that_announces_new_tools_again_and_again_is_listed_once_at_a_time(monkeypatch):
    async def test(records, database, sessions):
        gate = sessions.gates[1] = asyncio.Event()
        records.tools_changed(FIRST)
        await until(lambda: sessions.listed == [1])
        for _ in range(100):
            records.tools_changed(FIRST)
        gate.set()
        await until(lambda: database.done == [(1, "took over")] * 2)
        assert sessions.listed == [1, 1]

    played(test, monkeypatch)


def test_q38_between_two_listings_of_a_server_there_is_a_pause(monkeypatch):
    async def test(records, database, sessions):
        for _ in range(2):
            records.tools_changed(FIRST)
            await until(lambda: database.done == [(1, "took over")])
        assert sessions.listed == [1]

    played(test, monkeypatch, pause=60)


def test_a_server_that_does_not_list_its_tools_holds_up_nothing_else(monkeypatch):
    async def test(records, database, sessions):
        sessions.gates[1] = asyncio.Event()
        records.tools_changed(FIRST)
        await until(lambda: sessions.listed == [1])
        records.tools_changed(SECOND)
        records.server_failed(FIRST, "Down.", 3, 1.0)
        await until(lambda: len(database.done) == 2)
        assert set(database.done) == {(2, "took over"), (1, 3)}

    played(test, monkeypatch)


@pytest.mark.parametrize("problem", [McpUnreachable("It went away."), RuntimeError("Nobody thought of this.")])
def test_tools_that_cannot_be_listed_stay_as_they_are_and_news_go_on(monkeypatch, problem):
    async def test(records, database, sessions):
        async def refuse(server):
            sessions.listed.append(server.id)
            raise problem

        sessions.list_tools = refuse
        records.tools_changed(FIRST)
        await until(lambda: sessions.listed == [1] and not records._synchronising)
        records.server_failed(FIRST, "Down.", 1, 1.0)
        await until(lambda: database.done)
        assert database.done == [(1, 1)]

    played(test, monkeypatch)
