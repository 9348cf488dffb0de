"""uv without pip: its wheel is fetched from the index and held against the lock."""

import hashlib
import io
import platform
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dev import debian, settings, uv
from dev.output import Failed
from dev.package_index import PackageIndex

VERSION = "9.9.9"


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """Pretend that this Python has no pip, and lock the wheel that is given."""
    monkeypatch.setattr(uv, "_has_pip", lambda: False)
    monkeypatch.setattr(uv, "LOCK", tmp_path / "uv.txt")

    def write(content):
        uv.LOCK.write_text(f"uv=={VERSION} \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n")

    return write


@pytest.fixture
def index(tmp_path):
    """A package index on loopback, and the folder that it serves."""
    folder = tmp_path / "index" / "uv"
    folder.mkdir(parents=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield PackageIndex(f"http://127.0.0.1:{server.server_port}"), folder
    server.shutdown()
    thread.join()
    server.server_close()


def publish(folder, *names, content):
    links = "".join(f'<a href="{name}#sha256=0&amp;x">{name}</a>\n' for name in names)
    (folder / "index.html").write_text(links)
    for name in names:
        (folder / name).write_bytes(content)


def wheel(script=b"#!/bin/sh\necho hello\n"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"uv-{VERSION}.data/scripts/uv", script)
    return buffer.getvalue()


def wheel_name(system="manylinux_2_17", machine=None, version=VERSION):
    return f"uv-{version}-py3-none-{system}_{machine or platform.machine()}.whl"


def chosen(tmp_path):
    return settings.Settings(state=tmp_path / "state")


def test_the_wheel_for_this_machine_is_unpacked(tmp_path, lock, index):
    where, folder = index
    lock(wheel())
    publish(folder, wheel_name(version="9.9.10"), wheel_name("win"), wheel_name(), content=wheel())
    program = uv.ensure(chosen(tmp_path), where)
    assert program.read_bytes() == b"#!/bin/sh\necho hello\n"
    assert program.stat().st_mode & 0o111


def test_a_wheel_that_is_not_the_locked_one_is_refused(tmp_path, lock, index):
    where, folder = index
    lock(wheel())
    publish(folder, wheel_name(), content=wheel(b"something else"))
    with pytest.raises(Failed, match=r"not the one that requirements/uv\.txt names"):
        uv.ensure(chosen(tmp_path), where)
    assert not (tmp_path / "state" / "uv").exists()


def test_an_index_without_a_wheel_for_this_machine_is_a_clear_message(tmp_path, lock, index):
    where, folder = index
    lock(wheel())
    publish(folder, wheel_name(machine="riscv64" if platform.machine() != "riscv64" else "x86_64"), content=wheel())
    with pytest.raises(Failed, match=f"No wheel of uv {VERSION} for this machine"):
        uv.ensure(chosen(tmp_path), where)


def test_a_wheel_in_a_folder_on_this_machine_will_do(tmp_path, lock):
    lock(wheel())
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / wheel_name()).write_bytes(wheel())
    dead = "http://127.0.0.1:9"
    assert uv.ensure(chosen(tmp_path), PackageIndex(dead, find_links=(str(tmp_path / "wheels"),))).exists()


def test_without_any_index_it_says_what_to_install(tmp_path, lock, monkeypatch):
    lock(wheel())
    monkeypatch.setattr(debian, "find_mirror", lambda: None)
    with pytest.raises(Failed, match=r"install pip \(python3-pip\), or name a package index in PIP_INDEX_URL"):
        uv.ensure(chosen(tmp_path), PackageIndex())


def test_it_is_fetched_once(tmp_path, lock, index):
    where, folder = index
    lock(wheel())
    publish(folder, wheel_name(), content=wheel())
    first = uv.ensure(chosen(tmp_path), where)
    assert uv.ensure(chosen(tmp_path), PackageIndex("http://127.0.0.1:9")) == first
