"""A real Odoo for tests: an `odoo-bin` process that serves a database of its own, and the people who use it.

Whatever needs the runner, a second process or a browser is tested against this server, because the cursor of an Odoo
test case hides its rows from other threads. It is a pytest plugin (`-p tests.live`, see `pyproject.toml`) and not a
conftest, which an addon's tests cannot have. The fixtures:

`live`         one server for the whole session; tests share it, so they create what they need and count on nothing else
`start_live`   a function that starts a server of its own, for one test: `start_live(workers=2)`

    def test_a_channel_member_sees_the_reply(live):
        ann = live.person("ann")
        channel = ann.call("discuss.channel", "create", {"name": "room"})
        reply = ann.http.post(f"/api/ai/stream/{channel}", json={"message": "hi"})

`make test` provides the three things that it stands on; by hand, set them in the environment:

`AI_DISCUSS_TEST_ODOO`       path of an `odoo-bin`, run with this Python
`AI_DISCUSS_TEST_CONF`       an `odoo.conf` with the address of PostgreSQL, `addons_path` and `data_dir`
`AI_DISCUSS_TEST_TEMPLATE`   a database in which the addon is installed; each server gets a copy of it
`AI_DISCUSS_TEST_LOGS`       a folder for the servers' logs; a temporary one without it
"""

import binascii
import configparser
import copy
import itertools
import logging
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import httpx2
import psycopg
import pytest
from passlib.context import CryptContext
from psycopg import sql

from dev import processes

START_PATIENCE_S = 60.0
RPC_PATIENCE_S = 30.0
STOP_PATIENCE_S = 20.0
EVENTUALLY_S = 15.0
POLL_S = 0.02
ADMIN = "admin"
API_KEYS = CryptContext(["pbkdf2_sha512"], pbkdf2_sha512__rounds=6000)  # as Odoo's `res.users.apikeys` hashes them
LOG_LEVEL = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ \d+ (?P<level>[A-Z]+) ")
# What must not leak from a developer's shell into a server under test.
PRIVATE_VARIABLES = ("OPENAI_", "PG", "ODOO_", "OPENERP_")


