"""uv, the program that fetches all other packages. It comes from the package index like everything else.

Where this Python has pip, pip fetches it. Where it hasn't, the wheel is fetched here from the index that is configured,
and where none is, Debian's pip helps out. Each way, the hashes in `requirements/uv.txt` decide.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urldefrag, urljoin, urlsplit

from . import debian, processes
from .output import Failed, step, tail
from .package_index import PackageIndex
from .settings import ROOT, Settings
from .stamps import Stamp, hash_of, made_aside

LOCK = ROOT / "requirements" / "uv.txt"
PATIENCE_S = 60  # without a byte
CPU_NAMES = {"arm64": "aarch64", "amd64": "x86_64"}


def ensure(settings: Settings, index: PackageIndex) -> Path:
    """The program, of exactly the version that is locked.

    Raises:
        Failed: no index has it for this machine, or what it has is something else.
    """
    folder = settings.state / "uv"
    stamp = Stamp(folder / "stamp")
    key = hash_of([LOCK])
    if stamp.read() != key:
        log = settings.logs / "uv.log"
        log.unlink(missing_ok=True)
        with step("uv, which fetches the rest"), made_aside(folder) as aside:
            _install(aside, index, log)
            Stamp(aside / "stamp").write(key)
    return folder / "bin" / "uv"


def _install(folder: Path, index: PackageIndex, log: Path) -> None:
    if _has_pip():
        _install_with_pip(folder, log, os.environ)
    elif index.main or index.extra or index.find_links:
        _unpack(_fetch(index), folder)
    elif mirror := debian.find_mirror():  # nothing says where the index is; pip knows
        packages = _unpack_pip(folder / ".apt", mirror, log)
        _install_with_pip(folder, log, {**os.environ, "PYTHONPATH": str(packages)})
        shutil.rmtree(folder / ".apt")
    else:
        raise Failed("uv cannot be fetched: install pip (python3-pip), or name a package index in PIP_INDEX_URL")


def _has_pip() -> bool:
    return subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def _unpack_pip(folder: Path, mirror: debian.Mirror, log: Path) -> Path:
    """Debian's pip; where its packages are."""
    apt = debian.Apt(folder, mirror, [mirror.suite], log)
    apt.update()
    apt.download([f"python3-pip/{mirror.suite}"])
    apt.unpack(folder)
    return folder / "usr" / "lib" / "python3" / "dist-packages"


def _install_with_pip(folder: Path, log: Path, environ: Mapping[str, str]) -> None:
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "install", *options, f"--target={folder}", f"--requirement={LOCK}"]
    if processes.run(command, log=log, env=environ) != 0:
        raise Failed(f"pip could not install uv; its log, {log}, ends so:\n{tail(log)}")


def _fetch(index: PackageIndex) -> bytes:
    """The wheel of uv for this machine, whose hash is one of those in the lock."""
    wanted = LOCK.read_text()
    version = re.search(r"^uv==(\S+)", wanted, re.MULTILINE)[1]
    hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", wanted))
    problem = "no index has it"
    for page in (*index.find_links, *(f"{url}/uv/" for url in filter(None, (index.main, *index.extra)))):
        try:
            for url in _links(page, index):
                if _fits(url, version):
                    content = _get(url, index)
                    if hashlib.sha256(content).hexdigest() in hashes:
                        return content
                    problem = f"the one at {_without_password(url)} is not the one that requirements/uv.txt names"
        except OSError as error:
            problem = f"{_without_password(page)}: {error}"
    raise Failed(f"No wheel of uv {version} for this machine: {problem}")


def _links(page: str, index: PackageIndex) -> list[str]:
    """The addresses that a page of an index, or a folder of wheels, links to."""
    if "://" not in page:
        return [path.resolve().as_uri() for path in sorted(Path(page).expanduser().iterdir())]
    if page.startswith("file:"):
        page = page.rstrip("/") + "/index.html"
    text = _get(page, index).decode(errors="replace")
    targets = re.findall(r"""href\s*=\s*["']([^"']+)""", text)
    return [urldefrag(urljoin(page, html.unescape(target))).url for target in targets]


def _fits(url: str, version: str) -> bool:
    """Whether a wheel is one of uv's for this machine: `uv-<version>-py3-none-<platforms>.whl`."""
    name = unquote(Path(urlsplit(url).path).name)
    match = re.fullmatch(rf"uv-{re.escape(version)}-py3-none-(.+)\.whl", name)
    machine = CPU_NAMES.get(platform.machine().lower(), platform.machine().lower())
    if not match or not match[1].endswith((machine, platform.machine().lower(), "universal2")):
        return False
    if sys.platform == "darwin":
        return match[1].startswith("macosx")
    libc = "musllinux" if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "") else "manylinux"
    return libc in match[1]


def _get(url: str, index: PackageIndex) -> bytes:
    parts = urlsplit(url)
    request = urllib.request.Request(_without_password(url), headers={"Accept": "text/html, */*;q=0.5"})
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        token = base64.b64encode(login.encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")  # for this host, and no other
    with urllib.request.urlopen(request, timeout=PATIENCE_S, context=_tls(parts, index)) as response:
        return response.read()


def _tls(parts: SplitResult, index: PackageIndex) -> ssl.SSLContext | None:
    if parts.scheme != "https":
        return None
    context = ssl.create_default_context(cafile=index.certificates)
    if not {parts.hostname, f"{parts.hostname}:{parts.port}"}.isdisjoint(index.insecure_hosts):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _unpack(wheel: bytes, folder: Path) -> None:
    """A wheel is an archive; uv's has its program under `*.data/scripts`."""
    target = folder / "bin" / "uv"
    target.parent.mkdir()
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        program = next(name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        target.write_bytes(archive.read(program))
    target.chmod(0o755)
