"""The tools of one run, over real servers."""

import asyncio
import base64
from dataclasses import replace

from services.mcp_pool import McpPool
from services.specs import ServerSpec, ToolSpec
from services.tools import MAX_TOOLS, RESULT_MAX_CHARS, ToolOutput, open_tools, truncate
from tests.fakes.mcp_servers import McpHttpServer, stdio_server

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def tool(server, name, number=1, **options):
    return ToolSpec(number, server, name, input_schema=options.pop("input_schema", TEXT), **options)


def with_tools(specs, use):
    """What `use` makes of the opened tools and their notices."""
    async def run():
        pool = McpPool()
        try:
            tools, notices = await open_tools(specs, pool)
            return await use(tools, notices)
        finally:
            await pool.aclose()

    return asyncio.run(run())


async def call(tools, name, **arguments):
    return await tools.call(tools.offered[name], arguments, lambda *progress: None)


async def offered(tools, notices):
    return list(tools.offered), [(notice.code, notice.message) for notice in notices]


def test_without_tools_nothing_is_offered_and_nothing_is_noticed():
    assert with_tools([], offered) == ([], [])


def test_q29_equal_names_reach_the_right_server():
    async def use(tools, notices):
        assert list(tools.offered) == ["web_echo", "local_echo"]
        assert (await call(tools, "web_echo", text="a")).text == "a"
        assert (await call(tools, "local_echo", text="b")).text == "b"
        assert notices == []

    with McpHttpServer() as web, stdio_server() as local:
        specs = [
            tool(ServerSpec(1, "web", "streamable_http", url=web.url), "echo"),
            tool(ServerSpec(2, "local", "stdio", command=local.command, args=local.args), "echo"),
        ]
        with_tools(specs, use)
        assert web.calls == [("echo", {"text": "a"})]
        assert local.calls == [("echo", {"text": "b"})]


def test_q39_a_server_that_cannot_be_reached_costs_its_own_tools_and_one_notice():
    with McpHttpServer() as server:
        good = ServerSpec(1, "good", "streamable_http", url=server.url)
        bad = ServerSpec(2, "bad", "stdio", command="no-such-command-anywhere")
        names, notices = with_tools([tool(bad, "one"), tool(good, "echo"), tool(bad, "two")], offered)
    assert names == ["echo"]
    assert notices == [("server_unreachable", "The tools of bad cannot be used now. The command was not found.")]


def test_q29_a_tool_is_called_the_same_whether_or_not_others_can_be_reached():
    with McpHttpServer() as server:
        good = ServerSpec(1, "good", "streamable_http", url=server.url)
        bad = ServerSpec(2, "bad", "stdio", command="no-such-command-anywhere")
        names, _ = with_tools([tool(good, "echo"), tool(bad, "echo")], offered)
    assert names == ["good_echo"]


def test_q30_an_unusable_schema_costs_that_tool_and_one_notice():
    with McpHttpServer() as server:
        spec = ServerSpec(1, "shop", "streamable_http", url=server.url)
        names, notices = with_tools([tool(spec, "echo"), tool(spec, "odd", input_schema={"type": "array"})], offered)
    assert names == ["echo"]
    assert [code for code, _ in notices] == ["tool_unusable"]
    assert "odd of shop" in notices[0][1]


def test_q30_more_tools_than_providers_take_are_capped_in_their_order():
    with McpHttpServer() as server:
        spec = ServerSpec(1, "shop", "streamable_http", url=server.url)
        names, notices = with_tools([tool(spec, f"t{n}", n) for n in range(MAX_TOOLS + 5)], offered)
    assert names == [f"t{n}" for n in range(MAX_TOOLS)]
    assert notices == [("too_many_tools", "Only the first 128 of the assistant's 133 tools are used.")]


def test_q32_only_what_is_declared_safe_is_repeated():
    async def use(tools, notices):
        calls = [asyncio.create_task(call(tools, name, text="x")) for name in ("slow", "slow_note")]
        await asyncio.to_thread(server.wait_for_call, "slow")
        await asyncio.to_thread(server.wait_for_call, "slow_note")
        server.drop_connections()
        await asyncio.to_thread(server.wait_for_call, "slow", 2)
        server.release(4)
        slow, note = await asyncio.gather(*calls)
        assert slow.text == "x"
        assert note.is_error
        assert [name for name, _ in server.calls].count("slow_note") == 1

    with McpHttpServer() as server:
        spec = ServerSpec(1, "shop", "streamable_http", url=server.url)
        with_tools([tool(spec, "slow", read_only=True), tool(spec, "slow_note")], use)


def test_q36_a_long_result_is_cut_in_the_middle_and_kept_for_people():
    async def use(tools, notices):
        output = await call(tools, "huge", chars=100_000)
        assert output.truncated
        assert output.text.startswith("<xxx")
        assert output.text.endswith("xxx>")
        assert "[… 70000 of 100000 characters left out …]" in output.text
        assert len(output.text) < RESULT_MAX_CHARS + 100
        (file,) = output.parts
        assert (file.kind, file.mime_type) == ("file", "text/plain")
        assert len(base64.b64decode(file.data)) == 100_000
        assert not (await call(tools, "huge", chars=RESULT_MAX_CHARS)).truncated

    with McpHttpServer() as server:
        spec = ServerSpec(1, "shop", "streamable_http", url=server.url)
        with_tools([tool(spec, "huge", input_schema={"properties": {"chars": {"type": "int"}}})], use)


def test_q36_truncating_keeps_what_else_there_is():
    output = ToolOutput("y" * (RESULT_MAX_CHARS + 1), is_error=True)
    cut = truncate(output)
    assert cut.is_error
    assert cut.truncated
    assert replace(cut, text="", truncated=False, parts=()) == replace(output, text="")
