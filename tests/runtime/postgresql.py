"""A PostgreSQL that a test may crash: everybody else's connections would end with it."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from dev import postgres, processes
from dev.settings import Settings
from tests.live import LiveBase, LiveServer

RECOVERY_S = 60  # on a busy machine


@contextlib.contextmanager
def a_copy(base: LiveBase) -> Iterator[LiveBase]:
    """Where live servers come from that have a PostgreSQL of their own, with the same databases."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        settings = Settings(state=Path(folder))
        _copy_cluster(base, settings)
        with postgres.running(settings) as server:
            yield base.beside(server.host)


def _copy_cluster(base: LiveBase, settings: Settings) -> None:
    account = postgres.owner()
    settings.cluster.mkdir(mode=0o700)
    if account:
        settings.state.chmod(0o711)
        os.chown(settings.cluster, account.pw_uid, account.pw_gid)
    with base.connect("postgres") as connection:
        source = [f"--host={connection.info.host}", f"--username={connection.info.user}"]
    target = [f"--pgdata={settings.cluster}", "--checkpoint=fast", "--no-sync"]
    command = [str(postgres.PROGRAMS / "pg_basebackup"), *source, *target]
    assert processes.run(command, log=settings.logs / "copy.log", cwd=Path("/"), account=account) == 0
    # the socket lies in the folder where the path allows it, and its lock file is copied
    (settings.cluster / f"{postgres.SOCKET_NAME}.lock").unlink(missing_ok=True)


def crash(server: LiveServer) -> None:
    """Kill one of its processes: it ends all others, and recovers."""
    server.sql("CHECKPOINT")  # so that there is little to recover
    with server.base.connect(server.db) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with contextlib.suppress(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.eventually(lambda: _is_up(server), RECOVERY_S)


def _is_up(server: LiveServer) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        server.base.connect(server.db).close()
        return True
    return False
