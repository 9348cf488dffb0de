"""What a person sees: one line per step, how long it took, and one line where something is missing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STILL_AT_IT_S = 5.0  # how often a long step says that it is alive


class Failed(Exception):
    """Something that a person has to know, and can act on. Its text is all they see: no traceback."""


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is going on, a sign of life while it lasts, and how long it took."""
    started = time.monotonic()
    print(f"· {title} …", end="", flush=True)
    done = threading.Event()
    signs = threading.Thread(target=_signs_of_life, args=(done,), daemon=True)
    signs.start()
    try:
        yield
    except BaseException:
        _finish(done, signs, " not done")
        raise
    _finish(done, signs, f" {time.monotonic() - started:.1f} s")


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log."""
    try:
        return "\n".join("    " + line for line in path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "    (there is no log)"


def _signs_of_life(done: threading.Event) -> None:
    while not done.wait(STILL_AT_IT_S):
        print(".", end="", flush=True)


def _finish(done: threading.Event, signs: threading.Thread, text: str) -> None:
    done.set()
    signs.join()
    print(text, flush=True)
    sys.stdout.flush()
