"""How long it takes from a `POST` to the model, and from the model's words to a viewer: for one, and for many."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from bench import Table, percentiles
from dev import processes
from tests.live import LiveServer, Person

STREAMS = (1, 20, 100)
STARTS_PER_SECOND = 20.0  # people don't press Enter at the same instant
PEER_PATIENCE_S = 30.0
STREAM_PATIENCE_S = 60.0


@dataclass
class Seen:
    """What one viewer has seen, in seconds."""

    refused: bool = False  # the server said that it was busy
    asked_after: float = 0.0
    delays: list[float] = field(default_factory=list)


def measure(live: LiveServer) -> Table:
    log = live.log.path.with_name("paced-model.log")
    command = [sys.executable, "-m", "bench.paced_model"]
    model = processes.start("The paced model", command, log=log, cwd=Path(__file__).parent.parent)
    try:
        assistant = _assistant(live.admin, model.wait_for_line("READY ", PEER_PATIENCE_S))
        _watch(live, assistant, 1)  # whatever is loaded or compiled once
        rows = tuple(_row(_watch(live, assistant, streams)) for streams in STREAMS)
    finally:
        model.stop()
    columns = ("streams", "refused", "POST → model is asked, p50 / p95 ms", "model's chunk → viewer, p50 / p95 ms")
    return Table("Streams, 20 chunks a second each", columns, rows)


def _assistant(admin: Person, url: str) -> int:
    provider = admin.create("ai.provider", name="Paced", base_url=url)
    return admin.create("ai.assistant", name="Paced", provider_id=provider, model="paced")


def _row(seen: list[Seen]) -> tuple[str, ...]:
    served = [viewer for viewer in seen if not viewer.refused]
    delays = [delay for viewer in served for delay in viewer.delays]
    asked_after = [viewer.asked_after for viewer in served]
    return str(len(seen)), str(len(seen) - len(served)), percentiles(asked_after), percentiles(delays)


def _watch(live: LiveServer, assistant: int, streams: int) -> list[Seen]:
    channels = [live.admin.call("ai.assistant", "open_chat", [assistant], new=True) for _ in range(streams)]
    return asyncio.run(_watch_all(live, channels))


async def _watch_all(live: LiveServer, channels: list[int]) -> list[Seen]:
    headers = {"Authorization": f"Bearer {live.admin.api_key}"}
    options = {"timeout": STREAM_PATIENCE_S, "limits": httpx2.Limits(max_connections=None)}
    async with httpx2.AsyncClient(base_url=live.url, headers=headers, **options) as client:
        viewers = [_view(client, channel, number / STARTS_PER_SECOND) for number, channel in enumerate(channels)]
        return await asyncio.gather(*viewers)


async def _view(client: httpx2.AsyncClient, channel: int, start_after: float) -> Seen:
    await asyncio.sleep(start_after)
    seen = Seen()
    posted_at = time.monotonic_ns()
    async with client.stream("POST", f"/api/ai/stream/{channel}", json={"message": "Go"}) as response:
        if response.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
            return Seen(refused=True)
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                _note(json.loads(line[6:]), seen, posted_at)
    assert seen.delays, f"Nothing came in channel {channel}."
    return seen


def _note(frame: dict, seen: Seen, posted_at: int) -> None:
    now = time.monotonic_ns()
    assert frame["type"] != "error", frame
    words = [int(word) for word in frame.get("content", "").split()] if frame["type"] == "chunk" else []
    if words and not seen.asked_after:
        seen.asked_after = (words.pop(0) - posted_at) / 1e9
    seen.delays += [(now - sent_at) / 1e9 for sent_at in words]
