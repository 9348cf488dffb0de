"""A model in a process of its own, so that its work is on no other's clock: `python -m bench.model`.

It does what its name in a request says: `60@0.05` streams 60 chunks, one every 0.05 s (with 0, as fast as it can). A
chunk's text is the moment at which it left; the first chunk's begins with the moment at which the request came. Both
are in nanoseconds of the clock that all processes of a machine share.
"""

import asyncio
import json
import re
import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CHUNK = {"id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "paced"}


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
    count, _, pause = name.partition("@")
    pause_s = float(pause)
    writer.write(HEAD)
    for number in range(int(count)):
        if pause_s and number:
            await asyncio.sleep(pause_s)
        _write(writer, f"{'' if number else f'{asked_at} '}{time.monotonic_ns()} ")
        await writer.drain()
    _write(writer, "", "stop")
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await writer.drain()


def _write(writer: asyncio.StreamWriter, text: str, finish_reason: str | None = None) -> None:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish_reason}
    frame = b"data: %b\n\n" % json.dumps({**CHUNK, "choices": [choice]}).encode()
    writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))


if __name__ == "__main__":
    asyncio.run(main())
