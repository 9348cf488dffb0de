"""A thousand replies at a time in one `ai_runner`, half of them watched; then ever faster, until it cannot keep up."""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

from bench import Table, crowd, peer, viewers
from bench.figures import (
    COLUMNS,
    at_most,
    children,
    command,
    counted,
    memory_kb,
    noted,
    parent,
    processor_seconds,
    quantile,
    weighed,
)
from bench.viewers import Seen
from tests.live import LiveBase, LiveServer

RUNS = 1000
VIEWERS = 500
STAGES = ((30, 2), (6, 3), (6, 4), (6, 6))  # seconds, and chunks a second of each run; the first is the goal's
PACE = ",".join(f"{seconds * rate}@{1 / rate:.4f}" for seconds, rate in STAGES) + f"*{RUNS}"
WORDS = 1 + sum(seconds * rate for seconds, rate in STAGES)
LATENCY_GOAL_S = 0.250
MEMORY_GOAL_KB = 200
ENDED = "SELECT count(*) FROM ai_run WHERE state = 'done'"
# Runs whose frames are numbered without a gap, that ended once, and whose words are those of the reply, all of them.
INTACT = """
SELECT count(*) FROM ai_run AS run JOIN (
    SELECT run_id, min(seq) AS first, max(seq) AS last, count(*) AS frames,
           count(*) FILTER (WHERE payload->>'type' = 'done') AS ends,
           string_agg(payload->>'content', '' ORDER BY seq) AS text
      FROM ai_run_event GROUP BY run_id
) AS journal ON journal.run_id = run.id
 WHERE first = 1 AND last = frames AND ends = 1 AND journal.text = run.text
   AND array_length(string_to_array(trim(run.text), ' '), 1) = %s
"""


def measure(base: LiveBase) -> Table:
    options = {"ai_discuss_runner": "external"}
    with (
        peer("bench.model", base.logs) as url,
        base.new_server(workers=2, options=options) as live,
        crowd.runner(live) as runner,
    ):
        crowd.gather(live, url, "5@0", 1)  # whatever is loaded once
        crowd.begin(live)
        live.eventually(lambda: live.sql(ENDED) == [(1,)])
        channels = crowd.gather(live, url, PACE, RUNS)
        rows = asyncio.run(_rows(live, runner.process.pid, channels))
    return Table(f"{RUNS:,} replies at a time in one `ai_runner`, {VIEWERS} of them watched", COLUMNS, tuple(rows))


async def _rows(live: LiveServer, runner: int, channels: Sequence[int]) -> list[tuple[str, ...]]:
    seen = [Seen() for _ in range(VIEWERS)]
    watching = asyncio.create_task(viewers.attach_all(live.gevent_url, live.admin.api_key, channels[:VIEWERS], seen))
    await viewers.until(lambda: all(one.is_attached for one in seen))
    idle_kb = memory_kb(runner)
    began = time.monotonic()
    crowd.begin(live)
    await viewers.until(lambda: all(one.sent for one in seen))
    begun_after = time.monotonic() - began
    parts = _parts(live, runner)
    used = []
    for seconds, _rate in STAGES:
        before = _used(parts)
        await asyncio.sleep(seconds)
        used.append({part: (after - before[part]) / seconds for part, after in _used(parts).items()})
        if len(used) == 1:
            memory = (memory_kb(runner) - idle_kb) / RUNS
    await watching
    await viewers.until(lambda: live.sql(ENDED)[0][0] > RUNS)
    return [
        noted("from the queue until the last of them speaks", begun_after),
        *_stage_rows(seen, used),
        weighed("memory of the runner for each run", memory, MEMORY_GOAL_KB),
        counted("viewers who have seen their reply whole", sum(one.is_complete for one in seen), VIEWERS),
        counted("journals without a gap or a double", live.sql(INTACT, WORDS)[0][0], RUNS),
    ]


def _stage_rows(seen: Sequence[Seen], used: Sequence[Mapping[str, float]]) -> Iterator[tuple[str, ...]]:
    """For each stage, how late the chunks came, and which processes were how busy."""
    ends = accumulate((seconds * rate for seconds, rate in STAGES), initial=0)
    for (begin, end), (_seconds, rate), parts in zip(pairwise(ends), STAGES, used, strict=True):
        delays = [delay for one in seen for delay in one.delays[begin:end]]
        what = f"model's chunk → viewer, {rate} chunks a second of each"
        p95 = quantile(delays, 0.95)
        yield at_most(f"{what}, p95", p95, LATENCY_GOAL_S) if begin == 0 else noted(f"{what}, p95", p95)
        yield noted("the same, p50", quantile(delays, 0.5))
        busy = ", ".join(f"{part} {share:.2f}" for part, share in parts.items())
        yield "processors that are at work meanwhile", f"{sum(parts.values()):.2f}", busy, "", "", ""


def _parts(live: LiveServer, runner: int) -> dict[str, list[int]]:
    """The processes among which the machine is shared."""
    [(backend,)] = live.sql("SELECT pg_backend_pid()")
    return {
        "runner": [runner],
        "streams": [pid for pid in children(live.pid) if "gevent" in command(pid)],
        "PostgreSQL": children(parent(backend)),
        "model": [pid for pid in children(os.getpid()) if "bench.model" in command(pid)],
        "viewers": [os.getpid()],
    }


def _used(parts: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {part: processor_seconds(pids) for part, pids in parts.items()}
