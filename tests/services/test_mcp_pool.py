"""The session pool against real servers over all three transports."""

import asyncio
import json
import os
import sys
from dataclasses import replace

import psutil
import pytest

from services import mcp_pool, mcp_session
from services.mcp_pool import McpPool, McpUnreachable, probe
from services.specs import ServerSpec
from tests.fakes.mcp_pools import (
    TRANSPORTS,
    call,
    call_held,
    happened,
    ignore_progress,
    let_begin,
    open_pool,
    process_gone,
    serve,
    spec_of,
)
from tests.fakes.mcp_servers import PATIENCE_SECONDS, JsonServer, McpHttpServer, open_tasks, scripted, stdio_server


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_a_tool_is_called_over_every_transport(kind):
    async def run(server):
        async with open_pool() as pool:
            output = await call(pool, spec_of(server), "add", {"a": 2, "b": 3})
            assert (output.text, output.is_error) == ("5", False)
            assert server.calls == [("add", {"a": 2, "b": 3})]

    with serve(kind) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_q33_a_failing_tool_and_an_unknown_tool_are_results(kind):
    async def run(server):
        async with open_pool() as pool:
            failed = await call(pool, spec_of(server), "fail", {"message": "out of paper"})
            assert failed.is_error
            assert "out of paper" in failed.text
            unknown = await call(pool, spec_of(server), "no_such_tool")
            assert unknown.is_error
            assert "no_such_tool" in unknown.text

    with serve(kind) as server:
        asyncio.run(run(server))


def test_a_published_server_from_pypi_tells_the_time():
    async def run():
        spec = ServerSpec(1, "time", "stdio", command=sys.executable, args=("-m", "mcp_server_time"))
        async with open_pool() as pool:
            assert {tool.name for tool in await pool.list_tools(spec)} >= {"get_current_time", "convert_time"}
            output = await call(pool, spec, "get_current_time", {"timezone": "Asia/Tokyo"})
            assert not output.is_error
            assert "+09:00" in output.text

    asyncio.run(run())


def test_a_warm_call_costs_one_request_and_nothing_else():
    async def run(server):
        async with open_pool() as pool:
            await pool.connect(spec_of(server))
            await happened(server.wait_for_method, "subscriptions/listen")  # once, for changes of its tools
            before = len(server.requests)
            await pool.connect(spec_of(server))
            for _ in range(5):
                await call(pool, spec_of(server), "add", {"a": 1, "b": 1})
            assert server.methods[before:] == ["HEAD", *["tools/call"] * 5]

    with McpHttpServer() as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_concurrent_calls_share_one_session(kind):
    async def run(server):
        async with open_pool() as pool:
            outputs = await asyncio.gather(*(call(pool, spec_of(server), "add", {"a": n, "b": 0}) for n in range(20)))
            assert [output.text for output in outputs] == [str(n) for n in range(20)]

    with serve(kind) as server:
        asyncio.run(run(server))
        if kind == "stdio":
            assert len(server.pids) == 1
        else:
            assert server.methods.count("server/discover") == 1


def test_a_slow_call_does_not_hold_up_a_quick_one():
    async def run(server):
        async with open_pool() as pool:
            slow = asyncio.create_task(call(pool, spec_of(server), "slow", {"text": "late"}))
            await happened(server.wait_for_call, "slow")
            assert (await call(pool, spec_of(server), "echo", {"text": "now"})).text == "now"
            server.release()
            assert (await slow).text == "late"

    with McpHttpServer() as server:
        asyncio.run(run(server))


def test_the_owner_and_those_with_whom_a_server_is_shared_share_a_session_and_its_failures():
    async def run(server):
        async with open_pool() as pool:
            own = spec_of(server)
            for spec in (own, replace(own, name="workshop (of Ann)")):
                await call(pool, spec, "echo", {"text": "hi"})
        assert server.methods.count("initialize") == 1

    with McpHttpServer(era="legacy") as server:
        asyncio.run(run(server))


