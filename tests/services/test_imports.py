"""Imports point downwards: controllers → models, cli → runtime → services; and services know nothing of Odoo."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADDON = "odoo.addons.ai_discuss"
BELOW = {
    "controllers": {"controllers", "models", "runtime", "services"},
    "models": {"models", "runtime", "services"},
    "cli": {"cli", "runtime", "services"},
    "runtime": {"runtime", "services"},
    "services": {"services"},
}
FILES = [path.relative_to(ROOT).as_posix() for room in BELOW for path in sorted((ROOT / room).rglob("*.py"))]
# over a second of imports: the host's, no request's
HEAVY = {"aiohttp", "openai", "mcp", "procrastinate", "httpx2", "psycopg"}


def imported_by(path: str, nodes: Iterator[ast.AST] | None = None) -> set[str]:
    """The modules that a file imports, by absolute name; those of the addon begin with its own."""
    package = [ADDON, *path.split("/")[:-1]]
    found = set()
    for node in nodes or ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join(filter(None, [*base, node.module]))
            found |= {f"{source}.{alias.name}" for alias in node.names}
    return found


def at_load(path: str) -> Iterator[ast.AST]:
    """What is executed when the file is imported: everything outside of functions."""
    waiting: list[ast.AST] = [parsed(path)]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def in_a_fresh_interpreter(code: str) -> set[str]:
    """The top-level modules that are loaded after `code`, which may import `services`."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return {name.split(".")[0] for name in run.stdout.split()}


@pytest.mark.parametrize("path", FILES)
def test_a_room_imports_only_itself_and_what_lies_below(path):
    own = {name.removeprefix(f"{ADDON}.") for name in imported_by(path) if name.startswith(f"{ADDON}.")}
    assert {name.split(".")[0] for name in own} <= BELOW[path.split("/")[0]]


@pytest.mark.parametrize("path", FILES)
def test_no_room_reaches_another_by_a_name_that_only_works_in_tests(path):
    assert not {name.split(".")[0] for name in imported_by(path)} & {*BELOW, "tests", "dev"}


@pytest.mark.parametrize("path", [path for path in FILES if path.startswith("services/")])
def test_the_engine_does_not_import_odoo(path):
    assert not {name for name in imported_by(path) if name.split(".")[0] == "odoo" and not name.startswith(ADDON)}


def test_the_engine_runs_without_odoo():
    loaded = in_a_fresh_interpreter("import services.chat, services.runner")
    assert "services" in loaded and "odoo" not in loaded


def test_loading_the_addon_does_not_load_the_engines_clients():
    """Odoo imports models and controllers, and with them parts of the rooms below, in every process that it starts."""
    early = loaded_with([path for path in FILES if path.startswith(("models/", "controllers/"))])
    for path in early:
        assert not {name.split(".")[0] for name in imported_by(path, at_load(path))} & HEAVY, path
    engine = {path.removesuffix(".py").replace("/", ".") for path in early if path.startswith("services/")}
    assert "services.wire_v1" in engine
    assert not in_a_fresh_interpreter(f"import {', '.join(sorted(engine))}") & HEAVY


def loaded_with(paths: list[str]) -> set[str]:
    """The files that are executed when `paths` are imported."""
    found, waiting = set(), list(paths)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += filter(None, map(file_of, imported_by(path, at_load(path))))
    return found


def file_of(name: str) -> str | None:
    """The file in which `name`, a module of the addon or something in one, is defined."""
    own = name.removeprefix(f"{ADDON}.").replace(".", "/")
    return next((path for path in (f"{own}.py", f"{own.rpartition('/')[0]}.py") if path in FILES), None)
