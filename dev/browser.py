"""Chromium, for the tests that look at pages: the one of the machine, installed by its package manager if we may."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import processes
from .output import Failed, step, tail
from .settings import Settings

# Without the network flags, it is busy looking for its maker's servers; as root it doesn't start with a sandbox.
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def ensure(settings: Settings) -> Path:
    """The program.

    Raises:
        Failed: there is none, and we may not install one.
    """
    found = _find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(settings.logs / "chromium.log")
        found = _find()
    if found is None:
        raise Failed("The browser tests need Chromium: install it (on Debian, as root: apt-get install chromium)")
    return found


def _find() -> Path | None:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


def _install(log: Path) -> None:
    log.unlink(missing_ok=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step("Chromium, for the browser tests"):
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            if processes.run(["apt-get", *arguments], log=log, env=environ) != 0:
                raise Failed(f"apt-get could not install Chromium; its log, {log}, ends so:\n{tail(log)}")
