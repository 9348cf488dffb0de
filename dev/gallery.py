"""Takes a picture of every state of the screens in every look, to be looked at: `make demo`, then in another terminal

    .dev/venv/bin/python -m dev.screenshots --all [--look dark] [state …]

They go into the state folder (`.dev/screenshots/<look>/<state>.png`) and are not kept with the sources. The states are
in `gallery_states.py`; what the model says in them is scripted.

Odoo only mirrors its screens for Arabic where it finds `rtlcss` (from npm) in the PATH with which the demo was started.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Error, Route, expect

from tests.fakes.model_server import Gate, ModelServer, Reply, hold

from .gallery_states import STATES
from .output import Failed, say
from .webclient import ADMIN, FIRST_PAGE_PATIENCE_MS, WebClient

WIDTH, HEIGHT = 1280, 800
PHONE_WIDTH, PHONE_HEIGHT = 390, 844
PATIENCE_MS = 20_000
SETTLE_MS = 600  # for transitions; nothing depends on it
ENGLISH, ARABIC = "en_US", "ar_001"
PASSWORD = "gallery"
ASSISTANT, PROVIDER, SERVER = "Office helper", "Scripted for pictures", "Office tools"
DESCRIPTION = "Looks up stock and prices, and takes notes for the whole office"
PROMPTS = "Which desks do we have under 300 €?\nQuote 12 ergo chairs with 10 % discount\nShow my notes"
# Dark colours: the page loads its other style sheet, made of these.
LIGHT_CSS, DARK_CSS = "web.assets_web.min.css", "web.assets_web_dark.min.css"
DARK_COLOURS = Path(__file__).with_name("dark_colours.scss")
DARK_URL = "/ai_discuss/dark_colours.scss"
ASKING = ("create_note", "delete_note")  # the tools that ask a person first


@dataclass(frozen=True)
class Look:
    """How a person sees all screens."""

    name: str
    is_phone: bool = False
    is_dark: bool = False
    lang: str = ENGLISH

    @property
    def viewport(self) -> dict[str, int]:
        width, height = (PHONE_WIDTH, PHONE_HEIGHT) if self.is_phone else (WIDTH, HEIGHT)
        return {"width": width, "height": height}


LOOKS = (
    Look("light"), Look("phone", is_phone=True), Look("dark", is_dark=True), Look("arabic", lang=ARABIC),
    Look("arabic-phone", is_phone=True, lang=ARABIC),
)  # fmt: skip


@dataclass
class Stage:
    """Where a state is played: a page in one look, an assistant, and the model that says what the state has written."""

    look: Look
    web: WebClient
    admin: WebClient
    model: ModelServer
    assistant: int
    provider: int
    gates: list[Gate] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)  # conversations that stay in the side bar

    @property
    def page(self):
        return self.web.page

    @property
    def reply(self):
        """The newest reply that is stored."""
        return self.page.locator(".o-mail-Message.o-ai-Reply").last

    def gate(self) -> Gate:
        """A place where the model stops until the picture is taken."""
        self.gates.append(hold())
        return self.gates[-1]

    def chat(self) -> int:
        """Open a new conversation with the assistant; its id."""
        channel = self.web.call("ai.assistant", "open_chat", [self.assistant], new=True)
        self.channels.append(channel)
        self.web.open(f"/odoo/discuss?active_id=discuss.channel_{channel}")
        expect(self.web.composer).to_be_visible()
        return channel

    def ask(self, question: str, *replies: Reply) -> None:
        """Ask in a new conversation; the model answers so."""
        self.model.script(*replies)
        self.chat()
        self.web.say(question)

    def clear(self) -> None:
        """End what goes on, and leave the conversations, so that the side bar stays short."""
        self.model.forget()
        domain = [("channel_id", "in", self.channels), ("finished_at", "=", False)]
        for run in self.admin.call("ai.run", "search", domain):
            self.page.request.post(f"/api/ai/run/{run}/stop", data={})
        for gate in self.gates:
            gate.release()
        self.gates.clear()
        chats = [("is_member", "=", True), ("channel_type", "=", "group"), ("id", "not in", self.kept)]
        for channel in {*self.channels, *self.web.call("discuss.channel", "search", chats)}:
            self.web.call("discuss.channel", "action_unfollow", [channel])
        self.channels.clear()


def take(
    chromium: Browser, url: str, folder: Path, looks: Sequence[str] | None, states: Sequence[str] | None
) -> None:
    """Take the pictures; what cannot be reached is said, and the rest goes on."""
    with _studio(chromium, url) as (admin, model, assistant, provider):
        for look in LOOKS:
            if not looks or look.name in looks:
                with _staged(chromium, url, look, admin, model, assistant, provider) as stage:
                    _take(stage, folder / look.name, states or list(STATES))


@contextmanager
def staged(chromium: Browser, url: str, look: str) -> Iterator[Stage]:
    """A stage in that look."""
    (found,) = [one for one in LOOKS if one.name == look]
    with _studio(chromium, url) as furniture, _staged(chromium, url, found, *furniture) as stage:
        yield stage


@contextmanager
def _studio(chromium: Browser, url: str) -> Iterator[tuple[WebClient, ModelServer, int, int]]:
    """The assistant with the scripted model, as long as pictures are taken; nothing of it stays in use."""
    expect.set_options(timeout=PATIENCE_MS)
    with ModelServer() as model:
        admin = _logged_in(chromium, url, Look("light"), ADMIN, ADMIN)
        assistant, provider = _furnish(admin, model)
        tools = admin.call("mcp.tool", "search_read", [("server_id.name", "=", SERVER)], ["name", "approval"])
        try:
            for tool in tools:
                if tool["name"] in ASKING:
                    admin.call("mcp.tool", "write", [tool["id"]], {"approval": "ask"})
            yield admin, model, assistant, provider
        finally:
            for tool in tools:
                admin.call("mcp.tool", "write", [tool["id"]], {"approval": tool["approval"]})
            admin.call("ai.assistant", "action_archive", [assistant])
            admin.page.context.close()


@contextmanager
def _staged(
    chromium: Browser, url: str, look: Look, admin: WebClient, model: ModelServer, assistant: int, provider: int
) -> Iterator[Stage]:
    login = _person(admin, look)
    with _dark_colours(admin) if look.is_dark else nullcontext():
        web = _logged_in(chromium, url, look, login, PASSWORD)
        yield Stage(look, web, admin, model, assistant, provider)
        web.page.context.close()


def _take(stage: Stage, folder: Path, states: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in states:
        file = folder / f"{name}.png"
        try:
            STATES[name](stage)
            say(str(file))
        except (AssertionError, Error, Failed) as problem:
            say(f"{file}: {str(problem).splitlines()[0]}")
        stage.page.wait_for_timeout(SETTLE_MS)
        stage.page.screenshot(path=file)
        stage.clear()


def _furnish(admin: WebClient, model: ModelServer) -> tuple[int, int]:
    provider = admin.put("ai.provider", PROVIDER, base_url=model.base_url)
    (server,) = admin.call("mcp.server", "search", [("name", "=", SERVER), ("state", "=", "connected")], limit=1)
    values = {"provider_id": provider, "model": "scripted", "mcp_server_ids": [(6, 0, [server])], "active": True}
    assistant = admin.put("ai.assistant", ASSISTANT, description=DESCRIPTION, prompts=PROMPTS, **values)
    return assistant, provider


def _person(admin: WebClient, look: Look) -> str:
    """The login of somebody who manages assistants and reads this look's language."""
    login = f"{PASSWORD}-{look.lang}"
    if not admin.call("res.users", "search", [("login", "=", login)]):
        if look.lang != ENGLISH:
            wizard = admin.call("base.language.install", "create", [{"lang_ids": [(6, 0, _language(admin, look))]}])
            admin.call("base.language.install", "lang_install", wizard)
        groups = [_ref(admin, name) for name in ("base.group_user", "ai_discuss.group_ai_manager")]
        values = {"name": "Marc Demo", "login": login, "password": PASSWORD, "lang": look.lang}
        admin.call("res.users", "create", [{**values, "group_ids": [(6, 0, groups)]}])
    return login