def test_sessions_are_never_shared_between_identities():
    async def run(server):
        ann = spec_of(server, headers=(("Authorization", "Bearer ann"),))
        bob = spec_of(server, headers=(("Authorization", "Bearer bob"),))
        async with open_pool() as pool:
            for who in (ann, bob, ann):
                await call(pool, who, "whoami")
        called_as = [
            headers["authorization"]
            for headers, method in zip(server.headers, server.methods, strict=True) if method == "tools/call"
        ]
        assert called_as == ["Bearer ann", "Bearer bob", "Bearer ann"]
        sessions = {
            (headers["authorization"], headers["mcp-session-id"])
            for headers in server.headers if "mcp-session-id" in headers
        }
        assert len(sessions) == len({identity for identity, _ in sessions}) == 2

    with McpHttpServer(era="legacy") as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_q35_a_tool_that_never_answers_is_cancelled_and_the_result_says_so(kind):
    async def run(server):
        async with open_pool() as pool:
            spec = spec_of(server, timeout=0.5)
            output = await call(pool, spec, "slow")
            assert output.is_error
            assert "did not answer within 0.5 seconds" in output.text
            await happened(server.wait_for_cancel, "slow")
            assert (await call(pool, spec, "echo", {"text": "still here"})).text == "still here"

    with serve(kind) as server:
        asyncio.run(run(server))


def test_q35_cancelling_follows_the_protocol_of_the_session():
    async def run(server):
        async with open_pool() as pool:
            await call(pool, spec_of(server, timeout=0.5), "slow")
            await happened(server.wait_for_cancel, "slow")

    with McpHttpServer(era="legacy") as legacy, McpHttpServer() as modern:
        asyncio.run(run(legacy))
        asyncio.run(run(modern))
        assert "notifications/cancelled" in legacy.methods
        assert "notifications/cancelled" not in modern.methods  # the request was closed instead


@pytest.mark.parametrize("kind", ["modern", "legacy", "sse"])
def test_q35_progress_is_reported_and_keeps_a_tool_alive(kind):
    async def run(server):
        reports = []

        def report(*progress):
            reports.append(progress)
            asyncio.get_running_loop().call_later(0.7, server.release)

        async with open_pool() as pool:  # three pauses of 0.7 s are more than the timeout, each of them is less
            output = await call(pool, spec_of(server, timeout=1.5), "steps", {"count": 3}, report=report)
            assert output.text == "all steps"
            assert reports == [(1.0, 3.0, "step 1"), (2.0, 3.0, "step 2"), (3.0, 3.0, "step 3")]

    with serve(kind) as server:
        asyncio.run(run(server))


def test_q35_what_a_tool_says_of_a_step_is_a_line():
    async def run(server):
        said = []
        async with open_pool() as pool:
            await call(pool, spec_of(server), "talk", {"chars": 1_000_000}, report=lambda *step: said.append(step))
        assert said == [(1, None, "x" * mcp_session.PROGRESS_MAX_CHARS)]

    with McpHttpServer() as server:
        asyncio.run(run(server))


def test_q35_a_tool_that_only_reports_progress_ends_at_the_hard_limit():
    async def run(server):
        def report(*progress):
            asyncio.get_running_loop().call_later(0.1, server.release)

        async with open_pool() as pool:
            spec = spec_of(server, timeout=1.0, max_timeout=2.0)
            output = await call(pool, spec, "steps", {"count": 100}, report=report)
            assert output.is_error
            assert "did not answer within 2 seconds" in output.text


def test_q35_a_tool_may_have_a_deadline_of_its_own():
    async def run(server):
        async with open_pool() as pool:
            spec = spec_of(server, timeout=0.2, max_timeout=0.2)
            output = await pool.call(spec, "slow", {}, ignore_progress, seconds=0.5)
            assert "did not answer within 0.5 seconds" in output.text

    with McpHttpServer() as server:
        asyncio.run(run(server))

    with McpHttpServer() as server:
        asyncio.run(run(server))


def test_q32_a_lost_session_is_opened_again_and_a_refused_call_is_repeated():
    async def run(server):
        async with open_pool() as pool:
            await pool.connect(spec_of(server))
            server.stop()
            server.start()  # the same port, but no session is known any more: 404
            output = await call(pool, spec_of(server), "note", {"text": "once"})
            assert output.text == "Noted."
            assert server.calls == [("note", {"text": "once"})]
            assert server.methods.count("initialize") == 2

    with McpHttpServer(era="legacy") as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", ["modern", "legacy", "sse"])
