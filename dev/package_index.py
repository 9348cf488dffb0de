"""Which package index this machine is set up to use: what `pip` and `uv` are told by their variables and files.

uv does not read pip's configuration, and where there is no pip nobody else reads it; here it is read for both.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

PIP_OPTIONS = ("index-url", "extra-index-url", "find-links", "cert", "trusted-host")


@dataclass(frozen=True)
class PackageIndex:
    """Where packages come from, and whom to trust for it."""

    main: str | None = None  # none where nothing is configured: pip and uv have a default of their own
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    certificates: str | None = None
    insecure_hosts: tuple[str, ...] = ()

    def for_uv(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ`, with what it doesn't say to uv yet said in uv's own variables."""
        said = {
            "UV_DEFAULT_INDEX": self.main or "",
            "UV_INDEX": " ".join(self.extra),
            "UV_FIND_LINKS": ",".join(self.find_links),
            "UV_INSECURE_HOST": " ".join(self.insecure_hosts),
            "SSL_CERT_FILE": self.certificates or "",
            # Several indexes may hold a package, in several versions; the lock's hashes say which one is meant.
            "UV_INDEX_STRATEGY": "unsafe-best-match",
            "UV_SYSTEM_CERTS": "true",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
        }
        for older, name in (("UV_INDEX_URL", "UV_DEFAULT_INDEX"), ("UV_EXTRA_INDEX_URL", "UV_INDEX")):
            if environ.get(older):
                del said[name]
        return {**{name: value for name, value in said.items() if value}, **{k: v for k, v in environ.items() if v}}


def discover(environ: Mapping[str, str], pip_files: Iterable[Path] | None = None) -> PackageIndex:
    """The index that is configured: uv's variables win over pip's, and those over pip's files, as with the tools."""
    pip = _pip_options(environ, _pip_files(environ) if pip_files is None else pip_files)
    main = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or pip.get("index-url") or ""
    extra = environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL") or pip.get("extra-index-url", "")
    return PackageIndex(
        main=next(_places(main), None),
        extra=tuple(dict.fromkeys(_places(extra))),
        find_links=tuple(place for place in pip.get("find-links", "").split() if _exists(place)),
        certificates=environ.get("SSL_CERT_FILE") or pip.get("cert"),
        insecure_hosts=tuple(pip.get("trusted-host", "").split()),
    )


def _places(urls: str) -> Iterator[str]:
    """The addresses of a setting that are there, each in its plain form."""
    for url in map(_without_name, urls.split()):
        if _exists(url):
            yield url.rstrip("/")


def _pip_options(environ: Mapping[str, str], files: Iterable[Path]) -> dict[str, str]:
    options: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself complains about it; this is not the place
        for section in ("global", "install"):
            if parser.has_section(section):
                options.update(parser.items(section))
    for name in PIP_OPTIONS:
        value = environ.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            options[name] = value
    return options


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    """pip's configuration files, from the weakest to the strongest."""
    home = Path(environ.get("HOME") or "~").expanduser()
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    system_homes = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    folders = [*(Path(folder, "pip") for folder in system_homes), Path("/etc"), home / ".pip", config_home / "pip"]
    files = [folder / "pip.conf" for folder in (*folders, Path(sys.prefix))]
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    return [*files, Path(named)] if named else files


def _without_name(url: str) -> str:
    """uv lets people write `name=https://…`."""
    name, equals, rest = url.partition("=")
    return rest if equals and "/" not in name else url


def _exists(place: str) -> bool:
    """Whether a place on this machine is there, as uv demands; those elsewhere are believed to be."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).exists()
    return bool(parts.scheme) or Path(place).expanduser().exists()
