"""Work that is done once, and again only when what it was made from has changed, however often it was interrupted.

A step writes its stamp last, and what it makes it makes aside and moves into place: either all of it is there, or none.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from .output import say


class Stamp:
    """Says from what a step's result was made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str | None:
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return None

    def write(self, key: str) -> None:
        write_atomically(self.path, key)

    def remove(self) -> None:
        """From here on, the step counts as not done."""
        self.path.unlink(missing_ok=True)


def hash_of(parts: Iterable[str | bytes | Path]) -> str:
    """A short hash of texts and of the contents of files, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()[:32]


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that is never seen half-written, nor with another mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    aside.chmod(mode)
    aside.replace(path)


@contextlib.contextmanager
def made_aside(target: Path) -> Iterator[Path]:
    """An empty folder to fill; it takes the place of `target` when the block ends well."""
    aside = target.with_name(target.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    yield aside
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)


@contextlib.contextmanager
def only_one(path: Path, purpose: str) -> Iterator[None]:
    """Let one process at a time do this; the others wait. The kernel frees the lock of one that was killed."""
    with lock_file(path) as descriptor:
        if not try_lock(descriptor, fcntl.LOCK_EX):
            say(f"· waiting for another `make` that is {purpose} in this STATE_DIR …")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def try_lock(descriptor: int, operation: int) -> bool:
    """Take a lock if it is free."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def lock_file(path: Path) -> Iterator[int]:
    """The descriptor of a file that exists to be locked; closing it, at the latest when we end, frees the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