def test_q39_credentials_that_are_revoked_are_said_to_be_rejected(kind):
    async def run(server):
        async with open_pool() as pool:
            await pool.connect(spec_of(server))
            server.token = "another"
            output = await call(pool, spec_of(server), "note", {"text": "?"})
            assert output.text == "The tool was not called. The server rejected the credentials (HTTP 401)."
            assert server.calls == []

    with serve(kind) as server:
        asyncio.run(run(server))


def test_q32_a_gateway_that_gave_up_may_have_let_the_call_pass():
    answer = scripted()

    def respond(verb, headers, body):
        return (504, {}, b"gateway timeout") if body.get("method") == "tools/call" else answer(verb, headers, body)

    async def run(server):
        async with open_pool() as pool:
            assert "may or may not have been executed" in (await call(pool, spec_of(server), "note")).text
        assert [body.get("method") for body in server.bodies].count("tools/call") == 1

    with JsonServer(respond) as server:
        asyncio.run(run(server))


def test_q39_a_command_that_died_in_a_pause_is_started_again_without_anybody_noticing():
    async def run(server):
        async with open_pool() as pool:
            await pool.connect(spec_of(server))
            psutil.Process(server.pids[0]).kill()
            await asyncio.wait(open_tasks())  # the session's own task ends with its server
            assert (await call(pool, spec_of(server), "note", {"text": "once"})).text == "Noted."
            assert len(server.pids) == 2

    with stdio_server() as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", ["modern", "legacy", "sse"])
def test_q32_a_call_that_may_have_been_executed_is_not_repeated(kind):
    async def run(server):
        async with open_pool() as pool:
            calling = asyncio.create_task(call(pool, spec_of(server), "slow_note", {"text": "once"}))
            await happened(server.wait_for_call, "slow_note")
            server.stop()
            output = await calling
            assert output.is_error
            assert "may or may not have been executed" in output.text
            server.start()
            assert (await call(pool, spec_of(server), "echo", {"text": "back"})).text == "back"
            assert [name for name, _ in server.calls] == ["slow_note", "echo"]

    with serve(kind) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", ["modern", "legacy", "sse"])
def test_q32_a_call_that_is_safe_is_repeated_once_on_a_new_session(kind):
    async def run(server):
        async with open_pool() as pool:
            calling = asyncio.create_task(call(pool, spec_of(server), "slow", {"text": "again"}, safe_to_repeat=True))
            await happened(server.wait_for_call, "slow")
            server.drop_connections()
            await happened(server.wait_for_call, "slow", 2)
            server.release(2)
            assert (await calling).text == "again"

    with serve(kind) as server:
        asyncio.run(run(server))


def test_q39_a_dead_server_is_said_to_be_dead_and_found_again_when_it_is_back():
    async def run(server):
        async with open_pool(pause_seconds=(0,)) as pool:
            await call(pool, spec_of(server), "echo", {"text": "hello"})
            server.stop()
            for _ in range(2):
                output = await call(pool, spec_of(server), "echo", {"text": "hello?"})
                assert output.is_error
                assert output.text == (
                    "The tool was not called. "
                    "The connection was refused: nothing is listening at the server's address."
                )
            server.start()
            assert (await call(pool, spec_of(server), "echo", {"text": "hello!"})).text == "hello!"

    with McpHttpServer() as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", ["modern", "legacy"])
def test_q39_a_server_that_died_in_a_pause_is_unreachable_before_anything_is_called(kind):
    async def run(server):
        async with open_pool(pause_seconds=(0,)) as pool:
            await pool.connect(spec_of(server))
            await pool.connect(spec_of(server))
            assert server.methods.count("tools/list") == 1  # one session, and it is kept
            server.stop()
            with pytest.raises(McpUnreachable, match="refused"):
                await pool.connect(spec_of(server))
            server.start()
            await pool.connect(spec_of(server))

    with serve(kind) as server:
        asyncio.run(run(server))


