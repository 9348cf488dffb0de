"""Lines as an SVG that is read on light pages and on dark ones: one panel for each of several quantities that grow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

PANEL, HEIGHT, GAP = 240, 150, 56  # in pixels
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600; fill: #24292f }
.grid { stroke: #d0d7de } .line { fill: none; stroke: #017e84; stroke-width: 2 } circle { fill: #017e84 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #3d444d }
  .line { stroke: #2cc4cb } circle { fill: #2cc4cb }
}"""


@dataclass(frozen=True)
class Growth:
    """What something costs, in milliseconds, for each of several sizes."""

    of: str
    points: Sequence[tuple[int, float]]


def svg(panels: Sequence[Growth], label: str) -> str:
    """The panels side by side, under one scale of costs; sizes are as far apart as their magnitudes."""
    top = max(cost for panel in panels for _size, cost in panel.points) * 1.15
    width, height = len(panels) * (PANEL + GAP) + GAP, HEIGHT + 80
    body = "\n".join(line for number, panel in enumerate(panels) for line in _panel(number, panel, top))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">\n<style>{STYLE}\n</style>\n{body}\n</svg>\n'
    )


def _panel(number: int, panel: Growth, top: float) -> Iterator[str]:
    left, bottom = GAP + number * (PANEL + GAP), HEIGHT + 36
    first, last = (log10(panel.points[at][0]) for at in (0, -1))
    yield f'<text class="title" x="{left}" y="20">{escape(panel.of)}</text>'
    for part in range(3):
        y = bottom - HEIGHT * part / 2
        yield f'<line class="grid" x1="{left}" x2="{left + PANEL}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{top * part / 2:.0f} ms</text>'
    spots = [
        (left + 16 + (PANEL - 32) * (log10(size) - first) / (last - first), bottom - HEIGHT * cost / top)
        for size, cost in panel.points
    ]
    yield f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in spots)}"/>'
    for (x, y), (size, cost) in zip(spots, panel.points, strict=True):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
        yield f'<text x="{x:.1f}" y="{y - 9:.1f}" text-anchor="middle">{cost:.0f}</text>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{size:,}</text>'
