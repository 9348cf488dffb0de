"""A conversation with an assistant on a live server, and what became of its runs as the database has it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from dev import processes
from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import ModelServer
from tests.live import LiveBase, LiveServer, Person, clean_environment

RUNNER_START_S = 40  # a busy machine imports Odoo and the engine slowly
ENDED = ("done", "error", "cancelled")


@dataclass
class Room:
    """Somebody's conversation with an assistant of its own, whose model is scripted."""

    server: LiveServer
    model: ModelServer
    person: Person
    assistant_id: int
    channel_id: int

    def say(self, text: str) -> int:
        """Post a message as Discuss does; its id. Returns as soon as the server has answered."""
        return self.person.call(
            "discuss.channel", "message_post", [self.channel_id],
            body=text, message_type="comment", subtype_xmlid="mail.mt_comment",
        )[0]  # fmt: skip

    def runs(self) -> list[dict[str, Any]]:
        """The runs of this conversation, oldest first."""
        fields = ("id", "state", "attempt", "error_code", "message_id", "stop_requested")
        rows = self.server.sql(
            f"SELECT {', '.join(fields)} FROM ai_run WHERE channel_id = %s ORDER BY id", self.channel_id
        )
        return [dict(zip(fields, row, strict=True)) for row in rows]

    def ended(self, count: int = 1, within: float = 15) -> list[dict[str, Any]]:
        """Wait until that many runs have ended."""
        self.server.eventually(lambda: sum(run["state"] in ENDED for run in self.runs()) >= count, within)
        return self.runs()

    def frames(self, run_id: int) -> list[dict[str, Any]]:
        """The journal of a run."""
        rows = self.server.sql("SELECT payload FROM ai_run_event WHERE run_id = %s ORDER BY seq", run_id)
        return [payload for (payload,) in rows]

    def replies(self) -> list[str]:
        """What the assistant has posted, as stored HTML, oldest first."""
        rows = self.server.sql(
            "SELECT message.body FROM mail_message message JOIN ai_assistant assistant"
            " ON assistant.partner_id = message.author_id AND assistant.id = %s"
            " WHERE message.model = 'discuss.channel' AND message.res_id = %s ORDER BY message.id",
            self.assistant_id, self.channel_id,
        )  # fmt: skip
        return [body.strip() for (body,) in rows]

    def jobs(self, state: str) -> int:
        """How many jobs of this conversation are in that state."""
        return self.server.sql(
            "SELECT count(*) FROM procrastinate_jobs WHERE lock = %s AND status::text = %s",
            f"channel:{self.channel_id}", state,
        )[0][0]  # fmt: skip

    def use(self, tools: McpHttpServer) -> int:
        """Give the assistant the tools of this MCP server; the id of its record."""
        admin = self.server.admin
        server_id = admin.create("mcp.server", name="workshop", scope="shared", url=tools.url)
        admin.call("mcp.server", "action_sync_tools", [server_id])
        admin.call("ai.assistant", "write", [self.assistant_id], {"mcp_server_ids": [(4, server_id)]})
        return server_id


def open_room(server: LiveServer, model: ModelServer, person: Person | None = None) -> Room:
    """A new conversation of `person`, or of somebody new, with a new assistant."""
    admin = server.admin
    provider_id = admin.create("ai.provider", name="scripted", base_url=model.base_url)
    values = {"name": "Botty", "provider_id": provider_id, "model": "scripted", "system_prompt": "Be brief."}
    assistant_id = admin.call("ai.assistant", "create", [values])[0]
    person = person or server.person("ann")
    return Room(server, model, person, assistant_id, person.call("ai.assistant", "open_chat", [assistant_id]))


@contextmanager
def a_runner(server: LiveServer) -> Iterator[processes.Child]:
    """`odoo-bin ai_runner` beside the server, at work by now, until the block ends."""
    newest = "SELECT coalesce(max(id), 0) FROM procrastinate_workers"
    before = server.sql(newest)
    child = processes.start(
        "runner",
        [sys.executable, str(server.base.odoo_bin), "ai_runner", f"--database={server.db}"],
        log=server.log.path.with_suffix(".runner.log"),
        # Odoo looks for an addon's command before it reads the arguments
        env={**clean_environment(), "ODOO_RC": str(server.log.path.with_suffix(".conf"))},
    )
    try:
        server.eventually(lambda: server.sql(newest) > before, RUNNER_START_S)
        yield child
    finally:
        child.stop(20)


@pytest.fixture(scope="session")
def hostless(live_base: LiveBase) -> Iterator[LiveServer]:
    """A server that executes no runs itself, so that hosts may come and go beside it. Whoever uses it leaves no run
    behind that has not ended."""
    with live_base.new_server(options={"ai_discuss_runner": "external"}) as server:
        yield server


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def ann(live: LiveServer) -> Person:
    return live.person("ann")


@pytest.fixture
def room(live: LiveServer, model: ModelServer, ann: Person) -> Room:
    return open_room(live, model, ann)


@pytest.fixture
def own_room(start_live: Callable[..., LiveServer], model: ModelServer) -> Room:
    """A room on a server that this test may stop, kill and break."""
    return open_room(start_live(), model)
