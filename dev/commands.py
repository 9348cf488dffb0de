"""The commands themselves, run inside the environment: each is a few steps in order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from . import bench, config, database, demo, lint, odoo, odoo_source, postgres, processes, test
from .output import say
from .postgres import Server
from .settings import Settings
from .stamps import only_one


def run(name: str, settings: Settings, arguments: Sequence[str]) -> int:
    return COMMANDS[name](settings, arguments)


@contextlib.contextmanager
def ready(settings: Settings) -> Iterator[Server]:
    """Odoo's sources, its configuration and a running PostgreSQL."""
    with only_one(settings.locks / "setup", "setting up"):
        odoo_source.ensure(settings)
    with postgres.running(settings) as server:
        config.write(settings, server)
        yield server


def _setup(settings: Settings, arguments: Sequence[str]) -> int:
    with ready(settings) as server:
        database.ensure_demo(settings, server)
    say(f"Everything is set up in {settings.state}")
    return 0


def _demo(settings: Settings, arguments: Sequence[str]) -> int:
    demo.check_ports(settings)
    with ready(settings) as server:
        return demo.serve(settings, server)


def _test(settings: Settings, arguments: Sequence[str]) -> int:
    lint_code = lint.run(settings)  # its findings are no reason not to test
    with ready(settings) as server:
        return test.run(settings, server, arguments) or lint_code


def _unit(settings: Settings, arguments: Sequence[str]) -> int:
    return test.run_units(settings, arguments)


def _bench(settings: Settings, arguments: Sequence[str]) -> int:
    with ready(settings) as server:
        return bench.run(settings, server, arguments)


def _lint(settings: Settings, arguments: Sequence[str]) -> int:
    return lint.run(settings)


def _odoo(settings: Settings, arguments: Sequence[str]) -> int:
    with ready(settings) as server:
        if not database.made_of(server, settings.db_name):  # updating it is what somebody may be about to do
            database.ensure_demo(settings, server)
        return odoo.in_terminal(settings, arguments)


def _postgres(settings: Settings, arguments: Sequence[str]) -> int:
    with ready(settings) as server:
        say(f"PostgreSQL is running, in {server.host or 'DATABASE_URL'}. Ctrl-C stops it, once nobody else uses it.")
        return processes.wait_for_stop()


COMMANDS: dict[str, Callable[[Settings, Sequence[str]], int]] = {
    "setup": _setup,
    "demo": _demo,
    "test": _test,
    "unit": _unit,
    "bench": _bench,
    "lint": _lint,
    "odoo": _odoo,
    "postgres": _postgres,
}
