"""The demo: Odoo with an assistant ready to chat, an MCP server with tools, and a model, all in the foreground."""

from __future__ import annotations

import json
import os
import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from . import database, environment, odoo, processes
from .output import Failed, say, step, tail
from .postgres import Server
from .processes import Child
from .settings import ROOT, ModelEndpoint, Settings
from .stamps import Stamp, hash_of

PEER_PATIENCE_S = 60.0
ODOO_PATIENCE_S = 180.0
REQUEST_PATIENCE_S = 60.0
LOOK_S = 0.2
SCRIPTED_MODEL = "scripted-demo"  # the name under which the bundled model answers
PEERS = ("mcp", "model")


def check_ports(settings: Settings) -> None:
    """Say at once what would fail at the very end."""
    for name, port in (("HTTP_PORT", settings.http_port), ("GEVENT_PORT", settings.gevent_port)):
        if not _is_free(port):
            raise Failed(f"Port {port} is in use: stop what listens there, or choose another {name}")
    if settings.model and not settings.model.model:
        raise Failed("OPENAI_BASE_URL is set, but OPENAI_MODEL is not: say which model answers, or unset both")


def serve(settings: Settings, server: Server) -> int:
    """Serve until Ctrl-C, or until a part of it ends by itself."""
    with ExitStack() as stack:
        peers = {name: _start_peer(settings, name, stack) for name in PEERS if name == "mcp" or not settings.model}
        database.ensure_demo(settings, server)
        with step("The demo's MCP server" if settings.model else "The demo's MCP server and model"):
            urls = {name: child.wait_for_line("READY ", PEER_PATIENCE_S) for name, child in peers.items()}
        _remember_ports(settings, urls)
        _furnish(settings, server, urls["mcp"], settings.model or ModelEndpoint(urls["model"], "", SCRIPTED_MODEL))
        with step("Odoo"):
            child = _start_odoo(settings, stack)
            _await_answer(settings, child)
        _announce(settings)
        return _watch([child, *peers.values()])


def _start_peer(settings: Settings, name: str, stack: ExitStack) -> Child:
    """A peer, on the port of last time if it can be had, so that nothing in the database changes."""
    port = _remembered_ports(settings).get(name, 0)
    command = [str(settings.python), "-m", f"dev.demo_{name}", "--port", str(port if port and _is_free(port) else 0)]
    log = settings.logs / f"demo-{name}.log"
    child = processes.start(f"The demo's {name} server", command, log=log, cwd=ROOT, env=_peer_variables(settings))
    stack.callback(child.stop)
    return child


def _peer_variables(settings: Settings) -> dict[str, str]:
    return {**environment.variables(settings, os.environ), "PYTHONUNBUFFERED": "1"}


def _furnish(settings: Settings, server: Server, mcp_url: str, model: ModelEndpoint) -> None:
    """Put the assistant, its model and its tools into the database, unless they are there as they should be."""
    wanted = {"mcp_url": mcp_url, "base_url": model.base_url, "api_key": model.api_key, "model": model.model}
    sources = sorted((ROOT / "dev").glob("demo_*.py"))
    key = hash_of([json.dumps(wanted), database.addon_hash(), *sources])
    if (database.made_of(server, settings.db_name) or {}).get("demo") == key:
        return
    with step("The demo's assistant"):
        log = settings.logs / "demo-data.log"
        log.unlink(missing_ok=True)
        variables = {**odoo.variables(settings, settings.odoo_conf), "AI_DISCUSS_DEMO": json.dumps(wanted)}
        command = [str(settings.python), "-m", "dev.demo_data"]
        if processes.run(command, env=variables, cwd=ROOT, log=log) != 0:
            raise Failed(f"The demo's assistant could not be set up; its log is {log}:\n{tail(log)}")
        database.mark(server, settings.db_name, {"demo": key})


def _start_odoo(settings: Settings, stack: ExitStack) -> Child:
    variables = odoo.variables(settings, settings.odoo_conf)
    command = odoo.command(settings, ["server"])
    child = processes.start("Odoo", command, log=settings.logs / "odoo.log", env=variables)
    stack.callback(child.stop)
    return child


def _await_answer(settings: Settings, child: Child) -> None:
    pages = [f"http://127.0.0.1:{settings.http_port}/web/login"]  # of the database: it comes when Odoo has loaded it
    if settings.workers:
        pages.append(f"http://127.0.0.1:{settings.gevent_port}/web/health")
    deadline = time.monotonic() + ODOO_PATIENCE_S
    while not all(map(_answers, pages)):
        if not child.running:
            raise child.failure()
        if time.monotonic() > deadline:
            raise Failed(f"Odoo does not answer; its log is {child.log}")
        time.sleep(LOOK_S)


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=REQUEST_PATIENCE_S) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _announce(settings: Settings) -> None:
    real = settings.model
    say(f"The assistant's model is {f'{real.model} at {real.base_url}' if real else 'a scripted stand-in, offline'}.")
    say(f"Odoo's log is {_short(settings.logs / 'odoo.log')}.")
    say("Log in as admin, password admin, and open Discuss. Ctrl-C stops everything.")
    say(f"READY http://127.0.0.1:{settings.http_port}")


def _watch(children: list[Child]) -> int:
    try:
        while True:
            for child in children:
                if not child.running:
                    raise child.failure()
            time.sleep(LOOK_S)
    except processes.Stopped:
        say("\nStopping …")
        return 0


def _remembered_ports(settings: Settings) -> dict[str, int]:
    return json.loads(_ports(settings).read() or "{}")


def _remember_ports(settings: Settings, urls: dict[str, str]) -> None:
    ports = {name: int(url.split(":")[2].partition("/")[0]) for name, url in urls.items()}
    _ports(settings).write(json.dumps({**_remembered_ports(settings), **ports}))


def _ports(settings: Settings) -> Stamp:
    return Stamp(settings.stamps / "demo-ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
