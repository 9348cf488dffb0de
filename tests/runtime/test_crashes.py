"""`kill -9`, at each moment of a run: nothing that was said is lost, no call is sent twice, every run has its end."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import pytest

from dev import processes
from tests.controllers.client import PATIENCE, Stream, check_complete
from tests.fakes import conversation
from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import Gate, ModelServer, Reply, calls, hold, text
from tests.live import LiveBase, LiveServer, Person
from tests.runtime import postgresql
from tests.runtime.conftest import Room, a_runner, open_room

TAKEOVER_S = 15  # what the design promises
AT_ONCE_S = 2  # a stop takes a fraction of a second; where its host does not react, others wait for longer than this
HELD_BACK = {"invoking": 1, "done": 2, "cancelled": 3}  # states that a test can keep from being reached

# A step waits, in its transaction, for as long as the test holds the lock of its state and conversation.
HOLDING = """
CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
                CASE NEW.state WHEN 'invoking' THEN 1 WHEN 'done' THEN 2 ELSE 3 END, channel_id
            )
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


@dataclass(frozen=True)
class Moment:
    """Where a run is when its host is killed, and what has to come of it."""

    reach: Callable[[Scene], None]
    again: tuple[Reply, ...]  # what the model says to those who go on
    asked: int  # how often the model was, in all
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
    stop(scene.room)
    scene.wait_held_back("cancelled")


def release_the_second_call(scene: Scene) -> None:
    scene.room.server.eventually(lambda: scene.sent == ["slow", "slow"], TAKEOVER_S)
    scene.tools.release(2)


def approve(scene: Scene) -> None:
    run_id = scene.room.runs()[0]["id"]
    [(call_id,)] = scene.room.server.sql("SELECT call_id FROM ai_tool_call WHERE run_id = %s", run_id)
    scene.room.person.http.post(f"/api/ai/run/{run_id}/approve", json={"id": call_id}).raise_for_status()


def stop_at_once(scene: Scene) -> None:
    stop(scene.room, into="cancelled")


STOPPED = '\n<p class="o_ai_stopped text-muted">Stopped by ann.</p>'
SUNNY = (text("It was a sunny day."),)
MOMENTS = {
    "queued": Moment(queued, (text("First."), text("Second.")), 3, ("First.", "Second.")),
    "begun": Moment(begun, SUNNY, 2, ("It was a sunny day.",)),
    "speaking": Moment(speaking, SUNNY, 2, ("It was a sunny day.",)),
    "call stored": Moment(call_stored, (text("Noted."),), 2, ("Noted.",), sent=("note",)),
    "acting": Moment(acting, (text("Who knows."),), 2, ("Who knows.",), sent=("slow_note",)),
    "reading": Moment(reading, (text("Read."),), 2, ("Read.",), sent=("slow", "slow")),
    "result stored": Moment(result_stored, (text("Noted."),), 3, ("Noted.",), sent=("note",)),
    "answer stored": Moment(answer_stored, (), 1, ("The end.",)),
    "parked": Moment(parked, (text("So it is."),), 2, ("So it is.",), sent=("echo",), then=approve),
    "stopping": Moment(stopping, (), 1, ("It was a dark",), state="cancelled"),
    "stopped without a host": Moment(speaking, (), 1, ("It was a dark",), state="cancelled", then=stop_at_once),
}


@dataclass
class Stage:
    """A server beside which hosts come and go, and what its conversations share."""

    server: LiveServer
    tools: McpHttpServer
    tools_id: int
    person: Person
    stack: ExitStack
    runner: processes.Child | None = None  # who goes on after a host is killed

    def open(self) -> Scene:
        room = open_room(self.server, self.stack.enter_context(ModelServer()), self.person)
        values = {"mcp_server_ids": [(4, self.tools_id)]}
        self.server.admin.call("ai.assistant", "write", [room.assistant_id], values)
        return Scene(room, self.tools)


@pytest.fixture(scope="module")
def stage(hostless: LiveServer) -> Iterator[Stage]:
    hostless.sql(HOLDING)
    with ExitStack() as stack:
        tools = stack.enter_context(McpHttpServer())
        yield Stage(hostless, tools, share(hostless, tools), hostless.person("ann"), stack)


@pytest.fixture(scope="module")
def survivors(stage: Stage) -> dict[str, Scene]:
    """The scene of each moment, after one host was killed at all these moments and another has gone on."""
    scenes = {}
    with a_runner(stage.server) as runner:
        for name, moment in MOMENTS.items():
            scenes[name] = stage.open()
            moment.reach(scenes[name])
        runner.kill()
    stage.server.sql("SELECT pg_advisory_unlock_all()")
    for name, moment in MOMENTS.items():
        scenes[name].room.model.script(*moment.again)
        moment.then(scenes[name])
    stage.runner = stage.stack.enter_context(a_runner(stage.server))  # for the tests behind these, too
    release_the_second_call(scenes["reading"])
    for name, moment in MOMENTS.items():
        scenes[name].room.ended(len(moment.replies), within=TAKEOVER_S)
    return scenes


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
    assert len(requests) == MOMENTS[moment].asked


