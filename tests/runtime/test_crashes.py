"""`kill -9`, at each moment of a run: nothing that people said is lost, no call is sent twice, and every run has an end."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import psycopg
import pytest

from tests.fakes import conversation
from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import Gate, ModelServer, Reply, calls, hold, text
from tests.live import LiveBase, LiveServer, Person
from tests.runtime.conftest import Room, a_runner, open_room

TAKEOVER_S = 15  # what the design promises
HELD_BACK = {"invoking": 1, "done": 2, "cancelled": 3}  # states that a test can keep from being reached

# A step waits, in its transaction, for as long as the test holds the lock of its state and conversation.
HOLDING = """
CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(CASE NEW.state WHEN 'invoking' THEN 1 WHEN 'done' THEN 2 ELSE 3 END, channel_id)
       FROM ai_run WHERE id = CASE TG_TABLE_NAME WHEN 'ai_run' THEN NEW.id ELSE (to_jsonb(NEW)->>'run_id')::int END;
    RETURN NEW;
END $$;
CREATE TRIGGER wait_for_test BEFORE UPDATE OF state ON ai_tool_call
    FOR EACH ROW WHEN (NEW.state = 'invoking') EXECUTE FUNCTION wait_for_test();
CREATE TRIGGER wait_for_test BEFORE UPDATE OF state ON ai_run
    FOR EACH ROW WHEN (NEW.state IN ('done', 'cancelled')) EXECUTE FUNCTION wait_for_test();
