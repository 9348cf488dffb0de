"""What the browser tests stand on: a live Odoo, the demo's model and MCP server, and Chromium.

The browser belongs to its module, not to the session: Playwright keeps an event loop in this thread while it runs, and
other tests could not use `asyncio.run` meanwhile.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from dev.browser import ARGUMENTS
from dev.demo_model import MODEL
from tests.dev.peers import running
from tests.live import LiveServer, Person

CHROMIUM = os.environ.get("AI_DISCUSS_TEST_CHROMIUM", "/usr/bin/chromium")
PATIENCE_MS = 20_000
PAGE_PATIENCE_MS = 120_000  # the first page waits for Odoo to compile its assets
# Odoo's own, whenever a page is left while it asks for something.
HARMLESS = re.compile(r"net::ERR_(ABORTED|NETWORK_CHANGED)|Failed to fetch|WebSocket is closed before")

expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Office:
    """An assistant with the demo's tools and the demo's model."""

    assistant_id: int
    partner_id: int
    name: str


@pytest.fixture(scope="session")
def office(live: LiveServer) -> Iterator[Office]:
    with running("dev.demo_model") as model_url, running("dev.demo_mcp") as mcp_url:
        admin = live.admin
        provider_id = admin.create("ai.provider", name="Demo model", base_url=model_url)
        server_id = admin.create("mcp.server", name="Office tools", url=mcp_url)
        admin.call("mcp.server", "action_sync_tools", [server_id])
        values = {
            "name": "Office helper", "provider_id": provider_id, "model": MODEL, "mcp_server_ids": [(4, server_id)],
        }  # fmt: skip
        assistant_id = admin.call("ai.assistant", "create", [values])[0]
        partner_id, name = admin.read("ai.assistant", assistant_id, "partner_id")["partner_id"]
        yield Office(assistant_id, partner_id, name)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address as a person: `visit(ann, "/odoo/discuss", width=390)`. No console may report an error."""
    errors: list[str] = []
    contexts = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not HARMLESS.search(message.text):
            errors.append(message.text)

    def visit(person: Person, path: str, width: int = 1280, height: int = 800) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, base_url=person.server.url)
        contexts.append(context)
        context.add_cookies([{"name": "session_id", "value": person.session_id, "url": person.server.url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", listen)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path, timeout=PAGE_PATIENCE_MS)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert errors == []
