"""The text of a file that a person gives an assistant to read: bytes in, text out. Pure.

What a file is, its bytes decide. Files come from anywhere: whatever is in them, reading one takes bounded time and
memory, and ends in its text or in a `Problem`. Images are not read here; a model looks at them itself.
"""

import codecs
import io
import logging
import time
from enum import Enum
from functools import lru_cache

from .files import recognise

MAX_BYTES = 10 * 1024 * 1024  # of a file that is looked into; a book is smaller
MAX_CHARS = 200_000  # of its text; some 50,000 tokens, more than what is left over in most requests
DETECTION_BYTES = 64 * 1024  # enough to recognise an encoding by
MIN_CONFIDENCE = 0.1  # of a guessed encoding: a short text of East Asia or Russia has no more; below, it is a guess
MAX_CONTROL_SHARE = 0.02  # of the characters; a text has hardly any beside its line breaks
PDF_SECONDS = 4.0  # for all of a file; a page takes some 10 to 50 ms
PDF_MAX_PAGES = 200
PDF_PAGE_MAX_BYTES = 4 * 1024 * 1024  # of a page's own drawing; beyond it is a plan or a trap, not a text
CACHED_FILES = 32  # the same file is read again with each question that follows

_CONTROLS = frozenset(map(chr, (*range(32), 127))) - set("\t\n\r\f")
_MARKS = (  # the longer ones first: one of the others begins like them
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Problem(Enum):
    """Why a file has no text for a model."""

    EMPTY = "it is empty"
    TOO_LARGE = "it is too large"
    UNKNOWN = "it is of a kind that cannot be read"
    ENCRYPTED = "it is protected with a password"
    DAMAGED = "it is damaged"
    NO_TEXT = "it has no text; it may be a scan"


class Unreadable(Exception):
    """The file has no text for a model; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


class _TimeIsUp(Exception):
    """Reading takes longer than it may; what was read so far counts."""


@lru_cache(CACHED_FILES)
def read_text(content: bytes) -> str:
    """The text of a file, of a very long one the beginning.

    Raises:
        Unreadable: it has none.
    """
    if not content.strip():
        raise Unreadable(Problem.EMPTY)
    if len(content) > MAX_BYTES:
        raise Unreadable(Problem.TOO_LARGE)
    match recognise(content):
        case "application/pdf":
            text = _of_pdf(content)
        case "":
            text = _decoded(content)
        case _:
            raise Unreadable(Problem.UNKNOWN)
    return text[:MAX_CHARS].replace("\0", "")


def _decoded(content: bytes) -> str:
    for encoding in _encodings(content):
        try:
            text = content.decode(encoding)
        except (UnicodeError, LookupError):
            continue
        if _is_text(text):
            return text.replace("\r\n", "\n")
    raise Unreadable(Problem.UNKNOWN)


def _encodings(content: bytes):
    """What `content` may be encoded in, the surest first."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            yield encoding
            return
    yield "utf-8"
    import chardet

    guess = chardet.detect(content[:DETECTION_BYTES])
    if guess["encoding"] and guess["confidence"] >= MIN_CONFIDENCE:
        yield guess["encoding"]
    yield "cp1252"


def _is_text(text: str) -> bool:
    beginning = text[:DETECTION_BYTES]
    controls = sum(character in _CONTROLS for character in beginning)
    return "\0" not in beginning and controls <= len(beginning) * MAX_CONTROL_SHARE


# -- PDF


def _of_pdf(content: bytes) -> str:
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # what is odd about people's files is no news
    deadline = time.monotonic() + PDF_SECONDS
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable(Problem.ENCRYPTED)
        text = _of_pages(reader, deadline)
    except Unreadable:
        raise
    except Exception as error:  # its parser raises whatever a broken file makes it stumble over
        raise Unreadable(Problem.DAMAGED) from error
    if not text:
        raise Unreadable(Problem.NO_TEXT)
    return text


def _of_pages(reader, deadline: float) -> str:
    def check(*_operand: object) -> None:
        if time.monotonic() > deadline:
            raise _TimeIsUp

    pages: list[str] = []
    length = 0
    try:
        for number in range(min(len(reader.pages), PDF_MAX_PAGES)):
            check()
            page = reader.pages[number]
            drawing = page.get_contents()
            if drawing is None or len(drawing.get_data()) > PDF_PAGE_MAX_BYTES:
                continue
            pages.append(page.extract_text(visitor_operand_before=check).strip())
            length += len(pages[-1])
            if length > MAX_CHARS:
                break
    except _TimeIsUp as error:
        if not pages:
            raise Unreadable(Problem.TOO_LARGE) from error
    return "\n\n".join(filter(None, pages))
