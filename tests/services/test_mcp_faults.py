"""What becomes of a call whose server is faulty: raw servers that answer anything, and commands that misbehave."""

import asyncio
import socket
from functools import partial

import pytest

from services.mcp_pool import UNREADABLE, McpUnreachable
from services.specs import ServerSpec
from tests.fakes.mcp_pools import Watch, call, let_begin, open_pool, process_gone, serve, spec_of
from tests.fakes.mcp_servers import JsonServer, McpHttpServer, scripted, stdio_server

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}
HTML = {"content-type": "text/html"}
TEXT = {"content-type": "text/plain"}
BROKE = (
    "The connection to the tool's server broke during the call. "
    "The call may or may not have been executed: find out before you repeat it."
)


def error(code, message, *, status=200):
    """An error in JSON-RPC's own form."""
    return lambda body: (status, {}, {
        "jsonrpc": "2.0", "id": body["id"], "error": {"code": code, "message": message},
    })


def result(status=200, **values):
    return lambda body: (status, {}, {"jsonrpc": "2.0", "id": body["id"], "result": values})


def answering_calls(reply, method="tools/call"):
    """A server that is well, but answers `method` with `reply`, or what it makes of the request."""
    answer = scripted(pages=[[{"name": "any", "inputSchema": {"type": "object"}}]])

    def respond(verb, headers, body):
        if body.get("method") != method:
            return answer(verb, headers, body)
        return reply(body) if callable(reply) else reply

    return JsonServer(respond)


def asked(server, method):
    return [body.get("method") for body in server.bodies].count(method)


def outcome(server, **options):
    """The text for the model, and what a watcher is told after the server answered for the first time."""

    async def run():
        watch = Watch()
        async with open_pool(watch=watch) as pool:
            output = await call(pool, spec_of(server, timeout=2.0, **options), "any")
            assert output.is_error
            return output.text, watch.told[1:]

    return asyncio.run(run())


@pytest.mark.parametrize("reply", [
    (404, TEXT, b"no such session"),
    (400, TEXT, b"no such session"),
    error(-32001, "Session not found", status=404),
    error(-32000, "Bad Request: No valid session ID provided", status=400),
    error(-32001, "Your token has expired", status=401),
    error(-32001, "Not for you", status=403),
])
def test_q32_a_session_that_is_lost_again_and_again_is_opened_once_more_and_no_further(reply):
    with answering_calls(reply) as server:
        text, _ = outcome(server)
        assert text == "The tool was not called: its server refused the request."
        assert (asked(server, "tools/call"), asked(server, "initialize")) == (2, 2)


@pytest.mark.parametrize("lost", [
    (404, TEXT, b"no such session"),
    error(-32000, "Bad Request: No valid session ID provided", status=400),
])
def test_q32_however_a_server_says_that_the_session_is_lost_the_call_is_sent_again(lost):
    async def run(server):
        async with open_pool() as pool:
            assert (await call(pool, spec_of(server), "any")).text == "done"

    replies = [lost, result(content=[{"type": "text", "text": "done"}])]

    def reply(body):
        reply = replies.pop(0)
        return reply(body) if callable(reply) else reply

    with answering_calls(reply) as server:
        asyncio.run(run(server))
        assert (asked(server, "tools/call"), asked(server, "initialize")) == (2, 2)


@pytest.mark.parametrize(("code", "status"), [
    (-32602, 200), (-32602, 400), (-32603, 500),
    (-32000, 200),  # servers use it for anything, the SDK for a connection that closed
])
def test_q33_a_protocol_error_under_any_status_is_a_result_and_the_session_is_kept(code, status):
    with answering_calls(error(code, "out of paper", status=status)) as server:
        text, told = outcome(server)
        assert (text, told) == ("The server rejected the call: out of paper", [])
        assert (asked(server, "tools/call"), asked(server, "initialize")) == (1, 1)


@pytest.mark.parametrize("reply", [
    (500, TEXT, b"boom"),
    (500, {}, {"detail": "boom"}),
    (502, {}, {"detail": "bad gateway"}),
    (503, TEXT, b"maintenance"),
    (200, EVENTS, b""),
    (200, EVENTS, b"event: message\n"),
])
def test_q33_a_failure_of_the_transport_is_a_result_that_does_not_say_whether_the_call_was_executed(reply):
    with answering_calls(reply) as server:
        assert outcome(server) == (BROKE, [("failed", 1, 0)])
        assert asked(server, "tools/call") == 1


@pytest.mark.parametrize("reply", [(429, TEXT, b"slow down"), (429, {}, {"error": "slow down"})])
def test_q33_a_server_that_is_asked_too_often_is_not_asked_at_once_again(reply):
    with answering_calls(reply) as server:
        text, _ = outcome(server)
        assert text == "The tool was not called: HTTP 429 from its server."
        assert (asked(server, "tools/call"), asked(server, "initialize")) == (1, 1)


