"""Every screen of the addon opens, for whoever may see it, with something in it and empty."""

import pytest
from playwright.sync_api import Page, expect

MENUS = (
    "ai_assistant_menu", "mcp_server_personal_menu", "mcp_credential_menu", "mcp_server_menu", "mcp_tool_menu",
    "ai_run_menu", "ai_tool_call_menu", "ai_provider_menu", "ai_budget_menu",
)  # fmt: skip
OWN = ("mcp_server_personal_menu", "mcp_credential_menu")  # what the manager of the tests has none of


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


@pytest.fixture(scope="module")
def budget_id(live, office, answered):
    """A budget of which one reply is used up."""
    return live.admin.create("ai.budget", name="Fair share", assistant_id=office.assistant_id, max_runs=1000)


def open_menu(visit, live, person, menu, **viewport) -> Page:
    action = live.admin.read("ir.ui.menu", live.ref(f"ai_discuss.{menu}"), "action")["action"]
    page = visit(person, f"/odoo/action-{action.partition(',')[2]}", **viewport)
    expect(page.locator(".o_action .o_content")).to_be_visible()
    return page


def search(page: Page, text: str) -> None:
    """Have a list show what is named so: other tests have filled it, too."""
    box = page.get_by_role("searchbox")
    box.press_sequentially(text)
    expect(page.locator(".o_searchview_autocomplete")).to_be_visible()
    box.press("Enter")
    expect(page.locator(".o_facet_value")).to_have_text(text)


def no_dialog(page: Page) -> None:
    expect(page.locator(".o_error_dialog, .modal")).to_have_count(0)


@pytest.mark.parametrize("menu", MENUS)
def test_a_manager_opens_each_menu_and_its_first_record(live, answered, budget_id, visit, menu):
    page = open_menu(visit, live, live.admin, menu)
    no_dialog(page)
    cell = ".o_data_row .o_data_cell:not(.o_boolean_toggle_cell)"
    first = page.locator(f"{cell}, .o_kanban_record:not(.o_kanban_ghost)").first
    if menu not in OWN:
        first.click()
        expect(page.locator(".o_form_view")).to_be_visible()
        for tab in page.locator(".o_notebook .nav-link").all():
            tab.click()
    no_dialog(page)


def test_a_manager_sees_who_has_used_a_budget_and_for_what(live, budget_id, visit):
    page = visit(live.admin, f"/odoo/ai-budgets/{budget_id}")
    expect(page.locator(".o_field_widget[name=used] tbody tr", has_text="Ann").first).to_be_visible()
    page.get_by_role("button", name="Runs").click()
    expect(page.locator(".o_group_header", has_text="Ann").first).to_be_visible()
    no_dialog(page)


def test_a_user_sees_the_assistants_and_talks_to_one(live, office, visit):
    page = open_menu(visit, live, live.person("Ann"), "ai_assistant_menu")
    search(page, office.name)
    expect(page.locator(".o_kanban_record", has_text=office.name).first).to_be_visible()
    no_dialog(page)


def test_a_manager_tests_a_connection_and_reads_the_outcome(live, office, visit):
    page = open_menu(visit, live, live.admin, "mcp_server_menu")
    search(page, "Office tools")
    page.locator(".o_data_cell", has_text="Office tools").first.click()
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator(".o_notification")).to_be_visible()
    no_dialog(page)


def test_a_manager_takes_a_tool_from_an_assistant_and_gives_it_back(live, office, visit):
    page = visit(live.admin, f"/odoo/ai-assistants/{office.assistant_id}")
    page.get_by_role("tab", name="Tools").click()
    switch = page.locator(".o_data_row", has_text="calculate").locator(".o-ai-ToolSwitch input")
    for is_on in (False, True):
        switch.set_checked(is_on)
        page.locator(".o_form_button_save").click()
        expect(page.locator(".o_form_status_indicator_buttons.invisible")).to_be_attached()
        page.reload()
        page.get_by_role("tab", name="Tools").click()
        expect(switch).to_be_checked(checked=is_on)
        disabled = live.admin.read("ai.assistant", office.assistant_id, "disabled_tool_ids")["disabled_tool_ids"]
        assert bool(disabled) is not is_on
    no_dialog(page)


def test_who_is_no_manager_sees_an_assistants_tools_and_changes_nothing(live, office, visit):
    page = visit(live.person("Ann"), f"/odoo/ai-assistants/{office.assistant_id}")
    switch = page.locator(".o_data_row", has_text="calculate").locator(".o-ai-ToolSwitch input")
    expect(switch).to_be_checked()
    expect(switch).to_be_disabled()
    no_dialog(page)


@pytest.mark.parametrize("menu", ["mcp_server_menu", "ai_run_menu", "ai_tool_call_menu"])
def test_on_a_phone_lists_are_cards_that_show_how_things_are(live, answered, visit, menu):
    page = open_menu(visit, live, live.admin, menu, width=390, height=844)
    card = page.locator(".o_kanban_record:not(.o_kanban_ghost)").first
    expect(card.locator(".badge")).to_be_in_viewport(ratio=1)
    card.click()
    expect(page.locator(".o_form_view")).to_be_visible()


def test_on_a_phone_tools_are_cards(live, office, visit):
    page = visit(live.admin, f"/odoo/ai-assistants/{office.assistant_id}", width=390)
    page.get_by_role("tab", name="Tools").click()
    switch = page.locator(".o_kanban_record", has_text="calculate").locator(".o-ai-ToolSwitch input")
    expect(switch).to_be_checked()
    switch.uncheck()
    switch.check()
