"""The states of which `gallery` takes pictures: each function brings a page there; its name says what is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.fakes.model_server import calls, delta, end, error, sse, text

if TYPE_CHECKING:
    from .gallery import Stage

State = Callable[["Stage"], None]

QUESTION = "Which of our desks would suit a small office for six people?"
NOTE = {"title": "Six desks for Azure Interior", "text": "They want corner desks in white, delivered by 9 December."}
SEARCH = ("search_products", {"query": "desk", "max_price": 300})
STOCK = [("get_stock", {"sku": sku}) for sku in ("DSK-140", "DSK-120C")]
BEGINNING = """\
For six people in a small room I would take **corner desks**, because they leave the middle free.

| Desk | Price | In stock |
|---|---:|---:|
| Corner desk 120 | 219 € | 2 |
| Folding desk | 129 € | 43 |

1. Measure the room first: a corner desk needs *1.2 m* of wall on both sides.
2. Order soon; the next delivery is on `2026-12-09`.

```python
total = 6 * 219
"""
REST = """\
print(f"{total} €")
```

> All prices are without VAT.

More is on [our site](https://www.example.com/desks)."""


def welcome(stage: Stage) -> None:
    stage.chat()


def thinking(stage: Stage) -> None:
    thoughts = "Six people, a small office. Corner desks save room; let me look at what is in stock."
    stage.ask(QUESTION, sse(delta(reasoning_content=thoughts), stage.gate(), delta(content="Well."), end(), "[DONE]"))
    summary = stage.page.locator(".o-ai-Reasoning-summary")
    summary.click()
    expect(stage.page.locator(".o-ai-Reasoning-text")).to_be_visible()


def writing(stage: Stage) -> None:
    stage.ask(QUESTION, calls(SEARCH), calls(*STOCK), text(BEGINNING, stage.gate(), REST))
    expect(stage.page.locator(".o-ai-LiveText")).to_contain_text("total = 6 * 219")


def written(stage: Stage) -> None:
    stage.ask(QUESTION, calls(SEARCH), calls(*STOCK), text(BEGINNING, REST))
    expect(stage.reply).to_contain_text("All prices are without VAT")
    stage.web.scroll_to_end()


def working(stage: Stage) -> None:
    """A call is running, and says how far it is."""
    stage.ask("How were our sales?", calls(("sales_report", {"year": 2026})), text(stage.gate(), "Well."))
    expect(stage.page.locator(".o-ai-ActiveRun")).to_be_visible()


def calls_unfolded(stage: Stage) -> None:
    wrong = ("current_time", {"time_zone": "Atlantis"})
    stage.ask("What time is it?", calls(SEARCH, wrong), calls(*STOCK), text("It is late."))
    expect(stage.reply).to_contain_text("It is late.")
    stage.page.locator(".o-ai-ToolCallList-summary").last.click()
    stage.page.locator(".o-ai-ToolCall-summary").first.click()
    expect(stage.reply.locator(".o-ai-ToolCall-response").first).to_be_visible()
    stage.web.scroll_to_end()


def approval(stage: Stage) -> None:
    stage.ask("Take a note", calls(("delete_note", {"number": 1}), ("create_note", NOTE)), text("It is noted."))
    expect(stage.page.locator(".o-ai-Approval").first).to_be_visible()


def approval_edited(stage: Stage) -> None:
    approval(stage)
    stage.page.locator(".o-ai-Approval-edit").first.click()


def denied(stage: Stage) -> None:
    stage.ask("Delete my note", calls(("delete_note", {"number": 1})), text("Then I leave it alone."))
    stage.page.locator(".o-ai-Approval-deny").click()
    expect(stage.reply).to_contain_text("Then I leave it alone.")
    stage.page.locator(".o-ai-ToolCallList-summary").last.click()


def stopped(stage: Stage) -> None:
    stage.ask("Tell me a story", text("Once upon a time there was a desk", stage.gate(), "."))
    expect(stage.page.locator(".o-ai-LiveText")).to_contain_text("there was a desk")
    stage.page.locator("button[name=ai-stop]").click()
    expect(stage.reply).to_contain_text("Stopped by")


def _failed(code: int, message: str) -> State:
    def state(stage: Stage) -> None:
        stage.ask(QUESTION, *[error(code, message)] * 6)
        expect(stage.reply).to_be_visible(timeout=60_000)

    return state


def unreachable(stage: Stage) -> None:
    stage.admin.call("ai.provider", "write", [stage.provider], {"base_url": "http://127.0.0.1:9/v1"})
    try:
        stage.ask(QUESTION)
        expect(stage.reply).to_be_visible(timeout=60_000)
    finally:
        stage.admin.call("ai.provider", "write", [stage.provider], {"base_url": stage.model.base_url})


def actions(stage: Stage) -> None:
    """What can be done with a reply, as its actions show under the mouse."""
    stage.ask(QUESTION, text("Corner desks."))
    expect(stage.reply).to_contain_text("Corner desks.")
    stage.reply.hover()


def chat_window(stage: Stage) -> None:
    written(stage)
    stage.web.open("/odoo/action-base.action_res_users_my")
    stage.page.locator(".o_menu_systray button:has(.fa-comments)").first.click()
    stage.page.locator(".o-mail-NotificationItem", has_text="Office helper").first.click()
    expect(stage.page.locator(".o-mail-ChatWindow")).to_be_visible()


def messaging_menu(stage: Stage) -> None:
    stage.web.open("/odoo/action-base.action_res_users_my")
    stage.page.locator(".o_menu_systray button:has(.fa-comments)").first.click()
    expect(stage.page.locator(".o-mail-MessagingMenu")).to_be_visible()


def palette(stage: Stage) -> None:
    stage.chat()
    stage.page.keyboard.press("Control+k")
    stage.page.locator(".o_command_palette_search input").fill("@office")
    expect(stage.page.locator(".o_command").first).to_be_visible()


def settings(stage: Stage) -> None:
    """The panel with what holds for this conversation."""
    stage.chat()
    stage.page.locator("button[name=ai-assistant]").first.click()


def phone_home(stage: Stage) -> None:
    stage.web.open("/odoo/discuss")


STATES: dict[str, State] = {
    state.__name__.strip("_"): state
    for state in (
        welcome, thinking, writing, written, working, calls_unfolded, approval, approval_edited, denied, stopped,
        unreachable, actions, chat_window, messaging_menu, palette, settings, phone_home,
    )
} | {
    "key_rejected": _failed(401, "Incorrect API key provided"),
    "rate_limited": _failed(429, "Rate limit reached"),
    "model_error": _failed(400, "This model does not support images"),
}  # fmt: skip
