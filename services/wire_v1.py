"""Events as the frames of the public stream, and back: the contract's table, once.

It maps and never decides. What an event cannot carry through JSON or PostgreSQL's jsonb (NUL, lone surrogates, NaN,
bottomless nesting) is replaced so that people see it. Framing and ids are `sse`'s; seq and storage are `journal`'s.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .events import (
    ApprovalRequested,
    Chunk,
    Event,
    Failed,
    Notice,
    Progress,
    Reasoning,
    Restart,
    RoundEnded,
    RunFinished,
    RunStarted,
    ToolCallFinished,
    ToolCallStarted,
)
from .messages import Usage
from .states import RunState, ToolCallState

MAX_DEPTH = 64  # levels of `args`; PostgreSQL and Python's json both have a limit, and neither fails politely
REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Frame:
    """How one class of events looks on the wire; keys are named like the event's attributes."""

    type: str
    keys: tuple[str, ...]
    optional: tuple[str, ...] = ()  # left out where None or False
    derived: tuple[str, ...] = ()  # for readers; `decode` does not need them
    constants: Mapping[str, Any] = field(default_factory=dict)


_FRAMES: dict[type, _Frame] = {
    RunStarted: _Frame("run", ("run_id", "state")),
    Chunk: _Frame("chunk", ("content",), constants={"done": False}),
    Reasoning: _Frame("reasoning", ("content",)),
    ToolCallStarted: _Frame(
        "tool_call", ("tool", "args", "id", "server", "state", "round", "timestamp"), optional=("raw_args",)
    ),
    ApprovalRequested: _Frame("approval", ("tool", "args", "id")),
    Progress: _Frame("progress", ("id", "progress"), optional=("total", "message")),
    ToolCallFinished: _Frame(
        "tool_result",
        ("tool", "result", "id", "state", "duration_ms", "timestamp"),
        optional=("truncated", "args"),
        derived=("is_error",),
    ),
    RoundEnded: _Frame("step", ("round", "finish_reason")),
    Restart: _Frame("restart", ("round",)),
    Notice: _Frame("notice", ("code", "message")),
    Failed: _Frame("error", ("code", "message")),
    RunFinished: _Frame("done", ("message_id", "run_id", "state", "usage", "rounds"), constants={"done": True}),
}
_CLASSES = {frame.type: cls for cls, frame in _FRAMES.items()}
_STATES = {"run": RunState, "done": RunState, "tool_call": ToolCallState, "tool_result": ToolCallState}


def encode(event: Event) -> Payload:
    """The frame of `event`: a dict that is valid JSON, and that jsonb stores and returns unchanged."""
    frame = _FRAMES[type(event)]
    payload: Payload = {"type": frame.type}
    for key in (*frame.keys, *frame.derived):
        payload[key] = storable(getattr(event, key))
    for key in frame.optional:
        value = getattr(event, key)
        if value is not None and value is not False:
            payload[key] = storable(value)
    payload.update(frame.constants)
    return payload


def decode(payload: Mapping[str, Any]) -> Event:
    """The inverse of `encode`. Keys that this version does not know are ignored.

    Raises:
        ValueError: it is not the frame of any event, or one of its keys is missing or has another value than it may.
    """
    kind = payload.get("type")
    if kind not in _CLASSES:
        raise ValueError(f"{kind!r} is not the type of a frame; expected one of {', '.join(_CLASSES)}.")
    cls = _CLASSES[kind]
    frame = _FRAMES[cls]
    missing = [key for key in frame.keys if key not in payload]
    if missing:
        raise ValueError(f"A frame of type '{kind}' lacks {', '.join(missing)}.")
    values = {key: payload[key] for key in (*frame.keys, *frame.optional) if key in payload}
    if "state" in values:
        values["state"] = _STATES[kind](values["state"])
    if "usage" in values:
        values["usage"] = Usage(**{key: values["usage"].get(key, 0) for key in Usage().as_dict()})
    return cls(**values)


def in_order(payload: Mapping[str, Any]) -> Payload:
    """`payload` with its keys as the contract lists them: people read `type` first, and jsonb forgets the order."""
    frame = _FRAMES[_CLASSES[payload["type"]]]
    order = ("type", *frame.keys, *frame.derived, *frame.optional, *frame.constants)
    return {key: payload[key] for key in order if key in payload}


class _Row(NamedTuple):
    round: int
    seq: int
    payload: Mapping[str, Any]


def without_void(payloads: Iterable[tuple[int, Mapping[str, Any]]]) -> list[tuple[int, Mapping[str, Any]]]:
    """What a replay from the beginning shows of `(seq, payload)` pairs: no `restart`, and nothing that one voids.

    A `restart` of round N voids what came before it of round N, and of any later one. A row belongs to
    - the round that it names: `tool_call`, `step`;
    - the round of its call, by `id`: `approval`, `progress`, `tool_result`. Results come after their round's `step`,
      and a `restart` of the next round must not take them away;
    - otherwise the open round: `chunk`, `reasoning`. Round 1 is open first, the `step` of N opens N + 1, and a
      `restart` of N opens N.
    `run`, `notice`, `error` and `done` are about the whole run and never void.
    """
    rows: list[_Row] = []
    open_round = 1
    round_of_call: dict[str, int] = {}
    for seq, payload in payloads:
        match payload["type"]:
            case "restart":
                open_round = payload["round"]
                rows = [row for row in rows if row.round < open_round]
                continue
            case "run" | "notice" | "error" | "done":
                round_ = 0
            case "tool_call":
                round_ = round_of_call[payload["id"]] = payload["round"]
            case "approval" | "progress" | "tool_result":
                round_ = round_of_call.get(payload["id"], open_round)
            case "step":
                round_ = payload["round"]
                open_round = round_ + 1
            case _:
                round_ = open_round
        rows.append(_Row(round_, seq, payload))
    return [(row.seq, row.payload) for row in rows]


def storable(value: Any, depth: int = 0) -> Any:
    """`value` as JSON that jsonb stores and returns unchanged."""
    match value:
        case str():
            return storable_text(value)
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float():
            return value
        case Usage():
            return value.as_dict()
        case _ if depth >= MAX_DEPTH:
            return "… (nested too deeply)"
        case Mapping():
            return {storable_text(str(key)): storable(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [storable(item, depth + 1) for item in value]
        case _:
            return storable_text(str(value))


def storable_text(text: str) -> str:
    """`text` as PostgreSQL and UTF-8 can store it: NUL and lone surrogates become U+FFFD, pairs of them a character."""
    if not _UNSTORABLE.search(text):
        return str(text)  # a plain `str` also where it was an enum's member
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\0", REPLACEMENT)