@pytest.mark.parametrize("garbage", [
    (200, JSON, b"hello"),
    (200, JSON, b""),
    (200, JSON, b"[]"),
    (200, JSON, b'{"jsonrpc": "2.0", "id": '),
    (200, JSON, b'{"jsonrpc": "2.0", "id": 1, "result": "\xff"}'),
    (200, JSON, b'{"jsonrpc": "2.0", "id": 1, "result": {"content": ' + b"[" * 100_000),
    (200, HTML, b"<html>welcome</html>"),
    (200, {}, b"hello"),
    (202, {}, b""),
    (204, {}, b""),
    (200, EVENTS, b"data: hello\n\n"),
    result(resultType="input_required"),
])
def test_q39_garbage_in_answer_to_a_call_is_said_to_be_unreadable_and_the_session_is_kept(garbage):
    with answering_calls(garbage) as server:
        assert outcome(server) == (UNREADABLE, [])
        assert (asked(server, "tools/call"), asked(server, "initialize")) == (1, 1)


def test_q39_an_answer_to_another_question_is_no_answer():
    with answering_calls((200, {}, {"jsonrpc": "2.0", "id": 99999, "result": {"content": []}})) as server:
        text, told = outcome(server)
        assert "did not answer within 2 seconds" in text
        assert told == [("failed", 1, 0)]


def unreachable(server, **options):
    async def run():
        async with open_pool(**options) as pool:
            with pytest.raises(McpUnreachable) as caught:
                await pool.connect(spec_of(server))
            return caught.value.message

    return asyncio.run(run())


@pytest.mark.parametrize("method", ["initialize", "tools/list"])
@pytest.mark.parametrize(("reply", "sentence"), [
    ((200, JSON, b"hello"), "What answers at this URL does not answer as an MCP server."),
    ((200, EVENTS, b"data: hello\n\n"), "What answers at this URL does not answer as an MCP server."),
    ((200, {}, b"hello"), "What answers at this URL does not answer as an MCP server."),
    ((204, {}, b""), "What answers at this URL does not answer as an MCP server."),
    (result(tools="none"), "What answers at this URL does not answer as an MCP server."),
    ((200, EVENTS, b""), "The connection broke before the server had answered."),
    ((200, HTML, b"<html>"), "What answers at this URL is not an MCP server: it sent text/html."),
    ((500, TEXT, b"boom"), "The server is not available now (HTTP 500)."),
    (error(-32000, "too many clients", status=400), "The server did not accept the connection: too many clients."),
])
def test_q39_a_server_that_answers_garbage_while_it_is_connected_is_said_to_be_none(method, reply, sentence):
    with answering_calls(reply, method) as server:
        assert unreachable(server) == sentence


def test_q39_what_became_of_a_notification_does_not_explain_what_became_of_a_question():
    answer = scripted()

    def respond(verb, headers, body):
        match body.get("method"):
            case "notifications/initialized":
                return 500, {"content-encoding": "gzip"}, b""
            case "tools/list":
                return error(-32603, "out of paper")(body)
            case _:
                return answer(verb, headers, body)

    with JsonServer(respond) as server:
        assert unreachable(server) == "The server did not accept the connection: out of paper."


def test_q39_a_server_that_agrees_on_a_protocol_that_nobody_knows():
    reply = result(protocolVersion="2099-01-01", capabilities={}, serverInfo={"name": "tomorrow", "version": "1"})
    with answering_calls(reply, "initialize") as server:
        assert unreachable(server) == "The server only speaks versions of the protocol that are not known here."


def test_q39_a_server_that_does_not_connect_in_time_is_not_waited_for():
    with McpHttpServer() as server:
        server.stop()
        with socket.create_server(("127.0.0.1", server.port)):  # takes connections and nothing more
            assert unreachable(server, connect_seconds=0.3) == "The server did not answer in time."


NOISY = """
import runpy, sys
sys.stdout.buffer.write(b"Starting workshop\\n\\xff\\xfe not UTF-8\\n{}\\n\\n")
sys.stdout.flush()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

STUBBORN = """
import runpy, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    while True:
        signal.pause()
"""


def wrapped(server, script):
    """The command of `server`, with `script` around it."""
    return ServerSpec(1, "workshop", "stdio", command=server.command, args=("-c", script, *server.args), timeout=5.0)


def test_q39_a_command_that_writes_its_log_where_its_answers_belong_can_be_used():
    async def run(server):
        async with open_pool() as pool:
            assert (await call(pool, wrapped(server, NOISY), "add", {"a": 1, "b": 2})).text == "3"

    with stdio_server() as server:
        asyncio.run(run(server))


def test_q40_a_command_that_does_not_want_to_end_is_ended():
    async def run(server):
        async with open_pool() as pool:
            assert (await call(pool, wrapped(server, STUBBORN), "add", {"a": 1, "b": 2})).text == "3"
        assert all(process_gone(pid) for pid in server.pids)

    with stdio_server() as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", ["modern", "legacy", "sse"])
def test_q40_whatever_happens_to_a_server_each_call_has_one_result_and_nothing_is_left(kind):
    async def run(server):
        async with open_pool(pause_seconds=(0,)) as pool:
            adding = partial(call, pool, spec_of(server), "add")
            async with asyncio.TaskGroup() as group:
                calling = [group.create_task(adding({"a": number, "b": 0})) for number in range(60)]
                for _ in range(5):
                    await let_begin(*calling)
                    server.drop_connections()
                    await asyncio.wait(calling, return_when=asyncio.FIRST_COMPLETED)
            texts = [task.result().text for task in calling]
            assert all(text == str(number) or "executed" in text or "not called" in text
                       for number, text in enumerate(texts))
            assert (await adding({"a": 1, "b": 2})).text == "3"

    with serve(kind) as server:
        asyncio.run(run(server))
