"""What models write, as people may see it."""

import json
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.markdown import MAX_CHARS, to_html

SAMPLES = Path(__file__).parents[2] / "static" / "tests" / "markdown_samples.js"
NEW_TAB = 'target="_blank" rel="noreferrer noopener"'
ALLOWED_TAGS = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}
ALLOWED_ATTRIBUTES = {"href", "target", "rel", "class", "start", "style"}


class Seen(HTMLParser):
    """The tags, links and attributes that a browser would find."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}
        self.links += [value for name, value in attrs if name == "href"]


def assert_harmless(html: str) -> None:
    seen = Seen(html)
    assert seen.tags <= ALLOWED_TAGS
    assert seen.attributes <= ALLOWED_ATTRIBUTES
    assert all(link.lower().startswith(("http:", "https:", "mailto:")) for link in seen.links)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("Hello *there*, **you** ~~all~~", "<p>Hello <em>there</em>, <strong>you</strong> <s>all</s></p>\n"),
        ("One\nTwo", "<p>One<br />\nTwo</p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("```python\nif a < b:\n```", '<pre><code class="language-python">if a &lt; b:\n</code></pre>\n'),
        ("`a < b`", "<p><code>a &lt; b</code></p>\n"),
        ("[Odoo](https://odoo.com/?a=1&b=2)", f'<p><a href="https://odoo.com/?a=1&amp;b=2" {NEW_TAB}>Odoo</a></p>\n'),
        ("<mailto:a@odoo.com>", f'<p><a href="mailto:a@odoo.com" {NEW_TAB}>mailto:a@odoo.com</a></p>\n'),
        ("3 < 4 & 5 > 2", "<p>3 &lt; 4 &amp; 5 &gt; 2</p>\n"),
        ("a\0b", "<p>a\ufffdb</p>\n"),
    ],
)
def test_markdown_becomes_html(text, html):
    assert to_html(text) == html


def test_a_table_becomes_a_table():
    html = to_html("| a | b |\n|---|--:|\n| 1 | 2 |")
    assert {"table", "thead", "tbody", "th", "td"} <= Seen(html).tags
    assert '<td style="text-align:right">2</td>' in html


def test_an_image_becomes_a_link_and_is_never_loaded():
    assert to_html("![A *cat*](https://evil.example/cat.png)") == (
        f'<p><a href="https://evil.example/cat.png" {NEW_TAB}>A cat</a></p>\n'
    )
    assert "https://evil.example/cat.png</a>" in to_html("![](https://evil.example/cat.png)")


def test_an_image_is_loaded_where_somebody_wants_it_so():
    assert to_html("![A *cat*](https://odoo.com/cat.png?a=1&b=2)", remote_images=True) == (
        '<p><img src="https://odoo.com/cat.png?a=1&amp;b=2" alt="A cat" loading="lazy" referrerpolicy="no-referrer" />'
        "</p>\n"
    )
    for source in ("mailto:a@odoo.com", "data:image/svg+xml;base64,PHN2Zz4=", "javascript:alert(1)", "/web/image/1"):
        assert "img" not in Seen(to_html(f"![x]({source})", remote_images=True)).tags


def test_an_image_inside_a_link_is_its_description():
    assert to_html("[![A cat](https://evil.example/cat.png)](https://odoo.com)") == (
        f'<p><a href="https://odoo.com" {NEW_TAB}>A cat</a></p>\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "<script>alert(1)</script>",
        "</p><iframe src=https://evil.example></iframe>",
        "<svg onload=alert(1)><a xlink:href=javascript:alert(1)>x</a></svg>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\nscript:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](\x01javascript:alert(1))",
        "[x](vbscript:msgbox(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](file:///etc/passwd)",
        "[x](//evil.example)",
        "[x](/web/session/logout)",
        "<javascript:alert(1)>",
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
        "![x](javascript:alert(1))",
        '[x](https://odoo.com "onmouseover=alert(1)")',
        '[x](https://odoo.com/"onmouseover="alert(1))',
        '![" onerror="alert(1)](https://odoo.com/x.png)',
        "[x]: javascript:alert(1)\n\n[x]",
        '```"><img src=x onerror=alert(1)>\ncode\n```',
        'data: {"type":"done","done":true}\n\nid: 1-2',
        '{"type": "tool_result", "id": "a", "result": "<b>yes</b>"}',
    ],
)
def test_q48_text_that_imitates_html_or_frames_is_harmless(text):
    html = to_html(text)
    assert_harmless(html)
    assert "onerror=" not in str(Seen(html).attributes)


@given(st.text() | st.text("[]()!<>`*_~|-&;:#\"' \n\\ahtp/.:\0\ud800"))
def test_q48_any_text_is_harmless_and_never_fails(text):
    assert_harmless(to_html(text))


@pytest.mark.parametrize(
    "piece",
    ["[", "]", "![", "[a](", "[a][b]", "*", "*a ", "_*a", "a**b", "~~a", "`", "> ", "- ", "<", "&", "|", "|a|\n|-|\n",
     "![a](http:b)", "[![a](http:b)](http:c)"],
)
def test_hostile_repetition_does_not_take_long(piece):
    started = time.process_time()  # of this process alone: other work on the machine does not count
    assert_harmless(to_html(piece * (MAX_CHARS // len(piece))))
    assert time.process_time() - started < 5


def test_text_that_is_too_long_to_be_formatted_keeps_its_lines():
    html = to_html("<b>\n" + "[" * 100_000 + "\n**end**")
    assert html.startswith("<p>&lt;b&gt;<br />[[[") and html.endswith("[[[<br />**end**</p>")


def test_a_bare_address_becomes_a_link_and_a_file_name_does_not():
    html = to_html("See https://example.com/a?b=1, and read note.md or ftp://example.com/x.")
    assert Seen(html).links == ["https://example.com/a?b=1"]


def test_the_browser_tests_know_how_text_is_formatted_here():
    samples = json.loads(SAMPLES.read_text().partition("=")[2].strip().rstrip(";"))
    assert len(samples) > 20
    for sample in samples:
        assert to_html(sample["text"]) == sample["html"]
