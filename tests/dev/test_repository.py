"""What is committed: the commands of the contract, and nothing that is true on one machine only."""

import configparser
import re
import subprocess

import pytest

from dev import config, lint, settings
from dev.postgres import Server
from dev.settings import ROOT

ADDRESS = re.compile(r"https?://|file:|--(index-url|extra-index-url|find-links|trusted-host)|/(root|home|tmp|opt)/")


@pytest.mark.parametrize("target", ["demo", "test", "bench", "lint", "setup", "odoo"])
def test_every_command_of_the_contract_is_one_call_into_python(target):
    said = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, "PYTHON=python3", "ARGS=--version -d x"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    passes_arguments = target in ("test", "bench", "odoo")
    assert said.strip() == f"python3 -m dev {target}" + (" --version -d x" if passes_arguments else "")


@pytest.mark.parametrize("name", ["lock.txt", "uv.txt"])
def test_a_lock_has_a_hash_for_everything_and_no_address(name):
    text = (ROOT / "requirements" / name).read_text()
    assert not ADDRESS.search(text)
    for requirement in re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip()):
        if not requirement.startswith("#"):
            assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", requirement)
            assert "--hash=sha256:" in requirement


def test_each_direct_dependency_has_a_sentence():
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    for source in ("requirements.txt", "requirements/odoo.in", "requirements/dev.in", "requirements/uv.in"):
        for line in (ROOT / source).read_text().splitlines():
            if match := re.match(r"\w[\w-]*", line):
                assert f"`{match[0]}`" in explained, f"{match[0]} of {source} is not in docs/dependencies.md"


def test_the_configuration_is_complete_and_for_its_owner_only(tmp_path):
    chosen = settings.read({"STATE_DIR": str(tmp_path), "DB_NAME": "my.db", "HTTP_PORT": "8100", "WORKERS": "2"})
    config.write(chosen, Server(host="/run/pg", user="odoo", password="p%w"))
    parser = configparser.RawConfigParser()
    parser.read(chosen.odoo_conf)
    options = dict(parser["options"])
    assert options["db_name"] == "my.db"
    assert options["dbfilter"] == r"^my\.db$"
    assert (options["db_host"], options["db_user"], options["db_password"]) == ("/run/pg", "odoo", "p%w")
    assert (options["http_port"], options["gevent_port"], options["workers"]) == ("8100", "8072", "2")
    assert options["addons_path"].endswith(f"{tmp_path}/addons")
    assert chosen.odoo_conf.stat().st_mode & 0o777 == 0o600
    config.write(chosen, Server(host="/run/pg", user="odoo", password="p%w"))
    again = configparser.RawConfigParser()
    again.read(chosen.odoo_conf)
    assert dict(again["options"]) == options  # the master password, too


def test_broken_xml_and_forgotten_debugging_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    (tmp_path / "static").mkdir()
    (tmp_path / "views.xml").write_text("<odoo><record></odoo>")
    (tmp_path / "static" / "card.js").write_text('// console.log("kept")\nexport const a = 1;\ndebugger;\n')
    found = [*lint._broken_xml(), *lint._left_over_javascript()]
    assert [line.split(":")[0] for line in found] == ["views.xml", "static/card.js"]
    assert "card.js:3" in found[1]
