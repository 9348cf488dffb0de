"""Debian's packages, unpacked instead of installed: from the mirror of this machine's own apt, signatures checked.

It needs no root, and leaves no trace outside of the folder that it is given.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .output import Failed, tail

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NOT_STABLE = ("sid", "unstable", "testing", "experimental")


@dataclass(frozen=True)
class Mirror:
    """Where this machine gets its packages."""

    url: str
    suite: str  # its own

    @property
    def stable(self) -> str:
        """A suite whose packages are those of a release."""
        return "stable" if self.suite in NOT_STABLE else self.suite


def find_mirror() -> Mirror | None:
    """The mirror of this machine; None where it is not a Debian."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and _os_release().get("ID") == "debian"):
        return None
    targets = subprocess.run(["apt-get", "indextargets"], capture_output=True, text=True, check=False).stdout
    return mirror_of(targets)


def mirror_of(targets: str) -> Mirror | None:
    """The mirror in what `apt-get indextargets` says."""
    for paragraph in targets.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        suite = fields.get("Codename") or fields.get("Release", "")
        if fields.get("Created-By") != "Packages" or fields.get("Component") != "main":
            continue
        if fields.get("Origin", "Debian") == "Debian" and "-" not in suite:  # not -security, -updates, -backports
            return Mirror(fields["Repo-URI"], suite)
    return None


class Apt:
    """apt with a folder of its own, and with these suites of a mirror only."""

    def __init__(self, folder: Path, mirror: Mirror, suites: Iterable[str], log: Path) -> None:
        self.folder = folder
        self.log = log
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        signed_by = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        sources = folder / "sources.list"
        sources.write_text("".join(f"deb {signed_by}{mirror.url} {suite} main\n" for suite in dict.fromkeys(suites)))
        options = {
            "Dir::Etc::SourceList": sources,
            "Dir::Etc::SourceParts": "-",
            "Dir::Etc::Preferences": "-",
            "Dir::Etc::PreferencesParts": "-",
            "Dir::State::Lists": folder / "lists",
            "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "root",  # apt's own user could not write here
            "Acquire::Languages": "none",
        }
        self._options = [f"-o{name}={value}" for name, value in options.items()]

    def update(self) -> None:
        """Fetch the lists of packages."""
        self._run("update")

    def download(self, names: Iterable[str]) -> None:
        """Fetch packages, each `name/suite`."""
        self._run("download", *names)

    def unpack(self, target: Path) -> None:
        """Unpack what was fetched."""
        for package in sorted(self.folder.glob("*.deb")):
            if processes.run(["dpkg-deb", "--extract", str(package), str(target)], log=self.log) != 0:
                raise Failed(f"{package.name} could not be unpacked; see {self.log}")

    def _run(self, *arguments: str) -> None:
        # `apt-get download` writes into the current folder.
        if processes.run(["apt-get", *self._options, *arguments], cwd=self.folder, log=self.log) != 0:
            raise Failed(f"Debian's packages could not be fetched; the log, {self.log}, ends so:\n{tail(self.log)}")


def _os_release() -> Mapping[str, str]:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
