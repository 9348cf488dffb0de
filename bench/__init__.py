"""The benchmarks of `make bench`. Each module that has a `measure` is one: what starts live servers in, a table out.

They compare: every figure stands beside a reference that was measured in the same minute, and beside its goal. Load
generator, model, Odoo and database share the machine's processors, so the numbers say what the whole costs, not how
fast a part could be.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev import processes

ROOT = Path(__file__).parent.parent
START_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """As Markdown, ready to be kept."""
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        body = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
        return "\n".join([f"## {self.title}", "", *body, ""])


@contextmanager
def peer(module: str, logs: Path) -> Iterator[str]:
    """The URL of what `module` serves, in a process of its own."""
    child = processes.start(module, [sys.executable, "-m", module], log=logs / f"{module}.log", cwd=ROOT)
    try:
        yield child.wait_for_line("READY ", START_PATIENCE_S)
    finally:
        child.stop()
