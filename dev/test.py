"""Runs the tests: in one pytest, which closes with its one summary line; all of them in two lanes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import browser, database, environment, odoo_source, processes
from .output import step
from .postgres import PROGRAMS, Server
from .settings import ADDON, ROOT, Settings
from .stamps import only_one, write_atomically

# From the quick to the slow; the browser last, because its event loop stays in the thread that runs the tests.
ROOMS = ("dev", "services", "models", "runtime", "controllers", "web")
UNITS = ("dev", "services")  # neither a database nor a server
LANES = 2  # each has servers and a browser of its own; what a container may use of many cores nobody says
PRIVATE = ("OPENAI_", "PG", "ODOO_", "OPENERP_", "PYTEST_")  # what a developer has set for other purposes


def run(settings: Settings, server: Server, arguments: Sequence[str]) -> int:
    """Run the tests that `arguments` choose, as pytest understands them; all, if they choose none."""
    chosen = _chosen(settings, arguments, ROOMS)
    with only_one(settings.locks / "test", "testing"):
        chromium = browser.ensure(settings) if any("/tests/web" in argument for argument in chosen) else None
        database.ensure_template(settings, server)
        with step("Test database: a copy to run in"):
            database.drop_leftovers(settings, server)
            database.drop(settings, server, database.TESTS)
            database.copy(settings, server, database.TEMPLATE, database.TESTS)
        shutil.rmtree(_live_logs(settings), ignore_errors=True)
        conf = settings.state / "pytest.conf"
        write_atomically(conf, settings.test_conf.read_text() + f"db_name = {database.TESTS}\n", 0o600)
        options = [f"--odoo-config={conf}", "--odoo-http", *_options(settings), *_lanes(arguments)]
        variables = _for_createdb(server, _variables(settings, chromium))
        return _pytest(settings, [*options, *chosen], variables)


def run_units(settings: Settings, arguments: Sequence[str]) -> int:
    """Run the tests that need nothing but Python."""
    odoo_source.name_addon(settings)
    options = ["-p", "no:odoo", "-m", "not live", *_options(settings)]
    return _pytest(settings, [*options, *_chosen(settings, arguments, UNITS)], _variables(settings, None))


def _lanes(arguments: Sequence[str]) -> list[str]:
    """All tests run side by side, file by file in the order of `ROOMS`; chosen ones are sooner there without."""
    if _places(arguments) or len(os.sched_getaffinity(0)) < LANES:
        return []
    return [f"--numprocesses={LANES}", "--dist=loadfile", "--no-loadscope-reorder"]


def _for_createdb(server: Server, variables: Mapping[str, str]) -> dict[str, str]:
    """`variables`, with those of the program that copies the database for each lane, which pytest-odoo calls."""
    names = {"HOST": server.host, "PORT": server.port, "USER": server.user, "PASSWORD": server.password}
    address = {f"PG{name}": value for name, value in {**names, "SSLMODE": server.sslmode}.items() if value}
    return {**variables, **address, "PATH": f"{variables['PATH']}{os.pathsep}{PROGRAMS}"}


def _chosen(settings: Settings, arguments: Sequence[str], rooms: Sequence[str]) -> list[str]:
    """The arguments, with paths that lead through the folder which has the addon's name: pytest-odoo goes by it."""
    here = settings.addons / ADDON
    places = _places(arguments)
    others = [argument for argument in arguments if argument not in places]
    names = [str((ROOT / place).relative_to(ROOT)) for place in places] or [f"tests/{room}" for room in rooms]
    return [*others, *(str(here / name) for name in names)]


def _places(arguments: Sequence[str]) -> list[str]:
    return [argument for argument in arguments if (ROOT / argument.partition("::")[0]).exists()]


def _options(settings: Settings) -> list[str]:
    here = settings.addons / ADDON
    return [f"--config-file={here / 'pyproject.toml'}", f"--rootdir={here}"]


def _variables(settings: Settings, chromium: Path | None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)}
    return {
        **environment.variables(settings, inherited),
        "AI_DISCUSS_TEST_ODOO": str(settings.odoo_bin),
        "AI_DISCUSS_TEST_CONF": str(settings.test_conf),
        "AI_DISCUSS_TEST_TEMPLATE": database.TEMPLATE,
        "AI_DISCUSS_TEST_LOGS": str(_live_logs(settings)),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(settings.state / "hypothesis"),
        **({"AI_DISCUSS_TEST_CHROMIUM": str(chromium)} if chromium else {}),
    }


def _live_logs(settings: Settings) -> Path:
    """Where one finds what the servers under test had to say, until the next run."""
    return settings.logs / "live"


def _pytest(settings: Settings, arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    # Next to the addon, so that the report names tests as `ai_discuss/tests/…`.
    return processes.run([str(settings.python), "-m", "pytest", *arguments], env=variables, cwd=settings.addons)
