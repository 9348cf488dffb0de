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

from tests.fakes.model_server import text

from . import browser, gallery, settings
from .output import say
from .settings import ROOT

DESCRIPTION = ROOT / "static" / "description"
# Each picture by its look and its state.
PICTURES = (
    ("light", "writing", "main_screenshot.png"),
    ("light", "welcome", "welcome.png"),
    ("light", "approval", "approval.png"),
    ("light", "settings", "settings.png"),
    ("light", "ask_ai", "ask_ai.png"),
    ("phone", "written", "phone.png"),
)
# What has been asked before, as the side bar shows it.
EARLIER = ("Quote 12 ergo chairs with 10 % discount", "How were our sales in November?", "Working days until Christmas")


def main() -> None:
    chosen = settings.read(os.environ)
    parser = argparse.ArgumentParser(description="Take the screenshots from a running demo.")
    parser.add_argument("--url", default=f"http://127.0.0.1:{chosen.http_port}", help="where the demo is served")
    parser.add_argument("--all", action="store_true", help="every state in every look, into the state folder")
    parser.add_argument("--look", action="append", choices=[look.name for look in gallery.LOOKS], help="with --all")
    parser.add_argument("states", nargs="*", metavar="state", help=f"with --all: {', '.join(gallery.STATES)}")
    options = parser.parse_args()
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
    for look in dict.fromkeys(look for look, _, _ in PICTURES):
        with gallery.staged(chromium, url, look) as stage:
            _ask_earlier(stage)
            for state, name in [picture[1:] for picture in PICTURES if picture[0] == look]:
                gallery.STATES[state](stage)
                _take(stage.page, DESCRIPTION / name)
                stage.clear()
            stage.kept.clear()
            stage.clear()


def _ask_earlier(stage: gallery.Stage) -> None:
    """Read what is new, and begin some conversations."""
    stage.clear()
    for channel in stage.web.call("discuss.channel", "search", [("is_member", "=", True)]):
        stage.web.open(f"/odoo/discuss?active_id=discuss.channel_{channel}")
        expect(stage.page.locator(".o-mail-Message").first).to_be_visible()
    for question in EARLIER:
        stage.ask(question, text("Gladly."))
        expect(stage.reply).to_contain_text("Gladly.")
    stage.kept.extend(stage.channels)
    stage.channels.clear()


def _take(page: Page, file: Path) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(gallery.SETTLE_MS)
    Image.open(BytesIO(page.screenshot())).convert("RGB").save(file, optimize=True)
    say(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