class RemoteError(Exception):
    """The server refused a call. `name` is the exception's class there, as `odoo.exceptions.AccessError`."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        data = error.get("data", {})
        self.name: str = data.get("name", "")
        self.message: str = data.get("message", error.get("message", ""))
        self.debug: str = data.get("debug", "")
        super().__init__(f"{self.name}: {self.message}")


class Person:
    """A user with an open session: what the browser of that person could do."""

    def __init__(self, server: "LiveServer", login: str, password: str) -> None:
        self.server = server
        self.login = login
        self.password = password
        self.http = server.anonymous()
        """An HTTP client with this person's session cookie; its addresses are relative to the server."""
        session = self._jsonrpc(
            "/web/session/authenticate", {"db": server.db, "login": login, "password": password}
        )
        self.user_id: int = session["uid"]
        self.partner_id: int = session["partner_id"]

    @property
    def session_id(self) -> str:
        return self.http.cookies["session_id"]

    @cached_property
    def api_key(self) -> str:
        """A key of this person, as `Authorization: Bearer` takes it."""
        return self.new_api_key()

    def new_api_key(self, scope: str | None = "rpc") -> str:
        key = binascii.hexlify(os.urandom(20)).decode()
        self.server.sql(
            "INSERT INTO res_users_apikeys (name, user_id, scope, expiration_date, key, index)"
            " VALUES (%s, %s, %s, now() + interval '1 day', %s, %s)",
            f"live {self.login}", self.user_id, scope, API_KEYS.hash(key), key[:8],
        )  # fmt: skip
        return key

    def call(self, model: str, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """`env[model].method(*args, **kwargs)` as this person; for a record method the first argument is its ids.

        Raises:
            RemoteError: the method raised.
        """
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        return self._jsonrpc(f"/web/dataset/call_kw/{model}/{method}", params)

    def create(self, model: str, /, **values: Any) -> int:
        """Create one record and return its id."""
        return self.call(model, "create", [values])[0]

    def read(self, model: str, record_id: int, *fields: str) -> dict[str, Any]:
        return self.call(model, "read", [record_id], list(fields))[0]

    def search_read(self, model: str, domain: Sequence[Any], *fields: str, **kwargs: Any) -> list[dict[str, Any]]:
        return self.call(model, "search_read", list(domain), list(fields), **kwargs)

    def _jsonrpc(self, path: str, params: Mapping[str, Any]) -> Any:
        response = self.http.post(path, json={"jsonrpc": "2.0", "id": 1, "method": "call", "params": params})
        answer = response.json()
        if "error" in answer:
            raise RemoteError(answer["error"])
        return answer.get("result")


class LiveLog:
    """What the server wrote to its log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> int:
        """A place in the log, to read on from."""
        return self.path.stat().st_size

    def text(self, since: int = 0) -> str:
        with self.path.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def errors(self, since: int = 0) -> list[str]:
        """The lines of level ERROR and CRITICAL, each with the traceback that follows it."""
        entries: list[list[str]] = []
        for line in self.text(since).splitlines():
            if LOG_LEVEL.match(line) or not entries:
                entries.append([line])
            else:
                entries[-1].append(line)
        return [
            "\n".join(entry)
            for entry in entries
            if (match := LOG_LEVEL.match(entry[0])) and match["level"] in ("ERROR", "CRITICAL")
        ]


class LiveServer:
    """One Odoo process and its database. Not a mock of anything: it is what people run.

    A context manager, too: it is started, and closed in the end.
    """

    def __init__(self, base: "LiveBase", db: str, *, workers: int, options: Mapping[str, str]) -> None:
        self.base = base
        self.db = db
        self.workers = workers
        self.options = dict(options)
        self.port, self.gevent_port = _free_ports(2)
        self.log = LiveLog(base.logs / f"{db}.log")
        self._child: processes.Child | None = None
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._logins = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def gevent_url(self) -> str:
        """Where streams and websockets are served when there are workers; the same as `url` when there are none."""
        return f"http://127.0.0.1:{self.gevent_port}" if self.workers else self.url

    @property
    def pid(self) -> int:
        assert self._child, "The server has not been started."
        return self._child.process.pid

    @cached_property
    def admin(self) -> Person:
        return Person(self, ADMIN, ADMIN)

    def person(
        self, name: str, *, groups: Sequence[str] = ("base.group_user",), **values: Any
    ) -> Person:
        """A new user with exactly these groups (external ids) and what they imply, logged in."""
        login = f"{name}-{next(self._logins)}"
        group_ids = [self.ref(group) for group in groups]
        self.admin.call(
            "res.users", "create",
            [{"name": name, "login": login, "password": login, "group_ids": [[6, 0, group_ids]], **values}],
            context={"no_reset_password": True},
        )  # fmt: skip
        return Person(self, login, login)

    def ref(self, external_id: str) -> int:
        """The record's id behind `module.name`."""
        module, name = external_id.split(".")
        rows = self.sql("SELECT res_id FROM ir_model_data WHERE module = %s AND name = %s", module, name)
        assert rows, f"There is no {external_id} in {self.db}."
        return rows[0][0]

    def anonymous(self) -> httpx2.Client:
        """An HTTP client of nobody in particular."""
        client = httpx2.Client(base_url=self.url, timeout=RPC_PATIENCE_S)
        self.base.clients.append(client)
        return client

    def sql(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run one statement on the server's database, committed at once; the rows, if it has any."""
        if self._connection is None or self._connection.closed:
            self._connection = self.base.connect(self.db)
        try:
            cursor = self._connection.execute(query, params or None)
        except psycopg.OperationalError:
            if not self._connection.closed:
                raise
            return self.sql(query, *params)  # the database was restarted since
        return cursor.fetchall() if cursor.description else []

    def eventually(self, condition: Callable[[], Any], within: float = EVENTUALLY_S) -> Any:
        """Wait until `condition()` is true and return what it returned. For states that nothing announces to a test."""
        deadline = time.monotonic() + within
        while not (value := condition()):
            assert time.monotonic() < deadline, f"Still not so after {within:.0f} s: {condition}"
            time.sleep(POLL_S)
        return value

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process and return when it answers."""
        child = self._child = self.base.start_odoo(
            "serving Odoo",
            [
                f"--database={self.db}", f"--db-filter=^{re.escape(self.db)}$", "--no-database-list",
                "--http-interface=127.0.0.1", f"--http-port={self.port}", f"--gevent-port={self.gevent_port}",
                f"--workers={self.workers}", "--max-cron-threads=0",
            ],
            options=self.options,
            log=self.log.path,
        )  # fmt: skip
        self._await_answer(child)

    def stop(self) -> None:
        """Shut the process down as an administrator would; the database stays."""
        if self._child:
            self._child.stop(STOP_PATIENCE_S)

    def kill(self) -> None:
        """`kill -9` the process and whatever it has started; the database stays."""
        if self._child:
            self._child.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """End the process at once, and drop the database: there is nothing that it could bring to a good end."""
        self.kill()
        if self._connection:
            self._connection.close()
        self.base.drop(self.db)

    def _await_answer(self, child: processes.Child) -> None:
        deadline = time.monotonic() + START_PATIENCE_S
        with httpx2.Client(base_url=self.url, timeout=RPC_PATIENCE_S) as client:
            while True:
                assert child.running, f"Odoo ended at its start:\n{self.log.text()[-4000:]}"
                assert time.monotonic() < deadline, f"Odoo does not answer:\n{self.log.text()[-4000:]}"
                try:
                    # A page of the database: it comes when the registry is loaded.
                    if client.get("/web/login").status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                time.sleep(POLL_S)


class LiveBase:
    """Where live servers come from: a configuration, a template database, and a folder for logs."""

    def __init__(self, odoo_bin: Path, conf: Path, template: str, logs: Path) -> None:
        self.odoo_bin = odoo_bin
        self.conf = conf
        self.template = template
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self.clients: list[httpx2.Client] = []
        parser = configparser.RawConfigParser()
        parser.read(conf)
        self._options = parser["options"]
        self._names = (f"ai_discuss_live_{os.getpid()}_{number}" for number in itertools.count(1))

    def beside(self, host: str) -> "LiveBase":
        """The same on another PostgreSQL, whose databases are copies of this one's."""
        other = copy.copy(self)
        other._options = {**self._options, "db_host": host}
        return other

    def new_server(self, *, workers: int = 0, options: Mapping[str, str] | None = None) -> LiveServer:
        """A server on a fresh copy of the template; `options` are lines for its `odoo.conf`."""
        db = next(self._names)
        with self.connect("postgres") as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(db), sql.Identifier(self.template))
            )
        if (files := self._filestore(self.template)).exists():
            shutil.copytree(files, self._filestore(db), copy_function=os.link, dirs_exist_ok=True)
        return LiveServer(self, db, workers=workers, options=options or {})

    def start_odoo(
        self, name: str, arguments: Sequence[str], *, log: Path, options: Mapping[str, str] | None = None
    ) -> processes.Child:
        """Run `odoo-bin` with these arguments in the background."""
        conf = log.with_suffix(".conf")
        lines = [f"{key} = {value}\n" for key, value in {**self._options, **(options or {})}.items()]
        conf.write_text("[options]\n" + "".join(lines))
        command = [sys.executable, str(self.odoo_bin), f"--config={conf}", *arguments]
        return processes.start(name, command, log=log, env=clean_environment())

    def connect(self, db: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection that commits each statement."""
        address = {
            key: value
            for key in ("host", "port", "user", "password", "sslmode")
            if (value := self._options.get(f"db_{key}", "False")) not in ("False", "")
        }
        return psycopg.connect(dbname=db, autocommit=True, **address)

    def drop(self, db: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(db)))
        shutil.rmtree(self._filestore(db), ignore_errors=True)

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def _filestore(self, db: str) -> Path:
        return Path(self._options["data_dir"], "filestore", db)


def clean_environment() -> dict[str, str]:
    """Our environment without what a developer has set for their own use of models, databases and Odoos."""
    return {key: value for key, value in os.environ.items() if not key.startswith(PRIVATE_VARIABLES)}


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector:
    """Take folders for folders: as a package, `tests` would import the addon around it, which needs Odoo."""
    return pytest.Dir.from_parent(parent, path=path)


def pytest_configure(config: pytest.Config) -> None:
    logging.getLogger("mcp.server").setLevel(logging.WARNING)  # of the fakes, which a lane's output would be full of
    config.addinivalue_line("markers", "live: the test runs against a real Odoo (set by itself where `live` is used)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a server, and run them last: Odoo's test cases end every child process that they find."""
    for item in items:
        if "live_base" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.live)
    items.sort(key=lambda item: item.get_closest_marker("live") is not None)


