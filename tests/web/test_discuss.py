"""People and an assistant in Discuss, as they see it in a browser."""

import re

from playwright.sync_api import Page, expect

QUESTION = "Which desks do we have under 300 €?"


def say(page: Page, text: str) -> None:
    composer = page.locator(".o-mail-Composer-input").last
    composer.fill(text)
    composer.press("Enter")


def unfold(page: Page) -> None:
    page.locator(".o-ai-ToolCallList-summary").click()
    page.locator(".o-ai-ToolCall-summary").first.click()


def open_chat(visit, person, office, **viewport) -> Page:
    channel_id = person.call("ai.assistant", "open_chat", [office.assistant_id])
    return visit(person, f"/odoo/discuss?active_id=discuss.channel_{channel_id}", **viewport)


def test_an_assistant_is_found_by_its_name_answers_and_shows_its_tool_calls_also_later(live, office, visit):
    page = visit(live.person("Ann"), "/odoo/discuss")
    page.locator(".o-mail-DiscussSearch-inputContainer").click()
    page.get_by_placeholder("Search a conversation").fill("office h")
    page.locator(".o_command_category", has_text="Assistants").locator(".o_command", has_text=office.name).click()
    expect(page.locator(".o-mail-DiscussContent-threadName")).to_have_value(office.name)

    say(page, QUESTION)
    expect(page.locator(".o-ai-ActiveRun")).to_be_visible()
    expect(page.locator(".o-discuss-Typing")).not_to_contain_text("is typing")
    reply = page.locator(".o-mail-Message.o-ai-Reply")
    expect(reply.locator("td", has_text="Corner desk 120")).to_be_visible()
    expect(page.locator(".o-ai-ActiveRun")).to_have_count(0)
    summary = page.locator(".o-ai-ToolCallList-summary")
    expect(summary).to_have_text(re.compile("Used 2 tools.*4 calls"))
    expect(page.locator(".o-ai-ToolCall")).to_have_count(0)

    for _ in ("live", "after a reload"):
        unfold(page)
        expect(page.locator(".o-ai-ToolCall[data-state=done]")).to_have_count(4)
        first = page.locator(".o-ai-ToolCall").first
        expect(first.locator(".o-ai-ToolCall-title")).to_have_text("Search products")
        expect(first.locator(".o-ai-ToolCall-server")).to_have_text("Office tools")
        expect(first.locator(".o-ai-ToolCall-arguments")).to_contain_text('"query": "desks"')
        expect(first.locator(".o-ai-ToolCall-response")).to_contain_text('"sku": "DSK-140"')
        page.reload()


def test_a_mention_calls_an_assistant_into_a_channel_where_everybody_sees_the_reply(live, office, visit):
    ann, bob = live.person("Ann"), live.person("Bob")
    channel_id = ann.create("discuss.channel", name="Purchase")
    ann.call("discuss.channel", "add_members", [channel_id], partner_ids=[bob.partner_id])
    path = f"/odoo/discuss?active_id=discuss.channel_{channel_id}"
    page, page_of_bob = visit(ann, path), visit(bob, path)

    composer = page.locator(".o-mail-Composer-input").last
    composer.click()
    page.keyboard.type("@office")
    page.locator(".o-mail-NavigableList-item", has_text=office.name).click()
    page.keyboard.type("what is 17% of 2,340?")
    page.keyboard.press("Enter")

    for anybody in (page, page_of_bob):
        expect(anybody.locator(".o-ai-Reply")).to_contain_text("397.8")
        expect(anybody.locator(".o-ai-ToolCallList-summary")).to_have_text("Used Calculator")
    page_of_bob.locator(".o-ai-ToolCallList-summary").click()
    expect(page_of_bob.locator(".o-ai-ToolCall-response")).to_contain_text('"result": "397.8"')


def test_a_failed_call_is_shown_as_one(live, office, visit):
    page = open_chat(visit, live.person("Ann"), office)
    say(page, "What time is it in Tokyo and Atlantis?")
    expect(page.locator(".o-ai-ToolCallList-summary")).to_have_text(re.compile("Used Current time.*2 calls.*1 failed"))
    page.locator(".o-ai-ToolCallList-summary").click()
    failed = page.locator(".o-ai-ToolCall[data-state=error]")
    failed.locator("summary").click()
    expect(failed.locator(".o-ai-ToolCall-response")).to_contain_text("Unknown time zone 'Atlantis'")


def test_markdown_is_rendered_and_html_in_it_is_not(live, office, visit):
    page = open_chat(visit, live.person("Ann"), office)
    say(page, "Show me your formatting")
    body = page.locator(".o-ai-Reply .o-mail-Message-richBody")
    expect(body.locator("table th").first).to_have_text("Quarter")
    expect(body.locator("pre code")).to_contain_text("def greet(name: str)")
    expect(body.locator("ol ul li")).to_have_text("and lists inside")
    expect(body.locator("blockquote")).to_be_visible()
    expect(body).to_contain_text("Raw HTML such as <b>this</b> stays plain text.")


def test_a_phone_shows_the_calls_without_scrolling_sideways(live, office, visit):
    page = open_chat(visit, live.person("Ann"), office, width=390, height=844)
    say(page, QUESTION)
    unfold(page)
    calls = page.locator(".o-ai-ToolCallList-calls")
    expect(calls).to_be_visible()
    box = calls.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_nobody_calls_an_assistant_but_people_beside_it_can_be_called(live, office, visit):
    ann, bob = live.person("Ann"), live.person("Bob")
    channel_id = ann.call("ai.assistant", "open_chat", [office.assistant_id], new=True)
    page = visit(ann, f"/odoo/discuss?active_id=discuss.channel_{channel_id}")
    call = page.locator(".o-mail-DiscussContent-header [name=call]")
    expect(page.locator(".o-mail-DiscussContent-header button").first).to_be_visible()
    expect(call).to_have_count(0)
    ann.call("discuss.channel", "add_members", [channel_id], partner_ids=[bob.partner_id])
    expect(call).to_be_visible()
