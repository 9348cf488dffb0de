"""Takes the pictures of the README and of the addon's page from a running demo: `make demo`, then in another terminal

    .dev/venv/bin/python -m dev.screenshots

They are made again whenever a screen changes, so that nobody has to draw, crop or shrink one by hand.
"""

from __future__ import annotations

import argparse
import os
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from . import browser, settings
from .output import Failed, say
from .settings import ROOT

DOCS = ROOT / "docs" / "images"
DESCRIPTION = ROOT / "static" / "description"
WIDTH, HEIGHT = 1280, 800
TALL = 1000  # for a form with a list below
COLOURS = 256  # a palette of that size halves the files, and nobody sees it on a screen of plain colours
PATIENCE_MS = 60_000
LOGIN = "admin"
ASSISTANT, SERVER = "Demo Assistant", "Office tools"  # as `demo_data` calls them
QUESTION = "Quote 12 ergo chairs with 10 % discount"
DRAWING = "Draw a chart of our sales in 2025 and 2026"
DANGEROUS = "Delete note 1"  # by a tool that asks first
# What belongs to the moment and not to the picture: the pointer of Odoo's own tour, and the line above what is new.
HIDDEN = ".o_tour_pointer, .o-mail-Thread-newMessage { display: none !important; }"


def main() -> None:
    chosen = settings.read(os.environ)
    parser = argparse.ArgumentParser(description="Take the screenshots from a running demo.")
    parser.add_argument("--url", default=f"http://127.0.0.1:{chosen.http_port}", help="where the demo is served")
    options = parser.parse_args()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(browser.ensure(chosen)), args=[*browser.ARGUMENTS, "--font-render-hinting=none"]
        )
        page = chromium.new_page(base_url=options.url, viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(PATIENCE_MS)
        _log_in(page)
        _chat(page)
        _drawing(page)
        _approval(page)
        _usage(page)
        page.set_viewport_size({"width": WIDTH, "height": TALL})
        _form(page, "mcp.server", SERVER, DOCS / "mcp_server.png")
        _form(page, "ai.assistant", ASSISTANT, DOCS / "assistant.png")
        chromium.close()


def _log_in(page: Page) -> None:
    page.goto("/web/login")
    page.locator("input[name=login]").fill(LOGIN)
    page.locator("input[name=password]").fill(LOGIN)
    page.locator(".oe_login_form button[type=submit]").click()
    expect(page.locator(".o_main_navbar")).to_be_visible()


def _chat(page: Page) -> None:
    """The chat with the assistant: an answer with its tool calls, the one that calculated unfolded."""
    (assistant,) = _search(page, "ai.assistant", ASSISTANT)
    channel = _call(page, "ai.assistant", "open_chat", [assistant])
    _open(page, f"/odoo/discuss?active_id=discuss.channel_{channel}")
    _say(page, QUESTION)
    newest = page.locator(".o-mail-Message").last
    expect(newest).to_contain_text(QUESTION)
    expect(newest.locator(".o-ai-ToolCallList")).to_be_visible()
    page.locator(".o-ai-ToolCallList-summary").last.click()
    page.locator(".o-ai-ToolCall-summary").last.click()
    expect(newest.locator(".o-ai-ToolCall-response")).to_be_visible()
    page.locator(".o-mail-Thread").evaluate("thread => { thread.scrollTop = thread.scrollHeight; }")
    page.mouse.move(0, 0)
    _take(page, DOCS / "chat.png", DESCRIPTION / "main_screenshot.png")


def _drawing(page: Page) -> None:
    """The same chat, with an image that a tool returned."""
    _say(page, DRAWING)
    newest = page.locator(".o-mail-Message").last
    expect(newest.locator(".o-mail-AttachmentImage")).to_be_visible()
    page.locator(".o-mail-Thread").evaluate("thread => { thread.scrollTop = thread.scrollHeight; }")
    page.mouse.move(0, 0)
    _take(page, DOCS / "image.png")


def _approval(page: Page) -> None:
    """The same chat, with a call that waits for the person's decision."""
    _say(page, DANGEROUS)
    approval = page.locator(".o-ai-Approval")
    expect(approval).to_be_visible()
    page.mouse.move(0, 0)
    _take(page, DOCS / "approval.png")
    approval.locator(".o-ai-Approval-deny").click()
    expect(page.locator(".o-ai-Reply").last).to_contain_text("nothing was changed")  # it has been read when we leave


def _usage(page: Page) -> None:
    """What the replies so far have cost."""
    (action,) = _call(page, "ir.actions.act_window", "search", [("res_model", "=", "ai.run"), ("name", "=", "Usage")])
    _open(page, f"/odoo/action-{action}")
    page.locator("button.o_list").click()
    expect(page.locator(".o_list_table")).to_be_visible()
    page.mouse.move(0, 0)
    _take(page, DOCS / "usage.png")


def _say(page: Page, text: str) -> None:
    composer = page.locator(".o-mail-Composer-input").last
    composer.fill(text)
    composer.press("Enter")


def _form(page: Page, model: str, name: str, *files: Path) -> None:
    """The form of the record of that name, with its tools."""
    (record,) = _search(page, model, name)
    (action,) = _call(page, "ir.actions.act_window", "search", [("res_model", "=", model)], limit=1)
    _open(page, f"/odoo/action-{action}/{record}")
    page.get_by_role("tab", name="Tools").click()
    page.mouse.move(0, 0)
    _take(page, *files)


def _open(page: Page, path: str) -> None:
    page.goto(path)
    page.add_style_tag(content=HIDDEN)


def _take(page: Page, *files: Path) -> None:
    page.wait_for_timeout(500)  # for transitions, and nothing depends on it
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file, optimize=True)
        say(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1024} KB")


def _search(page: Page, model: str, name: str) -> list[int]:
    return _call(page, model, "search", [("name", "=", name)], limit=1)


def _call(page: Page, model: str, method: str, *args: object, **kwargs: object) -> object:
    """Call a method of a model with the page's own session."""
    params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
    response = page.request.post(
        f"/web/dataset/call_kw/{model}/{method}", data={"jsonrpc": "2.0", "method": "call", "params": params}
    )
    answer = response.json()
    if "error" in answer:
        raise Failed(f"{model}.{method}: {answer['error']['data']['message']}")
    return answer["result"]


if __name__ == "__main__":
    main()
