"""The benchmarks of `make bench`. Each module that has a `measure` is one: a live server in, a table out.

They compare versions on one machine. Load generator, model, Odoo and database share its processors, so the numbers say
what the whole costs, not how fast a part could be.
"""

from collections.abc import Sequence
from dataclasses import dataclass


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


def percentiles(seconds: Sequence[float]) -> str:
    """The median and the 95th percentile of some durations, in milliseconds."""
    ordered = sorted(seconds)
    return " / ".join(f"{ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000:.1f}" for part in (0.5, 0.95))
