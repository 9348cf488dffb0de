"""Serve one of the demo's peers (its model, its MCP server) on loopback. No more than that: what they do is their own.

Whoever starts a peer waits for its line `READY <url>`, printed once requests are answered.
"""

import argparse
import contextlib
import socket

import uvicorn
from starlette.applications import Starlette

SHUTDOWN_SECONDS = 1  # open streams are cut off after this, so that Ctrl-C never hangs


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that every peer has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; by default any free one")
    return parser


def serve(app: Starlette, port: int, path: str) -> None:
    """Serve `app` on loopback until a signal ends it, and announce it as `READY http://127.0.0.1:<port><path>`."""
    # With its protocol named, because asyncio turns Nagle's algorithm off only where it sees TCP: an answer in two
    # pieces would wait 40 ms for its second one.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_SECONDS)
        peer = _Peer(config, f"http://127.0.0.1:{listener.getsockname()[1]}{path}")
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn repeats the signal after it has shut down
            peer.run(sockets=[listener])


class _Peer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str):
        super().__init__(config)
        self.url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"READY {self.url}", flush=True)
