"""What people read when an MCP server cannot be used: one clear sentence each, from real sockets, without a secret."""

import asyncio
import socket
import sys
from contextlib import contextmanager

import pytest

from services import mcp_breaker
from services.mcp_pool import McpPool, McpUnreachable
from services.specs import ServerSpec
from tests.fakes.mcp_servers import JsonServer, McpHttpServer, open_tasks, scripted, self_signed

SECRET = "sk-very-secret"


async def _connect(spec, **options):
    pool = McpPool(**options)
    try:
        await pool.connect(spec)
    finally:
        await pool.aclose()
        assert not open_tasks()


def sentence(transport="streamable_http", *, url="", connect_seconds=5.0, command="", args=(), **options):
    """What a person reads about the attempt to connect."""
    headers = (("Authorization", f"Bearer {SECRET}"),)
    spec = ServerSpec(7, "shop", transport, url=url, command=command, args=args, headers=headers, **options)
    with pytest.raises(McpUnreachable) as caught:
        asyncio.run(_connect(spec, connect_seconds=connect_seconds))
    message = caught.value.message
    assert SECRET not in message
    assert "Traceback" not in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


@contextmanager
def answering(status, headers=None, body=b""):
    with JsonServer(lambda *request: (status, headers or {}, body)) as server:
        yield server


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_a_refused_connection(transport):
    message = sentence(transport, url=f"http://127.0.0.1:{unused_port()}/mcp")
    assert message == "The connection was refused: nothing is listening at the server's address."


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_q39_a_server_that_never_answers(transport):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        assert sentence(transport, url=url, connect_seconds=0.3) == "The server did not answer in time."


def test_credentials_of_long_ago_are_not_kept_because_they_failed(monkeypatch):
    monkeypatch.setattr(mcp_breaker, "FORGET_SECONDS", 0.0)
    first, second = (ServerSpec(1, "shop", "sse", url="http://127.0.0.1:1", user_id=person) for person in (1, 2))

    async def run():
        pool = McpPool()
        for spec in (first, second):
            with pytest.raises(McpUnreachable):
                await pool.connect(spec)
        return pool

    assert asyncio.run(run())._breakers.keys() == {second}


def test_a_host_name_that_does_not_exist():
    assert sentence(url="http://no-such-host.invalid/mcp") == "The server's host name could not be resolved."


def test_a_certificate_that_nobody_trusts(tmp_path):
    with McpHttpServer(tls=self_signed(tmp_path, "localhost")) as server:
        message = sentence(url=server.url.replace("127.0.0.1", "localhost"))
    assert message == "A secure connection could not be made: self-signed certificate."


def test_https_where_the_server_speaks_http():
    with McpHttpServer() as server:
        message = sentence(url=server.url.replace("http:", "https:"))
    assert message.startswith("A secure connection could not be made: the server does not seem to speak TLS")


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_rejected_credentials(transport):
    with McpHttpServer(transport, token="another") as server:
        assert sentence(transport, url=server.url) == "The server rejected the credentials (HTTP 401)."
    with answering(403, {"content-type": "text/html"}, b"<html>no</html>") as server:
        assert sentence(transport, url=server.url) == "The server rejected the credentials (HTTP 403)."


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_a_wrong_path(transport):
    with McpHttpServer(transport) as server:
        message = sentence(transport, url=f"http://127.0.0.1:{server.port}/nowhere")
    assert message == "There is no MCP server at this URL (HTTP 404): check its path."


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_q39_a_page_for_people_is_not_an_mcp_server(transport):
    with answering(200, {"content-type": "text/html; charset=utf-8"}, b"<html>welcome</html>") as server:
        message = sentence(transport, url=server.url)
    assert message == "What answers at this URL is not an MCP server: it sent text/html."


def test_q39_json_that_is_no_answer_is_not_an_mcp_server():
    with answering(200, {"content-type": "application/json"}, b'{"hello": "world"}') as server:
        assert sentence(url=server.url) == "What answers at this URL does not answer as an MCP server."


def test_q39_a_server_that_speaks_only_the_old_transport():
    with McpHttpServer("sse") as server:
        message = sentence(url=server.url)
    assert message == (
        "The server does not take MCP requests at this URL (HTTP 405): check its path and its transport."
    )


def test_q39_a_server_that_speaks_only_a_newer_protocol():
    error = {"code": -32022, "message": "unsupported", "data": {"supported": ["2099-01-01"], "requested": "x"}}

    def respond(verb, headers, body):
        return 400, {}, {"jsonrpc": "2.0", "id": body.get("id"), "error": error}

    with JsonServer(respond) as server:
        message = sentence(url=server.url)
    assert message == "The server only speaks versions of the protocol that are not known here."


def test_what_a_server_says_is_quoted_without_the_secret_that_it_repeats():
    def respond(verb, headers, body):
        error = {"code": -32000, "message": f"unknown client, you sent {headers.get('authorization')}"}
        return 200, {}, {"jsonrpc": "2.0", "id": body.get("id"), "error": error}

    with JsonServer(respond) as server:
        message = sentence(url=server.url)
    assert message == "The server did not accept the connection: unknown client, you sent •••."


def test_a_redirect_to_another_origin_is_not_followed():
    with McpHttpServer() as elsewhere:
        with answering(307, {"location": elsewhere.url}) as server:
            assert sentence(url=server.url).startswith("The server redirects to another address (HTTP 307)")
        assert not elsewhere.requests


def test_a_server_that_is_down_for_now():
    with answering(503, {}, b"maintenance") as server:
        assert sentence(url=server.url) == "The server is not available now (HTTP 503)."


def test_an_answer_that_is_compressed_against_our_wish():
    with answering(200, {"content-type": "application/json", "content-encoding": "gzip"}, b"\x1f\x8b") as server:
        assert sentence(url=server.url) == "The server compressed its answer although it was asked not to."


def test_a_command_that_does_not_exist():
    assert sentence("stdio", command="no-such-command-anywhere") == "The command was not found."


def test_a_command_that_cannot_be_executed(tmp_path):
    (tmp_path / "notes.txt").write_text("not a program")
    assert sentence("stdio", command=str(tmp_path / "notes.txt")) == "The command could not be executed."


def test_a_command_that_ends_at_once():
    message = sentence("stdio", command=sys.executable, args=("-c", "pass"))
    assert message == "The command ended before it answered as an MCP server."


def test_a_command_that_is_not_an_mcp_server_and_never_ends(monkeypatch):
    monkeypatch.setattr("services.mcp_session.START_SECONDS", 0.5)
    message = sentence("stdio", command=sys.executable, args=("-c", "print('hello', flush=True); input()"))
    assert message in (
        "The server did not answer in time.",  # it waits for a second line
        "The command ended before it answered as an MCP server.",  # it took our first line as its input
    )


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/mcp", "not a url", "http://"])
def test_a_url_that_is_none(url):
    assert sentence(url=url) == "The server's URL is not a valid http or https URL."


def test_a_guarded_server_inside_the_network_is_refused_before_anything_is_sent():
    with McpHttpServer() as server:
        message = sentence(url=server.url, guarded=True)
        assert message == "The address is inside a private network, which only administrators may use."
        assert not server.requests


def test_the_same_server_is_fine_where_an_administrator_entered_it():
    async def run(server):
        await _connect(ServerSpec(7, "shop", "streamable_http", url=server.url))

    with JsonServer(scripted()) as server:
        asyncio.run(run(server))
