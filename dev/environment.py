"""The Python environment: a virtual one under `STATE_DIR`, made by uv from a lock file with hashes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from . import package_index, processes, uv
from .output import Failed, step, tail
from .package_index import PackageIndex
from .settings import ROOT, Settings
from .stamps import Stamp, hash_of, only_one

LOCK = ROOT / "requirements" / "lock.txt"
PYTHONS = ((3, 13), (3, 12), (3, 11))  # Odoo 19.0 and httpx2 both run on these


def ensure(settings: Settings) -> None:
    """Make the environment, or bring it up to date; at once where it is.

    Raises:
        Failed: no suitable Python, no index, or a package that is not what the lock says.
    """
    stamp = Stamp(settings.stamps / "environment")
    key = hash_of([LOCK, uv.LOCK, str(settings.venv)])
    if stamp.read() == key and settings.python.exists():
        return
    with only_one(settings.locks / "setup", "setting up"):
        if stamp.read() == key and settings.python.exists():
            return
        index = package_index.discover(os.environ)
        _install(settings, uv.ensure(settings, index), index, stamp)
        stamp.write(key)


def lock(settings: Settings) -> None:
    """Write the lock files anew, with the newest versions that `requirements` allow."""
    index = package_index.discover(os.environ)
    program = str(uv.ensure(settings, index))
    common = ["--universal", "--python-version=3.11", "--generate-hashes", "--upgrade", "--quiet"]
    common += ["--no-header", "--no-emit-index-url", "--no-emit-find-links"]
    for source, target in (("uv.in", uv.LOCK), ("dev.in", LOCK)):
        with step(f"Locking requirements/{source}"):
            command = [program, "pip", "compile", *common, source, f"--output-file={target}"]
            # Wheels that lie on this machine would be locked with their own hashes only, and no other's would pass.
            environ = replace(index, extra=(), find_links=()).for_uv(os.environ)
            if processes.run(command, env=environ, cwd=LOCK.parent) != 0:
                raise Failed(f"uv could not lock requirements/{source}")


def _install(settings: Settings, program: Path, index: PackageIndex, stamp: Stamp) -> None:
    log = settings.logs / "environment.log"
    environ = {**index.for_uv(os.environ), "VIRTUAL_ENV": str(settings.venv)}
    if stamp.read() is None or not settings.python.exists():  # never finished, or its Python is gone: begin anew
        python = _find_python()
        with step(f"Python environment, with {python}"):
            _run_uv([program, "venv", "--clear", "--python", python, settings.venv], environ, log)
    stamp.remove()
    with step("Python packages"):
        _run_uv([program, "pip", "sync", "--require-hashes", "--python", settings.python, LOCK], environ, log)


def _run_uv(command: list[str | Path], environ: dict[str, str], log: Path) -> None:
    log.unlink(missing_ok=True)
    if processes.run([str(part) for part in command], env=environ, cwd=ROOT, log=log) != 0:
        raise Failed(f"uv could not make the Python environment; its log, {log}, ends so:\n{tail(log)}")


def _find_python() -> str:
    """A Python on this machine that Odoo can run on: the one that runs us, else the newest."""
    candidates = [sys.executable] if sys.version_info[:2] in PYTHONS else []
    candidates += [path for version in PYTHONS if (path := shutil.which("python{}.{}".format(*version)))]
    for candidate in candidates:
        # A name in PATH may be a shim that only says that there is no such version.
        probe = [candidate, "-c", "import ctypes, sqlite3, ssl, sys; print(*sys.version_info[:2])"]
        found = subprocess.run(probe, capture_output=True, text=True, check=False)
        if found.returncode == 0 and tuple(map(int, found.stdout.split())) in PYTHONS:
            return candidate
    raise Failed("No Python 3.11, 3.12 or 3.13 found: install one of them (on Debian: apt-get install python3)")




def is_active(settings: Settings) -> bool:
    """Whether the environment's own Python runs us."""
    return Path(sys.prefix).samefile(settings.venv)


def enter(settings: Settings, arguments: list[str]) -> None:
    """Go on as the environment's Python; whoever started us sees the same process."""
    sys.stdout.flush()
    os.execve(settings.python, [str(settings.python), *arguments], variables(settings, os.environ))


def variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ`, as if the environment had been activated: Odoo restarts itself as the `python` that PATH has first."""
    path = f"{settings.venv / 'bin'}{os.pathsep}{environ.get('PATH', os.defpath)}"
    inherited = {name: value for name, value in environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    return {**inherited, "PATH": path, "VIRTUAL_ENV": str(settings.venv)}
