"""Hosts come and go: what is being answered goes on elsewhere, and nothing is answered twice."""

import json
import socket
from collections.abc import Callable

import httpx2

from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import ModelServer, calls, hold, text
from tests.live import LiveServer
from tests.runtime.conftest import Room, a_runner, open_room

TAKEOVER_S = 15  # what the design promises
START_S = 10  # a busy machine imports the engine slowly


def begin(room: Room) -> None:
    """Have a run that is in the middle of its first reply."""
    gate = hold()
    room.model.script(text("It was a dark ", gate))
    room.say("Tell me a story.")
    gate.wait_reached()
    run_id = room.runs()[0]["id"]
    room.server.eventually(lambda: "chunk" in kinds(room, run_id))


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def kinds(room: Room, run_id: int) -> list[str]:
    return [frame["type"] for frame in room.frames(run_id)]


def test_a_run_goes_on_after_a_clean_shutdown(own_room: Room):
    begin(own_room)
    own_room.server.stop()
    assert [(run["state"], run["attempt"]) for run in own_room.runs()] == [("queued", 2)]
    assert own_room.jobs("doing") == 0
    own_room.model.script(text("It was a sunny day."))
    own_room.server.start()
    run = own_room.ended(within=START_S)[0]
    assert (run["state"], run["attempt"]) == ("done", 2)
    assert own_room.replies() == ["<p>It was a sunny day.</p>"]
    assert kinds(own_room, run["id"]) == ["run", "chunk", "restart", "chunk", "step", "done"]
    assert own_room.server.log.errors() == []


def test_q43_a_run_goes_on_after_its_server_was_killed(own_room: Room):
    begin(own_room)
    own_room.server.kill()
    assert [run["state"] for run in own_room.runs()] == ["running"]
    own_room.model.script(text("It was a sunny day."))
    own_room.server.start()
    run = own_room.ended(within=TAKEOVER_S)[0]
    assert (run["state"], run["attempt"]) == ("done", 2)
    assert own_room.replies() == ["<p>It was a sunny day.</p>"]
    assert kinds(own_room, run["id"]).count("done") == 1


def test_q43_a_call_that_may_have_acted_is_not_sent_twice(own_room: Room):
    with McpHttpServer() as tools:
        own_room.use(tools)
        own_room.model.script(calls(("slow_note", {"text": "x"})))
        own_room.say("Do the slow thing.")
        tools.wait_for_call("slow_note")
        own_room.server.kill()
        own_room.model.script(text("I cannot tell whether it worked."))
        own_room.server.start()
        run = own_room.ended(within=TAKEOVER_S)[0]
        assert run["state"] == "done"
        assert [name for name, _arguments in tools.calls] == ["slow_note"]
        assert kinds(own_room, run["id"]).count("tool_call") == 1
        assert kinds(own_room, run["id"]).count("tool_result") == 1
        tools.release()


def test_a_killed_connection_to_the_database_ends_no_run(own_room: Room):
    gate = hold()
    own_room.model.script(text("It was ", gate, "a sunny day."))
    own_room.say("Tell me a story.")
    gate.wait_reached()
    own_room.server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    gate.release()
    own_room.model.script(text("It was a sunny day."))  # in case the worker had to start anew
    run = own_room.ended(within=TAKEOVER_S)[0]
    assert run["state"] == "done"
    assert own_room.replies() == ["<p>It was a sunny day.</p>"]
    own_room.model.script(text("Yes."))
    own_room.say("Still there?")
    assert own_room.ended(2)[1]["state"] == "done"


def test_q50_a_copy_of_the_database_executes_nothing(own_room: Room):
    room = own_room
    room.server.sql("UPDATE ir_config_parameter SET value = gen_random_uuid() WHERE key = 'database.uuid'")
    room.server.restart()
    room.say("Is anybody there?")
    room.server.eventually(lambda: "is a copy of another database" in room.server.log.text())
    assert [run["state"] for run in room.runs()] == ["queued"]
    assert room.model.requests == []
    room.server.sql(
        "UPDATE ir_config_parameter SET value = (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid')"
        " WHERE key = 'ai_discuss.database_uuid'"
    )
    room.model.script(text("Yes."))
    room.server.restart()
    assert room.ended(within=START_S)[0]["state"] == "done"


def test_runs_of_an_external_runner_are_executed_there_only(start_live: Callable[..., LiveServer], model: ModelServer):
    room = open_room(start_live(options={"ai_discuss_runner": "external"}), model)
    room.model.script(text("From elsewhere."))
    room.say("Where are you?")
    assert [run["state"] for run in room.runs()] == ["queued"]
    with a_runner(room.server):
        assert room.ended(within=START_S)[0]["state"] == "done"
    assert room.server.sql("SELECT count(*) FROM procrastinate_workers") == [(0,)]


def test_q43_another_host_takes_over_from_one_that_is_silent(start_live: Callable[..., LiveServer], model: ModelServer):
    room = open_room(start_live(), model)
    with a_runner(room.server):
        room.server.eventually(lambda: room.server.sql("SELECT count(*) FROM procrastinate_workers") == [(2,)])
        begin(room)
        frozen = room.server.sql("SELECT worker_id FROM procrastinate_jobs WHERE status = 'doing'")[0][0]
        room.model.script(text("It was a sunny day."))
        silence(room, frozen)
        run = room.ended(within=TAKEOVER_S)[0]
        assert (run["state"], run["attempt"]) == ("done", 2)
        assert room.replies() == ["<p>It was a sunny day.</p>"]
        assert kinds(room, run["id"]).count("done") == 1


def silence(room: Room, worker_id: int) -> None:
    """As if its host had been frozen: its heartbeat is old and stays so, and the host does not know."""
    room.server.sql(
        "CREATE FUNCTION stay_silent() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.last_heartbeat = now() - interval '1 minute'; RETURN NEW; END $$"
    )
    room.server.sql(
        "CREATE TRIGGER stay_silent BEFORE UPDATE ON procrastinate_workers"
        f" FOR EACH ROW WHEN (OLD.id = {worker_id}) EXECUTE FUNCTION stay_silent()"
    )
    room.server.sql("UPDATE procrastinate_workers SET last_heartbeat = now()")


def test_an_http_worker_hands_its_runs_back(start_live: Callable[..., LiveServer], model: ModelServer):
    room = open_room(start_live(workers=1), model)  # with a second one, the run would go on there at once
    begin(room)
    room.server.stop()
    assert [(run["state"], run["attempt"]) for run in room.runs()] == [("queued", 2)]


def test_the_gevent_process_streams_a_run_of_an_http_worker(start_live: Callable[..., LiveServer], model: ModelServer):
    room = open_room(start_live(workers=2), model)
    room.server.eventually(lambda: listens(room.server.gevent_port), START_S)
    gate = hold()
    model.script(text("Hel", gate, "lo."))
    stream = httpx2.stream(
        "POST", f"{room.server.gevent_url}/api/ai/stream/{room.channel_id}",
        json={"message": "Hello?"}, headers={"Authorization": f"Bearer {room.person.api_key}"}, timeout=30,
    )  # fmt: skip
    with stream as response:
        lines = response.iter_lines()
        frames = (json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        assert [next(frames)["type"], next(frames)["content"]] == ["run", "Hel"]
        gate.release()
        assert [frame["type"] for frame in frames] == ["chunk", "step", "done"]
    assert room.server.log.errors() == []
