"""Where packages come from: what a machine's pip and uv are told, read for both."""

import pytest

from dev.package_index import PackageIndex, discover

HOME_INDEX = "https://packages.example/simple"


@pytest.fixture
def pip_conf(tmp_path):
    def write(text):
        path = tmp_path / "pip.conf"
        path.write_text(text)
        return [tmp_path / "missing.conf", path]

    return write


def test_a_machine_that_says_nothing_leaves_it_to_pip_and_uv():
    assert discover({}, []) == PackageIndex()
    assert "UV_DEFAULT_INDEX" not in PackageIndex().for_uv({})


def test_the_file_of_pip_is_read(pip_conf):
    files = pip_conf(
        f"[global]\nindex-url = {HOME_INDEX}/\ncert = /etc/ca.pem\n[install]\ntrusted-host = a.example\n  b.example\n"
    )
    index = discover({}, files)
    assert index.main == HOME_INDEX
    assert index.certificates == "/etc/ca.pem"
    assert index.insecure_hosts == ("a.example", "b.example")


def test_variables_win_over_files_and_those_of_uv_over_those_of_pip(pip_conf):
    files = pip_conf("[global]\nindex-url = https://file.example\n")
    assert discover({"PIP_INDEX_URL": "https://pip.example"}, files).main == "https://pip.example"
    both = {"PIP_INDEX_URL": "https://pip.example", "UV_DEFAULT_INDEX": "named=https://uv.example/simple"}
    assert discover(both, files).main == "https://uv.example/simple"


def test_a_folder_that_is_configured_but_missing_is_overlooked(pip_conf, tmp_path):
    there = (tmp_path / "simple").absolute()
    there.mkdir()
    files = pip_conf(
        f"[global]\nextra-index-url = file:///nowhere/simple {there.as_uri()}\nfind-links = /nowhere {there}\n"
    )
    index = discover({}, files)
    assert (index.main, index.extra) == (None, (there.as_uri(),))
    assert index.find_links == (str(there),)


def test_a_broken_file_of_pip_is_pips_business(pip_conf):
    assert discover({}, pip_conf("index-url = nonsense")) == PackageIndex()


def test_uv_is_told_what_pip_knows_and_keeps_what_it_was_told_itself():
    index = PackageIndex(HOME_INDEX, ("https://more.example",), certificates="/etc/ca.pem")
    told = index.for_uv({"UV_INDEX_URL": "https://own.example", "SSL_CERT_FILE": "/own.pem", "EMPTY": ""})
    assert "UV_DEFAULT_INDEX" not in told  # its newer name for what UV_INDEX_URL says
    assert told["UV_INDEX_URL"] == "https://own.example"
    assert told["UV_INDEX"] == "https://more.example"
    assert told["SSL_CERT_FILE"] == "/own.pem"
