"""People decide what an assistant may do, and stop it, in a browser against the real server."""

import re

from playwright.sync_api import Page, expect

from tests.fakes.model_server import calls, hold, text
from tests.web.test_discuss import say


def card(page: Page):
    return page.locator(".o-ai-ActiveRun .o-ai-ToolCall")


def test_a_call_waits_across_a_reload_and_is_approved(live, desk, model, visit):
    model.script(calls(("create_note", {"title": "Azure", "text": "Call them"})), text("It is noted."))
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann))
    say(page, "Take a note")
    for _ in ("live", "after a reload"):
        expect(page.locator(".o-ai-ActiveRun-status")).to_have_text("needs your approval")
        expect(card(page).locator(".o-ai-ToolCall-arguments")).to_contain_text('"text": "Call them"')
        expect(card(page).locator(".o-ai-Approval-approve")).to_be_enabled()
        page.reload()
    card(page).locator(".o-ai-Approval-approve").click()
    expect(page.locator(".o-ai-Reply")).to_contain_text("It is noted.")
    expect(page.locator(".o-ai-ActiveRun")).to_have_count(0)
    for _ in ("live", "after a reload"):
        page.locator(".o-ai-ToolCallList-summary").click()
        expect(page.locator(".o-ai-ToolCall-decision")).to_have_text("Approved by Ann")
        expect(page.locator(".o-ai-ToolCall-response")).to_contain_text('"title": "Azure"')
        page.reload()


def test_a_call_is_changed_in_place_and_its_tool_allowed_until_that_is_taken_back(live, desk, model, visit):
    note = calls(("create_note", {"title": "Azure", "text": "Call them"}))
    model.script(note, text("It is noted."))
    mia = live.person("Mia", groups=("base.group_user", "ai_discuss.group_ai_manager"))
    page = visit(mia, desk.open_chat(mia))
    say(page, "Take a note")
    card(page).locator(".o-ai-Approval-edit").click()
    editor = card(page).locator(".o-ai-Approval-editor")
    expect(editor).to_be_focused()
    editor.fill('{"title": "Deco", "text": "Write to them"}')
    card(page).locator(".o-ai-Approval-always label").click()
    card(page).locator(".o-ai-Approval-approve").click()
    expect(page.locator(".o-ai-Reply")).to_contain_text("It is noted.")
    page.locator(".o-ai-ToolCallList-summary").click()
    expect(page.locator(".o-ai-ToolCall-decision")).to_have_text("Changed and approved by Mia")
    expect(page.locator(".o-ai-ToolCall-response")).to_contain_text('"title": "Deco"')
    assert "Mia changed the arguments" in model.requests[-1].body["messages"][-1]["content"]
    model.script(note, text("Noted again."))
    say(page, "Another one")
    expect(page.locator(".o-ai-Reply").last).to_contain_text("Noted again.")
    page.locator(".o-ai-ToolCallList-summary").last.click()
    expect(page.locator(".o-ai-ToolCall-response").last).to_contain_text('"title": "Azure"')
    expect(page.locator(".o-ai-ToolCall-decision")).to_have_count(1)
    page.locator(".o-mail-DiscussContent-header button[name=ai-settings]").click()
    page.locator(".o-ai-AllowedTools-revoke").click()
    expect(page.locator(".o-ai-AllowedTools")).to_have_count(0)
    model.script(note, text("Noted at last."))
    say(page, "And a third one")
    card(page).locator(".o-ai-Approval-approve").click()
    expect(page.locator(".o-ai-Reply").last).to_contain_text("Noted at last.")


def test_a_call_that_nobody_decides_on_is_denied_in_time_and_the_reply_goes_on(live, desk, model, visit):
    model.script(calls(("create_note", {"title": "Azure"})), text("Nobody told me to."))
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann))
    say(page, "Take a note")
    expect(card(page).locator(".o-ai-Approval-expiry")).to_have_text(re.compile("Expires in 2[34] hours"))
    live.sql(
        "UPDATE ai_tool_call"
        " SET requested_at = requested_at - interval '1 day', expires_at = expires_at - interval '1 day'"
        " FROM ai_run run WHERE run.id = run_id AND run.user_id = %s AND ai_tool_call.state = 'approval'",
        ann.user_id,
    )  # fmt: skip
    expect(page.locator(".o-ai-Reply")).to_contain_text("Nobody told me to.", timeout=15_000)
    assert model.requests[-1].body["messages"][-1]["content"].startswith("Nobody decided within 24 h")
    page.locator(".o-ai-ToolCallList-summary").click()
    expect(page.locator(".o-ai-ToolCall-decision")).to_have_text("Nobody decided in time")


def test_who_did_not_ask_watches_the_denial(live, desk, model, visit):
    model.script(calls(("create_note", {"title": "Azure"})), text("Then not."))
    ann, bob = live.person("Ann"), live.person("Bob")
    path = desk.open_chat(ann, bob)
    page, page_of_bob = visit(ann, path), visit(bob, path)
    say(page, "Take a note")
    expect(card(page_of_bob).locator(".o-ai-Approval-waiting")).to_have_text("Waiting for Ann to decide")
    expect(card(page_of_bob).locator(".o-ai-Approval button")).to_have_count(0)
    expect(page_of_bob.locator("button[name=ai-stop]")).to_have_count(0)
    card(page).locator(".o-ai-Approval-deny").press("Enter")
    expect(page.locator(".o-mail-Composer-input").last).to_be_focused()
    for anybody in (page, page_of_bob):
        expect(anybody.locator(".o-ai-Reply")).to_contain_text("Then not.")
        expect(anybody.locator(".o-ai-ToolCallList-summary")).to_have_text(
            re.compile("Did not use Create a note.*1 denied")
        )
    assert model.requests[-1].body["messages"][-1]["content"].startswith("Denied by Ann")


def test_a_reply_is_stopped_from_the_composer_and_keeps_what_was_said(live, desk, model, visit):
    gate = hold()
    model.script(text("Once upon", gate, " a time"))
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann))
    say(page, "Tell me a story")
    stop = page.locator(".o-mail-Composer button[name=ai-stop]")
    told = (
        "SELECT 1 FROM ai_run_event JOIN ai_run run ON run.id = run_id"
        " WHERE run.user_id = %s AND payload->>'type' = 'chunk'"
    )
    live.eventually(lambda: live.sql(told, ann.user_id))
    stop.click()
    expect(page.locator(".o-ai-Reply")).to_contain_text("Once upon")
    expect(page.locator(".o-ai-Reply .o_ai_stopped")).to_have_text("Stopped by Ann.")
    expect(stop).to_have_count(0)
    model.wait_for_disconnect()


def test_the_command_stops_what_waits_for_a_decision(live, desk, model, visit):
    model.script(calls(("create_note", {"title": "Azure"})))
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann))
    say(page, "Take a note")
    expect(card(page).locator(".o-ai-Approval-approve")).to_be_visible()
    say(page, "/stop ")
    expect(page.locator(".o-ai-ActiveRun")).to_have_count(0)
    expect(page.locator(".o-ai-Reply .o_ai_stopped")).to_be_visible()
    assert len(model.requests) == 1


def test_on_a_phone_the_decision_fits_the_screen(live, desk, model, visit):
    model.script(calls(("create_note", {"title": "Azure", "text": "word " * 100})), text("It is noted."))
    ann = live.person("Ann")
    page = visit(ann, desk.open_chat(ann), width=390, height=844)
    say(page, "Take a note")
    approve = card(page).locator(".o-ai-Approval-approve")
    expect(approve).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    approve.click()
    expect(page.locator(".o-ai-Reply")).to_contain_text("It is noted.")
