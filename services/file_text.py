"""The text of a file that a person gives an assistant to read: bytes in, text out.

What a file is, its bytes decide. Files come from anywhere: whatever is in them, reading one takes bounded time and
memory, and ends in its text or in a `Problem`. PDF files are read beforehand, by a process of their own (`pdf_text`).
Images are not read here; a model looks at them itself.
"""

import codecs
from enum import Enum

from . import pdf_program, pdf_text
from .files import recognise

MAX_BYTES = 10 * 1024 * 1024  # of a file that is looked into; a book is smaller
MAX_CHARS = pdf_program.MAX_CHARS  # of its text
DETECTION_BYTES = 64 * 1024  # enough to recognise an encoding by
MIN_CONFIDENCE = 0.1  # of a guessed encoding: a short text of East Asia or Russia has no more; below, it is a guess
MAX_CONTROL_SHARE = 0.02  # of the characters; a text has hardly any beside its line breaks

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


class Unread(Exception):
    """It takes a process to read the file: `pdf_text.read`, which nobody may wait for in a transaction."""

    def __init__(self, content: bytes) -> None:
        super().__init__("The file was not read yet.")
        self.content = content


def read_text(content: bytes) -> str:
    """The text of a file, of a very long one the beginning.

    Raises:
        Unreadable: it has none.
        Unread: it has to be read first.
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
    told = pdf_text.known(content)
    if told is None:
        raise Unread(content)
    if told.code == pdf_program.ENCRYPTED:
        raise Unreadable(Problem.ENCRYPTED)
    if told.text and told.code in (pdf_program.DONE, pdf_program.TOO_LONG):
        return told.text
    match told.code:
        case pdf_program.DONE:
            raise Unreadable(Problem.NO_TEXT)
        case pdf_program.TOO_LONG:
            raise Unreadable(Problem.TOO_LARGE)
        case _:
            raise Unreadable(Problem.DAMAGED)
