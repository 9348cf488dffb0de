"""Markdown, as models write it, to HTML. One pure function; not a sanitiser: that runs where the message is stored.

What a model writes is data: its HTML is shown as text, its links lead to the web or to a mail address, and unless
somebody wants it so, nothing is loaded from anywhere: an image can tell its server who reads the answer, and in its
address whatever the model was told.
"""

import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from .wire_v1 import storable_text

# Twenty-five pages. The time that parsing takes grows with the text's length, but with hostile text it is a hundred
# times what it is with prose: at this length about two seconds, measured with lines in nested quotes.
MAX_CHARS = 50_000

_SAFE_LINK = re.compile(r"(https?|mailto):", re.IGNORECASE)
_SAFE_IMAGE = re.compile(r"https?:", re.IGNORECASE)


def to_html(text: str, remote_images: bool = False) -> str:
    """`text` as HTML: CommonMark with tables, strikethrough and bare URLs, each line break kept, as in a chat. Text
    that is too long to be formatted in reasonable time keeps its line breaks and nothing else. With `remote_images`
    images are shown, which whoever reads it then loads from wherever they are."""
    text = storable_text(text)  # the parser fails on lone surrogates in links
    return _MARKDOWN.render(text, {"remote_images": remote_images}) if len(text) <= MAX_CHARS else _plain(text)


def _plain(text: str) -> str:
    return f"<p>{'<br />'.join(escape(line) for line in text.splitlines())}</p>"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": True}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough", "linkify"])
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})  # "note.md" and "v1.io" are words, not addresses
    parser.validateLink = lambda url: bool(_SAFE_LINK.match(url))  # a link that is not valid stays the text that it was
    return parser


class _Renderer(RendererHTML):
    """The parser's own renderer, with other links and images."""

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A link opens beside the conversation, and does not say where it was found."""
        env["in_link"] = True
        return f'<a href="{escape(str(tokens[idx].attrs["href"]))}" target="_blank" rel="noreferrer noopener">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        env["in_link"] = False
        return "</a>"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """An image becomes a link to it, where it is not to be loaded; inside of a link, which cannot hold another, its
        description."""
        source = escape(str(tokens[idx].attrs["src"]))
        label = escape(self.renderInlineAsText(tokens[idx].children, options, env)) or source
        if env.get("remote_images") and _SAFE_IMAGE.match(source):
            return f'<img src="{source}" alt="{label}" loading="lazy" referrerpolicy="no-referrer" />'
        if env.get("in_link"):
            return label
        return f'<a href="{source}" target="_blank" rel="noreferrer noopener">{label}</a>'


_MARKDOWN = _parser()
