"""A figure beside its reference and its goal, as a row of a table."""

import os
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

_Case = TypeVar("_Case")

COLUMNS = ("what", "measured", "reference", "compared", "goal", "")


def at_most(what: str, seconds: float, limit: float, reference: float | None = None) -> tuple[str, ...]:
    """A duration with a limit of its own; `reference` says what this machine is able to, at this moment."""
    compared = "" if reference is None else f"{_ms(seconds - reference, '+')}"
    return what, _ms(seconds), _ms(reference), compared, f"≤ {_ms(limit)}", _verdict(seconds <= limit)


def ratio(what: str, seconds: float, reference: float, limit: float) -> tuple[str, ...]:
    """How many times as long as the reference it takes; no more than `limit` times."""
    times = seconds / reference
    return what, _ms(seconds), _ms(reference), f"{times:.2f} ×", f"≤ {limit:g} ×", _verdict(times <= limit)


def faster(what: str, seconds: float, reference: float, times_at_least: float) -> tuple[str, ...]:
    """How many times faster than the reference it is."""
    times = reference / seconds
    goal = f"≥ {times_at_least:g} × faster"
    return what, _ms(seconds), _ms(reference), f"{times:.1f} × faster", goal, _verdict(times >= times_at_least)


def noted(what: str, seconds: float, reference: float | None = None) -> tuple[str, ...]:
    """A figure without a goal, which explains the others."""
    compared = "" if reference is None else f"{seconds / reference:.2f} ×"
    return what, _ms(seconds), _ms(reference), compared, "", ""


def counted(what: str, number: int, of: int) -> tuple[str, ...]:
    """How many of some there are; all of them should be."""
    return what, str(number), str(of), "", "all", _verdict(number == of)


def left(what: str, after: int, before: int, more_at_most: int = 0) -> tuple[str, ...]:
    """What there is after something that should leave nothing behind, beside what there was before."""
    more = after - before
    return what, str(after), str(before), f"{more:+d}", f"≤ +{more_at_most}", _verdict(more <= more_at_most)


def none(what: str, number: int) -> tuple[str, ...]:
    """How often something happened that must not."""
    return what, str(number), "", "", "none", _verdict(not number)


def weighed(what: str, kilobytes: float, limit: float) -> tuple[str, ...]:
    """Memory with a limit of its own."""
    return what, f"{kilobytes:.0f} kB", "", "", f"≤ {limit:g} kB", _verdict(kilobytes <= limit)


def quantile(seconds: Sequence[float], part: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def take_turns(cases: Mapping[_Case, Callable[[], float]], rounds: int) -> dict[_Case, float]:
    """The median of what each case returns. One after the other, so that a busy moment of the machine hits all."""
    seen: dict[_Case, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, measured in cases.items():
            seen[name].append(measured())
    return {name: statistics.median(values) for name, values in seen.items()}


async def take_turns_async(
    cases: Mapping[str, Callable[[], Awaitable[object]]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """The median that each case takes, by `clock`; otherwise as `take_turns`."""
    seen: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, work in cases.items():
            started = clock()
            await work()
            seen[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in seen.items()}


def memory_kb(pid: int, what: str = "VmRSS") -> int:
    """What the kernel says of a process: `VmRSS` is now, `VmHWM` the most that it ever was."""
    return int(re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def processor_seconds(pids: Iterable[int]) -> float:
    """The processor time that processes have taken so far, all their threads together."""
    ticks = sum(int(ticks) for pid in pids if (stat := _stat(pid)) for ticks in stat[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and that are still there."""
    others = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [other for other in others if parent(other) == pid]


def parent(pid: int) -> int | None:
    return int(stat[1]) if (stat := _stat(pid)) else None


def command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def _stat(pid: int) -> list[str]:
    """`/proc/<pid>/stat` from the state on; empty where the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _ms(seconds: float | None, sign: str = "") -> str:
    if seconds is None:
        return ""
    if abs(seconds) >= 10:
        return f"{seconds:{sign}.1f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:{sign}.1f} ms" if abs(milliseconds) >= 1 else f"{milliseconds * 1000:{sign}.0f} µs"


def _verdict(holds: bool) -> str:
    return "holds" if holds else "MISSED"
