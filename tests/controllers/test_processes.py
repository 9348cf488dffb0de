"""Streams in the processes that Odoo has: HTTP workers, the gevent process, and one that is asked to stop."""

import contextlib
import copy
import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psutil
import pytest

from tests.controllers.client import Stream, check_complete, text_of
from tests.controllers.conftest import hire_team, start_conversation
from tests.controllers.test_errors import refusal
from tests.fakes.model_server import Pause, hold, text

BURST = 24  # posts at once
READ_ON_S = 30  # a takeover, by a process that has to be started first
# An `odoo-bin` that looks for requests that take too long every fifth of a second instead of every minute. Signals set
# its limits, and lift them: a second for a request, and memory for a few threads more, less than is kept free.
TOUCHY = """
import os
import signal
import odoo.cli
import odoo.service.server
import psutil
from odoo.tools import config

def limit_time(_number, _frame):
    config["limit_time_real"] = 0 if config["limit_time_real"] else 1

def limit_memory(_number, _frame):
    used = odoo.service.server.memory_info(psutil.Process(os.getpid()))
    config["limit_memory_soft"] = 0 if config["limit_memory_soft"] else used + 64 * 1024 * 1024

odoo.service.server.SLEEP_INTERVAL = 0.2
signal.signal(signal.SIGWINCH, limit_time)
signal.signal(signal.SIGURG, limit_memory)
odoo.cli.main()
"""


@pytest.fixture(scope="module")
def threaded(live_base, tmp_path_factory):
    """A threaded server whose limits are in the hands of the test."""
    server = live_base.new_server(options={"limit_time_real": "0", "limit_memory_soft": "0"})
    server.base = copy.copy(live_base)
    server.base.odoo_bin = tmp_path_factory.mktemp("touchy") / "odoo-bin"
    server.base.odoo_bin.write_text(TOUCHY)
    with server:
        yield server


@pytest.fixture(scope="module")
def threaded_team(threaded):
    return hire_team(threaded)


@pytest.fixture(scope="module")
def prefork(live_base):
    """A server whose workers hold a stream for a short while, and whose gevent process may have one connection to the
    database."""
    options = {
        "ai_discuss_ping": "0.1", "ai_discuss_http_slice": "0.1",
        "db_maxconn_gevent": "1", "server_wide_modules": "base,rpc,web,ai_discuss",
    }  # fmt: skip
    with live_base.new_server(workers=2, options=options) as server:
        yield server


@pytest.fixture(scope="module")
def prefork_team(prefork):
    return hire_team(prefork)


def test_an_http_worker_keeps_a_silent_stream_alive_and_ends_it_soon(prefork, prefork_team, model):
    conversation = start_conversation(prefork_team, model)
    gate = hold()
    model.script(text("Hello", gate, " Alice"))
    with conversation.post() as stream:
        frames = stream.rest()
    assert stream.pings > 1
    assert frames[-1].type != "done"
    gate.release()
    read_on(prefork, conversation, frames)
    check_complete(frames)
    assert text_of(frames) == "Hello Alice"
    assert prefork.log.errors() == []


def test_a_stream_in_thirty_slices_is_what_it_is_in_one(prefork, prefork_team, model):
    conversation = start_conversation(prefork_team, model)
    gates = [hold() for _ in range(30)]
    model.script(text(*(part for gate in gates for part in ("été 🌞\r\n", gate))))
    slices, frames = [], []
    with conversation.post() as stream:
        frames += stream.rest()
    slices.append(stream.raw)
    while frames[-1].type != "done":
        if gates:  # what it lets through is said between two slices, or in the next
            gates.pop(0).release()
        with conversation.attach(after=frames[-1]) as stream:
            assert stream.response.status_code == 200
            frames += stream.rest()
        slices.append(stream.raw)
    assert len(slices) > 30
    check_complete(frames)
    with Stream(prefork_team.alice.api, "GET", f"{prefork.gevent_url}{conversation.url}") as whole:
        whole.rest()
    assert b"".join(slices).replace(b": ping\n\n", b"") == whole.raw
    assert prefork.log.errors() == []


def test_http_workers_hold_their_share_of_streams_and_refuse_the_next_before_it_is_posted(start_live, model):
    server = start_live(workers=2, options={"ai_discuss_runner": "external"})
    team = hire_team(server)
    held, refused = start_conversation(team, model), start_conversation(team, model)
    with held.post() as stream:
        assert stream.until("run")
        for answer in (read(refused.post()), read(held.attach())):
            assert refusal(answer) == (503, "busy")
            assert answer.headers["Retry-After"] == "1"
        assert refused.messages() == []
        os.kill(worker_that_served(server, held), signal.SIGKILL)
        assert stream.rest() == []  # HTTP/1.0 has no way to say that it was cut: no `done` says it
    with refused.post() as stream:
        assert stream.until("run")
    assert server.log.errors() == []


