"""People who watch replies, many of them in one process: by hand, because a hundred of an HTTP client's streams cost a
processor. `python -m bench.viewers <url> <key> <channel> …` attaches one to each channel's newest reply, and says when
all are there, when all of the replies have begun, and how many were complete.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE_S = 240.0
ATTACHING = 10  # viewers that come at the same time
POLL_S = 0.05


@dataclass
class Seen:
    """What one viewer has seen, in seconds; moments are of the clock that all processes share."""

    refused: bool = False  # the server said that it was busy
    is_attached: bool = False  # the run's first frame has come
    attached_after: float = 0.0  # from the request to that
    is_complete: bool = False  # the run is done, and no frame was missing or came twice
    asked_after: float = 0.0  # from the request to the model's
    sent: list[float] = field(default_factory=list)  # when each chunk left the model
    delays: list[float] = field(default_factory=list)  # how long each was on its way


async def post(url: str, key: str, channel: int) -> Seen:
    """Post a message and watch the reply."""
    seen, asked_at = Seen(), time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        status, reader, writer = await _request(url, key, channel, "POST", b'{"message": "Go"}')
        with closing(writer):
            if b" 503 " in status:
                seen.refused = True
            else:
                assert b" 200 " in status, status
                await _read(reader, asked_at, seen)
    return seen


async def attach(url: str, key: str, channel: int) -> Seen:
    """Watch the newest reply of a channel."""
    seen = Seen()
    await _attach(url, key, channel, seen, asyncio.Semaphore())
    return seen


async def _attach(url: str, key: str, channel: int, seen: Seen, turns: asyncio.Semaphore) -> None:
    asked_at = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        async with turns:
            status, reader, writer = await _request(url, key, channel, "GET", b"")
        with closing(writer):
            assert b" 200 " in status, status
            await _read(reader, asked_at, seen)


async def _request(
    url: str, key: str, channel: int, method: str, body: bytes
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request and return its status line, and the connection from which the response is to be read."""
    address = urlsplit(url)
    head = (
        f"{method} /api/ai/stream/{channel} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head.encode() + body)
    return await reader.readline(), reader, writer


async def _read(reader: asyncio.StreamReader, asked_at: float, seen: Seen) -> None:
    seqs: list[int] = []
    async for line in reader:
        if line.startswith(b"id: "):
            seqs.append(int(line.rpartition(b"-")[2]))
            if not seen.is_attached:
                seen.is_attached, seen.attached_after = True, time.monotonic() - asked_at
        elif line.startswith(b"data: "):
            now = time.monotonic()
            frame = json.loads(line[6:])
            assert frame["type"] != "error", frame
            if frame["type"] == "chunk":
                _note(frame["content"], now, asked_at, seen)
            elif frame["type"] == "done":
                seen.is_complete = frame["state"] == "done" and seqs == list(range(1, len(seqs) + 1))
    assert seen.delays, "Nothing came."


def _note(text: str, now: float, asked_at: float, seen: Seen) -> None:
    moments = [int(word) / 1e9 for word in text.split()]
    if not seen.sent:
        seen.asked_after = moments.pop(0) - asked_at
    seen.sent += moments
    seen.delays += [now - sent_at for sent_at in moments]


async def attach_all(url: str, key: str, channels: Sequence[int], seen: Sequence[Seen]) -> None:
    """Have a viewer of the newest reply in each channel, and return when all of them are served."""
    turns = asyncio.Semaphore(ATTACHING)
    async with asyncio.TaskGroup() as group:
        for channel, one in zip(channels, seen, strict=True):
            group.create_task(_attach(url, key, channel, one, turns))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what other processes do sets no event of ours
            await asyncio.sleep(POLL_S)


async def _main(url: str, key: str, channels: Sequence[int]) -> None:
    seen = [Seen() for _channel in channels]
    watching = asyncio.create_task(attach_all(url, key, channels, seen))
    await until(lambda: all(one.is_attached for one in seen))
    print("ATTACHED", flush=True)
    await until(lambda: all(one.sent for one in seen))
    print("SPEAKING", flush=True)
    await watching
    print("COMPLETE", sum(one.is_complete for one in seen), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:3], [int(channel) for channel in sys.argv[3:]]))
