"""What Odoo's other users notice of a hundred assistants that speak: ordinary requests, over the same in peace."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import ROOT, Table, crowd, peer
from bench.figures import COLUMNS, counted, noted, quantile, ratio
from dev import processes
from tests.live import LiveBase, LiveServer, Person

STREAMS = 100
PACE = f"500@0.05*{STREAMS}"  # 25 seconds, which the requests fit into
REQUESTS = 300  # of each kind in peace, as many as fit beside the streams
SECONDS = 20.0
GOAL_SEPARATE, GOAL_EMBEDDED = 1.25, 2.0
PATIENCE_S = 120.0
FIELDS = {"display_name": {}, "email": {}, "phone": {}, "country_id": {"fields": {"display_name": {}}}}


def measure(base: LiveBase) -> Table:
    rows: list[tuple[str, ...]] = []
    with peer("bench.model", base.logs) as url:
        with base.new_server(workers=2, options={"ai_discuss_runner": "external"}) as live, crowd.runner(live):
            rows += _compare(live, url, "a separate `ai_runner`, streams through the gevent process", GOAL_SEPARATE)
        with base.new_server() as live:
            rows += _compare(live, url, "everything in one process", GOAL_EMBEDDED)
    return Table(f"Ordinary requests beside {STREAMS} streams of 20 chunks a second, over none", COLUMNS, tuple(rows))


def _compare(live: LiveServer, url: str, how: str, goal: float) -> list[tuple[str, ...]]:
    person = live.person("ann")
    channels = crowd.gather(live, url, PACE, STREAMS)
    _requests(person, 20)  # whatever is loaded once
    in_peace = _requests(person, REQUESTS)
    with _watched(live, channels) as watching:
        beside = _requests(person, REQUESTS, SECONDS)
        complete = int(watching.wait_for_line("COMPLETE ", PATIENCE_S))
    in_peace += _requests(person, REQUESTS)
    return [
        ratio(f"{how}: a list or a form, p95", quantile(beside, 0.95), quantile(in_peace, 0.95), goal),
        noted("the same, p50", quantile(beside, 0.5), quantile(in_peace, 0.5)),
        counted("replies of these that are complete", complete, STREAMS),
    ]


def _requests(person: Person, count: int, seconds: float = PATIENCE_S) -> list[float]:
    """How long each of up to `count` lists and as many forms took, one after the other, within `seconds`."""
    kinds = ("web_search_read", [[], FIELDS, 0, 40]), ("web_read", [[person.partner_id], FIELDS])
    end = time.monotonic() + seconds
    taken: list[float] = []
    while len(taken) < 2 * count and time.monotonic() < end:
        for method, arguments in kinds:
            started = time.perf_counter()
            person.call("res.partner", method, *arguments)
            taken.append(time.perf_counter() - started)
    return taken


@contextmanager
def _watched(live: LiveServer, channels: list[int]) -> Iterator[processes.Child]:
    """Have the replies in `channels` begin, each with a viewer, and go on when all of them are speaking."""
    command = [
        sys.executable, "-m", "bench.viewers", live.gevent_url, live.admin.api_key, *map(str, channels)
    ]  # fmt: skip
    child = processes.start("viewers", command, log=live.log.path.with_suffix(".viewers.log"), cwd=ROOT)
    try:
        child.wait_for_line("ATTACHED", PATIENCE_S)
        crowd.begin(live)
        child.wait_for_line("SPEAKING", PATIENCE_S)
        yield child
    finally:
        child.stop()
