"""What people do with assistants in Discuss, step by step, as they see it in a browser against the real server."""

import base64
import json
import re

from playwright.sync_api import Page, expect

from tests.fakes.model_server import error, hold, text
from tests.web.test_discuss import say

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def replies(page: Page):
    return page.locator(".o-mail-Message.o-ai-Reply")


def last_reply(page: Page):
    return replies(page).last.locator(".o-mail-Message-richBody")


def asked_last(model) -> list[dict]:
    """What the model was told last."""
    return model.requests[-1].body["messages"]


def message_action(page: Page, message, name: str) -> None:
    message.hover()
    actions = message.locator(".o-mail-Message-actions")
    if not actions.locator(f"[name={name}]").count():
        actions.locator("button[title='Expand']").click()
    page.locator(f"[name={name}]").click()


def open_settings(page: Page):
    page.locator(".o-mail-DiscussContent-header button[name=ai-settings]").click()
    panel = page.locator(".o-ai-ChannelSettings")
    expect(panel.locator("section").first).to_be_visible()
    return panel


def test_a_reply_is_stopped_continued_made_anew_rated_and_forked(live, desk, model, visit):
    gate = hold()
    model.script(
        text("Once upon", gate, " a time"), text(" a midnight dreary."), text("It was a dark night."),
        text("It rained."),
    )  # fmt: skip
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann))
    say(page, "Tell me a story")
    expect(page.locator(".o-ai-LiveText")).to_contain_text("Once upon")
    page.locator(".o-mail-Composer-input").last.press("Escape")
    expect(replies(page).last).to_contain_text("Stopped by Ann.")
    gate.release()

    page.locator(".o-ai-ReplyActions-continue, .o-ai-RunError-continue").last.click()
    expect(last_reply(page)).to_have_text(re.compile("a midnight dreary."))
    expect(replies(page)).to_have_count(2)

    page.locator(".o-ai-ReplyActions-regenerate").last.click()
    expect(last_reply(page)).to_have_text("It was a dark night.")
    expect(page.locator(".o-ai-Replaced-toggle")).to_have_count(1)
    assert "dreary" not in json.dumps(asked_last(model))

    page.locator(".o-ai-ReplyActions-down").last.click()
    page.locator(".o-ai-FeedbackPopover textarea").fill("Too dark")
    page.locator(".o-ai-FeedbackPopover button[type=submit]").click()
    expect(page.locator(".o-ai-ReplyActions-down").last).to_have_attribute("aria-pressed", "true")

    question = page.locator(".o-mail-Message", has_text="Tell me a story").first
    message_action(page, question, "ai-edit-resend")
    editor = page.locator(".o-mail-Message .o-mail-Composer-input")
    editor.fill("Tell me a short story")
    editor.press("Enter")
    expect(last_reply(page)).to_have_text("It rained.")
    assert [m["content"] for m in asked_last(model) if m["role"] == "user"][-1].endswith("a short story")

    message_action(page, replies(page).last, "ai-fork")
    expect(replies(page).last).to_contain_text("It rained.")
    expect(page.locator(".o-mail-Message", has_text="Tell me a short story")).to_have_count(1)
    assert live.sql("SELECT comment FROM ai_feedback ORDER BY id DESC LIMIT 1") == [("Too dark",)]


def test_a_chat_begins_in_the_side_bar_or_the_palette_with_a_suggestion(live, desk, model, visit):
    model.script(text("Three desks."))
    name = "Desk adviser"  # the palette shows a hundred at a time, and a test server may have more
    introduction = {"name": name, "description": "Knows our desks", "prompts": "How many desks?"}
    live.admin.call("ai.assistant", "write", [desk.assistant_id], introduction)
    page = visit(live.person("Ann"), "/odoo/discuss")
    page.locator(".o-ai-SidebarInvitation button").click()
    page.locator(".o_command_palette_search input").fill(name)
    page.locator(".o_command", has_text="Knows our desks").click()
    welcome = page.locator(".o-ai-Welcome")
    expect(welcome).to_contain_text("Knows our desks")
    welcome.get_by_role("button", name="How many desks?").click()
    expect(last_reply(page)).to_have_text("Three desks.")
    expect(page.locator(".o-mail-DiscussSidebar").get_by_text("Assistants")).to_be_visible()

    say(page, "/help ")
    expect(page.locator(".o-mail-Message", has_text="/tools").last).to_contain_text("Knows our desks")
    say(page, "/tools ")
    expect(page.locator(".o-mail-Message", has_text="Search products").last).to_be_visible()
    page.keyboard.press("Control+k")
    page.locator(".o_command_palette_search input").fill(f"New chat with {name}")
    page.locator(".o_command", has_text=f"New chat with {name}").first.click()
    expect(welcome).to_be_visible()


