"""Odoo's command line, in our environment and with our configuration."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from . import environment, processes
from .output import Failed, tail
from .settings import Settings

# What Odoo would take from a developer's shell instead of from its configuration file.
SHADOWING = ("PG", "ODOO_", "OPENERP_")


def command(settings: Settings, arguments: Sequence[str]) -> list[str]:
    return [str(settings.python), str(settings.odoo_bin), *arguments]


def variables(settings: Settings, conf: Path) -> dict[str, str]:
    """The environment variables of an Odoo process: which configuration is read does not depend on its arguments."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SHADOWING)}
    return {**environment.variables(settings, inherited), "ODOO_RC": str(conf)}


def run(settings: Settings, conf: Path, arguments: Sequence[str], log: Path) -> None:
    """Run a command of Odoo's to its end.

    Raises:
        Failed: it ended with an error, or it wrote one.
    """
    log.unlink(missing_ok=True)
    code = processes.run(command(settings, arguments), env=variables(settings, conf), log=log)
    if code != 0 or " CRITICAL " in log.read_text(errors="replace"):
        raise Failed(f"Odoo could not do it; its log, {log}, ends so:\n{tail(log)}")


def in_terminal(settings: Settings, arguments: Sequence[str]) -> int:
    """Run a command of Odoo's as if it had been typed here: it has the terminal, and Ctrl-C is its business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return processes.run(command(settings, arguments), env=variables(settings, settings.odoo_conf))
