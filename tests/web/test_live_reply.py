"""A reply is read while it is written, by everybody, whatever happens to the connection."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.model_server import calls, hold, text
from tests.web.test_discuss import say

STREAM = "/api/ai/stream/"
PATIENCE_S = 60
FIRST = "Once upon a time there was a desk."
REST = " It had four legs and no drawer."


def live_text(page: Page):
    return page.locator(".o-ai-ActiveRun .o-ai-LiveText .o-mail-Message-richBody")


def reply(page: Page):
    return page.locator(".o-mail-Message.o-ai-Reply").last.locator(".o-mail-Message-richBody")


def answering(status: int):
    """What answers requests in the server's place."""
    return lambda route: route.fulfill(status=status, json={"error": {"code": "", "message": ""}})


def said_once(page: Page, *texts: str) -> None:
    """Nothing is on the page twice, as a live and as a stored reply."""
    for some in texts:
        expect(page.locator(".o-mail-Message-richBody", has_text=some)).to_have_count(1)


@pytest.fixture
def story(model):
    """A reply that stops in the middle; the gate where it does."""
    gate = hold()
    model.script(text(FIRST, gate, REST))
    yield gate
    gate.release()


def test_two_people_a_later_tab_and_a_reload_see_the_same_half_then_the_whole(live, desk, story, visit):
    ann, bob = live.person("Ann"), live.person("Bob")
    path = desk.open_chat(ann, bob)
    page, phone_of_bob = visit(ann, path), visit(bob, path, width=390, height=844)
    say(page, "Tell me a story")
    for anybody in (page, phone_of_bob):
        expect(live_text(anybody)).to_have_text(FIRST)
    tab = visit(ann, path)
    expect(live_text(tab)).to_have_text(FIRST)
    page.reload()
    expect(live_text(page)).to_have_text(FIRST)
    story.release()
    for anybody in (page, phone_of_bob, tab):
        expect(reply(anybody)).to_have_text(FIRST + REST)
        expect(anybody.locator(".o-ai-ActiveRun")).to_have_count(0)
        said_once(anybody, FIRST)


def test_a_connection_that_breaks_inside_a_word_loses_and_doubles_none(live, desk, model, visit, proxy):
    words = [f"Wörtchen{number} " for number in range(40)]
    gates = [hold() for _ in range(3)]
    model.script(text(*words[:10], gates[0], *words[10:20], gates[1], *words[20:30], gates[2], *words[30:]))
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann), through=proxy)
    say(page, "Count")
    for told, gate in ((10, gates[0]), (20, gates[1])):
        expect(live_text(page)).to_have_text("".join(words[:told]).strip())
        cut = proxy.cut_inside(STREAM, f"rtchen{told + 5}")
        gate.release()
        cut.result(PATIENCE_S)
    expect(live_text(page)).to_have_text("".join(words[:30]).strip())
    assert len([head for head in proxy.asked_for(STREAM) if "last-event-id" in head.headers]) == 2
    gates[2].release()
    expect(reply(page)).to_have_text("".join(words).strip())


def test_a_network_that_is_lost_and_found_again_brings_the_whole_reply(live, desk, story, visit, proxy):
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann), through=proxy)
    say(page, "Tell me a story")
    expect(live_text(page)).to_have_text(FIRST)
    proxy.lose_network()
    page.context.set_offline(True)
    story.release()
    desk.told(ann, REST)
    expect(live_text(page)).to_have_text(FIRST)
    proxy.find_network()
    page.context.set_offline(False)
    expect(reply(page)).to_have_text(FIRST + REST)
    expect(page.locator(".o-ai-ActiveRun")).to_have_count(0)
    said_once(page, FIRST)


def test_where_no_stream_can_be_had_the_reply_comes_whole(live, desk, model, visit, proxy):
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann), through=proxy)
    for status in (404, 503):
        gate = hold()
        model.script(text(FIRST, gate, f" {status}"))
        page.route(f"**{STREAM}**", answering(status))
        with page.expect_response(f"**{STREAM}**"):
            say(page, "Tell me a story")
        gate.wait_reached(PATIENCE_S)
        gate.release()
        expect(reply(page)).to_have_text(f"{FIRST} {status}")


def test_tools_and_markdown_are_seen_while_they_last(live, desk, model, visit):
    thinking, in_code, in_table = hold(), hold(), hold()
    model.script(
        calls(("calculate", {"expression": "1 + 1"})),
        text(
            thinking, "```python\nprint(", in_code, "1)\n```\n\n| a | b |\n|---|---|\n| 1 |", in_table, " 2 |\n\nDone."
        ),
    )
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann))
    say(page, "What is 1 + 1?")
    expect(page.locator(".o-ai-ActiveRun .o-ai-ToolCallList-summary")).to_have_text(re.compile("Used Calculator"))
    thinking.release()
    expect(live_text(page).locator("pre code")).to_have_text(re.compile(r"print\("))
    in_code.release()
    expect(live_text(page).locator("table th")).to_have_text(["a", "b"])
    in_table.release()
    expect(reply(page).locator("td")).to_have_text(["1", "2"])
    expect(page.locator(".o-ai-Reply button[title='Copy']")).to_have_count(1)
