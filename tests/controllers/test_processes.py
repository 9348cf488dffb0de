"""Streams in the processes that Odoo has: HTTP workers, the gevent process, and one that is asked to stop."""

import threading

import pytest

from tests.controllers.client import Stream, check_complete, text_of
from tests.controllers.conftest import hire_team, start_conversation
from tests.controllers.test_errors import refusal
from tests.fakes.model_server import hold, text


@pytest.fixture(scope="module")
def prefork(live_base):
    """A server with workers, which have to be done with a request within some seconds."""
    server = live_base.new_server(workers=2, options={"limit_time_real": "8", "ai_discuss_ping": "0.1"})
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def prefork_team(prefork):
    return hire_team(prefork)


def test_an_http_worker_keeps_a_silent_stream_alive_and_ends_it_before_its_own_end(prefork, prefork_team, model):
    conversation = start_conversation(prefork_team, model)
    gate = hold()
    model.script(text("Hello", gate, " Alice"))
    with conversation.post() as stream:
        frames = stream.rest()
    assert stream.pings > 1
    assert frames[-1].type == "chunk"
    gate.release()
    with conversation.attach(after=frames[-1]) as stream:
        frames += stream.rest()
    check_complete(frames)
    assert text_of(frames) == "Hello Alice"
    assert prefork.log.errors() == []


def test_the_gevent_process_streams_as_long_as_it_takes(prefork, prefork_team, model):
    conversation = start_conversation(prefork_team, model)
    gates = [hold(), hold()]
    model.script(text("Hello", gates[0], " Alice", gates[1], "!"))
    url = f"{prefork.gevent_url}{conversation.url}"
    with Stream(prefork_team.alice.api, "POST", url, json={"message": "Hi"}) as stream:
        frames = stream.until("chunk")
        with Stream(prefork_team.alice.api, "GET", url) as other:
            assert text_of(other.until("chunk")) == "Hello"
            gates[0].release()
            assert text_of(other.until("chunk")) == " Alice"
        frames += stream.until("chunk")
        assert stream.next_block() == b": ping"
        gates[1].release()
        frames += stream.rest()
    check_complete(frames)
    assert text_of(frames) == "Hello Alice!"
    assert prefork.log.errors() == []


def test_a_database_that_cannot_be_reached_for_now_is_no_missing_page(prefork, prefork_team):
    request = {"url": "/api/ai/stream/99999999", "headers": {"X-Odoo-Database": prefork.db}}
    with prefork.base.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {prefork.db} ALLOW_CONNECTIONS false")
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{prefork.db}'")
        try:
            answer = prefork_team.alice.api.get(**request)
        finally:
            connection.execute(f"ALTER DATABASE {prefork.db} ALLOW_CONNECTIONS true")
    assert refusal(answer) == (503, "busy")
    assert answer.headers["Retry-After"] == "1"
    assert refusal(prefork_team.alice.api.get(**request)) == (404, "channel_not_found")


def test_a_server_that_stops_ends_its_streams_and_their_run_goes_on_after_it(start_live, model):
    server = start_live()
    conversation = start_conversation(hire_team(server), model)
    gate = hold()
    model.script(text("Hello", gate), text("Hello Alice"))
    with conversation.post() as stream:
        frames = stream.until("chunk")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert {frame.type for frame in stream.rest()} <= {"notice"}
        stopping.join()
    server.start()
    with conversation.attach(after=frames[-1]) as stream:
        frames += stream.rest()
    assert [frame.type for frame in frames].count("done") == 1
    assert [frame.type for frame in frames].count("restart") == 1
    with conversation.attach() as stream:
        replay = stream.rest()
    check_complete(replay)
    assert text_of(replay) == "Hello Alice"
    assert server.log.errors() == []
