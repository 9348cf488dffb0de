"""What the tests of the public addresses stand on: a live Odoo, people, a scripted model, real MCP servers.

Every test gets a model server, an assistant and a conversation of its own, so none can see what another one did.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.controllers.client import Frame, Stream
from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import ModelServer
from tests.live import LiveServer, Person


@dataclass
class Caller:
    """Somebody who calls our addresses: a program with their API key, or a page in their browser."""

    person: Person
    api: httpx2.Client  # with the key

    @property
    def browser(self) -> httpx2.Client:  # with the session's cookie
        return self.person.http


@dataclass
class Team:
    """The people of the tests."""

    admin: Person
    alice: Caller  # works here
    bob: Caller  # works here, too, and is in none of Alice's conversations
    mia: Caller  # manages the assistants
    paula: Caller  # a portal user


@dataclass
class Conversation:
    """Alice's conversation with an assistant of her own."""

    team: Team
    model: ModelServer
    assistant_id: int
    assistant_partner_id: int
    id: int
    servers: list[McpHttpServer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"/api/ai/stream/{self.id}"

    def post(self, message: str = "Hello?", *, by: Caller | None = None, headers: dict | None = None, **body) -> Stream:
        """Post a message and stream the reply; Alice does, unless somebody else is named."""
        return Stream((by or self.team.alice).api, "POST", self.url, json={"message": message, **body}, headers=headers)

    def attach(
        self, run_id: int | None = None, *, by: Caller | None = None, after: Frame | str | None = None
    ) -> Stream:
        """Attach to a run, after a frame."""
        headers = {"Last-Event-ID": after.id if isinstance(after, Frame) else after} if after else {}
        params = {"run_id": run_id} if run_id is not None else {}
        return Stream((by or self.team.alice).api, "GET", self.url, params=params, headers=headers)

    def messages(self) -> list[dict[str, Any]]:
        """What has been said, oldest first."""
        domain = [("model", "=", "discuss.channel"), ("res_id", "=", self.id), ("message_type", "=", "comment")]
        fields = ("body", "author_id", "attachment_ids")
        return self.team.alice.person.search_read("mail.message", domain, *fields, order="id", load=None)

    def use(self, server: McpHttpServer, name: str = "workshop") -> int:
        """Give the assistant the tools of `server`; the id of its record."""
        admin = self.team.admin
        server_id = admin.create("mcp.server", name=name, scope="shared", url=server.url)
        admin.call("mcp.server", "action_sync_tools", [server_id])
        admin.call("ai.assistant", "write", [self.assistant_id], {"mcp_server_ids": [(4, server_id)]})
        self.servers.append(server)
        return server_id


@pytest.fixture(scope="session")
def team(live: LiveServer) -> Team:
    return hire_team(live)


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def workshop() -> Iterator[McpHttpServer]:
    with McpHttpServer() as server:
        yield server


@pytest.fixture
def conversation(team: Team, model: ModelServer) -> Conversation:
    return start_conversation(team, model)


def hire_team(server: LiveServer) -> Team:
    return Team(
        admin=server.admin,
        alice=_hire(server, "alice", "base.group_user"),
        bob=_hire(server, "bob", "base.group_user"),
        mia=_hire(server, "mia", "base.group_user", "ai_discuss.group_ai_manager"),
        paula=_hire(server, "paula", "base.group_portal"),
    )


def start_conversation(team: Team, model: ModelServer) -> Conversation:
    [provider_id] = team.admin.call("ai.provider", "create", [{"name": "Scripted", "base_url": model.base_url}])
    values = {"name": "Ada", "provider_id": provider_id, "model": "scripted"}
    [assistant_id] = team.admin.call("ai.assistant", "create", [values])
    [partner_id] = team.admin.call("ai.assistant", "read", [assistant_id], ["partner_id"], load=None)
    channel_id = team.alice.person.call("ai.assistant", "open_chat", [assistant_id], new=True)
    return Conversation(team, model, assistant_id, partner_id["partner_id"], channel_id)


def _hire(server: LiveServer, name: str, *groups: str) -> Caller:
    person = server.person(name, groups=groups, email=f"{name}@example.com")
    api = server.anonymous()
    api.headers["Authorization"] = f"Bearer {person.api_key}"
    return Caller(person, api)
