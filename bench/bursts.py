"""Many new streams a second through the gevent process: posted, and attached to. Nobody may be refused."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import httpx2

from bench import START_PATIENCE_S, Table, peer
from bench.figures import COLUMNS, children, command, counted, none, noted, processor_seconds, quantile
from bench.viewers import Seen, attach, post
from tests.live import LiveBase, LiveServer

PER_SECOND = 50
SECONDS = 10
SPEECH = "5@0.2"  # what each reply is: so many chunks, and the pause before each
DEPLOYED = {"server_wide_modules": "base,rpc,web,ai_discuss"}  # docs/deployment.md


def measure(base: LiveBase) -> Table:
    with peer("bench.model", base.logs) as url, base.new_server(workers=2, options=DEPLOYED) as live:
        channels = _channels(live, url)
        httpx2.get(f"{live.gevent_url}/web/login", timeout=START_PATIENCE_S)  # it loads what it needs
        gevent = [pid for pid in children(live.pid) if "gevent" in command(pid)]
        worked = [processor_seconds(gevent)]
        posted = asyncio.run(_burst(post, live, channels))
        worked.append(processor_seconds(gevent))
        attached = asyncio.run(_burst(attach, live, channels))
        worked.append(processor_seconds(gevent))
        answered = live.sql("SELECT count(*) FROM ai_run WHERE state = 'done'")[0][0]
        asked = live.sql("SELECT count(*) FROM ai_run")[0][0]
    rows = [
        *_rows("posted", posted, len(channels), worked[1] - worked[0]),
        none("messages posted without an answer", asked - answered),
        *_rows("attached to", attached, len(channels), worked[2] - worked[1]),
    ]
    return Table(f"Bursts: {PER_SECOND} new streams a second for {SECONDS} s", COLUMNS, tuple(rows))


def _channels(live: LiveServer, url: str) -> list[int]:
    provider = live.admin.create("ai.provider", name="Paced", base_url=url)
    assistant = live.admin.create("ai.assistant", name="Paced", provider_id=provider, model=SPEECH)
    count = PER_SECOND * SECONDS
    return [live.admin.call("ai.assistant", "open_chat", [assistant], new=True) for _ in range(count)]


async def _burst(
    begin: Callable[[str, str, int], Coroutine[None, None, Seen]], live: LiveServer, channels: Sequence[int]
) -> list[Seen | BaseException]:
    async def one(channel: int, start_after: float) -> Seen:
        await asyncio.sleep(start_after)
        return await begin(live.gevent_url, live.admin.api_key, channel)

    streams = [one(channel, number / PER_SECOND) for number, channel in enumerate(channels)]
    return await asyncio.gather(*streams, return_exceptions=True)


def _rows(what: str, seen: Sequence[Seen | BaseException], of: int, worked: float) -> list[tuple[str, ...]]:
    viewers = [one for one in seen if isinstance(one, Seen)]
    served = [one.attached_after for one in viewers if one.is_attached]
    return [
        counted(f"streams {what} that were complete", sum(one.is_complete for one in viewers), of),
        none(f"streams {what} that were refused", sum(one.refused for one in viewers)),
        none(f"streams {what} that failed otherwise", len(seen) - len(viewers)),
        noted(f"from the request to the first frame, {what}, p50", quantile(served, 0.5)),
        noted(f"from the request to the first frame, {what}, p95", quantile(served, 0.95)),
        noted(f"processor time of the gevent process for each stream {what}", worked / len(served)),
    ]
