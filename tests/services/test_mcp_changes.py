"""What the pool notices of servers while it uses them: over real connections, that they fail and that they change."""

import asyncio
import json

import psutil
import pytest

from services import mcp_pool
from services.mcp_pool import McpUnreachable
from tests.fakes.mcp_pools import (
    TRANSPORTS,
    Clock,
    Watch,
    call,
    call_held,
    happened,
    let_begin,
    open_pool,
    process_gone,
    serve,
    spec_of,
)
from tests.fakes.mcp_servers import JsonServer, McpHttpServer, scripted, stdio_server


@pytest.fixture
def clock(monkeypatch):
    """The time by which the pool leaves servers alone."""
    clock = Clock()
    monkeypatch.setattr(mcp_pool, "_now", clock)
    return clock


async def never_answered(pool, spec, clock):
    """A call that gets no answer in its time."""
    clock.now += 1
    calling = asyncio.create_task(call(pool, spec, "slow"))
    await asyncio.wait([calling], timeout=0)
    clock.now += 1
    return (await calling).text


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_q38_a_change_of_the_tools_is_told_and_calls_go_by_the_new_listing(kind):
    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            spec = spec_of(server)
            assert (await call(pool, spec, "add", {"a": 1, "b": 2})).text == "3"
            if kind == "modern":
                await happened(server.wait_for_method, "subscriptions/listen")
            await call(pool, spec, "change")
            await watch.hears("changed")
            assert (await call(pool, spec, "add", {"a": 1, "b": 2})).text == "3 in all"  # no integer any more
            assert (await call(pool, spec, "subtract", {"a": 1, "b": 2})).text == "-1"
            assert "subtract" in {tool.name for tool in await pool.list_tools(spec)}
        assert watch.told == [("answered",), ("changed",)]

    with serve(kind) as server:
        asyncio.run(run(server))


def test_q38_a_change_that_was_announced_while_nobody_could_hear_it_is_told(monkeypatch):
    monkeypatch.setattr("services.mcp_session.LISTEN_PAUSE_SECONDS", 0)

    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            await pool.connect(spec_of(server))
            await happened(server.wait_for_method, "subscriptions/listen")
            server.drop_connections()
            await watch.hears("changed")
            assert server.methods.count("server/discover") == 1  # the session is the same

    with McpHttpServer() as server:
        asyncio.run(run(server))


def test_q38_a_server_that_announces_a_change_with_each_listing_is_not_listed_without_end():
    answer = scripted(pages=[[{"name": "any", "inputSchema": {"type": "object"}}]])
    change = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}

    def respond(verb, headers, body):
        status, extra, content = answer(verb, headers, body)
        if body.get("method") != "tools/list":
            return status, extra, content
        events = "".join(f"event: message\ndata: {json.dumps(message)}\n\n" for message in (change, content))
        return 200, {"content-type": "text/event-stream"}, events.encode()

    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            for _ in range(10):
                await call(pool, spec_of(server), "any")
            await watch.hears("changed")
        assert [body.get("method") for body in server.bodies].count("tools/list") == 2

    with JsonServer(respond) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", ["modern", "legacy", "sse"])
def test_q33_a_server_that_dies_is_told_and_told_to_be_back(kind, clock):
    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            spec = spec_of(server)
            calling = await call_held(pool, spec)
            clock.now += 1
            server.stop()
            assert "may or may not have been executed" in (await calling).text
            assert "nothing is listening" in (await call(pool, spec, "add", {"a": 1, "b": 2})).text
            server.start()
            assert "nothing is listening" in (await call(pool, spec, "add", {"a": 1, "b": 2})).text  # nobody has tried
            clock.now += 60
            assert (await call(pool, spec, "add", {"a": 1, "b": 2})).text == "3"
        assert watch.told == [("answered",), ("failed", 1, 0), ("failed", 2, 2), ("answered",)]

    with serve(kind) as server:
        asyncio.run(run(server))


def test_q33_a_server_whose_calls_get_no_answer_is_left_alone_and_then_tried_with_one(clock):
    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            spec = spec_of(server, timeout=0.3)
            for _ in range(3):
                assert "did not answer within 0.3 seconds" in await never_answered(pool, spec, clock)
            with pytest.raises(McpUnreachable, match="A call was not answered in time"):
                await pool.connect(spec)
            output = await call(pool, spec, "add", {"a": 1, "b": 2})
            assert output.text == "The tool was not called. A call was not answered in time."
            assert "add" not in [name for name, _ in server.calls]
            clock.now += 60
            await pool.connect(spec)
            assert (await call(pool, spec, "add", {"a": 1, "b": 2})).text == "3"
        assert watch.told == [("answered",), ("failed", 1, 0), ("failed", 2, 0), ("failed", 3, 5), ("answered",)]

    with McpHttpServer() as server:
        asyncio.run(run(server))


def test_q33_what_a_tool_answers_is_never_a_failure_of_its_server():
    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            for _ in range(5):
                await call(pool, spec_of(server), "fail", {"message": "out of paper"})
                await call(pool, spec_of(server), "no_such_tool")
        assert watch.told == [("answered",)]

    with McpHttpServer() as server:
        asyncio.run(run(server))


def test_q39_a_command_that_hangs_is_replaced_by_a_new_one(clock):
    async def run(server):
        async with open_pool() as pool:
            spec = spec_of(server, timeout=0.3)
            await pool.connect(spec)
            psutil.Process(server.pids[0]).suspend()
            for _ in range(3):
                assert "did not answer" in await never_answered(pool, spec, clock)
            clock.now += 60
            assert (await call(pool, spec, "add", {"a": 1, "b": 2})).text == "3"
            assert len(server.pids) == 2
        assert all(process_gone(pid) for pid in server.pids)

    with stdio_server() as server:
        asyncio.run(run(server))


def test_q33_a_refusal_of_somebodys_own_credentials_names_whose_they_are():
    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            ann = spec_of(server, headers=(("Authorization", "Bearer old"),), user_id=7)
            bob = spec_of(server, headers=(("Authorization", "Bearer good"),), user_id=8)
            await pool.connect(bob)
            with pytest.raises(McpUnreachable, match="rejected the credentials"):
                await pool.connect(ann)
            assert watch.told == [("answered",), ("failed", 1, 1)]
            assert (watch.server.user_id, watch.problem) == (7, "The server rejected the credentials (HTTP 401).")
            await pool.connect(bob)  # whose breaker is another one

    with McpHttpServer(token="good") as server:
        asyncio.run(run(server))


def test_q40_a_pool_that_is_closed_while_it_connects_tells_nobody_that_a_server_failed():
    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            connecting = asyncio.create_task(pool.connect(spec_of(server)))
            await let_begin(connecting)
            await pool.aclose()
            with pytest.raises(McpUnreachable, match="about to stop"):
                await connecting
        assert watch.told == []

    with McpHttpServer() as server:
        asyncio.run(run(server))


def test_q40_a_pool_that_is_closed_tells_nobody_that_servers_failed():
    async def run(server):
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            calling = await call_held(pool, spec_of(server))
            await pool.aclose()
            await calling
        assert watch.told == [("answered",)]

    with McpHttpServer() as server:
        asyncio.run(run(server))
