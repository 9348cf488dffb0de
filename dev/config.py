"""`odoo.conf`: everything that Odoo has to know here, so that `odoo-bin` works with it by hand, too."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from . import odoo_source
from .postgres import Server
from .settings import Settings
from .stamps import Stamp, write_atomically

# The addon's own settings, with their defaults. As comments, because Odoo warns of every option that is not its own.
ADDON_SETTINGS = """\
; The settings of ai_discuss, with their defaults:
; ai_discuss_runner = embedded      (every serving process executes runs; "external": only `odoo-bin ai_runner` does)
; ai_discuss_stdio = False          (True: administrators may set up MCP servers that are commands on this machine)
; ai_discuss_http_streams = 1       (how many streams the HTTP workers may hold together; half of them without the line)
; docs/deployment.md has them all.
"""


def write(settings: Settings, server: Server) -> None:
    """Write the configuration of the demo and, beside it, that of the tests."""
    common = _common(settings, server)
    _write(settings.odoo_conf, {**common, **_serving(settings)}, ADDON_SETTINGS)
    _write(settings.test_conf, {**common, **TESTING})


TESTING = {
    "http_interface": "127.0.0.1",
    "list_db": "False",
    "max_cron_threads": "0",  # nothing happens in a test that the test has not asked for
    "log_level": "info",
    "limit_memory_soft": "0",
    "limit_memory_hard": "0",
}


def _common(settings: Settings, server: Server) -> dict[str, str]:
    database = {f"db_{name}": getattr(server, name) for name in ("host", "port", "user", "password", "sslmode")}
    return {
        "addons_path": ",".join(map(str, odoo_source.addons_path(settings))),
        "data_dir": str(settings.data),
        "admin_passwd": _master_password(settings),
        **{name: value for name, value in database.items() if value},
    }


def _serving(settings: Settings) -> dict[str, str]:
    return {
        "db_name": settings.db_name,
        "dbfilter": f"^{re.escape(settings.db_name)}$",
        "list_db": "False",
        "with_demo": "True",
        "http_interface": "127.0.0.1",
        "http_port": str(settings.http_port),
        "gevent_port": str(settings.gevent_port),
        "workers": str(settings.workers),
        "max_cron_threads": "1",
        # In a threaded server each stream is a thread, and the limits count the address space that threads reserve.
        "limit_memory_soft": "0",
        "limit_memory_hard": "0",
    }


def _master_password(settings: Settings) -> str:
    """Of the database manager, which is switched off: nobody has to know it, and it stays the same."""
    kept = Stamp(settings.stamps / "master-password")
    password = kept.read()
    if password is None:
        password = secrets.token_urlsafe(24)
        write_atomically(kept.path, password, 0o600)
    return password


def _write(path: Path, options: Mapping[str, str], comment: str = "") -> None:
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    write_atomically(path, f"; Written by `make`, anew each time.\n[options]\n{lines}{comment}", 0o600)