def test_tools_are_switched_off_and_an_own_server_comes_and_goes(live, desk, model, visit):
    model.script(text("I have one tool less."))
    admin = live.admin
    url = admin.search_read("mcp.server", [("name", "=", "Office tools")], "url", order="id desc")[0]["url"]
    page = visit(admin, desk.open_chat(admin))
    panel = open_settings(page)
    if not panel.locator(".o-ai-ToolSwitches-server").first.get_attribute("open"):
        panel.locator(".o-ai-ToolSwitches-server summary").first.click()
    switch = panel.get_by_role("switch", name="Calculator")
    switch.uncheck()
    expect(switch).to_be_enabled()
    say(page, "Which tools do you have?")
    expect(last_reply(page)).to_have_text("I have one tool less.")
    offered = [tool["function"]["name"] for tool in model.requests[-1].body["tools"]]
    assert "calculate" not in offered and "search_products" in offered

    panel.locator(".o-ai-PersonalServers-add").click()
    form = panel.locator(".o-ai-PersonalServerForm")
    form.locator("[name=name]").fill("My tools")
    form.locator("[name=url]").fill("http://127.0.0.1:9/mcp")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("alert")).to_be_visible()
    form.locator("[name=url]").fill(url)
    form.locator("button[type=submit]").click()
    expect(form).to_have_count(0)
    server = panel.locator(".o-ai-PersonalServer", has_text="My tools")
    expect(server.locator(".o-ai-PersonalServer-use")).to_be_checked()
    server.locator(".o-ai-PersonalServer-use").uncheck()
    server.locator("[name=delete]").click()
    page.locator(".modal .btn-danger, .modal .btn-primary").first.click()
    expect(server).to_have_count(0)


def test_a_records_chatter_asks_about_the_record_until_its_chip_is_removed(live, desk, model, visit):
    model.script(text("It is a supplier."), text("I see none."))
    ann = live.person("Ann", groups=("base.group_user", "base.group_partner_manager"))
    partner_id = ann.create("res.partner", name="Azure Interior", city="Fremont")
    page = visit(ann, f"/odoo/res.partner/{partner_id}")
    page.locator(".o-ai-AskAi").click()
    choice = page.locator(".o-ai-AskAi-assistant", has_text=desk.name).last
    choice.click()
    window = page.locator(".o-mail-ChatWindow")
    expect(window.locator(".o-ai-AskedRecord")).to_contain_text("Azure Interior")
    say(page, "Who is this?")
    expect(last_reply(window)).to_have_text("It is a supplier.")
    assert "Fremont" in json.dumps(asked_last(model))
    window.locator(".o-ai-AskedRecord-remove").click()
    expect(window.locator(".o-ai-AskedRecord")).to_have_count(0)
    say(page, "And now?")
    expect(last_reply(window)).to_have_text("I see none.")
    assert "Fremont" not in json.dumps(asked_last(model))


def test_a_failure_is_one_sentence_that_leads_to_its_cause_and_is_tried_again(live, desk, model, visit):
    model.script(error(401, "Incorrect API key provided"), text("Here I am."))
    admin = live.admin
    page = visit(admin, desk.open_chat(admin))
    say(page, "Hello?")
    failure = page.locator(".o-ai-RunError")
    expect(failure).to_contain_text("does not accept the assistant's key")
    expect(failure).to_have_attribute("data-code", "model_auth")
    conversation = page.url
    failure.locator(".o-ai-RunError-settings").click()
    expect(page.locator(".o_form_view [name=base_url]").first).to_be_visible()
    expect(page).not_to_have_url(conversation)
    page.go_back()
    page.locator(".o-ai-RunError-retry").click()
    expect(last_reply(page)).to_have_text("Here I am.")
    expect(page.locator(".o-ai-RunError:visible")).to_have_count(0)


def test_files_are_read_where_they_can_be_and_named_where_they_cannot(live, desk, model, visit):
    model.script(text("Three chairs."))
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann))
    page.locator(".o-mail-Composer input[type=file]").last.set_input_files([
        {"name": "stock.csv", "mimeType": "text/csv", "buffer": b"sku,count\nCHR-ERGO,3\n"},
        {"name": "backup.zip", "mimeType": "application/zip", "buffer": b"PK\x05\x06" + bytes(18)},
        {"name": "pixel.png", "mimeType": "image/png", "buffer": PIXEL},
    ])
    expect(page.locator(".o-ai-Composer-unreadable")).to_contain_text("backup.zip")
    expect(page.locator(".o-mail-AttachmentContainer:not(.o-isUploading)")).to_have_count(3)
    say(page, "How many chairs?")
    expect(last_reply(page)).to_have_text("Three chairs.")
    told = json.dumps(asked_last(model))
    assert "CHR-ERGO,3" in told and "backup.zip" in told
