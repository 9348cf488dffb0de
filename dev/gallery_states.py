"""The states of which `gallery` takes pictures: each function brings a page there; its name says what is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.fakes.model_server import calls, delta, end, error, sse, text

if TYPE_CHECKING:
    from .gallery import Stage

State = Callable[["Stage"], None]

STOCK_FILE = {"name": "stock.csv", "mimeType": "text/csv", "buffer": b"sku,count\nCHR-ERGO,3\n"}
ARCHIVE = {"name": "backup.zip", "mimeType": "application/zip", "buffer": b"PK\x05\x06" + bytes(18)}
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
    stage.page.locator(".o-ai-ToolCallList-summary").last.click()
    stage.web.scroll_to_end()


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
    both = calls(("delete_note", {"number": 1}), ("create_note", NOTE))
    stage.ask("Replace my note on Azure Interior", both, text("It is noted."))
    expect(stage.page.locator(".o-ai-Approval").first).to_be_visible()


def approval_edited(stage: Stage) -> None:
    stage.ask("Take a note", calls(("create_note", NOTE)), text("It is noted."))
    stage.page.locator(".o-ai-Approval-edit").click()


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
    messaging_menu(stage)
    stage.page.locator(".o-mail-NotificationItem", has_text="Office helper").first.click()
    expect(stage.page.locator(".o-mail-ChatWindow")).to_be_visible()


def messaging_menu(stage: Stage) -> None:
    _open_contact(stage)
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
    _thread_action(stage, "ai-settings")
    expect(stage.page.locator(".o-ai-PersonalServers")).to_be_visible()


def personal_server(stage: Stage) -> None:
    """A server of one's own that cannot be reached."""
    settings(stage)
    stage.page.locator(".o-ai-PersonalServers-add").click()
    form = stage.page.locator(".o-ai-PersonalServerForm")
    form.locator("[name=name]").fill("My tools")
    form.locator("[name=url]").fill("http://127.0.0.1:9/mcp")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("alert")).to_be_visible()
    form.scroll_into_view_if_needed()


def feedback(stage: Stage) -> None:
    actions(stage)
    stage.page.locator(".o-ai-ReplyActions-down").last.click()
    expect(stage.page.locator(".o-ai-FeedbackPopover")).to_be_visible()


def replaced(stage: Stage) -> None:
    """A reply that was made anew, below the one in whose place it is."""
    stage.ask(QUESTION, text("Corner desks."), text("Folding desks: they can be put away."))
    expect(stage.reply).to_contain_text("Corner desks.")
    stage.page.locator(".o-ai-ReplyActions-regenerate").last.click()
    expect(stage.reply).to_contain_text("Folding desks")
    expect(stage.page.locator(".o-ai-Replaced-toggle")).to_be_visible()


def forked(stage: Stage) -> None:
    written(stage)
    stage.reply.hover()
    menu = stage.reply.locator(".o-mail-Message-actions")
    menu.locator("button[title='Expand'], button:has(.oi-ellipsis-v), button:has(.fa-ellipsis-h)").first.click()
    with stage.page.expect_response("**/discuss.channel/ai_fork"):
        stage.page.locator("[name=ai-fork]").click()
    expect(stage.reply).to_contain_text("All prices are without VAT")


def help_(stage: Stage) -> None:
    stage.chat()
    stage.web.say("/help ")
    expect(stage.page.locator(".o-mail-Message", has_text="/tools").last).to_be_visible()


def files(stage: Stage) -> None:
    """Files that are about to be sent; one of them cannot be read."""
    stage.chat()
    stage.page.locator(".o-mail-Composer input[type=file]").last.set_input_files([STOCK_FILE, ARCHIVE])
    expect(stage.page.locator(".o-ai-Composer-unreadable")).to_be_visible()
    expect(stage.page.locator(".o-mail-AttachmentContainer:not(.o-isUploading)")).to_have_count(2)


def notices(stage: Stage) -> None:
    """What a reply says about files that its model did not get."""
    stage.model.script(text("Three chairs."))
    files(stage)
    stage.web.say("How many chairs are left?")
    expect(stage.reply).to_contain_text("Three chairs.")


def ask_ai(stage: Stage) -> None:
    """Asked from the chatter of a contact."""
    stage.model.script(text("**Azure Interior** is a customer in Fremont; their last order was six corner desks."))
    _open_contact(stage)
    stage.page.locator(".o-ai-AskAi").click()
    stage.page.locator(".o-ai-AskAi-assistant", has_text="Office helper").first.click()
    expect(stage.page.locator(".o-ai-AskedRecord")).to_be_visible()
    stage.web.say("Who is this, in one sentence?")
    expect(stage.reply).to_contain_text("Fremont")


def mention(stage: Stage) -> None:
    """An assistant that is mentioned in a channel."""
    stage.model.script(calls(SEARCH), text("Three: the Nordic desk, the corner desk and the folding desk."))
    channel = stage.web.call("discuss.channel", "create", {"name": "Sales", "channel_type": "channel"})
    stage.channels.append(channel)
    stage.web.open(f"/odoo/discuss?active_id=discuss.channel_{channel}")
    stage.web.composer.press_sequentially("@Office h")
    stage.page.locator(".o-mail-Composer-suggestion", has_text="Office helper").click()
    stage.web.composer.press_sequentially("which desks are below 300 €?")
    stage.web.composer.press("Enter")
    expect(stage.reply).to_contain_text("Three:")


def _open_contact(stage: Stage) -> None:
    """Go to a customer's form, without the windows that earlier states have left open."""
    (partner,) = stage.web.find("res.partner", "Azure Interior")
    stage.page.evaluate("localStorage.removeItem('mail.ChatHub')")
    stage.web.open(f"/odoo/res.partner/{partner}")


def _thread_action(stage: Stage, name: str) -> None:
    """Press a button above the conversation, which narrow screens hide in a menu."""
    header = stage.page.locator(".o-mail-DiscussContent-header, .o-mail-ChatWindow-header").last
    expect(header).to_be_visible()
    if not header.locator(f"[name={name}]").count():
        header.locator("button[title='Open Actions Menu'], .o-mail-ChatWindow-moreActions, .o-dropdown").last.click()
    stage.page.locator(f"[name={name}]").last.click()


def phone_home(stage: Stage) -> None:
    stage.web.open("/odoo/discuss")


STATES: dict[str, State] = {
    state.__name__.strip("_"): state
    for state in (
        welcome, thinking, writing, written, working, calls_unfolded, approval, approval_edited, denied, stopped,
        unreachable, actions, feedback, replaced, forked, mention, chat_window, messaging_menu, palette, settings,
        personal_server, files, notices, help_, ask_ai, phone_home,
    )
} | {
    "key_rejected": _failed(401, "Incorrect API key provided"),
    "rate_limited": _failed(429, "Rate limit reached"),
    "model_error": _failed(400, "This model does not support images"),
}  # fmt: skip
