"""Odoo 19.0 itself: a checkout that a person names, else Debian's package, else a clone of Odoo's public branch.

Debian's package is unpacked, never installed, with the packages that it links to; see `debian.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from . import debian, processes
from .output import Failed, step, tail
from .settings import ADDON, ROOT, Settings
from .stamps import Stamp, hash_of, made_aside, write_atomically

SERIES = "19.0"
PACKAGE = "odoo-19"
PACKAGE_SUITE = "sid"  # the suite of Debian that has it
LINKED = (  # what Odoo's static files link to
    "fonts-inconsolata", "fonts-montserrat", "fonts-ocr-b", "fonts-roboto-unhinted",
    "libjs-jquery", "libjs-jquery-form", "libjs-underscore",
)  # fmt: skip
ICONS = "fonts-font-awesome"  # of a stable suite: the files of the newer version have other names
LEFT_OUT = "static/lib/selfie_segmentation/selfie_segmentation.js"  # of mail: not free enough for Debian
PACKAGED = Path("usr", "lib", "python3", "dist-packages")
PUBLIC_REPOSITORY = "https://github.com/odoo/odoo"
FORMAT = "3"  # changes when what is made here changes


def ensure(settings: Settings) -> None:
    """Have Odoo's sources, importable in our environment, and an `odoo-bin` that runs them.

    Raises:
        Failed: `ODOO_DIR` is no Odoo 19.0, or there is no way to fetch one.
    """
    if settings.odoo_dir is None:
        _ensure_unpacked(settings)
    source = _source(settings)
    found = series_of(source)
    if found != SERIES:
        what = f"Odoo {found}" if found else "no Odoo"
        raise Failed(f"{source} is {what}: this addon needs Odoo {SERIES}; set ODOO_DIR to a checkout of it")
    _put_on_path(settings, source)
    name_addon(settings)
    _write_odoo_bin(settings)


def identity(settings: Settings) -> str:
    """Changes when another Odoo is used: what was made with the old one is then to be made anew."""
    source = _source(settings)
    head = subprocess.run(["git", "-C", source, "rev-parse", "HEAD"], capture_output=True, check=False).stdout
    return hash_of([str(source), head if (source / ".git").exists() else b"", source / "odoo" / "release.py"])


def addons_path(settings: Settings) -> list[Path]:
    return [*filter(Path.is_dir, _addon_folders(_source(settings))), settings.addons]


def series_of(source: Path) -> str | None:
    """Which Odoo a folder holds; None where it holds none."""
    try:
        release = (source / "odoo" / "release.py").read_text()
    except OSError:
        return None
    match = re.search(r"^version_info\s*=\s*\((\d+),\s*(\d+),", release, re.MULTILINE)
    return f"{match[1]}.{match[2]}" if match and _find_addon(source, "mail") else None


def _addon_folders(source: Path) -> tuple[Path, Path]:
    """A checkout has `mail` in the first of them, Debian's package in the second."""
    return source / "addons", source / "odoo" / "addons"


def _find_addon(source: Path, name: str) -> Path | None:
    places = (folder / name for folder in _addon_folders(source))
    return next((place for place in places if (place / "__manifest__.py").exists()), None)


def _source(settings: Settings) -> Path:
    """The folder that holds `odoo/` and `addons/`."""
    if settings.odoo_dir is not None:
        return settings.odoo_dir
    packaged = settings.odoo_package / PACKAGED
    return packaged if packaged.exists() else settings.odoo_package


def _ensure_unpacked(settings: Settings) -> None:
    stamp = Stamp(settings.odoo_package / ".stamp")
    if stamp.read() == FORMAT:
        return
    log = settings.logs / "odoo-source.log"
    log.unlink(missing_ok=True)
    mirror = debian.find_mirror()
    if mirror is not None:
        with made_aside(settings.odoo_package) as folder:
            _unpack_debian_package(folder, mirror, log)
            Stamp(folder / ".stamp").write(FORMAT)
    elif shutil.which("git"):
        with made_aside(settings.odoo_package) as folder:
            _clone(folder, log)
            Stamp(folder / ".stamp").write(FORMAT)
    else:
        raise Failed("Odoo cannot be fetched: install git, or set ODOO_DIR to a checkout of Odoo 19.0")


def _unpack_debian_package(folder: Path, mirror: debian.Mirror, log: Path) -> None:
    apt = debian.Apt(folder / ".apt", mirror, (PACKAGE_SUITE, mirror.stable), log)
    with step("Odoo 19.0: Debian's list of packages"):
        apt.update()
    with step("Odoo 19.0: Debian's package"):
        apt.download([*(f"{name}/{PACKAGE_SUITE}" for name in (PACKAGE, *LINKED)), f"{ICONS}/{mirror.stable}"])
    with step("Odoo 19.0: unpacking"):
        apt.unpack(folder)
        shutil.rmtree(folder / PACKAGED / "addons")  # a second copy of some, without their static files
        left_out = _find_addon(folder / PACKAGED, "mail") / LEFT_OUT
        left_out.parent.mkdir(parents=True, exist_ok=True)
        left_out.touch()
        shutil.rmtree(apt.folder)


def _clone(folder: Path, log: Path) -> None:
    with step("Odoo 19.0: a shallow clone of its public branch"):
        command = ["git", "clone", "--quiet", "--depth=1", f"--branch={SERIES}", PUBLIC_REPOSITORY, str(folder)]
        if processes.run(command, log=log, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"}) != 0:
            raise Failed(
                f"Odoo could not be cloned (or set ODOO_DIR to a checkout of Odoo 19.0); "
                f"the log, {log}, ends so:\n{tail(log)}"
            )


def _put_on_path(settings: Settings, source: Path) -> None:
    """Make `import odoo` work in our environment, for pytest and editors as well as for `odoo-bin`."""
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(settings.venv), "platbase": str(settings.venv)}))
    _write_if_new(packages / "odoo_source.pth", f"{source}\n")


def name_addon(settings: Settings) -> None:
    """Odoo knows an addon by the name of its folder, and a clone can have any."""
    link = settings.addons / ADDON
    if not (link.is_symlink() and link.readlink() == ROOT):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT, target_is_directory=True)


def _write_odoo_bin(settings: Settings) -> None:
    """`odoo-bin`, as in a checkout; run by itself it finds its Python, and puts it first in PATH, as Odoo needs it."""
    script = (
        "#!/bin/sh\n"
        f"""'''exec' env PATH="{settings.venv}/bin:$PATH" "{settings.python}" "$0" "$@"\n"""
        "'''\n"
        "import odoo.cli\n\n"
        'if __name__ == "__main__":\n'
        "    odoo.cli.main()\n"
    )
    _write_if_new(settings.odoo_bin, script, 0o755)


def _write_if_new(path: Path, text: str, mode: int = 0o644) -> None:
    if not path.exists() or path.read_text() != text:
        write_atomically(path, text, mode)
