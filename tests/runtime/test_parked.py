"""Runs that wait for a person: what they hold meanwhile (nothing), and what comes of two decisions at once."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import ModelServer, calls, text
from tests.live import LiveServer, Person
from tests.runtime.conftest import Room, open_room

NOTE = ("note", {"text": "Call Azure"}, "call_a")
MANY = 5
START_S = 10  # a busy machine starts the gevent process slowly


@pytest.fixture
def tools() -> Iterator[McpHttpServer]:
    with McpHttpServer() as server:
        yield server


def park(room: Room) -> int:
    """Have a run that waits for a decision; its id."""
    room.model.script(calls(NOTE))
    room.say("Note it.")
    room.server.eventually(lambda: [run["state"] for run in room.runs()] == ["waiting"])
    return room.runs()[0]["id"]


def careful_room(server: LiveServer, model: ModelServer, tools: McpHttpServer) -> Room:
    """A room whose assistant asks before it does anything."""
    room = another(open_room(server, model))
    room.use(tools)
    server.admin.call("ai.assistant", "write", [room.assistant_id], {"approval": "ask"})
    return room


def another(room: Room) -> Room:
    """A fresh conversation of the same two, to which others can be added."""
    return replace(room, channel_id=room.person.call("ai.assistant", "open_chat", [room.assistant_id], new=True))


def held(server: LiveServer) -> dict[str, int]:
    """What the process and its database have in use."""
    process = Path(f"/proc/{server.pid}")
    connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    locks = "SELECT count(*) FROM pg_locks JOIN pg_class ON oid = relation WHERE relname ~ '^ai_'"
    jobs = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    return {
        "threads": len(list((process / "task").iterdir())),
        "files and sockets": len(list((process / "fd").iterdir())),
        "connections": server.sql(connections, server.db)[0][0],
        "locks": server.sql(locks)[0][0],
        "jobs": server.sql(jobs)[0][0],
    }


def at_rest(server: LiveServer) -> dict[str, int] | None:
    """What is in use, at a moment in which nobody does anything."""
    found = held(server)
    return None if found["locks"] or found["jobs"] else found


def test_runs_that_wait_hold_no_thread_no_connection_no_lock_and_no_job(live: LiveServer, model: ModelServer, tools):
    room = careful_room(live, model, tools)
    rooms = [another(room) for _ in range(MANY)]
    park(room)  # opens what is kept for the next run
    before = held(live)
    for one in rooms:
        park(one)
    after = live.eventually(lambda: at_rest(live))
    assert {what: count for what, count in after.items() if count - before[what] >= MANY} == {}  # one more is chance


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def decide(url: str, person: Person, command: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {person.api_key}"}
    return httpx2.post(f"{url}/{command}", json={"id": "call_a"}, headers=headers, timeout=30)


def test_two_people_decide_at_once_in_two_processes_and_one_decision_counts(
    start_live: Callable[..., LiveServer], model: ModelServer, tools
):
    server = start_live(workers=2)
    room = careful_room(server, model, tools)
    ann, mia = room.person, server.person("mia", groups=("base.group_user", "ai_discuss.group_ai_manager"))
    ann.call("discuss.channel", "add_members", [room.channel_id], partner_ids=[mia.partner_id])
    run_id = park(room)
    server.eventually(lambda: listens(server.gevent_port), START_S)
    model.script(text("Well."))
    with ThreadPoolExecutor() as threads, server.base.connect(server.db) as database:
        with database.transaction():  # both have begun, and neither knows of the other
            database.execute("SELECT FROM ai_run WHERE id = %s FOR UPDATE", [run_id])
            answers = [
                threads.submit(decide, f"{server.url}/api/ai/run/{run_id}", ann, "approve"),
                threads.submit(decide, f"{server.gevent_url}/api/ai/run/{run_id}", mia, "deny"),
            ]
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            server.eventually(lambda: server.sql(waiting)[0][0] >= len(answers))
        assert [answer.result().status_code for answer in answers] == [200, 200]
    [run] = room.ended()
    assert (run["state"], run["attempt"], room.replies()) == ("done", 2, ["<p>Well.</p>"])
    [call] = ann.search_read("ai.tool.call", [("run_id", "=", run_id)], "state", "decided_by", "decided_at")
    outcome = (call["state"], call["decided_by"][0], len(tools.calls))
    assert outcome in (("done", ann.user_id, 1), ("denied", mia.user_id, 0))
    assert call["decided_at"]