def worker_that_served(server, conversation) -> int:
    """The process that has logged the last request of a conversation."""
    line = rf"^\S+ \S+ (\d+) INFO .*{conversation.url} "
    return server.eventually(lambda: [int(pid) for pid in re.findall(line, server.log.text(), re.MULTILINE)])[0]


def test_a_burst_waits_for_its_turn_where_connections_to_the_database_are_few(prefork, prefork_team, model):
    """There is one: requests at once would find none, nor does what announces a message after its commit."""
    first = start_conversation(prefork_team, model)
    alice = prefork_team.alice
    channels = [
        alice.person.call("ai.assistant", "open_chat", [first.assistant_id], new=True) for _ in range(BURST)
    ]
    model.respond_with(lambda request: text("Hello Alice"))

    def post(channel):
        url = f"{prefork.gevent_url}/api/ai/stream/{channel}"
        with Stream(alice.api, "POST", url, json={"message": "Hi"}) as stream:
            assert stream.response.status_code == 200
            return stream.rest()

    with ThreadPoolExecutor(BURST) as people:
        for frames in people.map(post, channels):
            check_complete(frames)
            assert text_of(frames) == "Hello Alice"
    assert prefork.log.errors() == []


def test_a_stream_that_lasts_longer_than_a_request_may_does_not_restart_a_threaded_server(
    threaded, threaded_team, model
):
    conversation = start_conversation(threaded_team, model)
    model.script(text("Hello", Pause(2), " Alice"))
    with conversation.post() as stream:
        frames = stream.until("chunk")
        os.kill(threaded.pid, signal.SIGWINCH)
        frames += stream.rest()
    os.kill(threaded.pid, signal.SIGWINCH)
    check_complete(frames)
    assert text_of(frames) == "Hello Alice"
    assert "real time limit" not in threaded.log.text()
    assert threaded.log.errors() == []


def test_a_threaded_server_refuses_a_stream_whose_thread_could_be_one_too_many(threaded, threaded_team, model):
    conversation = start_conversation(threaded_team, model)
    model.script(text("Hello"))
    with conversation.post() as stream:
        check_complete(stream.rest())
    os.kill(threaded.pid, signal.SIGURG)
    threaded.eventually(lambda: read(conversation.attach()).status_code == 503)
    assert refusal(read(conversation.post("Still there?"))) == (503, "busy")
    os.kill(threaded.pid, signal.SIGURG)
    assert len(conversation.messages()) == 2
    threaded.eventually(lambda: read(conversation.attach()).status_code == 200)


def read(stream):
    """The whole answer, whether it is a stream or not."""
    with stream:
        stream.response.read()
    return stream.response


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


def test_q43_a_reply_comes_to_its_end_when_every_process_that_had_to_do_with_it_was_killed(
    prefork, prefork_team, model
):
    conversation = start_conversation(prefork_team, model)
    model.script(text("Hello", hold()), text("Hello Alice"))
    url = f"{prefork.gevent_url}{conversation.url}"
    with Stream(prefork_team.alice.api, "POST", url, json={"message": "Hi"}) as stream:
        frames = stream.until("chunk")
        for process in psutil.Process(prefork.pid).children():  # the gevent process, and the workers; others follow
            process.kill()
    read_on(prefork, conversation, frames)
    assert [frame.type for frame in frames].count("restart") == 1
    prefork.eventually(lambda: answers(prefork_team.alice.api, f"{prefork.gevent_url}/web/login"))
    with Stream(prefork_team.alice.api, "GET", url) as whole:
        replay = whole.rest()
    check_complete(replay)
    assert text_of(replay) == "Hello Alice"
    assert prefork.log.errors() == []


def read_on(server, conversation, frames) -> None:
    """Attach again where the frames end, as a client does whose stream was cut, until the run has ended."""

    def has_ended() -> bool:
        with conversation.attach(after=frames[-1]) as stream:
            frames.extend(stream.rest())
        return frames[-1].type == "done"

    server.eventually(has_ended, READ_ON_S)


def answers(client, url) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return client.get(url).status_code == 200
    return False


def test_a_server_that_stops_ends_its_streams_and_their_run_goes_on_after_it(threaded, threaded_team, model):
    server = threaded
    conversation = start_conversation(threaded_team, model)
    gate = hold()
    model.script(text("Hello", gate), text("Hello Alice"))
    with conversation.post() as stream:
        frames = stream.until("chunk")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert {frame.type for frame in stream.rest()} <= {"notice"}
        stopping.join()
    run_of = "SELECT state, attempt FROM ai_run WHERE channel_id = %s"
    assert server.sql(run_of, conversation.id) == [("queued", 2)]
    assert server.sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == [(0,)]
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
