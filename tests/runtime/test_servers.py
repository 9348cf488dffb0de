"""What the records of MCP servers say while runs use the servers, on a live Odoo and with real servers."""

from concurrent.futures import ThreadPoolExecutor

from tests.fakes.mcp_servers import McpHttpServer
from tests.live import LiveServer

WAITING_FOR_A_LOCK = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"


def connected(live: LiveServer, tools: McpHttpServer) -> int:
    server_id = live.admin.create("mcp.server", name="workshop", scope="shared", url=tools.url)
    live.admin.call("mcp.server", "action_sync_tools", [server_id])
    return server_id


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