def test_q33_after_a_failure_nobody_tries_again_for_a_while():
    async def run(server):
        async with open_pool(pause_seconds=(PATIENCE_SECONDS * 10,)) as pool:
            for _ in range(3):
                with pytest.raises(McpUnreachable, match="HTTP 503"):
                    await pool.connect(spec_of(server))
            assert len([body for body in server.bodies if body["method"] == "initialize"]) == 1

    with JsonServer(lambda *request: (503, {}, b"down")) as server:
        asyncio.run(run(server))


def test_q39_a_command_that_dies_in_the_middle_of_a_call_is_started_again_for_the_next():
    async def run(server):
        async with open_pool() as pool:
            output = await call(pool, spec_of(server), "die")
            assert output.is_error
            assert "may or may not have been executed" in output.text
            assert (await call(pool, spec_of(server), "echo", {"text": "reborn"})).text == "reborn"
            assert len(server.pids) == 2

    with stdio_server() as server:
        asyncio.run(run(server))


def test_an_idle_session_is_closed_and_opened_again_when_needed():
    async def run(server):
        async with open_pool(idle_seconds=0.05) as pool:
            await call(pool, spec_of(server), "echo", {"text": "a"})
            await happened(server.wait_for_method, "DELETE")
            assert (await call(pool, spec_of(server), "echo", {"text": "b"})).text == "b"
            assert server.methods.count("initialize") == 2

    with McpHttpServer(era="legacy") as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_q40_a_cancelled_run_leaks_no_task_no_socket_and_no_process(kind):
    async def run(server):
        async with open_pool() as pool:
            calling = await call_held(pool, spec_of(server))
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            assert (await call(pool, spec_of(server), "echo", {"text": "fine"})).text == "fine"

    with serve(kind) as server:
        asyncio.run(run(server))
        if kind == "stdio":
            assert all(process_gone(pid) for pid in server.pids)
        else:
            server.wait_for_cancel("steps")
            assert not _client_sockets(server.port)


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_q40_closing_the_pool_ends_the_calls_that_are_open(kind):
    async def run(server):
        async with open_pool() as pool:
            calling = await call_held(pool, spec_of(server))
            await pool.aclose()
            assert "broke during the call" in (await calling).text
            assert "about to stop" in (await call(pool, spec_of(server), "echo", {"text": "?"})).text

    with serve(kind) as server:
        asyncio.run(run(server))
        assert kind != "stdio" or all(process_gone(pid) for pid in server.pids)


def test_q40_whoever_stops_waiting_for_a_session_does_not_stop_the_others():
    async def run(server):
        async with open_pool() as pool:
            impatient = asyncio.create_task(pool.connect(spec_of(server)))
            patient = asyncio.create_task(pool.connect(spec_of(server)))
            await let_begin(impatient, patient)
            impatient.cancel()
            await patient
            assert impatient.cancelled()
        assert server.methods.count("server/discover") == 1

    with McpHttpServer() as server:
        asyncio.run(run(server))


def test_q40_a_pool_can_be_closed_while_it_connects():
    async def run(server):
        pool = McpPool()
        connecting = asyncio.create_task(pool.connect(spec_of(server)))
        await let_begin(connecting)
        await pool.aclose()
        with pytest.raises(McpUnreachable, match="about to stop"):
            await connecting
        assert not open_tasks()

    with stdio_server() as server:
        asyncio.run(run(server))
        assert all(process_gone(pid) for pid in server.pids)


