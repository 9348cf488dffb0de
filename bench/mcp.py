"""What a call of a tool costs: through the pool, through the SDK's own warm session, and with a session per call."""

import asyncio
from functools import partial

from mcp import Client
from mcp.server import MCPServer

from bench import Table, peer
from bench.figures import COLUMNS, faster, ratio, take_turns_async
from services.mcp_pool import McpPool
from services.specs import ServerSpec
from tests.live import LiveBase

ROUNDS, COLD_ROUNDS = 300, 30
ARGUMENTS = {"text": "Is anybody there?"}


def measure(base: LiveBase) -> Table:
    with peer("bench.mcp", base.logs) as url:
        rows = asyncio.run(_rows(url))
    return Table("MCP: one call over streamable HTTP", COLUMNS, rows)


async def _rows(url: str) -> tuple[tuple[str, ...], ...]:
    pool = McpPool()
    server = ServerSpec(id=1, name="echo", transport="streamable_http", url=url)
    try:
        async with Client(url, cache=None) as warm:
            cases = {
                "pool": partial(_through_pool, pool, server),
                "warm": partial(_through_session, warm),
                "cold": partial(_with_a_session_of_its_own, url),
            }
            await take_turns_async(cases, 5)  # whatever is loaded or opened once
            # The slow one seldom: it would only make everybody wait.
            quick = {name: case for name, case in cases.items() if name != "cold"}
            taken = await take_turns_async(cases, COLD_ROUNDS) | await take_turns_async(quick, ROUNDS)
    finally:
        await pool.aclose()
    return (
        ratio("a call through the pool, over the SDK's warm session", taken["pool"], taken["warm"], 1.2),
        faster("a call through the pool, over a session for each call", taken["pool"], taken["cold"], 8),
    )


async def _through_pool(pool: McpPool, server: ServerSpec) -> None:
    output = await pool.call(server, "echo", ARGUMENTS, lambda *_progress: None)
    assert output.text == ARGUMENTS["text"]


async def _through_session(client: Client) -> None:
    result = await client.call_tool("echo", ARGUMENTS)
    assert result.content[0].text == ARGUMENTS["text"]


async def _with_a_session_of_its_own(url: str) -> None:
    async with Client(url) as client:
        await _through_session(client)


def main() -> None:
    from dev import demo_peer

    server = MCPServer("echo", log_level="CRITICAL")

    @server.tool(structured_output=False)
    def echo(text: str) -> str:
        """Give the text back."""
        return text

    demo_peer.serve(server.streamable_http_app(), 0, "/mcp")


if __name__ == "__main__":
    main()
