"""Hundreds of replies while models and MCP servers fail in every way of docs/faults.md, people stop and decide: what
must not be. The seed is new each time; `CHAOS_SEED` repeats one."""

import os
import random

from bench import Table
from bench.figures import COLUMNS, counted, none, quantile
from tests.fakes.chaos import Chaos
from tests.live import LiveBase

RUNS, AT_ONCE = 500, 50
NO_GOAL = ("", "", "", "")


def measure(base: LiveBase) -> Table:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10_000))
    with base.new_server(options={"ai_discuss_stdio": "True"}) as live, Chaos(live, seed) as chaos:
        chaos.run(RUNS, AT_ONCE)
        violations, outcomes, calls = chaos.violations(), chaos.outcomes(), chaos.calls()
    for violation in violations:
        print(violation)
    took = list(chaos.took.values())
    rows = [
        counted("runs that have ended", len(took), RUNS),
        none("invalid transcripts and requests, second ends, calls sent twice, errors in the log", len(violations)),
        ("from question to end, p50 and the longest", f"{quantile(took, 0.5):.1f} s, {max(took):.1f} s", *NO_GOAL),
        ("faults fed by the model", str(chaos.fed.total()), *NO_GOAL),
        *((f"runs that ended as `{end}`", str(number), *NO_GOAL) for end, number in outcomes.most_common()),
        *((f"calls of tools that ended as `{end}`", str(number), *NO_GOAL) for end, number in calls.most_common()),
    ]
    return Table(f"Chaos, seed {seed}", COLUMNS, tuple(rows))
