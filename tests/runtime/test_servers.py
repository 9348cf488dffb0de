"""What the records of MCP servers say while runs use the servers, on a live Odoo and with real servers."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mcp.server.mcpserver import Context

from tests.fakes.mcp_servers import McpHttpServer, build_server
from tests.fakes.model_server import calls, text
from tests.runtime.conftest import Room

WAITING_FOR_A_LOCK = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"


class LearningServer(McpHttpServer):
    """Its tool `learn` gives it another tool, which it announces."""

    def _app(self):
        server = build_server(self)

        @server.tool(structured_output=False)
        async def learn(name: str, ctx: Context) -> str:
            """Learn something new."""
            server.add_tool(lambda: "Done.", name=name, description="Something new.")
            await ctx.notify_tools_changed()
            return "Learnt."

        return self._recording(server.streamable_http_app())


def shown(room: Room, server_id: int) -> dict[str, Any]:
    """What the server's form says."""
    return room.server.admin.read("mcp.server", server_id, "state", "state_message", "failure_count", "circuit")


def tools_of(room: Room, server_id: int) -> dict[str, bool]:
    """The server's tools, and whether people have them switched on."""
    found = room.server.admin.search_read("mcp.tool", [("server_id", "=", server_id)], "name", "enabled")
    return {tool["name"]: tool["enabled"] for tool in found}


def test_q33_a_server_that_dies_in_a_run_is_marked_then_paused_and_in_use_again_once_it_answers(room):
    eventually = room.server.eventually
    with McpHttpServer() as tools:
        server_id = room.use(tools)
        room.model.script(calls(("slow_note", {"text": "x"})), text("It broke."))
        room.say("Write a note.")
        tools.wait_for_call("slow_note")
        tools.stop()
        room.ended()
        eventually(lambda: shown(room, server_id)["state"] == "error")
        assert (shown(room, server_id)["failure_count"], shown(room, server_id)["circuit"]) == (1, "closed")

        room.model.script(text("There are no tools."))
        room.say("Again.")
        room.ended(2)
        eventually(lambda: shown(room, server_id)["circuit"] == "open")
        assert "refused" in shown(room, server_id)["state_message"]
        assert "server_unreachable" in [frame.get("code") for frame in room.frames(room.runs()[1]["id"])]

        tools.start()
        eventually(lambda: shown(room, server_id)["circuit"] == "half_open")
        room.model.script(calls(("echo", {"text": "ping"})), text("It works."))
        room.say("And now?")
        room.ended(3)
        assert tools.calls == [("slow_note", {"text": "x"}), ("echo", {"text": "ping"})]
        eventually(lambda: shown(room, server_id)["state"] == "connected")
        assert (shown(room, server_id)["failure_count"], shown(room, server_id)["circuit"]) == (0, "closed")


def test_q38_a_tool_that_a_server_announces_appears_and_what_people_switched_off_stays_off(room):
    with LearningServer() as tools:
        server_id = room.use(tools)
        admin = room.server.admin
        disabled = admin.call("mcp.tool", "search", [("server_id", "=", server_id), ("name", "=", "note")])
        admin.call("mcp.tool", "write", disabled, {"enabled": False})
        room.model.script(calls(("learn", {"name": "sing"})), text("I can sing now."))
        room.say("Learn to sing.")
        room.ended()
        room.server.eventually(lambda: "sing" in tools_of(room, server_id))
        assert (tools_of(room, server_id)["sing"], tools_of(room, server_id)["note"]) == (True, False)

        room.model.script(calls(("sing", {})), text("La la la."))
        room.say("Sing.")
        room.ended(2)
    assert room.replies() == ["<p>I can sing now.</p>", "<p>La la la.</p>"]
    sung = admin.search_read("ai.tool.call", [("run_id.channel_id", "=", room.channel_id)], "tool_name", "state")
    assert {call["tool_name"]: call["state"] for call in sung} == {"learn": "done", "sing": "done"}


def test_two_who_take_over_at_once_do_so_one_after_the_other(live):
    """The other one is played: it has found the tool `add` and has not committed yet."""
    admin = live.admin
    with McpHttpServer() as tools, live.base.connect(live.db) as other, ThreadPoolExecutor() as threads:
        server_id = admin.create("mcp.server", name="workshop", scope="shared", url=tools.url)
        with other.transaction():
            other.execute("UPDATE mcp_server SET last_sync = now() WHERE id = %s", [server_id])
            other.execute(
                "INSERT INTO mcp_tool (server_id, name, active, enabled, approval, definition_hash)"
                " VALUES (%s, 'add', true, false, 'auto', 'x')", [server_id],
            )  # fmt: skip
            button = threads.submit(admin.call, "mcp.server", "action_sync_tools", [server_id])
            live.eventually(lambda: live.sql(WAITING_FOR_A_LOCK, live.db))
        assert button.result()["params"]["type"] == "success"
    found = admin.search_read("mcp.tool", [("server_id", "=", server_id)], "name", "enabled")
    assert [tool["enabled"] for tool in found if tool["name"] == "add"] == [False]
    assert "echo" in {tool["name"] for tool in found}
