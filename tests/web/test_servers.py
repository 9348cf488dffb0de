"""The forms that say how a server is doing, and what holds for its tools."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.mcp_servers import McpHttpServer


@pytest.fixture
def paused(live):
    """A server that runs could not use four times in a row; it answers by now."""
    with McpHttpServer() as tools:
        server_id = live.admin.create("mcp.server", name="Weary tools", scope="shared", url=tools.url)
        live.admin.call("mcp.server", "action_sync_tools", [server_id])
        live.sql(
            "UPDATE mcp_server SET state = 'error', state_message = 'The connection was refused.', failure_count = 4,"
            " last_failure = now() AT TIME ZONE 'UTC', retry_at = now() AT TIME ZONE 'UTC' + interval '1 hour'"
            " WHERE id = %s", server_id,
        )  # fmt: skip
        yield server_id
        live.admin.call("mcp.server", "unlink", [server_id])


def form(live, visit, server_id) -> Page:
    page = visit(live.admin, f"/odoo/action-{live.ref('ai_discuss.mcp_server_action')}/{server_id}")
    expect(page.locator(".o_form_view")).to_be_visible()
    return page


def test_a_manager_reads_that_a_server_is_paused_and_tries_it_now(live, paused, visit):
    page = form(live, visit, paused)
    banner = page.get_by_role("alert").filter(has_text="Paused")
    expect(banner).to_contain_text("Failures in a row:")
    expect(banner).to_contain_text("4")
    expect(banner).to_contain_text("The connection was refused.")
    banner.get_by_role("button", name="Try now").click()
    expect(banner).to_be_hidden()
    expect(page.locator(".o_statusbar_status .o_arrow_button_current")).to_have_text("Connected")


def test_a_list_marks_the_servers_that_are_paused(live, paused, visit):
    page = visit(live.admin, f"/odoo/action-{live.ref('ai_discuss.mcp_server_action')}")
    expect(page.locator(".o_data_row", has_text="Weary tools").locator("td[name=circuit]")).to_have_text("Paused")


def test_a_servers_rule_is_shown_on_its_tools_with_what_the_server_says_of_them(live, paused, visit):
    live.admin.call("mcp.server", "write", [paused], {"approval": "changes"})
    page = form(live, visit, paused)
    for tool, hints, policy in (("echo", "Read-only", "Run without asking"), ("note", "", "Ask first")):
        row = page.locator(".o_data_row").filter(has=page.locator("td[name=name]", has_text=re.compile(f"^{tool}$")))
        expect(row.locator("td[name=read_only]")).to_have_text(hints)
        expect(row.locator("td[name=policy]")).to_have_text(policy)


def test_an_assistants_rule_is_shown_on_its_tools_before_it_is_saved(live, office, visit):
    page = visit(live.admin, f"/odoo/ai-assistants/{office.assistant_id}")
    page.get_by_role("tab", name="Tools").click()
    row = page.locator(".o_data_row", has_text="calculate")
    expect(row.locator("td[name=policy]")).to_have_text("Run without asking")
    page.get_by_label("Rule for All Tools").click()
    page.locator(".o_select_menu_item", has_text="Always ask").click()
    expect(row.locator("td[name=policy]")).to_have_text("Ask first")
    page.locator(".o_form_button_cancel").click()  # or else it is saved when the page is left
    expect(row.locator("td[name=policy]")).to_have_text("Run without asking")
