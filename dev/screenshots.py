"""Takes the pictures of the README and of the addon's page from a running demo: `make demo`, then in another terminal

    .dev/venv/bin/python -m dev.screenshots

They are made again whenever a screen changes, so that nobody has to draw, crop or shrink one by hand. With `--all` it
takes a picture of every state in every look instead, to be looked at (see `gallery.py`).
"""

from __future__ import annotations

import argparse
import os
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from . import browser, gallery, settings
from .output import say
from .settings import ROOT
from .webclient import ADMIN, WebClient

DOCS = ROOT / "docs" / "images"
DESCRIPTION = ROOT / "static" / "description"
WIDTH, HEIGHT = 1280, 800
TALL = 1000  # for a form with a list below
COLOURS = 256  # a palette of that size halves the files, and nobody sees it on a screen of plain colours
PATIENCE_MS = 60_000
ASSISTANT, SERVER = "Demo Assistant", "Office tools"  # as `demo_data` calls them
QUESTION = "Quote 12 ergo chairs with 10 % discount"
DRAWING = "Draw a chart of our sales in 2025 and 2026"
DANGEROUS = "Delete note 1"  # by a tool that asks first


def main() -> None:
    chosen = settings.read(os.environ)
    parser = argparse.ArgumentParser(description="Take the screenshots from a running demo.")
    parser.add_argument("--url", default=f"http://127.0.0.1:{chosen.http_port}", help="where the demo is served")
    parser.add_argument("--all", action="store_true", help="every state in every look, into the state folder")
    parser.add_argument("--look", action="append", choices=[look.name for look in gallery.LOOKS], help="with --all")
    parser.add_argument("states", nargs="*", metavar="state", help=f"with --all: {', '.join(gallery.STATES)}")
    options = parser.parse_args()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(browser.ensure(chosen)), args=[*browser.ARGUMENTS, "--font-render-hinting=none"]
        )
        if options.all:
            gallery.take(chromium, options.url, chosen.state / "screenshots", options.look, options.states)
        else:
            _for_readers(chromium, options.url)
        chromium.close()


def _for_readers(chromium: Browser, url: str) -> None:
    page = chromium.new_page(base_url=url, viewport={"width": WIDTH, "height": HEIGHT})
    page.set_default_timeout(PATIENCE_MS)
    web = WebClient(page)
    web.log_in(ADMIN, ADMIN)
    _chat(web)
    _drawing(web)
    _approval(web)
    _usage(web)
    page.set_viewport_size({"width": WIDTH, "height": TALL})
    _form(web, "mcp.server", SERVER, DOCS / "mcp_server.png")
    _form(web, "ai.assistant", ASSISTANT, DOCS / "assistant.png")


def _chat(web: WebClient) -> None:
    """The chat with the assistant: an answer with its tool calls, the one that calculated unfolded."""
    page = web.page
    (assistant,) = web.find("ai.assistant", ASSISTANT)
    channel = web.call("ai.assistant", "open_chat", [assistant])
    web.open(f"/odoo/discuss?active_id=discuss.channel_{channel}")
    web.say(QUESTION)
    newest = page.locator(".o-mail-Message").last
    expect(newest).to_contain_text(QUESTION)
    expect(newest.locator(".o-ai-ToolCallList")).to_be_visible()
    newest.locator(".o-ai-ToolCallList-summary").click()
    newest.locator(".o-ai-ToolCall-summary").last.click()
    expect(newest.locator(".o-ai-ToolCall-response")).to_be_visible()
    web.scroll_to_end()
    page.mouse.move(0, 0)
    _take(page, DOCS / "chat.png", DESCRIPTION / "main_screenshot.png")


def _drawing(web: WebClient) -> None:
    """The same chat, with an image that a tool returned."""
    web.say(DRAWING)
    newest = web.page.locator(".o-mail-Message").last
    expect(newest.locator(".o-mail-AttachmentImage")).to_be_visible()
    web.scroll_to_end()
    web.page.mouse.move(0, 0)
    _take(web.page, DOCS / "image.png")


def _approval(web: WebClient) -> None:
    """The same chat, with a call that waits for the person's decision."""
    web.say(DANGEROUS)
    approval = web.page.locator(".o-ai-Approval")
    expect(approval).to_be_visible()
    web.page.mouse.move(0, 0)
    _take(web.page, DOCS / "approval.png")
    approval.locator(".o-ai-Approval-deny").click()
    answer = web.page.locator(".o-ai-Reply").last
    expect(answer).to_contain_text("nothing was changed")  # it has been read when we leave


def _usage(web: WebClient) -> None:
    """What the replies so far have cost."""
    web.open(f"/odoo/action-{web.action('ai.run', 'Usage')}")
    web.page.locator("button.o_list").click()
    expect(web.page.locator(".o_list_table")).to_be_visible()
    web.page.mouse.move(0, 0)
    _take(web.page, DOCS / "usage.png")


def _form(web: WebClient, model: str, name: str, *files: Path) -> None:
    """The form of the record of that name, with its tools."""
    (record,) = web.find(model, name)
    web.open(f"/odoo/action-{web.action(model)}/{record}")
    web.page.get_by_role("tab", name="Tools").click()
    web.page.mouse.move(0, 0)
    _take(web.page, *files)


def _take(page: Page, *files: Path) -> None:
    page.wait_for_timeout(500)  # for transitions, and nothing depends on it
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file, optimize=True)
        say(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
