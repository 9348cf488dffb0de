"""Managers look at what runs consume, and decide on calls and stop runs on their forms, in a browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.model_server import ModelServer, calls, hold, text
from tests.live import LiveServer

NOTE = {"title": "Azure", "text": "Call them"}


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def ask(live: LiveServer, office, model: ModelServer) -> Callable[[], int]:
    """Have the administrator ask an assistant that needs an approval for every tool; the run's id."""
    admin = live.admin
    provider_id = admin.create("ai.provider", name="Scripted", base_url=model.base_url)
    admin.create("ai.model", provider_id=provider_id, name="scripted", input_price=1_000)
    server_ids = admin.read("ai.assistant", office.assistant_id, "mcp_server_ids")["mcp_server_ids"]
    values = {"name": "Clerk", "provider_id": provider_id, "model": "scripted", "approval": "ask"}
    assistant_id = admin.create("ai.assistant", mcp_server_ids=[(6, 0, server_ids)], **values)
    channel_id = admin.call("ai.assistant", "open_chat", [assistant_id], new=True)

    def ask() -> int:
        admin.call(
            "discuss.channel", "message_post", [channel_id], body="Take a note", message_type="comment",
            subtype_xmlid="mail.mt_comment",
        )  # fmt: skip
        return live.sql("SELECT max(id) FROM ai_run WHERE channel_id = %s", channel_id)[0][0]

    return ask


def reached(live: LiveServer, run_id: int, state: str) -> None:
    live.eventually(lambda: live.sql("SELECT 1 FROM ai_run WHERE id = %s AND state = %s", run_id, state))


def open_form(visit: Callable[..., Page], live: LiveServer, run_id: int) -> Page:
    page = visit(live.admin, f"/odoo/action-{live.ref('ai_discuss.ai_run_action')}/{run_id}")
    expect(page.locator(".o_form_view")).to_be_visible()
    return page


@pytest.mark.parametrize(("answer", "state"), [("Approve", "done"), ("Deny", "denied")])
def test_a_call_is_decided_on_the_form_of_its_run(live, ask, model, visit, answer, state):
    model.script(calls(("create_note", NOTE)), text("Well."))
    run_id = ask()
    reached(live, run_id, "waiting")
    page = open_form(visit, live, run_id)
    card = page.locator("[name=waiting_call_ids] .o_kanban_record:not(.o_kanban_ghost)")
    expect(card).to_contain_text('"text": "Call them"')
    expect(page.get_by_role("button", name="Approve")).not_to_be_focused()  # a key pressed too early decides nothing
    card.get_by_role("button", name=answer).click()
    expect(card).to_have_count(0)
    reached(live, run_id, "done")
    assert live.sql("SELECT state, decided_by FROM ai_tool_call WHERE run_id = %s", run_id) == [(state, 2)]


def test_a_run_is_stopped_on_its_form(live, ask, model, visit):
    gate = hold()
    model.script(text("Once upon", gate, " a time"))
    run_id = ask()
    gate.wait_reached()
    page = open_form(visit, live, run_id)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    reached(live, run_id, "cancelled")


def test_managers_see_usage_as_a_chart_a_table_and_a_list(live, ask, model, visit):
    model.script(text("Here you are."))
    reached(live, ask(), "done")
    page = visit(live.admin, f"/odoo/action-{live.ref('ai_discuss.ai_run_action_usage')}")
    expect(page.locator(".o_graph_canvas_container canvas")).to_be_visible()
    page.get_by_role("button", name="Pivot").click()
    expect(page.locator(".o_pivot table")).to_contain_text("Clerk")
    expect(page.locator(".o_pivot table")).to_contain_text("Cost")
    page.get_by_role("button", name="List").click()
    expect(page.locator(".o_data_row", has_text="Clerk").first).to_contain_text("0.01")
    expect(page.locator(".o_error_dialog")).to_have_count(0)
