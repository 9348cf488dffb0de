"""What a reply costs the browser that shows it: a long one with many tool calls, in Chromium, with the real server."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat

from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench import Table
from bench.figures import COLUMNS, at_most, noted, quantile, ratio
from dev.browser import ARGUMENTS
from tests.dev.peers import running
from tests.fakes.model_server import ModelServer, Pause, calls, text
from tests.live import LiveBase, LiveServer

CHROMIUM = os.environ.get("AI_DISCUSS_TEST_CHROMIUM", "/usr/bin/chromium")
ROUNDS, CALLS_PER_ROUND = 4, 5
WORDS, WORDS_PER_CHUNK = 2000, 2
CHUNK_S = 1 / 30  # one chunk after the other; each is a change on the screen
LIMIT_S = 0.008  # of scripting for each chunk: half of a picture's time
GROWTH = 1.5  # the last quarter beside the first
PATIENCE_MS = 120_000
BEGIN, END = "text-begins", "text-ends"  # marks in the trace
TRACE = ["-*", "devtools.timeline", "blink.user_timing"]
SCRIPT = {"EvaluateScript", "FireAnimationFrame", "FunctionCall", "RunMicrotasks", "TimerFire"}
RENDERING = {"Layout", "UpdateLayoutTree", "Paint", "PrePaint"}
PARAGRAPH = (
    "The **quarter** ended *well* above its plan, and `SKU-17` sold best of all desks in [the list](https://odoo.com). "
)
BLOCKS = (
    f"## What happened\n\n{PARAGRAPH * 3}\n\n",
    f"- {PARAGRAPH}\n- {PARAGRAPH}\n- {PARAGRAPH}\n\n",
    "| Product | Sold | Left |\n|---|--:|--:|\n" + "| **Desk** of oak | 140 | 20 |\n" * 6 + "\n",
    "```python\n" + "total = sum(line.price for line in order.lines)\n" * 6 + "```\n\n",
)


def measure(base: LiveBase) -> Table:
    with ModelServer() as model, running("dev.demo_mcp") as tools, base.new_server() as live, sync_playwright() as play:
        channel = _channel(live, model.base_url, tools)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = _open(browser, live, channel)
        _answer(page, model, chunks=40)  # whatever is loaded or compiled once
        browser.start_tracing(page=page, categories=TRACE)
        _answer(page, model, chunks=WORDS // WORDS_PER_CHUNK)
        trace = json.loads(browser.stop_tracing())
        browser.close()
    return Table(
        f"A reply of {WORDS} words and {ROUNDS * CALLS_PER_ROUND} tool calls in the browser", COLUMNS,
        tuple(_rows(trace["traceEvents"])),
    )  # fmt: skip


def _channel(live: LiveServer, model_url: str, tools_url: str) -> int:
    admin = live.admin
    provider = admin.create("ai.provider", name="Scripted", base_url=model_url)
    server = admin.create("mcp.server", name="Office tools", url=tools_url)
    admin.call("mcp.server", "action_sync_tools", [server])
    assistant = admin.create(
        "ai.assistant", name="Writer", provider_id=provider, model="scripted", mcp_server_ids=[(4, server)]
    )
    return admin.call("ai.assistant", "open_chat", [assistant])


def _open(browser: Browser, live: LiveServer, channel: int) -> Page:
    context = browser.new_context(base_url=live.url, viewport={"width": 1280, "height": 800})
    context.add_cookies([{"name": "session_id", "value": live.admin.session_id, "url": live.url}])
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"/odoo/discuss?active_id=discuss.channel_{channel}", timeout=PATIENCE_MS)
    return page


def _answer(page: Page, model: ModelServer, chunks: int) -> None:
    """Have a reply made, with marks in the page's trace where its text begins and ends."""
    wanted = [("calculate", {"expression": f"{number} * 17"}) for number in range(CALLS_PER_ROUND)]
    model.script(*repeat(calls(*wanted), ROUNDS), text(*_chunks(chunks)))
    replies = page.locator(".o-mail-Message.o-ai-Reply")
    before = replies.count()
    composer = page.locator(".o-mail-Composer-input").last
    composer.fill("How was the quarter?")
    composer.press("Enter")
    expect(page.locator(".o-ai-LiveText, .o-mail-Message.o-ai-Reply").nth(before)).to_be_visible(timeout=PATIENCE_MS)
    page.evaluate(f"performance.mark('{BEGIN}')")
    expect(replies).to_have_count(before + 1, timeout=PATIENCE_MS)
    page.evaluate(f"performance.mark('{END}')")


def _chunks(count: int) -> Iterator[str | Pause]:
    words = ("".join(BLOCKS) * (1 + count // 50)).split(" ")
    for number in range(count):
        yield " ".join(words[number * WORDS_PER_CHUNK : (number + 1) * WORDS_PER_CHUNK]) + " "
        yield Pause(CHUNK_S)


def _rows(events: Sequence[Mapping]) -> list[tuple[str, ...]]:
    marks = {event["name"]: event for event in events if event["name"] in (BEGIN, END)}
    begin, end = marks[BEGIN]["ts"], marks[END]["ts"]
    own = [
        event for event in events
        if event["ph"] == "X" and event["pid"] == marks[END]["pid"] and begin <= event["ts"] < end
    ]  # fmt: skip
    costs = _own_seconds(own)
    script = _per_chunk((cost for cost in costs if cost[0] in SCRIPT), begin, end)
    rendering = _per_chunk((cost for cost in costs if cost[0] in RENDERING), begin, end)
    quarter = len(script) // 4
    return [
        at_most("scripting for each chunk, p95", quantile(script, 0.95), LIMIT_S),
        noted("the same, p50", quantile(script, 0.5)),
        noted("the same, the longest", max(script)),
        ratio("the same, p95 of the last quarter beside the first",
              quantile(script[-quarter:], 0.95), quantile(script[:quarter], 0.95), GROWTH),
        noted("style, layout and painting for each chunk, p95", quantile(rendering, 0.95)),
    ]  # fmt: skip


def _own_seconds(events: Sequence[Mapping]) -> list[tuple[str, int, float]]:
    """What each event took by itself, without those within it: (name, when, seconds). A script that asks how high the
    page is has it laid out: that is no scripting. The processor's seconds, not the clock's: the page shares the machine
    with all that it talks to."""
    seconds: list[float] = []
    around: dict[int, list[tuple[int, int]]] = {}  # by thread: the events that have begun, as (end, index)
    ordered = sorted(events, key=lambda event: (event["ts"], -event["dur"]))
    for index, event in enumerate(ordered):
        seconds.append(event.get("tdur", event["dur"]) / 1e6)
        outer = around.setdefault(event["tid"], [])
        while outer and outer[-1][0] <= event["ts"]:
            outer.pop()
        if outer:
            seconds[outer[-1][1]] -= seconds[index]
        outer.append((event["ts"] + event["dur"], index))
    return [(event["name"], event["ts"], taken) for event, taken in zip(ordered, seconds, strict=True)]


def _per_chunk(costs: Iterable[tuple[str, int, float]], begin: int, end: int) -> list[float]:
    """Their seconds in each stretch of time in which a chunk comes."""
    seconds = [0.0] * (int((end - begin) / 1e6 / CHUNK_S) + 1)
    for _name, moment, taken in costs:
        seconds[int((moment - begin) / 1e6 / CHUNK_S)] += taken
    return seconds
