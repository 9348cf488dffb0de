"""Secrets appear nowhere: a server that logs all it can, peers that repeat what they were sent, and then a search."""

import json
from collections.abc import Callable

import pytest

from tests.controllers.client import Stream
from tests.fakes.mcp_servers import JsonServer, McpHttpServer, scripted
from tests.fakes.model_server import ModelServer, calls, error, sse, status, text
from tests.live import LiveServer, Person, RemoteError
from tests.runtime.conftest import Room, open_room

KEY, TOKEN, HEADER, OWN = (f"sk-canary-{name}-4711" for name in ("key", "token", "header", "own"))
LOGGERS = ("httpcore2", "httpx2", "mcp.client", "openai", "procrastinate", "psycopg", "asyncio", "odoo.service.model")
MODELS = ("ai.provider", "mcp.server", "mcp.credential", "ai.assistant", "ai.run", "ai.run.event", "ai.tool.call")
TABLES = ("ai_run", "ai_run_event", "ai_tool_call", "mcp_tool", "bus_bus", "mail_message", "procrastinate_jobs")


@pytest.fixture
def talkative(start_live: Callable[..., LiveServer]) -> LiveServer:
    handlers = ",".join([":DEBUG", *(f"{name}:DEBUG" for name in LOGGERS)])
    return start_live(options={"log_level": "debug", "log_handler": handlers})


def test_secrets_appear_nowhere(talkative: LiveServer):
    admin, gossip = talkative.admin, Gossip()
    with ModelServer() as model, McpHttpServer(token=TOKEN) as tools, JsonServer(gossip) as gossiper:
        ann = talkative.person("ann", groups=["base.group_user", "base.group_allow_export"])
        room = open_room(talkative, model, ann)
        said = _equip(room, tools, gossiper)
        model.script(
            calls(("whoami", {}), ("tell", {}), ("refuse", {}), ("stumble", {}), ("mine", {})),
            text("Seen."),
            error(401, f"Incorrect API key provided: {KEY}.", param=KEY),
            status(302, {"Location": f"http://127.0.0.1:{model.port}/{KEY}?key={KEY}"}),
            sse({"error": {"message": f"The key {KEY} is used up", "code": 400}}),
        )
        model.respond_with(lambda request: status(500, {"X-Echo": KEY}, {"error": {"message": f"{KEY}!"}}))
        said += [_ask(room) for _ in range(5)]
        # they were really sent
        assert {request.headers["authorization"] for request in model.requests} == {f"Bearer {KEY}"}
        assert gossip.heard == {HEADER, f"Bearer {OWN}"}
        assert "whoami" in [name for name, _ in tools.calls]
        model.respond_to_others_with(lambda request: error(403, f"{KEY} may not list models"))
        said.append(admin.call("ai.provider", "action_test_connection", _all_ids(admin, "ai.provider")[:1]))

    found = [*said, *_database(talkative), *_reads(admin), *_reads(room.person)]
    assert "•••" in str(found)
    assert [where for where in found if "canary" in str(where)] == []
    log = talkative.log.text()
    assert "call ai.provider" in log
    assert [line for line in log.splitlines() if "canary" in line or room.person.api_key in line] == []


class Gossip:
    """An MCP server that repeats whatever authenticates its callers, in every way that there is."""

    def __init__(self):
        self.heard: set[str] = set()
        self._shared = scripted(pages=[[_tool(name) for name in ("tell", "refuse", "stumble")]])
        self._personal = scripted(pages=[[_tool("mine")]])

    def __call__(self, verb, headers, body):
        secret = headers.get("x-api-key") or headers.get("authorization", "")
        self.heard |= {secret} - {""}
        if body.get("method") != "tools/call":
            return (self._shared if "x-api-key" in headers else self._personal)(verb, headers, body)
        match body["params"]["name"]:
            case "refuse":
                answer = {"error": {"code": -32000, "message": f"no {secret}", "data": {"you": secret}}}
            case "stumble":
                return 500, {"x-echo": secret}, secret.encode()
            case _:
                content = [{"type": "text", "text": secret}]
                answer = {"result": {"content": content, "structuredContent": {secret: [secret]}}}
        return 200, {"x-echo": secret}, {"jsonrpc": "2.0", "id": body["id"], **answer}


def _tool(name: str) -> dict[str, object]:
    return {"name": name, "inputSchema": {"type": "object"}}


def _equip(room: Room, tools: McpHttpServer, gossiper: JsonServer) -> list[object]:
    """Secrets of every kind; returned is what people were told meanwhile."""
    admin = room.server.admin
    admin.call("ai.provider", "write", _all_ids(admin, "ai.provider"), {"api_key": KEY})
    servers = [
        admin.create("mcp.server", scope="shared", **values)
        for values in (
            {"name": "Workshop", "url": tools.url, "auth_type": "bearer", "token": TOKEN},
            {"name": "Gossip", "url": gossiper.url, "auth_type": "headers", "headers": f'{{"X-Api-Key": "{HEADER}"}}'},
            {"name": "Personal", "url": gossiper.url, "auth_type": "bearer", "token": OWN, "per_user": True},
        )
    ]
    room.person.create("mcp.credential", server_id=servers[-1], token=OWN)
    admin.call("ai.assistant", "write", [room.assistant_id], {"mcp_server_ids": [(6, 0, servers)]})
    return [admin.call("mcp.server", "action_sync_tools", [server]) for server in servers]


def _ask(room: Room) -> str:
    """The whole stream of a question that is asked with an API key of Odoo's, which is a secret as well."""
    headers = {"Authorization": f"Bearer {room.person.api_key}"}
    url = f"/api/ai/stream/{room.channel_id}"
    with Stream(room.server.anonymous(), "POST", url, json={"message": "Well?"}, headers=headers) as stream:
        assert stream.rest()[-1].type == "done"
    return json.dumps(stream.raw.decode(), ensure_ascii=False)


def _database(server: LiveServer) -> list[str]:
    return [row for table in TABLES for (row,) in server.sql(f"SELECT to_jsonb({table})::text FROM {table}")]


def _reads(person: Person) -> list[object]:
    """Everything that this person can read and export."""
    seen: list[object] = []
    for model in MODELS:
        try:
            ids, fields = _all_ids(person, model), list(person.call(model, "fields_get"))
        except RemoteError:  # not for this person
            continue
        seen += person.call(model, "read", ids, fields)
        seen.append(person.call(model, "web_read", ids, {field: {} for field in fields}))
        seen.append(person.call(model, "export_data", ids, fields))
        seen.append(person.call(model, "copy_data", ids) if model in ("ai.provider", "mcp.server") else "")
        columns = [{"name": field, "label": field} for field in fields]
        wanted = {"model": model, "fields": columns, "ids": ids, "domain": [], "import_compat": False, "groupby": []}
        export = person.http.get("/web/export/csv", params={"data": json.dumps(wanted)})
        assert export.status_code == 200, export.text
        seen.append(export.text)
    assert seen
    return seen


def _all_ids(person: Person, model: str) -> list[int]:
    return person.call(model, "search", [])
