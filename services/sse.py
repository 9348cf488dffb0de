"""Server-sent events as bytes: one frame per payload, and the id that lets a client resume. Knows nothing of events."""

import json
import re
from collections.abc import Mapping
from typing import Any

PING = b": ping\n\n"  # a comment: keeps proxies from closing a silent connection, and clients don't see it
MAX_ID = 2**31 - 1  # PostgreSQL's integer
_EVENT_ID = re.compile(r"([0-9]{1,10})-([0-9]{1,10})", re.ASCII)


def frame(run_id: int, seq: int, payload: Mapping[str, Any]) -> bytes:
    """A frame that a client can resume after."""
    return f"id: {run_id}-{seq}\n".encode("ascii") + frame_without_id(payload)


def frame_without_id(payload: Mapping[str, Any]) -> bytes:
    """A frame. Its JSON is ASCII: no line break of Unicode ends the line early, no read can split a character."""
    data = json.dumps(payload, ensure_ascii=True, separators=(",", ":"))
    return f"data: {data}\n\n".encode("ascii")


def parse_last_event_id(text: str) -> tuple[int, int]:
    """The run and the seq that a `Last-Event-ID` names.

    Raises:
        ValueError: it is not an id that `frame` made.
    """
    match = _EVENT_ID.fullmatch(text.strip())
    run_id, seq = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= run_id <= MAX_ID or seq > MAX_ID:
        raise ValueError("Last-Event-ID must be the id of a frame of this stream, such as '12-3' (run 12, frame 3).")
    return run_id, seq
