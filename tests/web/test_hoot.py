"""The addon's own JavaScript unit tests, in Odoo's runner."""

import pytest
from playwright.sync_api import TimeoutError as TookTooLong

SUITE = "@ai_discuss"
PATIENCE_MS = 480_000  # much of it is for compiling all of Odoo's test assets, the first time
LAST_WORDS = 5


def hoot_id(name: str) -> str:
    """How Hoot's address names a suite: a 32-bit hash of its name."""
    value = 0
    for character in name:
        value = ((value << 5) - value + ord(character)) & 0xFFFFFFFF
    return f"{value:08x}"


def test_the_unit_tests_in_javascript_pass(live, browser):
    context = browser.new_context(base_url=live.url, viewport={"width": 1366, "height": 768})
    context.add_cookies([{"name": "session_id", "value": live.admin.session_id, "url": live.url}])
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    try:
        with page.expect_console_message(lambda said: said.text.startswith("[HOOT] "), timeout=PATIENCE_MS) as end:
            options = f"headless&loglevel=2&preset=desktop&timeout=60000&id={hoot_id(SUITE)}"
            page.goto(f"/web/tests?{options}", timeout=PATIENCE_MS)
        verdict = end.value.text
    except TookTooLong as error:
        verdict = "\n".join([str(error), *messages[-LAST_WORDS:]])
    context.close()
    if not verdict.startswith("[HOOT] Passed"):
        pytest.fail("\n".join([*(text for text in messages if "failed" in text), verdict]), pytrace=False)