def test_a_command_sees_only_a_minimal_environment(monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")

    async def run(server):
        async with open_pool() as pool:
            await pool.connect(spec_of(server))

    with stdio_server() as server:
        asyncio.run(run(server))
        seen = set(server.lines[0]["environment"])
        assert "PATH" in seen
        assert seen < set(os.environ) | {"LC_CTYPE"}
        assert "DATABASE_PASSWORD" not in seen


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_a_probe_lists_the_tools_with_their_hints_and_leaves_nothing_open(kind):
    async def run(server):
        tools = {tool.name: tool for tool in await probe(spec_of(server))}
        assert not open_tasks()
        return tools

    with serve(kind) as server:
        tools = asyncio.run(run(server))
    assert tools["echo"].title == "Echo"
    assert tools["echo"].description == "Give the text back."
    assert tools["echo"].input_schema["required"] == ["text"]
    assert tools["echo"].read_only
    assert not tools["note"].read_only


def names(count, start=0):
    return [{"name": f"tool_{n}", "inputSchema": {"type": "object"}} for n in range(start, start + count)]


def test_q31_the_empty_string_is_a_cursor_and_a_repeated_cursor_ends_the_walk():
    async def run(server):
        return [tool.name for tool in await probe(spec_of(server))]

    # The first three answers are for the walk when the session opens: each walk starts anew.
    pages = [names(2), names(2, 2), names(1, 4)] * 2
    with JsonServer(scripted(pages=pages, cursors=["", "b", None] * 2)) as server:
        assert asyncio.run(run(server)) == [f"tool_{n}" for n in range(5)]
        cursors = [body["params"].get("cursor") for body in server.bodies if body.get("method") == "tools/list"
                   if "params" in body]
        assert cursors[-2:] == ["", "b"]
    with JsonServer(scripted(pages=[names(1)], cursors=["again"])) as server:
        assert asyncio.run(run(server)) == ["tool_0"]


def test_q31_a_listing_without_end_is_capped(monkeypatch):
    monkeypatch.setattr(mcp_session, "LISTING_MAX_PAGES", 5)

    async def run(server):
        return await probe(spec_of(server))

    pages = [names(1, page) for page in range(5)] * 2  # the first walk is the one of the session that opens
    with JsonServer(scripted(pages=pages, cursors=[str(n) for n in range(100)])) as server:
        assert len(asyncio.run(run(server))) == 5


def test_q30_one_tool_with_an_impossible_schema_does_not_cost_the_others():
    async def run(server):
        return {tool.name: tool.input_schema for tool in await probe(spec_of(server))}

    page = [
        {"name": "good", "inputSchema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"name": "untyped", "inputSchema": {"properties": {"a": {"type": "date"}}}},
        {"name": "list", "inputSchema": {"type": "array"}},
        {"name": "none"},
        {"name": "odd_output", "inputSchema": {"type": "object"}, "outputSchema": {"type": "string"}},
        {"title": "nameless"},
        "not even an object",
    ]
    with JsonServer(scripted(pages=[page])) as server:
        schemas = asyncio.run(run(server))
    assert list(schemas) == ["good", "untyped", "list", "none", "odd_output"]
    assert schemas["untyped"] == {"type": "object", "properties": {"a": {"type": "date"}}}


def test_q34_output_that_violates_its_schema_is_said_to_be_invalid_and_not_asked_for_again():
    tool = {
        "name": "measure",
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]},
    }

    async def run(server):
        async with open_pool() as pool:
            return await call(pool, spec_of(server), "measure", safe_to_repeat=True)

    answer = {"content": [{"type": "text", "text": "warm"}], "structuredContent": {"degrees": "warm"}}
    with JsonServer(scripted(pages=[[tool]], call=lambda params: answer)) as server:
        output = asyncio.run(run(server))
        assert output.is_error
        assert output.text.startswith("The tool ran, but its output is invalid")
        assert [body["method"] for body in server.bodies if "id" in body].count("tools/call") == 1


def test_q36_an_answer_beyond_every_limit_is_dropped_and_the_session_lives_on(monkeypatch):
    monkeypatch.setattr("services.mcp_wire.ANSWER_MAX_BYTES", 2_000_000)

    def answer(params):
        return {"content": [{"type": "text", "text": "x" * params["arguments"]["chars"]}]}

    async def run(server):
        async with open_pool() as pool:
            huge = await call(pool, spec_of(server), "huge", {"chars": 50_000_000}, safe_to_repeat=True)
            assert huge.is_error
            assert huge.text.startswith("The tool ran, but its answer is larger than")
            small = await call(pool, spec_of(server), "huge", {"chars": 3})
            assert small.text == "xxx"
        methods = [body["method"] for body in server.bodies if body]
        assert methods.count("tools/call") == 2
        assert methods.count("initialize") == 1

    with JsonServer(scripted(call=answer)) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("text", ["x" * 300_000, "字" * 100_000], ids=["ascii", "bytes that are cut in a character"])