"""


@dataclass
class Scene:
    """A conversation whose run is at one moment when its host is killed."""

    room: Room
    tools: McpHttpServer
    gate: Gate = field(default_factory=hold)

    def ask(self, *replies: Reply) -> None:
        self.room.model.script(*replies)
        self.room.say("Well?")

    def call(self, tool: str) -> Reply:
        """A call that tells which conversation it comes from."""
        return calls((tool, {"text": self.name}))

    @property
    def name(self) -> str:
        return f"from {self.room.channel_id}"

    @property
    def sent(self) -> list[str]:
        """The calls that have reached their server."""
        return [name for name, arguments in self.tools.calls if arguments.get("text") == self.name]

    def ask_and_hold_back(self, reply: Reply, state: str) -> None:
        """Ask, and keep what the run does next from being committed. Not before it is shown as running: that would
        wait, too, and there are only a few threads to wait in."""
        self.ask(replace(reply, parts=(self.gate, *reply.parts)))
        self.gate.wait_reached()
        self.wait_shown()
        self.hold_back(state)
        self.gate.release()
        self.wait_held_back(state)

    def hold_back(self, state: str) -> None:
        self.room.server.sql("SELECT pg_advisory_lock(%s, %s)", HELD_BACK[state], self.room.channel_id)

    def wait_held_back(self, state: str) -> None:
        query = "SELECT 1 FROM pg_locks WHERE NOT granted AND classid = %s AND objid = %s"
        self.room.server.eventually(lambda: self.room.server.sql(query, HELD_BACK[state], self.room.channel_id))

    def wait_shown(self) -> None:
        query = "SELECT 1 FROM bus_bus WHERE message::jsonb @> %s"
        news = {"payload": {"ai.run": [{"id": self.room.runs()[0]["id"], "state": "running"}]}}
        self.room.server.eventually(lambda: self.room.server.sql(query, json.dumps(news)))

    def wait_told(self, kind: str) -> None:
        run_id = self.room.runs()[-1]["id"]
        self.room.server.eventually(lambda: kind in [frame["type"] for frame in self.room.frames(run_id)])

    def stop(self) -> dict[str, Any]:
        return self.room.person.http.post(f"/api/ai/run/{self.room.runs()[-1]['id']}/stop", json={}).json()


@dataclass(frozen=True)
class Moment:
    """Where a run is when its host is killed, and what has to come of it."""

    reach: Callable[[Scene], None]
    again: tuple[Reply, ...]  # what the model says to those who go on
    replies: tuple[str, ...]  # what people read in the end
    sent: tuple[str, ...] = ()  # the calls that were made, in all
    state: str = "done"
    then: Callable[[Scene], None] = lambda scene: None  # what happens while nobody executes runs


def queued(scene: Scene) -> None:
    scene.ask(text("Fir", scene.gate, "st."))
    scene.gate.wait_reached()
    scene.room.say("And then?")


def begun(scene: Scene) -> None:
    scene.ask(text(scene.gate, "Nobody hears this."))
    scene.gate.wait_reached()


def speaking(scene: Scene) -> None:
    scene.ask(text("It was a dark ", scene.gate, "night."))
    scene.wait_told("chunk")


def call_stored(scene: Scene) -> None:
    scene.ask_and_hold_back(scene.call("note"), "invoking")


def acting(scene: Scene) -> None:
    scene.ask(scene.call("slow_note"))
    scene.room.server.eventually(lambda: scene.sent)


def reading(scene: Scene) -> None:
    scene.ask(scene.call("slow"))
    scene.room.server.eventually(lambda: scene.sent)


def result_stored(scene: Scene) -> None:
    scene.ask(scene.call("note"), text(scene.gate, "Nobody hears this."))
    scene.gate.wait_reached()


def answer_stored(scene: Scene) -> None:
    scene.ask_and_hold_back(text("The end."), "done")


def parked(scene: Scene) -> None:
    scene.ask(scene.call("echo"))
    scene.room.server.eventually(lambda: scene.room.runs()[0]["state"] == "waiting")


def stopping(scene: Scene) -> None:
    speaking(scene)
    scene.wait_shown()
    scene.hold_back("cancelled")
    scene.stop()
    scene.wait_held_back("cancelled")


def release_the_second_call(scene: Scene) -> None:
    scene.room.server.eventually(lambda: scene.sent == ["slow", "slow"], TAKEOVER_S)
    scene.tools.release(2)


def approve(scene: Scene) -> None:
    run_id = scene.room.runs()[0]["id"]
    [(call_id,)] = scene.room.server.sql("SELECT call_id FROM ai_tool_call WHERE run_id = %s", run_id)
    scene.room.person.http.post(f"/api/ai/run/{run_id}/approve", json={"id": call_id}).raise_for_status()


def stop_at_once(scene: Scene) -> None:
    assert scene.stop()["state"] == "cancelled"


STOPPED = '\n<p class="o_ai_stopped text-muted">Stopped by ann.</p>'
SUNNY = (text("It was a sunny day."),)
MOMENTS = {
    "queued": Moment(queued, (text("First."), text("Second.")), ("First.", "Second.")),
    "begun": Moment(begun, SUNNY, ("It was a sunny day.",)),
    "speaking": Moment(speaking, SUNNY, ("It was a sunny day.",)),
    "call stored": Moment(call_stored, (text("Noted."),), ("Noted.",), sent=("note",)),
    "acting": Moment(acting, (text("Who knows."),), ("Who knows.",), sent=("slow_note",)),
    "reading": Moment(reading, (text("Read."),), ("Read.",), sent=("slow", "slow")),
    "result stored": Moment(result_stored, (text("Noted."),), ("Noted.",), sent=("note",)),
    "answer stored": Moment(answer_stored, (), ("The end.",)),
    "parked": Moment(parked, (text("So it is."),), ("So it is.",), sent=("echo",), then=approve),
    "stopping": Moment(stopping, (), ("It was a dark",), state="cancelled"),
    "stopped without a host": Moment(speaking, (), ("It was a dark",), state="cancelled", then=stop_at_once),
}


@pytest.fixture(scope="module")
def survivors(live_base: LiveBase) -> Iterator[dict[str, Scene]]:
    """The scene of each moment, after one host was killed at all these moments and another has gone on."""
    server = live_base.new_server(options={"ai_discuss_runner": "external"})
    with ExitStack() as stack:
        stack.callback(server.close)
        server.start()
        server.sql(HOLDING)
        tools = stack.enter_context(McpHttpServer())
        server_id = share(server, tools)
        person = server.person("ann")
        scenes = {}
        with a_runner(server) as runner:
            for name, moment in MOMENTS.items():
                room = open_room(server, stack.enter_context(ModelServer()), person)
                server.admin.call("ai.assistant", "write", [room.assistant_id], {"mcp_server_ids": [(4, server_id)]})
                scenes[name] = Scene(room, tools)
                moment.reach(scenes[name])
            runner.kill()
        server.sql("SELECT pg_advisory_unlock_all()")
        for name, moment in MOMENTS.items():
            scenes[name].room.model.script(*moment.again)
            moment.then(scenes[name])
        with a_runner(server):
            release_the_second_call(scenes["reading"])
            for name, moment in MOMENTS.items():
                scenes[name].room.ended(len(moment.replies), within=TAKEOVER_S)
        yield scenes


def share(server: LiveServer, tools: McpHttpServer) -> int:
    """A record of the server of tools; of one of them people are asked."""
    server_id = server.admin.create("mcp.server", name="workshop", scope="shared", url=tools.url)
    server.admin.call("mcp.server", "action_sync_tools", [server_id])
    [tool_id] = server.admin.call("mcp.tool", "search", [("server_id", "=", server_id), ("name", "=", "echo")])
    server.admin.call("mcp.tool", "write", [tool_id], {"approval": "ask"})
    return server_id


@pytest.mark.parametrize("moment", MOMENTS)
def test_q43_a_run_whose_host_is_killed_ends_as_it_should(survivors: dict[str, Scene], moment: str):
    scene, wanted = survivors[moment], MOMENTS[moment]
    assert [run["state"] for run in scene.room.runs()] == [wanted.state] * len(wanted.replies)
    note = STOPPED if wanted.state == "cancelled" else ""
    assert scene.room.replies() == [f"<p>{reply}</p>{note}" for reply in wanted.replies]


@pytest.mark.parametrize("moment", MOMENTS)
def test_q43_a_call_is_sent_again_only_where_that_is_safe(survivors: dict[str, Scene], moment: str):
    assert tuple(survivors[moment].sent) == MOMENTS[moment].sent


@pytest.mark.parametrize("moment", MOMENTS)
def test_q43_who_replays_a_run_reads_nothing_twice(survivors: dict[str, Scene], moment: str):
    room = survivors[moment].room
    for run, reply in zip(room.runs(), MOMENTS[moment].replies, strict=True):
        frames = replay(room, run["id"])
        assert "".join(frame["content"] for frame in frames if frame["type"] == "chunk").strip() == reply
        kinds = [frame["type"] for frame in frames]
        assert kinds[-1] == "done" and kinds.count("done") == 1 and "restart" not in kinds
        for kind in ("tool_call", "tool_result"):
            assert kinds.count(kind) == (1 if MOMENTS[moment].sent else 0)


@pytest.mark.parametrize("moment", MOMENTS)
def test_q43_the_model_is_asked_what_the_strictest_provider_takes(survivors: dict[str, Scene], moment: str):
    requests = survivors[moment].room.model.requests
    for request in requests:
        conversation.check(request.body)
    assert len(requests) == {"answer stored": 1, "stopping": 1, "stopped without a host": 1, "result stored": 3}.get(
        moment, 3 if moment == "queued" else 2
    )


def replay(room: Room, run_id: int) -> list[dict[str, Any]]:
    """What a viewer gets who comes late."""
    answer = room.person.http.get(f"/api/ai/stream/{room.channel_id}?run_id={run_id}")
    lines = answer.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
