"""A reader of the public stream that holds every byte against the contract and tolerates nothing.

It knows nothing of the addon: what it expects is written here once more, on purpose.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import httpx2

PATIENCE = httpx2.Timeout(20.0)  # seconds without a byte before a test fails
FRAME = re.compile(rb"id: ([1-9][0-9]*)-([1-9][0-9]*)\ndata: (\{[^\r\n]*\})", re.ASCII)
PING = b": ping"

# The keys of every frame, by its type: those that are always there, and those that may be.
KEYS = {
    "run": ({"run_id", "state"}, set()),
    "chunk": ({"content", "done"}, set()),
    "reasoning": ({"content"}, set()),
    "tool_call": ({"tool", "args", "id", "server", "state", "round", "timestamp"}, {"raw_args"}),
    "approval": ({"tool", "args", "id"}, set()),
    "progress": ({"id", "progress"}, {"total", "message"}),
    "tool_result": (
        {"tool", "result", "id", "state", "is_error", "duration_ms", "timestamp"}, {"args", "truncated"},
    ),
    "step": ({"round", "finish_reason"}, set()),
    "restart": ({"round"}, set()),
    "notice": ({"code", "message"}, set()),
    "error": ({"code", "message"}, set()),
    "done": ({"message_id", "done", "run_id", "state", "usage", "rounds"}, set()),
}


class Frame(NamedTuple):
    run_id: int
    seq: int
    payload: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.run_id}-{self.seq}"

    @property
    def type(self) -> str:
        return self.payload["type"]


class Stream:
    """A response that is being read, block by block as they come. A context manager; leaving it disconnects."""

    def __init__(self, client: httpx2.Client, method: str, url: str, **options: Any):
        self._context = client.stream(method, url, **options)
        self.pings = 0
        self.raw = b""

    def __enter__(self) -> Self:
        self.response = self._context.__enter__()
        self._blocks = self._read_blocks()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._context.__exit__(*exc_info)

    def next_block(self) -> bytes | None:
        """The next frame or comment as it came over the wire, without its blank line; None at the end."""
        return next(self._blocks, None)

    def frames(self) -> Iterator[Frame]:
        """The frames as they come, until the response ends."""
        while (block := self.next_block()) is not None:
            if block == PING:
                self.pings += 1
                continue
            yield parse_frame(block)

    def until(self, type_: str) -> list[Frame]:
        """The frames up to the next one of that type, included."""
        seen = []
        for frame in self.frames():
            seen.append(frame)
            if frame.type == type_:
                return seen
        raise AssertionError(f"The stream ended without '{type_}': {[frame.type for frame in seen]}")

    def rest(self) -> list[Frame]:
        """All frames until the response ends."""
        return list(self.frames())

    def _read_blocks(self) -> Iterator[bytes]:
        pending = b""
        for data in self.response.iter_raw():
            self.raw += data
            *blocks, pending = (pending + data).split(b"\n\n")
            yield from blocks
        assert not pending, f"The stream ended in the middle of a frame: {pending!r}"


def parse_frame(block: bytes) -> Frame:
    """A frame, with nothing missing, nothing more, and every byte in its place."""
    match = FRAME.fullmatch(block)
    assert match, f"This is no frame of the contract: {block!r}"
    frame = Frame(int(match[1]), int(match[2]), json.loads(match[3]))
    required, optional = KEYS[frame.type]
    keys = frame.payload.keys() - {"type"}
    assert required <= keys <= required | optional, f"These are not the keys of '{frame.type}': {keys}"
    return frame


def check_complete(frames: list[Frame]) -> None:
    """These are all frames of one run: `run` first, exactly one `done` and it is last, ids rising, calls paired."""
    types = [frame.type for frame in frames]
    assert types[0] == "run"
    assert types.count("run") == types.count("done") == 1
    assert types[-1] == "done"
    assert {frame.run_id for frame in frames} == {frames[-1].payload["run_id"]}
    seqs = [frame.seq for frame in frames]
    assert seqs == sorted(set(seqs))
    for index, frame in enumerate(frames):
        if frame.type == "tool_call":
            results = [i for i, other in enumerate(frames)
                       if other.type == "tool_result" and other.payload["id"] == frame.payload["id"]]
            assert len(results) == 1 and results[0] > index
    assert types.count("tool_result") == types.count("tool_call")


def text_of(frames: list[Frame]) -> str:
    """What the assistant said."""
    return "".join(frame.payload["content"] for frame in frames if frame.type == "chunk")
