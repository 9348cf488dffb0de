"""A model in a process of its own, so that its work is on no other's clock: `python -m bench.model`.

It does what its name in a request says: `60@0.05` streams 60 chunks, one every 0.05 s (with 0, as fast as it can);
`60@0.5,40@0.25` speaks faster after a while; `60@0.5*1000` waits until 1,000 have asked, and then begins with each of
them at a moment of its own within the first 0.5 s. A chunk's text is the moment at which it left; the first chunk's
begins with the moment at which the request came. Both are in nanoseconds of the clock that all processes of a machine
share.
"""

import asyncio
import itertools
import json
import random
import re
import time
from collections.abc import Iterator

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CHUNK = {"id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "paced"}

_crowds: dict[str, asyncio.Barrier] = {}  # those that wait for each other, by the name that they have called


async def main() -> None:
    server = await asyncio.start_server(_answer_all, "127.0.0.1", 0, backlog=1024)
    print(f"READY http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


async def _answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(LENGTH.search(head)[1]))
            await _answer(writer, json.loads(body)["model"], time.monotonic_ns())
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _answer(writer: asyncio.StreamWriter, name: str, asked_at: int) -> None:
    speech, _, crowd = name.partition("*")
    pauses = list(_pauses(speech))
    writer.write(HEAD)
    if crowd:
        await _together(name, int(crowd))
        await asyncio.sleep(random.uniform(0, pauses[0]))
    clock = asyncio.get_running_loop().time
    due = clock()
    for number, pause in enumerate(pauses):
        if pause and number:
            due += pause
            await asyncio.sleep(due - clock())
        _write(writer, f"{'' if number else f'{asked_at} '}{time.monotonic_ns()} ")
        await writer.drain()
    _write(writer, "", "stop")
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await writer.drain()


def _pauses(speech: str) -> Iterator[float]:
    """The pause before each chunk."""
    for part in speech.split(","):
        count, _, pause = part.partition("@")
        yield from itertools.repeat(float(pause), int(count))


async def _together(name: str, count: int) -> None:
    await _crowds.setdefault(name, asyncio.Barrier(count)).wait()


def _write(writer: asyncio.StreamWriter, text: str, finish_reason: str | None = None) -> None:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish_reason}
    frame = b"data: %b\n\n" % json.dumps({**CHUNK, "choices": [choice]}).encode()
    writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))


if __name__ == "__main__":
    asyncio.run(main())
