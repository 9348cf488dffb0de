"""Hosts come and go: what is being answered goes on elsewhere, and nothing is answered twice."""

from collections.abc import Callable
from contextlib import closing

from odoo.addons.ai_discuss.runtime import queue

from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import ModelServer, calls, hold, text
from tests.live import LiveBase, LiveServer
from tests.runtime.conftest import Room, open_room

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


def kinds(room: Room, run_id: int) -> list[str]:
    return [frame["type"] for frame in room.frames(run_id)]


def wait_for_approval(room: Room, tools: McpHttpServer) -> int:
    """Have a run that waits for somebody to decide on its call; its id."""
    room.use(tools)
    room.server.admin.call("ai.assistant", "write", [room.assistant_id], {"approval": "ask"})
    room.model.script(calls(("note", {"text": "x"}, "call_1")))
    room.say("Note it.")
    room.server.eventually(lambda: [run["state"] for run in room.runs()] == ["waiting"])
    return room.runs()[0]["id"]


def test_q43_whatever_a_killed_server_was_doing_goes_on_when_it_is_back(own_room: Room):
    server, person = own_room.server, own_room.person
    with ModelServer() as second, ModelServer() as third, McpHttpServer() as tools:
        told, acted, asked = own_room, open_room(server, second, person), open_room(server, third, person)
        begin(told)
        acted.use(tools)
        acted.model.script(calls(("slow_note", {"text": "x"})))
        acted.say("Do the slow thing.")
        tools.wait_for_call("slow_note")
        asked_id = wait_for_approval(asked, tools)
        server.kill()
        told.model.script(text("It was a sunny day."))
        acted.model.script(text("I cannot tell whether it worked."))
        asked.model.script(text("Noted."))
        server.start()
        person.http.post(f"/api/ai/run/{asked_id}/approve", json={"id": "call_1"}).raise_for_status()
        rooms = (told, acted, asked)
        runs = [room.ended(within=TAKEOVER_S)[0] for room in rooms]
        assert [(run["state"], run["attempt"]) for run in runs] == [("done", 2)] * len(rooms)
        assert told.replies() == ["<p>It was a sunny day.</p>"]
        assert sorted(name for name, _arguments in tools.calls) == ["note", "slow_note"]
        for room, run in zip(rooms, runs, strict=True):
            assert kinds(room, run["id"]).count("done") == 1
            assert kinds(room, run["id"]).count("tool_result") == (room is not told)
        tools.release()


def test_a_killed_connection_to_the_database_ends_no_run(room: Room):
    gate = hold()
    room.model.script(text("It was ", gate, "a sunny day."))
    room.say("Tell me a story.")
    gate.wait_reached()
    room.server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    gate.release()
    room.model.script(text("It was a sunny day."))  # in case the worker had to start anew
    run = room.ended(within=TAKEOVER_S)[0]
    assert run["state"] == "done"
    assert room.replies() == ["<p>It was a sunny day.</p>"]
    room.model.script(text("Yes."))
    room.say("Still there?")
    assert room.ended(2)[1]["state"] == "done"


def test_q43_a_host_that_is_cut_off_from_its_news_for_a_moment_keeps_its_runs(room: Room):
    server, gate = room.server, hold()
    room.model.script(text("It was ", gate, "a sunny day."))
    room.say("Tell me a story.")
    gate.wait_reached()
    connected = (
        "SELECT pid FROM pg_locks WHERE classid = %s AND locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    [before] = server.sql(connected, queue.CONNECTED)
    server.sql("SELECT pg_terminate_backend(%s)", *before)
    server.eventually(lambda: server.sql(connected, queue.CONNECTED) not in ([], [before]))
    gate.release()
    [run] = room.ended()
    assert (run["state"], run["attempt"]) == ("done", 1)


def test_q50_a_copy_of_the_database_executes_nothing(live_base: LiveBase, model: ModelServer):
    with closing(live_base.new_server()) as server:
        server.sql("UPDATE ir_config_parameter SET value = gen_random_uuid() WHERE key = 'database.uuid'")
        server.start()
        room = open_room(server, model)
        room.say("Is anybody there?")
        server.eventually(lambda: "is a copy of another database" in server.log.text())
        assert [run["state"] for run in room.runs()] == ["queued"]
        assert model.requests == []
        server.sql(
            "UPDATE ir_config_parameter SET value = (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid')"
            " WHERE key = 'ai_discuss.database_uuid'"
        )
        model.script(text("Yes."))
        server.restart()
        assert room.ended(within=START_S)[0]["state"] == "done"


def test_an_http_worker_hands_its_runs_back(start_live: Callable[..., LiveServer], model: ModelServer):
    room = open_room(start_live(workers=1), model)  # with a second one, the run would go on there at once
    begin(room)
    room.server.stop()
    assert [(run["state"], run["attempt"]) for run in room.runs()] == [("queued", 2)]
