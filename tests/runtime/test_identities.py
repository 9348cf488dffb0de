"""As whom tools are called in real runs: with the credentials of whoever asks, or of whoever shares their server."""

import json
import re
from dataclasses import replace

from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import calls, text
from tests.runtime.conftest import Room

CALL = ("echo", {"text": "ping"})


def test_each_person_is_known_to_the_server_by_their_own_credentials(room: Room):
    with McpHttpServer(token="sk-anns") as tools:
        server_id = _server(room, tools, name="calendar", scope="shared", per_user=True, token="sk-anns")
        room.server.admin.call("ai.assistant", "write", [room.assistant_id], {"mcp_server_ids": [(4, server_id)]})
        room.server.admin.call("mcp.server", "write", [server_id], {"token": "sk-only-for-listing"})

        room.model.respond_with(lambda request: text("Without."))
        room.say("Use the tool.")
        notices = [frame for frame in room.frames(room.ended()[0]["id"]) if frame["type"] == "notice"]
        assert [notice["code"] for notice in notices] == ["credentials_missing"]
        assert "calendar wants your own credentials" in notices[0]["message"]
        assert "tools" not in room.model.requests[0].body
        assert [notices[0]["message"]] == _whispered(room)

        credential_id = room.person.create("mcp.credential", server_id=server_id, token="sk-anns")
        room.model.script(calls(CALL), text("It said ping."))
        room.say("And now?")
        room.ended(2)
        assert _call(room) == ("calendar", "done")

        room.person.call("mcp.credential", "write", [credential_id], {"token": "sk-revoked"})
        room.model.respond_with(lambda request: text("Without."))
        room.say("Again?")
        run = room.ended(3)[-1]
        assert "notice" in [frame["type"] for frame in room.frames(run["id"])]
        assert "sk-" not in str(room.frames(run["id"]))
        room.server.eventually(lambda: _state(room, "mcp_credential", credential_id) == "error")
        assert _state(room, "mcp_server", server_id) == "connected"  # nothing is wrong with it for others


def test_a_shared_personal_server_is_called_as_its_owner_until_they_leave(room: Room):
    admin = room.server.admin  # whose servers may be on this machine
    channel_id = admin.call("discuss.channel", "create", [{"name": "Team", "channel_type": "group"}])[0]
    admin.call("discuss.channel", "add_members", [channel_id], partner_ids=[room.person.partner_id])
    admin.call(
        "discuss.channel", "write", [channel_id], {"ai_assistant_id": room.assistant_id, "ai_reply_mode": "always"}
    )
    team = replace(room, channel_id=channel_id)
    with McpHttpServer(token="sk-admins") as tools:
        server_id = _server(room, tools, name="diary", scope="user", token="sk-admins")
        admin.call("discuss.channel", "ai_attach_server", [channel_id], server_id)
        team.model.respond_with(lambda request: text("Without."))
        team.say("Use the tool.")
        team.ended()
        assert "tools" not in team.model.requests[0].body

        admin.call("discuss.channel", "ai_attach_server", [channel_id], server_id, share=True)
        team.model.script(calls(CALL), text("It said ping."))
        team.say("And now?")
        team.ended(2)
        name, state = _call(team)
        assert name.startswith("diary (of ") and state == "done"

        admin.call("discuss.channel", "action_unfollow", [channel_id])
        team.model.respond_with(lambda request: text("Without."))
        team.say("Again?")
        team.ended(3)
        assert "tools" not in team.model.requests[-1].body


def _server(room: Room, tools: McpHttpServer, **values: object) -> int:
    """A server of the administrator's, whose tools are known."""
    server_id = room.server.admin.create("mcp.server", url=tools.url, auth_type="bearer", **values)
    room.server.admin.call("mcp.server", "action_sync_tools", [server_id])
    assert _state(room, "mcp_server", server_id) == "connected"
    return server_id


def _state(room: Room, table: str, record_id: int) -> str:
    return room.server.sql(f"SELECT state FROM {table} WHERE id = %s", record_id)[0][0]


def _whispered(room: Room) -> list[str]:
    """What Discuss shows to the person alone, without its markup."""
    rows = room.server.sql(
        "SELECT message::jsonb->'payload'->>'body' FROM bus_bus"
        " WHERE channel = %s AND message::jsonb->>'type' = 'discuss.channel/transient_message'",
        json.dumps([room.server.db, "res.partner", room.person.partner_id], separators=(",", ":")),
    )
    return [re.sub("<[^>]*>", "", body) for (body,) in rows]


def _call(room: Room) -> tuple[str, str]:
    """Whom the newest run called, and how that ended."""
    return room.server.sql(
        "SELECT server_name, state FROM ai_tool_call WHERE run_id = %s", room.runs()[-1]["id"]
    )[0]  # fmt: skip
