"""From a `POST` to the model, and from the model's words to a viewer: for one, and for many at a time."""

import asyncio
import time
from collections.abc import Sequence

import httpx2

from bench import Table, peer, viewers
from bench.figures import COLUMNS, at_most, counted, memory_kb, noted, quantile
from bench.viewers import Seen
from tests.live import LiveBase, LiveServer

POSTS = 30
SHORT = "5@0.05"
STREAMS = {20: "160@0.05", 100: "320@0.05"}  # so long that the first speaks until all have begun, and a while longer
STARTS_PER_SECOND = 8.0  # people don't press Enter at the same instant; Odoo could not take 100 posts a second
PATIENCE_S = 60.0


def measure(base: LiveBase) -> Table:
    rows: list[tuple[str, ...]] = []
    with peer("bench.model", base.logs) as url, base.new_server() as live:
        provider = live.admin.create("ai.provider", name="Paced", base_url=url)
        rows += asyncio.run(_one_by_one(live, _channels(live, provider, SHORT, POSTS + 2)))
        for streams, pace in STREAMS.items():
            rows += asyncio.run(_at_once(live, _channels(live, provider, pace, streams)))
    return Table("Streams, 20 chunks a second each", COLUMNS, tuple(rows))


def _channels(live: LiveServer, provider: int, pace: str, count: int) -> list[int]:
    assistant = live.admin.create("ai.assistant", name="Paced", provider_id=provider, model=pace)
    return [live.admin.call("ai.assistant", "open_chat", [assistant], new=True) for _ in range(count)]


async def _one_by_one(live: LiveServer, channels: Sequence[int]) -> list[tuple[str, ...]]:
    seen, plain = [], []
    headers = {"Authorization": f"Bearer {live.admin.api_key}"}
    async with httpx2.AsyncClient(base_url=live.url, headers=headers, timeout=PATIENCE_S) as client:
        for channel in channels:
            plain.append(await _plain_request(client))
            seen.append(await viewers.post(live.url, live.admin.api_key, channel))
    del seen[:2], plain[:2]  # whatever is loaded or compiled once
    asked = [viewer.asked_after for viewer in seen]
    reference = quantile(plain, 0.5)
    first = [viewer.delays[0] for viewer in seen]
    later = [delay for viewer in seen for delay in viewer.delays[1:]]
    return [
        at_most("`POST` → the model has the request, p50; beside a plain request with the same key",
                quantile(asked, 0.5), 0.060, reference),
        noted("the same, p95", quantile(asked, 0.95), quantile(plain, 0.95)),
        at_most("model's first chunk → viewer, p50", quantile(first, 0.5), 0.005),
        noted("model's later chunks → viewer, p50", quantile(later, 0.5)),
    ]  # fmt: skip


async def _at_once(live: LiveServer, channels: Sequence[int]) -> list[tuple[str, ...]]:
    posts = [_later(live, channel, number / STARTS_PER_SECOND) for number, channel in enumerate(channels)]
    memory = memory_kb(live.pid, "VmRSS")
    seen = await asyncio.gather(*posts)
    memory = memory_kb(live.pid, "VmHWM") - memory
    served = [viewer for viewer in seen if not viewer.refused]
    # Only while all of them speak: what comes before and after is Odoo taking posts and storing replies.
    begin, end = max(viewer.sent[0] for viewer in served), min(viewer.sent[-1] for viewer in served)
    delays = [
        delay for viewer in served for sent, delay in zip(viewer.sent, viewer.delays, strict=True) if begin < sent < end
    ]
    assert delays, "The first reply was over before the last one began: the machine is too busy to measure this."
    all_delays = [delay for viewer in served for delay in viewer.delays]
    complete = sum(viewer.is_complete for viewer in seen)
    what = f"model's chunk → viewer with {len(served)} streams at a time"
    return [
        at_most(f"{what}, p95", quantile(delays, 0.95), 0.060),
        noted(f"{what}, p50", quantile(delays, 0.5)),
        noted("the same while they begin and end, p95", quantile(all_delays, 0.95)),
        noted("`POST` → the model meanwhile, p50", quantile([viewer.asked_after for viewer in served], 0.5)),
        counted("replies of these that are complete", complete, len(seen)),
        ("memory for each of these runs and its viewer, at most", f"{memory / len(seen):.0f} kB", "", "", "", ""),
    ]


async def _plain_request(client: httpx2.AsyncClient) -> float:
    started = time.monotonic()
    response = await client.post("/json/2/res.users/context_get", json={})
    response.raise_for_status()
    return time.monotonic() - started


async def _later(live: LiveServer, channel: int, after: float) -> Seen:
    await asyncio.sleep(after)
    return await viewers.post(live.url, live.admin.api_key, channel)