def _language(admin: WebClient, look: Look) -> list[int]:
    return admin.call("res.lang", "search", [("code", "=", look.lang)], context={"active_test": False})


def _ref(admin: WebClient, external_id: str) -> int:
    module, name = external_id.split(".")
    found = admin.call("ir.model.data", "search_read", [("module", "=", module), ("name", "=", name)], ["res_id"])
    return found[0]["res_id"]


@contextmanager
def _dark_colours(admin: WebClient) -> Iterator[None]:
    """Odoo mixes its dark style sheet from these colours meanwhile; Community brings only the rules."""
    datas = base64.b64encode(DARK_COLOURS.read_bytes()).decode()
    values = {"url": DARK_URL, "datas": datas, "mimetype": "text/scss", "type": "binary", "public": True}
    bundle = DARK_CSS.removesuffix(".min.css")
    attachment = admin.put("ir.attachment", DARK_COLOURS.name, **values)
    asset = admin.put("ir.asset", DARK_COLOURS.name, bundle=bundle, directive="prepend", path=DARK_URL)
    try:
        yield
    finally:
        admin.call("ir.asset", "unlink", [asset])
        admin.call("ir.attachment", "unlink", [attachment])


def _logged_in(chromium: Browser, url: str, look: Look, login: str, password: str) -> WebClient:
    context = chromium.new_context(
        base_url=url, viewport=look.viewport, has_touch=look.is_phone, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.set_default_navigation_timeout(FIRST_PAGE_PATIENCE_MS)
    if look.is_dark:
        context.add_cookies([{"name": "color_scheme", "value": "dark", "url": url}])
        page.route(f"**/{LIGHT_CSS}", _serve_dark)
    web = WebClient(page)
    web.log_in(login, password)
    return web


def _serve_dark(route: Route) -> None:
    base = route.request.url.partition("/web/assets/")[0]
    route.fulfill(response=route.fetch(url=f"{base}/web/assets/any/{DARK_CSS}", timeout=FIRST_PAGE_PATIENCE_MS))
