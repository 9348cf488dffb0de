"""The text of PDF files: read by a process of its own (`pdf_program`), and kept for the next question.

No file, whatever is in it, takes more of the host than some seconds of another process.
"""

import asyncio
import hashlib
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from . import pdf_program

SECONDS = pdf_program.SECONDS + 1.0  # to begin, and to notice by itself that its time is up
KEPT_FILES = 64

_PROGRAM = str(Path(pdf_program.__file__))
_logger = logging.getLogger(__name__)


class PdfText(NamedTuple):
    """What came of reading a file."""

    text: str
    code: int  # as the program ended


_kept: dict[bytes, PdfText] = {}  # by digest, the latest last; written by the loop, read by threads


def known(content: bytes) -> PdfText | None:
    """What came of reading this file; None where nobody has read it yet."""
    return _kept.get(_digest(content))


async def read(content: bytes) -> PdfText:
    """Read a file, and keep what came of it for `known`."""
    told = PdfText(*await _run(content))
    _kept[_digest(content)] = told
    while len(_kept) > KEPT_FILES:
        _kept.pop(next(iter(_kept)), None)
    return told


def forget() -> None:
    _kept.clear()


async def _run(content: bytes) -> tuple[str, int]:
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", _PROGRAM,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # and none of our secrets
        )
    except OSError:
        _logger.exception("No process can be started to read a PDF file")
        return "", pdf_program.DAMAGED
    pieces: list[bytes] = []
    code = pdf_program.TOO_LONG
    try:
        async with asyncio.timeout(SECONDS):
            process.stdin.write(content)
            process.stdin.close()
            while piece := await process.stdout.read(65_536):
                pieces.append(piece)
            code = await process.wait()
    except TimeoutError:
        pass  # what it has told by now counts
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return b"".join(pieces).decode(errors="ignore")[:pdf_program.MAX_CHARS], code


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
