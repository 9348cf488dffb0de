"""The catalogue of faults (docs/faults.md) and the tests that carry its numbers, held against each other both ways."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def catalogue() -> list[int]:
    """The numbers of docs/faults.md, of every row that says what comes in and what comes of it."""
    text = (ROOT / "docs/faults.md").read_text()
    return [int(number) for number in re.findall(r"^\| (\d+) \| \S.* \| \S.* \|$", text, re.MULTILINE)]


def numbered_tests() -> dict[str, str]:
    """What stands for the number in the name of each test that has one: `{"test_q07_…": "07"}`."""
    names = (
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {name: found[1] for name in names if (found := re.match(r"test_q(\d[^_]*)", name))}


def test_the_catalogue_has_every_number_once_and_in_order():
    assert catalogue() == list(range(1, 51))


def test_every_number_has_a_test():
    tested = {int(number) for number in numbered_tests().values() if number.isdigit()}
    assert set(catalogue()) - tested == set()


def test_every_numbered_test_is_in_the_catalogue():
    in_catalogue = {f"{number:02}" for number in catalogue()}
    assert [name for name, number in numbered_tests().items() if number not in in_catalogue] == []
