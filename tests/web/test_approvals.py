"""People decide what an assistant may do, and stop it, in a browser against the real server."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.model_server import ModelServer, calls, hold, text
from tests.live import LiveServer, Person
from tests.web.test_discuss import say


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def clerk(live: LiveServer, office, model: ModelServer) -> Iterator[int]:
    """An assistant with the demo's tools and a scripted model; it asks before it writes a note. The id."""
    admin = live.admin
    provider_id = admin.create("ai.provider", name="Scripted", base_url=model.base_url)
    (server_id,) = admin.read("ai.assistant", office.assistant_id, "mcp_server_ids")["mcp_server_ids"]
    tool_ids = admin.call("mcp.tool", "search", [("server_id", "=", server_id), ("name", "=", "create_note")])
    admin.call("mcp.tool", "write", tool_ids, {"approval": "ask"})
    values = {"name": "Clerk", "provider_id": provider_id, "model": "scripted", "mcp_server_ids": [(4, server_id)]}
    yield admin.call("ai.assistant", "create", [values])[0]
    admin.call("mcp.tool", "write", tool_ids, {"approval": "auto"})


def talk(person: Person, clerk: int, *others: Person) -> str:
    """Where `person` finds a new conversation with the clerk, to which these others belong, too."""
    channel_id = person.call("ai.assistant", "open_chat", [clerk], new=True)
    if others:
        partner_ids = [other.partner_id for other in others]
        person.call("discuss.channel", "add_members", [channel_id], partner_ids=partner_ids)
    return f"/odoo/discuss?active_id=discuss.channel_{channel_id}"


def card(page: Page):
    return page.locator(".o-ai-ActiveRun .o-ai-ToolCall")


def test_a_call_waits_across_a_reload_and_is_approved(live, clerk, model, visit):
    model.script(calls(("create_note", {"title": "Azure", "text": "Call them"})), text("It is noted."))
    ann = live.person("Ann")
    page = visit(ann, talk(ann, clerk))
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


def test_a_call_is_changed_in_place_and_its_tool_allowed_from_now_on(live, clerk, model, visit):
    note = calls(("create_note", {"title": "Azure", "text": "Call them"}))
    model.script(note, text("It is noted."))
    mia = live.person("Mia", groups=("base.group_user", "ai_discuss.group_ai_manager"))
    page = visit(mia, talk(mia, clerk))
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


def test_a_call_that_nobody_decides_on_is_denied_in_time_and_the_reply_goes_on(live, clerk, model, visit):
    model.script(calls(("create_note", {"title": "Azure"})), text("Nobody told me to."))
    ann = live.person("Ann")
    page = visit(ann, talk(ann, clerk))
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


def test_who_did_not_ask_watches_the_denial(live, clerk, model, visit):
    model.script(calls(("create_note", {"title": "Azure"})), text("Then not."))
    ann, bob = live.person("Ann"), live.person("Bob")
    path = talk(ann, clerk, bob)
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


def test_a_reply_is_stopped_from_the_composer_and_keeps_what_was_said(live, clerk, model, visit):
    gate = hold()
    model.script(text("Once upon", gate, " a time"))
    ann = live.person("Ann")
    page = visit(ann, talk(ann, clerk))
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


def test_the_command_stops_what_waits_for_a_decision(live, clerk, model, visit):
    model.script(calls(("create_note", {"title": "Azure"})))
    ann = live.person("Ann")
    page = visit(ann, talk(ann, clerk))
    say(page, "Take a note")
    expect(card(page).locator(".o-ai-Approval-approve")).to_be_visible()
    say(page, "/stop ")
    expect(page.locator(".o-ai-ActiveRun")).to_have_count(0)
    expect(page.locator(".o-ai-Reply .o_ai_stopped")).to_be_visible()
    assert len(model.requests) == 1


def test_on_a_phone_the_decision_fits_the_screen(live, clerk, model, visit):
    model.script(calls(("create_note", {"title": "Azure", "text": "word " * 100})), text("It is noted."))
    ann = live.person("Ann")
    page = visit(ann, talk(ann, clerk), width=390, height=844)
    say(page, "Take a note")
    approve = card(page).locator(".o-ai-Approval-approve")
    expect(approve).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    approve.click()
    expect(page.locator(".o-ai-Reply")).to_contain_text("It is noted.")
