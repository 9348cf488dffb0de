"""The checks that read the code without running it."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from . import processes
from .output import say
from .settings import ROOT, Settings

DEBUGGING = re.compile(r"\bdebugger\b|\bconsole\.log\(|\.only\(")
UNLOOKED_AT = ("node_modules", "lib")


def run(settings: Settings) -> int:
    """Check everything; 0 where there is nothing to say."""
    code = processes.run([str(settings.venv / "bin" / "ruff"), "check", "--no-cache", "--quiet", str(ROOT)], cwd=ROOT)
    problems = [*_broken_xml(), *_left_over_javascript()]
    for problem in problems:
        say(problem)
    say("lint: nothing to complain about" if code == 0 and not problems else "lint: see above")
    return code or (1 if problems else 0)


def _broken_xml() -> Iterator[str]:
    for path in _files(".xml", ".svg"):
        try:
            ET.parse(path)
        except ET.ParseError as error:
            yield f"{path.relative_to(ROOT)}: {error}"


def _left_over_javascript() -> Iterator[str]:
    """What one writes while looking for a fault, and forgets."""
    for path in _files(".js"):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if DEBUGGING.search(line.partition("//")[0]):
                yield f"{path.relative_to(ROOT)}:{number}: left over from debugging: {line.strip()}"


def _files(*suffixes: str) -> Iterator[Path]:
    """The files of ours that end so; a `STATE_DIR` within the repository holds thousands of others."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in UNLOOKED_AT)
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(suffixes))
