"""What the browser tests stand on: a live Odoo, the demo's model and MCP server, and Chromium.

Two assistants are at hand: the model of `office` is the demo's, and goes by what is said; that of `desk` says what the
test has written (`model`), and stops in the middle where there is a gate.

The browser belongs to its module, not to the session: Playwright keeps an event loop in this thread while it runs, and
other tests could not use `asyncio.run` meanwhile.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dev.browser import ARGUMENTS
from dev.demo_model import MODEL
from tests.dev.peers import running
from tests.fakes.cutting_proxy import CuttingProxy
from tests.fakes.model_server import ModelServer
from tests.live import LiveServer, Person

CHROMIUM = os.environ.get("AI_DISCUSS_TEST_CHROMIUM", "/usr/bin/chromium")
PATIENCE_MS = 20_000
PAGE_PATIENCE_MS = 120_000  # the first page waits for Odoo to compile its assets
# Odoo's own, whenever a page is left while it asks for something.
HARMLESS = re.compile(r"net::ERR_(ABORTED|NETWORK_CHANGED)|Failed to fetch|WebSocket is closed before")
# What a browser itself says of a connection that a test has cut, or of an answer that it has made up.
CUT = re.compile(r"Failed to load resource|net::ERR_|WebSocket connection to|ConnectionLostError")

expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Office:
    """An assistant with the demo's tools and the demo's model."""

    assistant_id: int
    partner_id: int
    name: str


@dataclass(frozen=True)
class Desk:
    """An assistant with the demo's tools and a model that says what the test has written. It asks before it writes."""

    live: LiveServer
    assistant_id: int
    partner_id: int
    provider_id: int
    name: str
    model: ModelServer

    def open_chat(self, person: Person, *others: Person) -> str:
        """Where `person` finds a new conversation with the assistant, to which these others belong, too."""
        channel_id = person.call("ai.assistant", "open_chat", [self.assistant_id], new=True)
        if others:
            partner_ids = [other.partner_id for other in others]
            person.call("discuss.channel", "add_members", [channel_id], partner_ids=partner_ids)
        return f"/odoo/discuss?active_id=discuss.channel_{channel_id}"

    def told(self, person: Person, text: str) -> None:
        """Wait until the newest run that `person` asked for has said this much, in the journal."""
        query = (
            "SELECT string_agg(payload->>'content', '' ORDER BY seq) FROM ai_run_event WHERE payload->>'type' = 'chunk'"
            " AND run_id = (SELECT max(id) FROM ai_run WHERE user_id = %s)"
        )
        self.live.eventually(
            lambda: (self.live.sql(query, person.user_id)[0][0] or "").endswith(text), within=PATIENCE_MS / 1000
        )


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


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def desk(live: LiveServer, office: Office, model: ModelServer) -> Iterator[Desk]:
    admin = live.admin
    # Who waits at a gate is not to be given up meanwhile, however busy the machine is.
    provider_id = admin.create("ai.provider", name="Scripted", base_url=model.base_url, timeout=600)
    (server_id,) = admin.read("ai.assistant", office.assistant_id, "mcp_server_ids")["mcp_server_ids"]
    tool_ids = admin.call("mcp.tool", "search", [("server_id", "=", server_id), ("name", "=", "create_note")])
    admin.call("mcp.tool", "write", tool_ids, {"approval": "ask"})
    values = {"name": "Clerk", "provider_id": provider_id, "model": "scripted", "mcp_server_ids": [(4, server_id)]}
    assistant_id = admin.call("ai.assistant", "create", [values])[0]
    partner_id, name = admin.read("ai.assistant", assistant_id, "partner_id")["partner_id"]
    yield Desk(live, assistant_id, partner_id, provider_id, name, model)
    admin.call("mcp.tool", "write", tool_ids, {"approval": "auto"})
    admin.call("ai.assistant", "action_archive", [assistant_id])


@pytest.fixture
def proxy(live: LiveServer) -> Iterator[CuttingProxy]:
    """A way to the server that the test can cut: `visit(ann, path, through=proxy)`."""
    with CuttingProxy(live.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address as a person: `visit(ann, "/odoo/discuss", width=390)`. No console may report an error, unless it
    tells of cut connections and the page is visited `through` a proxy.
    """
    errors: list[str] = []
    contexts = []

    def listen(text: str, harmless: re.Pattern[str]) -> None:
        if not HARMLESS.search(text) and not harmless.search(text):
            errors.append(text)

    def visit(
        person: Person, path: str, width: int = 1280, height: int = 800, through: CuttingProxy | None = None
    ) -> Page:
        url = through.url if through else person.server.url
        context = browser.new_context(viewport={"width": width, "height": height}, base_url=url)
        contexts.append(context)
        context.add_cookies([{"name": "session_id", "value": person.session_id, "url": url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        harmless = CUT if through else HARMLESS
        page.on("console", lambda message: message.type == "error" and listen(message.text, harmless))
        page.on("pageerror", lambda error: listen(str(error), harmless))
        page.goto(path, timeout=PAGE_PATIENCE_MS)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert errors == []