def test_q36_of_an_answer_that_is_too_large_the_log_has_no_traceback(monkeypatch, caplog, text):
    monkeypatch.setattr("services.mcp_wire.ANSWER_MAX_BYTES", 100_000)
    body = json.dumps({"result": {"content": [{"type": "text", "text": text}]}}, ensure_ascii=False).encode()
    answer = scripted()

    def respond(verb, headers, request):
        if request.get("method") != "tools/call":
            return answer(verb, headers, request)
        return 200, {"content-type": "application/json"}, body

    async def run(server):
        async with open_pool() as pool:
            assert "is larger than" in (await call(pool, spec_of(server), "any")).text

    with JsonServer(respond) as server:
        asyncio.run(run(server))
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("json_response", [True, False])
@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_q36_an_answer_that_is_too_large_as_json_or_as_an_event_is_not_asked_for_again(monkeypatch, era, json_response):
    monkeypatch.setattr("services.mcp_wire.ANSWER_MAX_BYTES", 100_000)
    monkeypatch.setattr("services.mcp_session.ANSWER_MAX_BYTES", 100_000)

    async def run(server):
        async with open_pool() as pool:
            huge = await call(pool, spec_of(server), "huge", {"chars": 1_000_000}, safe_to_repeat=True)
            assert huge.text.startswith("The tool ran, but its answer is larger than")
            assert (await call(pool, spec_of(server), "echo", {"text": "still here"})).text == "still here"
        assert [name for name, _ in server.calls] == ["huge", "echo"]

    with McpHttpServer(era=era, json_response=json_response) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("garbage", [{"content": "?"}, {"content": [{"type": "hologram"}]}, {"nothing": True}])
def test_q39_garbage_in_answer_to_a_call_is_a_result(garbage):
    async def run(server):
        async with open_pool() as pool:
            output = await call(pool, spec_of(server), "any")
            assert output.is_error
            assert output.text == mcp_pool.UNREADABLE

    with JsonServer(scripted(call=lambda params: garbage)) as server:
        asyncio.run(run(server))


def test_q33_a_protocol_error_is_a_result_without_the_secret_that_it_repeats():
    answer = scripted()

    def respond(verb, headers, body):
        if body.get("method") != "tools/call":
            return answer(verb, headers, body)
        error = {"code": -32602, "message": f"no\n way, {headers['authorization']}"}
        return 200, {}, {"jsonrpc": "2.0", "id": body["id"], "error": error}

    async def run(server):
        async with open_pool() as pool:
            spec = spec_of(server, headers=(("Authorization", "Bearer sk-secret"),))
            output = await call(pool, spec, "any")
            assert (output.text, output.is_error) == ("The server rejected the call: no way, •••", True)

    with JsonServer(respond) as server:
        asyncio.run(run(server))


def test_q39_a_notification_that_is_never_answered_does_not_block_the_session(monkeypatch):
    monkeypatch.setattr("services.mcp_wire.SIDE_REQUEST_SECONDS", 0.3)

    async def run(server):
        async with open_pool() as pool:
            spec = spec_of(server, timeout=1.5)
            server.stuck = True
            assert "was cancelled" in (await call(pool, spec, "slow")).text
            assert (await call(pool, spec, "echo", {"text": "on"})).text == "on"
        assert server.methods.count("initialize") == 1

    with _StuckNotifications(era="legacy") as server:
        asyncio.run(run(server))


class _StuckNotifications(McpHttpServer):
    """Never answers the HTTP request of a cancellation."""

    stuck = False

    def _recording(self, app):
        async def choosy(scope, receive, send):
            if self.stuck and self.methods[-1:] == ["notifications/cancelled"]:
                await receive()
                await asyncio.Event().wait()
            await app(scope, receive, send)

        return super()._recording(choosy)


def _client_sockets(port):
    """This process's open connections to `port`."""
    return [
        connection for connection in psutil.Process().net_connections("tcp")
        if connection.raddr and connection.raddr.port == port and connection.status == psutil.CONN_ESTABLISHED
    ]
