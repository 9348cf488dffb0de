"""Databases of ours: made once, kept, and brought up to date when the addon has changed.

What was made of what is said in a comment on the database itself, so the two cannot disagree. One whose making was
interrupted has no such comment yet and is made anew.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping

from psycopg import sql

from . import odoo, odoo_source
from .output import Failed, step
from .postgres import Server
from .settings import ADDON, OWN_DATABASES, ROOT, Settings
from .stamps import hash_of, only_one

BASE = OWN_DATABASES + "base"  # Odoo with mail, without the addon
TEMPLATE = OWN_DATABASES + "template"  # BASE with the addon: what tests start from
TESTS = OWN_DATABASES + "tests"  # the copy that Odoo's own test cases run in, and roll back
LIVE = OWN_DATABASES + "live_"  # how the copies of live servers are called
MARK = "made by make: "
# What an update of the addon reads; a change anywhere else, as in services/, needs no more than a new start.
UPDATE_READS = (
    "__manifest__.py", "hooks.py", "models", "runtime", "migrations",
    "security", "data", "demo", "views", "i18n", "static/description",
)  # fmt: skip
ONCE = ("--stop-after-init", "--no-http", "--max-cron-threads=0", "--workers=0")


def ensure_demo(settings: Settings, server: Server) -> None:
    """The database that the demo serves, with the addon as it is now.

    Raises:
        Failed: somebody else's database has that name, or Odoo could not install or update the addon.
    """
    with only_one(settings.locks / "databases", "making a database"):
        _ensure_demo(settings, server, settings.db_name, addon_hash())


def _ensure_demo(settings: Settings, server: Server, name: str, wanted: str) -> None:
    made = made_of(server, name)
    if made is None and not _is_free(server, name):
        raise Failed(f"The database {name} is there already, and `make` has not made it: choose another DB_NAME")
    if made and made.get("addon") == wanted:
        return
    log = settings.logs / "database.log"
    if not made:
        with step(f"Database {name}, with demo data"):
            _create(settings, server, name)
            odoo.run(settings, settings.odoo_conf, ["-d", name, "-i", ADDON, *ONCE], log)
    else:
        with step(f"Database {name}: updating the addon"):
            odoo.run(settings, settings.odoo_conf, ["-d", name, "-u", ADDON, *ONCE], log)
    mark(server, name, {"addon": wanted})


def ensure_template(settings: Settings, server: Server) -> None:
    """The databases that tests are copied from."""
    source = odoo_source.identity(settings)
    if (made_of(server, BASE) or {}).get("odoo") != source:
        with step("Test database: Odoo with Discuss"):
            _create(settings, server, BASE)
            odoo.run(settings, settings.test_conf, ["-d", BASE, "-i", "mail", *ONCE], settings.logs / "test-base.log")
            mark(server, BASE, {"odoo": source})
    wanted = hash_of([source, addon_hash()])
    if (made_of(server, TEMPLATE) or {}).get("addon") != wanted:
        with step("Test database: the addon"):
            drop(settings, server, TEMPLATE)
            copy(settings, server, BASE, TEMPLATE)
            log = settings.logs / "test-template.log"
            odoo.run(settings, settings.test_conf, ["-d", TEMPLATE, "-i", ADDON, *ONCE], log)
            mark(server, TEMPLATE, {"addon": wanted})


def addon_hash() -> str:
    """Changes when the addon's models, views, data or translations do."""
    places = [ROOT / name for name in UPDATE_READS]
    files = sorted(file for place in places for file in ([place] if place.is_file() else place.rglob("*")))
    read = [file for file in files if file.is_file() and file.suffix != ".pyc"]
    return hash_of(part for file in read for part in (str(file.relative_to(ROOT)), file))


def copy(settings: Settings, server: Server, source: str, target: str) -> None:
    """Copy a database with its files, which both share: Odoo never writes a stored file again."""
    with server.connect() as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(target), sql.Identifier(source)))
    if (files := settings.data / "filestore" / source).exists():
        shutil.copytree(files, settings.data / "filestore" / target, copy_function=os.link, dirs_exist_ok=True)


def drop(settings: Settings, server: Server, name: str) -> None:
    """Drop a database with its files, whoever is connected to it; nothing happens where there is none."""
    with server.connect() as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    shutil.rmtree(settings.data / "filestore" / name, ignore_errors=True)


def drop_leftovers(settings: Settings, server: Server) -> None:
    """Drop what a test run that was killed has left: of its live servers, and of the lanes of Odoo's test cases."""
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) OR starts_with(datname, %s)"
    with server.connect() as connection:
        rows = connection.execute(query, [LIVE, f"{TESTS}-"]).fetchall()
    for (name,) in rows:
        drop(settings, server, name)


def mark(server: Server, name: str, made_from: Mapping[str, str]) -> None:
    """Say from what a database was made, beside what was said before."""
    text = MARK + json.dumps({**(made_of(server, name) or {}), **made_from})
    with server.connect() as connection:
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text)))


def made_of(server: Server, name: str) -> dict[str, str] | None:
    """From what a database was made: nothing where its making was interrupted, None where it was not ours."""
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    with server.connect() as connection:
        row = connection.execute(query, [name]).fetchone()
    comment = (row and row[0]) or ""
    return json.loads(comment.removeprefix(MARK)) if comment.startswith(MARK) else None


def _create(settings: Settings, server: Server, name: str) -> None:
    """An empty database, known as ours from the start."""
    drop(settings, server, name)
    with server.connect() as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
        connection.execute(statement.format(sql.Identifier(name)))
    mark(server, name, {})


def _is_free(server: Server, name: str) -> bool:
    """Whether there is no such database, or nothing in it."""
    with server.connect() as connection:
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    if not exists:
        return True
    with server.connect(name) as connection:
        tables = "SELECT 1 FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') LIMIT 1"
        return connection.execute(tables).fetchone() is None
