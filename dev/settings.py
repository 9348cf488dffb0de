"""The environment variables that `make` reads, as one frozen value, and where things are under `STATE_DIR`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .output import Failed

ROOT = Path(__file__).resolve().parent.parent
ADDON = "ai_discuss"
DATABASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")  # what Odoo takes; PostgreSQL takes 63 bytes
OWN_DATABASES = "ai_discuss_"  # names of the databases that tests make for themselves begin like this


@dataclass(frozen=True)
class ModelEndpoint:
    """A real model, for the demo's assistant."""

    base_url: str
    api_key: str = field(repr=False)
    model: str


@dataclass(frozen=True)
class Settings:
    """What a person has decided; everything else follows from it."""

    state: Path
    http_port: int = 8069
    gevent_port: int = 8072
    db_name: str = "demo"
    workers: int = 0
    odoo_dir: Path | None = None
    database_url: str | None = field(default=None, repr=False)  # may hold a password
    model: ModelEndpoint | None = None

    @property
    def venv(self) -> Path:
        return self.state / "venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def odoo_package(self) -> Path:
        """Where Odoo is unpacked when no `ODOO_DIR` is given."""
        return self.state / "odoo"

    @property
    def odoo_bin(self) -> Path:
        return self.state / "odoo-bin"

    @property
    def odoo_conf(self) -> Path:
        return self.state / "odoo.conf"

    @property
    def test_conf(self) -> Path:
        return self.state / "test.conf"

    @property
    def addons(self) -> Path:
        """The folder in which the addon has its name, whatever the repository's folder is called."""
        return self.state / "addons"

    @property
    def data(self) -> Path:
        """Odoo's `data_dir`: filestores and sessions."""
        return self.state / "data"

    @property
    def cluster(self) -> Path:
        return self.state / "postgres"

    @property
    def stamps(self) -> Path:
        return self.state / "stamps"

    @property
    def locks(self) -> Path:
        return self.state / "locks"

    @property
    def logs(self) -> Path:
        return self.state / "logs"


def read(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` holds; a variable that is set but empty counts as not set.

    Raises:
        Failed: a value that cannot be meant.
    """
    given = {name: value for name, value in environ.items() if value}
    settings = Settings(
        state=_folder(given.get("STATE_DIR", ".dev")),
        http_port=_port(given, "HTTP_PORT", 8069),
        gevent_port=_port(given, "GEVENT_PORT", 8072),
        db_name=_database_name(given.get("DB_NAME", "demo")),
        workers=_number(given, "WORKERS", 0, most=64),
        odoo_dir=_folder(given["ODOO_DIR"]) if "ODOO_DIR" in given else None,
        database_url=given.get("DATABASE_URL"),
        model=_model(given),
    )
    if settings.http_port == settings.gevent_port:
        raise Failed(f"HTTP_PORT and GEVENT_PORT are both {settings.http_port}: choose two different ports")
    if "," in str(settings.state):
        raise Failed(f"STATE_DIR={settings.state} has a comma, which Odoo takes for the end of a path: choose another")
    return settings


def _folder(text: str) -> Path:
    """A path as people write it; a relative one starts at the repository's root."""
    return (ROOT / Path(text).expanduser()).resolve()


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    return _number(given, name, default, least=1, most=65535)


def _number(given: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise Failed(f"{name}={text} is not a number from {least} to {most}")
    return int(text)


def _database_name(name: str) -> str:
    if not DATABASE_NAME.fullmatch(name) or name.startswith((OWN_DATABASES, "postgres", "template")):
        raise Failed(
            f"DB_NAME={name} cannot be used: letters, digits, '_', '.' and '-', not beginning with {OWN_DATABASES}"
        )
    return name


def _model(given: Mapping[str, str]) -> ModelEndpoint | None:
    """A key alone is not enough: it may be there for something else, and is not to be spent by accident."""
    if "OPENAI_BASE_URL" not in given:
        return None
    return ModelEndpoint(given["OPENAI_BASE_URL"], given.get("OPENAI_API_KEY", ""), given.get("OPENAI_MODEL", ""))
