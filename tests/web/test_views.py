"""Every screen of the addon opens, for whoever may see it, with something in it and empty."""

import pytest
from playwright.sync_api import Page, expect

MENUS = (
    "ai_assistant_menu", "mcp_server_personal_menu", "mcp_server_menu", "mcp_tool_menu", "ai_run_menu",
    "ai_tool_call_menu", "ai_provider_menu",
)  # fmt: skip


@pytest.fixture(scope="module")
def answered(live, office):
    """One run that has ended, with its tool calls, so that no list is empty."""
    ann = live.person("Ann")
    channel_id = ann.call("ai.assistant", "open_chat", [office.assistant_id])
    ann.call(
        "discuss.channel", "message_post", [channel_id], body="Convert 26.2 miles to km", message_type="comment",
        subtype_xmlid="mail.mt_comment",
    )  # fmt: skip
    live.eventually(lambda: live.sql("SELECT 1 FROM ai_run WHERE channel_id = %s AND state = 'done'", channel_id))


def open_menu(visit, live, person, menu) -> Page:
    action = live.admin.read("ir.ui.menu", live.ref(f"ai_discuss.{menu}"), "action")["action"]
    page = visit(person, f"/odoo/action-{action.partition(',')[2]}")
    expect(page.locator(".o_action .o_content")).to_be_visible()
    return page


def no_dialog(page: Page) -> None:
    expect(page.locator(".o_error_dialog, .modal")).to_have_count(0)


@pytest.mark.parametrize("menu", MENUS)
def test_a_manager_opens_each_menu_and_its_first_record(live, answered, visit, menu):
    page = open_menu(visit, live, live.admin, menu)
    no_dialog(page)
    first = page.locator(".o_data_row .o_data_cell, .o_kanban_record:not(.o_kanban_ghost)").first
    if menu != "mcp_server_personal_menu":
        first.click()
        expect(page.locator(".o_form_view")).to_be_visible()
        for tab in page.locator(".o_notebook .nav-link").all():
            tab.click()
    no_dialog(page)


def test_a_user_sees_the_assistants_and_talks_to_one(live, office, visit):
    page = open_menu(visit, live, live.person("Ann"), "ai_assistant_menu")
    expect(page.get_by_text(office.name).first).to_be_visible()
    no_dialog(page)


def test_a_manager_tests_a_connection_and_reads_the_outcome(live, office, visit):
    page = open_menu(visit, live, live.admin, "mcp_server_menu")
    page.get_by_text("Office tools").first.click()
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator(".o_notification")).to_be_visible()
    no_dialog(page)
