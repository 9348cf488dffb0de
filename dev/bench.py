"""Runs the benchmarks of `bench/`, one after the other, and prints their tables."""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
from collections.abc import Sequence

from . import database
from .output import Failed, say, step
from .postgres import Server
from .settings import ROOT, Settings
from .stamps import only_one


def run(settings: Settings, server: Server, arguments: Sequence[str]) -> int:
    """Run the benchmarks that `arguments` name; all of them, if they name none."""
    from tests.live import LiveBase

    with only_one(settings.locks / "test", "testing"):
        database.ensure_template(settings, server)
        base = LiveBase(settings.odoo_bin, settings.test_conf, database.TEMPLATE, settings.logs / "bench")
        say(f"{os.cpu_count()} processors, Python {platform.python_version()}\n")
        for name in arguments or names():
            _measure(base, name)
        base.close()
    return 0


def names() -> list[str]:
    """The benchmarks that there are."""
    found = sorted(module.name for module in pkgutil.iter_modules([str(ROOT / "bench")]))
    return [name for name in found if hasattr(importlib.import_module(f"bench.{name}"), "measure")]


def _measure(base: object, name: str) -> None:
    if name not in names():
        raise Failed(f"There is no benchmark {name}; there are: {', '.join(names())}")
    with step(f"Benchmark {name}"):
        table = importlib.import_module(f"bench.{name}").measure(base)
    say(f"\n{table}")
