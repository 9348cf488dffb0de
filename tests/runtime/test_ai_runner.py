"""`odoo-bin ai_runner` as whoever runs services sees it: its start, its end, its exit code, what it says of itself."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dev import processes
from tests.fakes.model_server import ModelServer, hold, text
from tests.live import LiveBase, LiveServer, RemoteError, clean_environment
from tests.runtime.conftest import Room, open_room

STOP_S = 10  # a container is killed then
PATIENCE_S = 40


@pytest.fixture
def room(hostless: LiveServer, model: ModelServer) -> Iterator[Room]:
    yield open_room(hostless, model)
    hostless.sql("DELETE FROM procrastinate_jobs")
    hostless.sql("DELETE FROM ai_run")


def arguments(server: LiveServer, *more: str) -> list[str]:
    return [sys.executable, str(server.base.odoo_bin), "ai_runner", *more]


def environment(server: LiveServer) -> dict[str, str]:
    return {**clean_environment(), "ODOO_RC": str(server.log.path.with_suffix(".conf"))}


@contextmanager
def a_runner(server: LiveServer, db: str, **variables: str):
    """A runner and its log, until the block ends."""
    log = server.log.path.with_suffix(".runner.log")
    child = processes.start(
        "runner", arguments(server, f"--database={db}"), log=log, env={**environment(server), **variables}
    )
    try:
        yield child
    finally:
        child.stop(STOP_S)


def health(server: LiveServer, db: str | None = None) -> tuple[int, str]:
    answer = ask(server, "--health", f"--database={db or server.db}")
    return answer.returncode, answer.stdout


def ask(server: LiveServer, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(server, *more), check=False, env=environment(server),
        capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip


def test_health_is_one_line_and_an_exit_code_and_a_runner_goes_on_after_its_database_was_away(room: Room):
    room.say("Is anybody there?")
    code, line = health(room.server)
    assert code == 1
    assert line.startswith("no host is alive: 0 hosts, 0 runs running, 1 queued (oldest ")
    with a_runner(room.server, room.server.db) as runner:
        gate = hold()
        room.model.script(text("Yes", gate))
        gate.wait_reached(PATIENCE_S)
        assert health(room.server) == (0, "ok: 1 host, 1 run running, 0 queued, 0 waiting for approval\n")
        gate.release()
        room.ended()
        with closed_to_everybody(room.server):
            assert health(room.server)[0] == 1
        room.model.script(text("Still here."))
        room.server.eventually(lambda: can_say(room), PATIENCE_S)
        assert room.ended(2, within=PATIENCE_S)[1]["state"] == "done"
        assert runner.running


@contextmanager
def closed_to_everybody(server: LiveServer):
    """Its database takes no connections meanwhile, and the present ones are gone."""
    with server.base.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {server.db} ALLOW_CONNECTIONS false")
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{server.db}'")
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {server.db} ALLOW_CONNECTIONS true")


def can_say(room: Room) -> bool:
    try:
        return bool(room.say("And now?"))
    except (RemoteError, ValueError):  # Odoo has connections that are closed; it may answer with a page
        return False


def test_health_tells_a_run_that_no_host_begins_from_one_that_waits_behind_another_or_for_a_full_host(room: Room):
    room.say("First")
    room.say("Second")
    server = room.server
    server.sql("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 minute')")
    two_minutes_pass = "UPDATE procrastinate_events SET at = at - interval '2 minutes'"
    server.sql(two_minutes_pass)
    try:
        code, line = health(server)
        assert (code, line.startswith("no host begins a run: 1 host, 0 runs running, 2 queued (oldest 12")) == (1, True)
        first = server.sql("SELECT min(id) FROM procrastinate_jobs WHERE status = 'todo'")[0][0]
        server.sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", first)
        server.sql(two_minutes_pass)
        assert health(server) == (0, "ok: 1 host, 0 runs running, 2 queued, 0 waiting for approval\n")
        server.sql("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %s", first)
        assert health(server)[0] == 1
        server.sql("UPDATE procrastinate_events SET at = now() WHERE type = 'started'")  # hosts are only full
        assert health(server)[0] == 0
    finally:
        server.sql("DELETE FROM procrastinate_workers")


def test_health_says_what_is_missing(hostless: LiveServer):
    code, line = health(hostless, "postgres")
    assert (code, line) == (1, "AI Assistants for Discuss is not installed there\n")
    code, line = health(hostless, f"{hostless.db},no_such_database")
    assert code == 1
    assert 'no_such_database: the database cannot be read (' in line


def test_a_runner_waits_for_all_its_databases_tells_systemd_and_hands_back_its_runs_when_it_has_to_end(
    room: Room, live_base: LiveBase, tmp_path
):
    server, other = room.server, live_base.new_server()
    later = f"{other.db}_later"
    rename(other, other.db, later)
    runner_of_both = a_runner(server, f"{server.db},{other.db}", NOTIFY_SOCKET=str(tmp_path / "notify"))
    with listening(tmp_path / "notify") as systemd, runner_of_both as runner:
        server.eventually(lambda: f"Waiting for the database {other.db}" in runner.log.read_text(), PATIENCE_S)
        rename(other, later, other.db)
        heard = []
        while b"WATCHDOG=1" not in heard or not any(message.count(b"ok: 1 host,") == 2 for message in heard):
            heard.append(systemd.recv(1000))
        assert heard.index(b"READY=1") < heard.index(b"WATCHDOG=1")
        gate = hold()
        room.model.script(text("It was a dark ", gate))
        room.say("Tell me a story.")
        gate.wait_reached(PATIENCE_S)
        runner.process.send_signal(signal.SIGTERM)
        assert runner.process.wait(STOP_S) == 0
        while systemd.recv(1000) != b"STOPPING=1":
            pass
    assert [(run["state"], run["attempt"]) for run in room.runs()] == [("queued", 2)]
    assert server.sql("SELECT count(*) FROM procrastinate_workers") == [(0,)]
    other.close()


def rename(server: LiveServer, old: str, new: str) -> None:
    with server.base.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {old} RENAME TO {new}")


@contextmanager
def listening(path):
    """What systemd hears."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(PATIENCE_S)
        yield listener


def test_a_runner_of_a_database_whose_runs_are_not_its_own_ends_with_an_error(room: Room):
    room.server.sql("UPDATE ir_config_parameter SET value = 'another' WHERE key = 'ai_discuss.database_uuid'")
    try:
        with a_runner(room.server, room.server.db) as runner:
            assert runner.process.wait(PATIENCE_S) == 1
            assert "is a copy of another database" in runner.log.read_text()
    finally:
        room.server.sql(
            "UPDATE ir_config_parameter SET value = (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid')"
            " WHERE key = 'ai_discuss.database_uuid'"
        )


def test_a_runner_without_a_database_says_so(hostless: LiveServer):
    answer = ask(hostless)
    assert answer.returncode == 1
    assert "Say whose runs to execute" in answer.stderr
