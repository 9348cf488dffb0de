"""`python3 -m dev <command> [arguments]`: what the targets of the Makefile call.

Started by any Python, it first makes the environment of its own, and then goes on inside it, in the same process.
"""

from __future__ import annotations

import os
import sys

if sys.version_info < (3, 9):  # noqa: UP036 - said before an import fails on it
    sys.exit("Python 3.9 or newer is needed to begin with: run `make PYTHON=python3.11 …`")

from . import environment, processes, settings
from .output import Failed, say

COMMANDS = ("demo", "test", "unit", "bench", "lint", "setup", "odoo", "postgres", "lock")


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        say(f"usage: python3 -m dev {{{','.join(COMMANDS)}}} [arguments]")
        return 2
    processes.end_with_parent()
    processes.listen_for_stop()
    try:
        return _run(settings.read(os.environ), arguments[0], arguments[1:])
    except Failed as failure:
        say(f"make {arguments[0]}: {failure}")
        return 1
    except processes.Stopped as stopped:
        return stopped.exit_code


def _run(chosen: settings.Settings, command: str, arguments: list[str]) -> int:
    if command == "lock":
        environment.lock(chosen)
        return 0
    environment.ensure(chosen)
    if not environment.is_active(chosen):
        environment.enter(chosen, ["-m", "dev", command, *arguments])
    from . import commands

    return commands.run(command, chosen, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
