"""Runs our own PostgreSQL while anybody uses it, and stops it when nobody does. Started by `postgres.py`.

It survives Ctrl-C and a closed terminal, because it is in a session of its own, and the users of the server, because it
is nobody's child in particular. It is held to nothing but the users' lock, which the kernel frees for the killed ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import postgres, processes, settings
from .stamps import lock_file, try_lock

LOOK_S = 0.5  # how soon it sees that nobody is left
STOP_PATIENCE_S = 20.0


def main() -> None:
    chosen = settings.read(os.environ)
    own_lock = chosen.locks / "postgres-keeper"
    with lock_file(own_lock) as own, lock_file(chosen.locks / "postgres-users") as users:
        if not try_lock(own, fcntl.LOCK_EX):
            sys.exit("There is a keeper already.")
        own_lock.write_text(str(os.getpid()))
        processes.listen_for_stop()
        command = processes.tethered(postgres.server_command(chosen), signal.SIGINT, postgres.owner())
        server = subprocess.Popen(command, cwd=Path("/"))
        with contextlib.suppress(processes.Stopped):
            while server.poll() is None and not try_lock(users, fcntl.LOCK_EX):
                time.sleep(LOOK_S)
        _stop(server)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End it as quickly as it can be done in good order: open sessions are cut off, nothing is lost."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


if __name__ == "__main__":
    main()
