"""What docs/deployment.md and the files beside it name does exist: options, settings, lines of the health check."""

import configparser
import re
import shlex
from pathlib import Path

import pytest
from odoo.tools import config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
PAGE = (ROOT / "docs" / "deployment.md").read_text()
CODE = [path for room in ("cli", "controllers", "models", "runtime") for path in (ROOT / room).glob("*.py")]


def settings() -> set[str]:
    """The addon's lines of `odoo.conf`, as the code reads them."""
    reading = re.compile(r"config\.get\(\s*\"(ai_discuss_\w+)\"")
    return {name for path in CODE for name in reading.findall(path.read_text())}


def commands() -> list[list[str]]:
    """The arguments of every `ai_runner` of the examples."""
    unit = re.findall(r"^ExecStart=\S+ (.*)$", (DEPLOY / "ai_runner.service").read_text(), re.MULTILINE)
    compose = re.findall(r"(?:command|test): \[(.*)\]", (DEPLOY / "compose.yaml").read_text())
    page = re.findall(r"^\S+ odoo-bin (ai_runner [^#\n]*)", PAGE, re.MULTILINE)
    found = [shlex.split(line) for line in (*unit, *(line.replace(",", " ") for line in compose), *page)]
    return [line[line.index("ai_runner") + 1 :] for line in found if "ai_runner" in line]


def test_the_examples_use_options_that_there_are():
    assert len(commands()) == 5
    used = {option.split("=")[0] for line in commands() for option in line if option.startswith("-")}
    assert "--health" in used
    assert [option for option in used - {"--health"} if not config.parser.has_option(option)] == []


def test_the_page_names_every_setting_of_the_addon_and_no_other():
    assert set(re.findall(r"^\| `(ai_discuss_\w+)` \|", PAGE, re.MULTILINE)) == settings()
    assert set(re.findall(r"`(ai_discuss_\w+)", PAGE)) <= settings()


def test_the_lines_of_the_example_configuration_are_known():
    lines = configparser.RawConfigParser()
    lines.read(DEPLOY / "odoo.conf")
    unknown = {name for name in lines["options"] if name not in config.options_index}
    assert unknown <= settings()


@pytest.mark.parametrize("name", re.findall(r"`((?:limit|db_max|gevent|server_wide|data_)\w+)`", PAGE))
def test_the_options_of_odoo_that_the_page_names_exist(name: str):
    assert name in config.options_index


def test_the_page_explains_every_beginning_of_the_health_line():
    explained = set(re.findall(r"^\| `([^`]+)` \|", PAGE.partition("| it begins with |")[2], re.MULTILINE))
    said = (ROOT / "runtime" / "health.py").read_text()
    assert len(explained) == 5
    assert [beginning for beginning in explained if beginning not in said] == []
