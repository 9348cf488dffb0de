"""The tools of one run, over real servers."""

import asyncio
import base64
import tracemalloc
from dataclasses import replace

import pytest

from services.loop import Loop
from services.mcp_pool import McpPool
from services.mcp_wire import ANSWER_MAX_BYTES
from services.messages import ToolCall, ToolPart, UserMessage
from services.specs import Limits, ServerSpec, ToolSpec
from services.tools import MAX_PARTS, MAX_TOOLS, ToolOutput, limit, open_tools
from tests.fakes.mcp_servers import PIXEL, JsonServer, McpHttpServer, scripted, stdio_server
from tests.fakes.memory import LocalTools, MemorySteps, ScriptedModel, answer, calls

MEGABYTE = b"x" * (1 << 20)

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def tool(server, name, number=1, **options):
    return ToolSpec(number, server, name, input_schema=options.pop("input_schema", TEXT), **options)


def huge(server):
    spec = ServerSpec(1, "shop", "streamable_http", url=server.url)
    return tool(spec, "huge", input_schema={"properties": {"chars": {"type": "int"}}})


def everything(server):
    return tool(ServerSpec(1, "shop", "streamable_http", url=server.url), "all", input_schema={"type": "object"})


def with_tools(specs, use, limits=Limits()):
    """What `use` makes of the opened tools and their notices."""
    async def run():
        pool = McpPool()
        try:
            tools, notices = await open_tools(specs, pool, limits)
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
        head, rest = output.text.split("\n\n[… 70000 of 100000 characters left out …]\n\n")
        tail, note = rest.split("\n")
        assert (len(head), len(tail)) == (20_000, 10_000)
        assert tail.endswith("xxx>")
        assert note == "[Files for the person, attached to your reply: 1]"
        (file,) = output.parts
        assert (file.kind, file.mime_type) == ("file", "text/plain")
        assert len(base64.b64decode(file.data)) == 100_000
        assert not (await call(tools, "huge", chars=30_000)).truncated

    with McpHttpServer() as server:
        with_tools([huge(server)], use)


def test_q36_limits_are_those_of_the_run():
    async def use(tools, notices):
        output = await call(tools, "huge", chars=100_000)
        assert len(output.text) < 3_200
        (file,) = output.parts
        kept = base64.b64decode(file.data).decode()
        assert kept.startswith("<" + "x" * 3_999 + "\n\n[… the first 4000 of 100000 characters …]")

    with McpHttpServer() as server:
        with_tools([huge(server)], use, Limits(result_chars=3_000, kept_chars=4_000))


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_q36_fifty_megabytes_never_take_more_memory_than_an_answer_may_have(content_type):
    answer = scripted()

    def flood(verb, headers, body):
        if body.get("method") != "tools/call":
            return answer(verb, headers, body)
        beginning = f'{{"jsonrpc": "2.0", "id": {body["id"]}, "result": {{"content": [{{"type": "text", "text": "'
        field = "data: " if content_type == "text/event-stream" else ""
        return 200, {"content-type": content_type}, [(field + beginning).encode(), *[MEGABYTE] * 50, b'"}]}}\n\n']

    async def use(tools, notices):
        tracemalloc.start()
        try:
            output = await call(tools, "all")
            return output, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    with JsonServer(flood) as server:
        output, peak = with_tools([everything(server)], use)
    assert output.is_error
    assert len(output.text) < 1000
    assert peak < 3 * ANSWER_MAX_BYTES  # read in pieces, which are then put together; the rest is never read


def test_q36_an_answer_that_is_just_not_too_large_is_cut_for_the_model_and_for_people():
    async def use(tools, notices):
        return await call(tools, "all")

    text = {"type": "text", "text": "ä" * 2_500_000}
    with JsonServer(scripted(call=lambda params: {"content": [text]})) as server:
        output = with_tools([everything(server)], use)
    assert len(output.text) < 31_000
    assert len(base64.b64decode(output.parts[0].data)) < 2_001_000


def test_q36_ten_thousand_items_become_a_short_text_and_a_few_parts():
    blocks = [{"type": "image", "data": PIXEL, "mimeType": "image/png"}] * 5_000
    blocks += [{"type": "resource_link", "name": f"page {n}", "uri": f"https://example.com/{n}"} for n in range(5_000)]

    async def use(tools, notices):
        return await call(tools, "all")

    with JsonServer(scripted(call=lambda params: {"content": blocks})) as server:
        output = with_tools([everything(server)], use)
    assert len(output.text) < 31_000
    assert [part.kind for part in output.parts] == ["image"] * MAX_PARTS + ["file"]
    assert output.text.endswith(
        "[Files for the person, attached to your reply: 21]\n"
        "[Left out, because people get at most 20 of up to 6 MB each: 9980]"
    )


def test_q36_a_part_that_is_too_large_is_left_out_and_the_model_hears_of_it():
    large, small = (ToolPart("image", "image/png", "A" * chars) for chars in (4_000, 3_996))
    output = limit(ToolOutput("[image]\n[image]", parts=(large, small)), Limits(part_bytes=2_999))
    assert output.parts == (small,)
    assert output.text.splitlines()[2:] == [
        "[Files for the person, attached to your reply: 1]",
        "[Left out, because people get at most 20 of up to 0.00286 MB each: 1]",
    ]


@pytest.mark.parametrize(("chars", "kind"), [(20_000, "structured"), (20_001, "file")])
def test_q36_structured_data_is_something_to_read_or_a_file(chars, kind):
    data = ToolPart("structured", "application/json", "1" * chars)
    (part,) = limit(ToolOutput("words", parts=(data,)), Limits()).parts
    assert (part.kind, part.mime_type) == (kind, "application/json")
    assert (base64.b64decode(part.data).decode() if kind == "file" else part.data) == data.data


def test_q36_what_is_small_stays_as_it_is():
    output = ToolOutput("y" * 30_000, is_error=True, parts=(ToolPart("link", uri="https://example.com"),))
    assert limit(output, Limits()) == output


def test_q36_cutting_keeps_what_else_there_is():
    output = ToolOutput("y" * 30_001, is_error=True)
    cut = limit(output, Limits())
    assert cut.is_error
    assert cut.truncated
    assert replace(cut, text="", truncated=False, parts=()) == replace(output, text="")


def test_q36_a_run_does_not_hold_the_files_that_its_tools_returned():
    taken = []

    async def large(number):
        taken.append(tracemalloc.get_traced_memory()[0])
        return ToolOutput("A file.", parts=(ToolPart("file", "text/plain", chr(65 + number) * 2_000_000),))

    replies = [calls(ToolCall(f"c{number}", "large", {"number": number})) for number in range(10)]
    loop = Loop(ScriptedModel(*replies, answer("Done.")), MemorySteps(), lambda event: None, max_rounds=20)
    tracemalloc.start()
    try:
        asyncio.run(loop.run([UserMessage("Get them.")], LocalTools(large)))
    finally:
        tracemalloc.stop()
    assert taken[-1] - taken[0] < 4_000_000
