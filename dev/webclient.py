"""A person in Odoo's web client, as the tools that take pictures play them: logs in, opens pages, says something."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from .output import Failed

ADMIN = "admin"
FIRST_PAGE_PATIENCE_MS = 120_000  # Odoo may have to compile its assets
# What belongs to the moment and not to the picture: the pointer of Odoo's own tour, and the line above what is new.
HIDDEN = ".o_tour_pointer, .o-mail-Thread-newMessage { display: none !important; }"


class WebClient:
    """A page, and who is logged in on it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def log_in(self, login: str, password: str) -> None:
        self.page.goto("/web/login")
        self.page.locator("input[name=login]").fill(login)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator(".oe_login_form button[type=submit]").click()
        expect(self.page.locator(".o_main_navbar")).to_be_visible(timeout=FIRST_PAGE_PATIENCE_MS)

    def open(self, path: str) -> None:
        self.page.goto(path)
        self.page.add_style_tag(content=HIDDEN)

    @property
    def composer(self) -> Locator:
        return self.page.locator(".o-mail-Composer-input").last

    def say(self, text: str) -> None:
        self.composer.fill(text)
        self.composer.press("Enter")

    def scroll_to_end(self) -> None:
        self.page.locator(".o-mail-Thread").last.evaluate("thread => { thread.scrollTop = thread.scrollHeight; }")

    def find(self, model: str, name: str) -> list[int]:
        return self.call(model, "search", [("name", "=", name)], limit=1, context={"active_test": False})

    def put(self, model: str, name: str, /, **values: object) -> int:
        """The record of that name, with these values."""
        found = self.find(model, name)
        if found:
            self.call(model, "write", found, values)
            return found[0]
        return self.call(model, "create", [{"name": name, **values}])[0]

    def call(self, model: str, method: str, *args: object, **kwargs: object) -> object:
        """Call a method of a model with the page's own session."""
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        response = self.page.request.post(
            f"/web/dataset/call_kw/{model}/{method}", data={"jsonrpc": "2.0", "method": "call", "params": params}
        )
        answer = response.json()
        if "error" in answer:
            raise Failed(f"{model}.{method}: {answer['error']['data']['message']}")
        return answer.get("result")  # not there where nothing is returned
