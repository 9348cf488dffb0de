"""A program: bytes of a PDF on its standard input, the text of its pages on its output; its exit code says why there is
no (more) of it. Never imported for its work by a process that has others to do.

A file that is made for it keeps a parser busy for minutes, or has it take all memory: a process can be bounded, and
ended. It stands alone, so that it begins quickly.
"""

import io
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator

SECONDS = 4.0  # for all of a file; a page takes some 10 to 50 ms
MAX_MEMORY_BYTES = 768 * 1024 * 1024
MAX_CHARS = 200_000  # of its text; some 50,000 tokens, more than what is left over in most requests
MAX_PAGES = 200
PAGE_MAX_BYTES = 4 * 1024 * 1024  # of a page's own drawing; beyond it is a plan or a trap, not a text
SEPARATOR = "\n\n"

# exit codes; those of Python itself are 1 and 2
DONE, ENCRYPTED, DAMAGED, TOO_LONG = 0, 3, 4, 5


class Encrypted(Exception):
    """It cannot be read without a password."""


class _TimeIsUp(Exception):
    """Reading takes longer than it may; what was read so far counts."""


def read(content: bytes, tell: Callable[[str], None]) -> int:
    """Call `tell` with pieces of the text of a PDF, as far as time allows; return an exit code."""
    deadline = time.monotonic() + SECONDS
    length = 0
    try:
        for text in _pages(content, deadline):
            if text:
                tell(f"{SEPARATOR}{text}" if length else text)
                length += len(text)
            if length > MAX_CHARS:
                break
    except _TimeIsUp:
        return TOO_LONG
    except Encrypted:
        return ENCRYPTED
    except Exception:  # noqa: BLE001 - its parser raises whatever a broken file makes it stumble over
        return DAMAGED
    return DONE


def _pages(content: bytes, deadline: float) -> Iterator[str]:
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # what is odd about people's files is no news

    def check(*_operand: object) -> None:
        if time.monotonic() > deadline:
            raise _TimeIsUp

    reader = pypdf.PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Encrypted
    for number in range(min(len(reader.pages), MAX_PAGES)):
        check()
        page = reader.pages[number]
        drawing = page.get_contents()
        if drawing is not None and len(drawing.get_data()) <= PAGE_MAX_BYTES:
            yield page.extract_text(visitor_operand_before=check).strip()


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    content = sys.stdin.buffer.read()

    def tell(text: str) -> None:  # at once: what was told counts, should this process be ended
        sys.stdout.buffer.write(text.encode(errors="replace"))
        sys.stdout.buffer.flush()

    return read(content, tell)


if __name__ == "__main__":
    sys.exit(main())
