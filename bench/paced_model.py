"""A model that talks at an even pace, and says nothing but when it said it: `python -m bench.paced_model --port N`.

Its first word is the time at which the request came, each further one the time at which it is sent; both in nanoseconds
of the clock that all processes of a machine share.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from dev import demo_peer

CHUNKS_PER_SECOND = 20.0
CHUNKS = 60


def main() -> None:
    options = demo_peer.arguments(__doc__.splitlines()[0]).parse_args()
    app = Starlette(routes=[Route("/v1/chat/completions", _answer, methods=["POST"])])
    demo_peer.serve(app, options.port, "/v1")


async def _answer(request: Request) -> StreamingResponse:
    return StreamingResponse(_words(time.monotonic_ns()), media_type="text/event-stream")


async def _words(asked_at: int) -> AsyncIterator[str]:
    yield _frame({"content": f"{asked_at} "})
    for _ in range(CHUNKS):
        await asyncio.sleep(1 / CHUNKS_PER_SECOND)
        yield _frame({"content": f"{time.monotonic_ns()} "})
    yield _frame({}, "stop")
    yield "data: [DONE]\n\n"


def _frame(delta: dict[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"id": "paced", "object": "chat.completion.chunk", "created": 0, "model": "paced", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"


if __name__ == "__main__":
    main()