@pytest.fixture(scope="session")
def live_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBase]:
    try:
        odoo_bin, conf, template = (os.environ[f"AI_DISCUSS_TEST_{name}"] for name in ("ODOO", "CONF", "TEMPLATE"))
    except KeyError as missing:
        pytest.fail(f"{missing} is not set: run this test with `make test`, or see tests/live.py", pytrace=False)
    logs = os.environ.get("AI_DISCUSS_TEST_LOGS") or tmp_path_factory.mktemp("live")
    base = LiveBase(Path(odoo_bin), Path(conf), template, Path(logs))
    yield base
    base.close()


@pytest.fixture(scope="session")
def live(live_base: LiveBase) -> Iterator[LiveServer]:
    """The server that all live tests of the session share."""
    with live_base.new_server() as server:
        yield server


@pytest.fixture
def start_live(live_base: LiveBase) -> Iterator[Callable[..., LiveServer]]:
    """Start a server for this test alone: `start_live(workers=2, options={"ai_discuss_runner": "external"})`."""
    with ExitStack() as servers:

        def start(*, workers: int = 0, options: Mapping[str, str] | None = None) -> LiveServer:
            return servers.enter_context(live_base.new_server(workers=workers, options=options))

        yield start


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [bound.getsockname()[1] for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()