def test_a_stop_from_another_process_closes_everything_at_once(stage: Stage, survivors: dict[str, Scene]):
    room, gate = open_room(stage.server, stage.stack.enter_context(ModelServer()), stage.person), hold()
    with McpHttpServer() as workshop:
        room.use(workshop)
        room.model.script(calls(("slow", {})), text("Go on, ", gate, "then."))
        room.say("Well?")
        workshop.wait_for_call("slow")
        stopped_at = stop(room)
        workshop.wait_for_cancel("slow")
        room.ended()
        assert time.monotonic() - stopped_at < AT_ONCE_S
        room.say("And now?")
        gate.wait_reached()
        stopped_at = stop(room)
        assert room.model.wait_for_disconnect(2).disconnected_at - stopped_at < AT_ONCE_S
    assert [run["state"] for run in room.ended(2)] == ["cancelled"] * 2
    conversation.check(room.model.requests[1].body)


def test_q43_a_host_that_was_frozen_and_wakes_up_changes_nothing(stage: Stage, survivors: dict[str, Scene]):
    left, stopped = stage.open(), stage.open()
    with a_runner(stage.server) as sleeper:
        with frozen(stage.runner):  # who fetches a job would be chance
            for scene in (left, stopped):
                speaking(scene)
        with frozen(sleeper):
            stop(stopped.room)  # whoever does leaves it to the host, which seems to be well
            left.room.model.script(*SUNNY)
            assert [run["state"] for run in stopped.room.ended()] == ["cancelled"]
            miss_heartbeats(left.room)
            assert [(run["state"], run["attempt"]) for run in left.room.ended()] == [("done", 2)]
            told = [scene.room.frames(scene.room.runs()[0]["id"]) for scene in (left, stopped)]
        for scene in (left, stopped):
            scene.room.model.wait_for_disconnect(1)  # it has heard that they are not its own any more
    assert told == [scene.room.frames(scene.room.runs()[0]["id"]) for scene in (left, stopped)]
    assert left.room.replies() == ["<p>It was a sunny day.</p>"]
    assert stopped.room.replies() == [f"<p>It was a dark</p>{STOPPED}"]


def test_q39_a_server_of_tools_that_is_killed_in_a_call_costs_that_call(stage: Stage, survivors: dict[str, Scene]):
    room = open_room(stage.server, stage.stack.enter_context(ModelServer()), stage.person)
    with McpHttpServer() as workshop:
        room.use(workshop)
        room.model.script(calls(("slow_note", {"text": "x"})), text("It broke."))
        room.say("Well?")
        workshop.wait_for_call("slow_note")
        workshop.stop()
        assert [run["state"] for run in room.ended()] == ["done"]
    assert "may or may not have been executed" in room.model.requests[1].body["messages"][-1]["content"]
    assert room.replies() == ["<p>It broke.</p>"]


@pytest.fixture
def fragile(live_base: LiveBase) -> Iterator[LiveServer]:
    """A server whose PostgreSQL nobody else needs."""
    if "DATABASE_URL" in os.environ:
        pytest.skip("the database is somebody else's")
    with postgresql.a_copy(live_base) as base, base.new_server() as server:
        yield server


def test_q43_a_run_survives_a_crash_of_postgresql(fragile: LiveServer, model: ModelServer):
    room, gate = open_room(fragile, model), hold()
    room.model.script(text("It was a dark ", gate, "night."), *SUNNY)
    headers = {"Authorization": f"Bearer {room.person.api_key}"}
    api = httpx2.Client(base_url=room.server.url, headers=headers, timeout=PATIENCE)
    with api, Stream(api, "POST", f"/api/ai/stream/{room.channel_id}", json={"message": "Well?"}) as stream:
        frames = stream.until("chunk")
        postgresql.crash(room.server)
        gate.release()
        frames += stream.rest()
    check_complete(frames)
    assert [run["state"] for run in room.runs()] == ["done"]
    [reply] = room.replies()
    assert reply in ("<p>It was a dark night.</p>", "<p>It was a sunny day.</p>")  # the latter if it had to begin anew
    assert [frame["content"] for frame in replay(room, frames[0].run_id) if frame["type"] == "chunk"][-1] in reply
    room.server.eventually(lambda: meets_no_dead_connection(room.server))
    room.model.respond_with(lambda request: text("Yes."))
    room.say("Still there?")
    assert room.ended(2)[1]["state"] == "done"


@contextlib.contextmanager
def frozen(host: processes.Child) -> Iterator[None]:
    """Let it do nothing for a while, as on a machine that sleeps: its connections stay."""
    os.killpg(host.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(host.process.pid, signal.SIGCONT)


def miss_heartbeats(room: Room) -> None:
    """Let the host that executes a run there seem dead; a test has no time for the ten seconds."""
    room.server.sql(
        "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"
        " WHERE id IN (SELECT worker_id FROM procrastinate_jobs WHERE lock = %s AND status = 'doing')",
        f"channel:{room.channel_id}",
    )


def meets_no_dead_connection(server: LiveServer) -> bool:
    """Odoo answers once with an error for each connection that it had kept."""
    return server.anonymous().get("/web/login").status_code == 200


def stop(room: Room, into: str = "running") -> float:
    """Stop the newest run, which is then as it says; when that was."""
    answer = room.person.http.post(f"/api/ai/run/{room.runs()[-1]['id']}/stop", json={})
    assert answer.json()["state"] == into
    return time.monotonic()


def replay(room: Room, run_id: int) -> list[dict[str, Any]]:
    """What a viewer gets who comes late."""
    answer = room.person.http.get(f"/api/ai/stream/{room.channel_id}?run_id={run_id}")
    lines = answer.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
