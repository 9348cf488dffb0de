"""What keeps people from reading or reaching what is ours, as axe sees it. Discuss around it is not ours to mend."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.fakes.model_server import calls, error, hold, text
from tests.web.test_discuss import say

OURS = "[class*='o-ai-']"
# Of Discuss, wherever a message stands.
OF_DISCUSS = [".o-mail-Message-avatarContainer", ".o-mail-Message-date", ".o-mail-Message-actions"]
ANSWER = "| Desk | Price |\n|---|---|\n| Oak | 240 € |\n\n```python\nprint(240)\n```\n\n> *Prices* without [VAT](https://x.example)."


def assert_accessible(page: Page) -> None:
    """Nothing that is ours has any of the faults that axe knows."""
    assert page.locator(OURS).count()
    context = {"include": [[OURS]], "exclude": [[selector] for selector in OF_DISCUSS]}
    results = Axe().run(page, context, {"resultTypes": ["violations"]})
    faults = [
        f"{violation['id']}: {node['html'][:200]}\n    {node['failureSummary']}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


def test_a_reply_is_accessible_in_each_of_its_states_and_in_the_end_it_is_announced(live, desk, model, visit):
    gate = hold()
    model.script(
        calls(("create_note", {"title": "Azure", "text": "Call them"})),
        text("Half of it", gate, f" and the rest.\n\n{ANSWER}"),
        error(401, "Incorrect API key"),
    )
    page = visit(live.admin, desk.open_chat(live.admin))
    expect(page.locator(".o-ai-Welcome")).to_be_visible()
    assert_accessible(page)

    say(page, "Take a note")
    expect(page.locator(".o-ai-Approval-approve")).to_be_visible()
    assert_accessible(page)
    page.locator(".o-ai-Approval-approve").click()
    expect(page.locator(".o-ai-LiveText")).to_contain_text("Half of it")
    assert_accessible(page)
    announcement = page.locator(".o-ai-ReplyAnnouncer")
    expect(announcement).to_be_empty()

    gate.release()
    expect(page.locator(".o-mail-Message.o-ai-Reply")).to_contain_text("240 €")
    expect(announcement).to_contain_text(f"{desk.name} says: Half of it and the rest.")
    page.locator(".o-ai-ToolCallList-summary").click()
    page.locator(".o-ai-ToolCall-summary").click()
    assert_accessible(page)

    say(page, "And now?")
    expect(page.locator(".o-ai-RunError")).to_contain_text("does not accept the assistant's key")
    expect(page.locator(".o-ai-RunError-settings")).to_be_visible()
    expect(announcement).to_contain_text(f"{desk.name} could not answer")
    assert_accessible(page)
