"""The progress of a tool on its way from a real MCP server to the call's record, while the call runs."""

from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import calls, text


def test_q35_people_see_how_far_a_running_tool_is(room):
    def shown():
        found = room.server.admin.search_read(
            "ai.tool.call", [("run_id.channel_id", "=", room.channel_id)],
            "state", "progress", "progress_total", "progress_message",
        )
        return [tuple(call[key] for key in ("state", "progress", "progress_total", "progress_message"))
                for call in found]

    with McpHttpServer() as tools:
        room.use(tools)
        room.model.script(calls(("steps", {"count": 2})), text("All steps are taken."))
        room.say("Take two steps.")
        room.server.eventually(lambda: shown() == [("invoking", 1, 2, "step 1")])
        tools.release()
        room.server.eventually(lambda: shown() == [("invoking", 2, 2, "step 2")])
        tools.release()
        room.ended()
    frames = [frame for frame in room.frames(room.runs()[0]["id"]) if frame["type"] == "progress"]
    assert [(frame["progress"], frame["total"], frame["message"]) for frame in frames] == [
        (1, 2, "step 1"), (2, 2, "step 2"),
    ]
    assert [state for state, *_ in shown()] == ["done"]
