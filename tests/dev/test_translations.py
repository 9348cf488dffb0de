"""The translations that come with the addon, held against the template that Odoo exports."""

import re

import polib
import pytest

from dev.settings import ROOT

LANGUAGES = ("de", "es", "fr", "zh_CN", "zh_TW")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|</?\w+[^>]*?>|\$\{[^}]*\}")


@pytest.fixture(scope="module")
def template() -> polib.POFile:
    return polib.pofile(ROOT / "i18n/ai_discuss.pot")


def placeholders(text: str) -> list[str]:
    return sorted(re.sub(r'title="[^"]*"', "title", found) for found in PLACEHOLDER.findall(text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_a_text_for_each_string(template, language):
    translated = {entry.msgid: entry.msgstr for entry in polib.pofile(ROOT / f"i18n/{language}.po")}
    assert set(translated) == {entry.msgid for entry in template}
    assert [text for text, translation in translated.items() if not translation] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_filled_into_a_text_is_filled_into_its_translation(language):
    entries = polib.pofile(ROOT / f"i18n/{language}.po")
    assert [e.msgid for e in entries if placeholders(e.msgid) != placeholders(e.msgstr)] == []
