"""Every event as its frame, letter by letter; and what a replay from the beginning shows."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events import (
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
from services.messages import Usage
from services.states import TOOL_CALL_ENDS, RunState, ToolCallState
from services.wire_v1 import MAX_DEPTH, decode, encode, in_order, without_void

FRAMES = [
    (RunStarted(12, RunState.RUNNING), {"type": "run", "run_id": 12, "state": "running"}),
    (Chunk("Hello"), {"type": "chunk", "content": "Hello", "done": False}),
    (Reasoning("Hm"), {"type": "reasoning", "content": "Hm"}),
    (
        ToolCallStarted("a", "get.time", "Clock", {"tz": "UTC"}, ToolCallState.PENDING, 1, 1_700_000_000_000),
        {
            "type": "tool_call", "tool": "get.time", "args": {"tz": "UTC"}, "id": "a", "server": "Clock",
            "state": "pending", "round": 1, "timestamp": 1_700_000_000_000,
        },
    ),
    (
        ToolCallStarted("a", "get.time", "Clock", {}, ToolCallState.PENDING, 1, 5, raw_args='{"tz": '),
        {
            "type": "tool_call", "tool": "get.time", "args": {}, "id": "a", "server": "Clock",
            "state": "pending", "round": 1, "timestamp": 5, "raw_args": '{"tz": ',
        },
    ),
    (ApprovalRequested("a", "drop", {"n": 1}), {"type": "approval", "tool": "drop", "args": {"n": 1}, "id": "a"}),
    (Progress("a", 0.5), {"type": "progress", "id": "a", "progress": 0.5}),
    (
        Progress("a", 1, 4, "one of four"),
        {"type": "progress", "id": "a", "progress": 1, "total": 4, "message": "one of four"},
    ),
    (
        ToolCallFinished("a", "get.time", "12:00", ToolCallState.DONE, 7, 5),
        {
            "type": "tool_result", "tool": "get.time", "result": "12:00", "id": "a", "state": "done",
            "is_error": False, "duration_ms": 7, "timestamp": 5,
        },
    ),
    (
        ToolCallFinished("a", "get.time", "no", ToolCallState.DENIED, 0, 5, truncated=True),
        {
            "type": "tool_result", "tool": "get.time", "result": "no", "id": "a", "state": "denied",
            "is_error": True, "duration_ms": 0, "timestamp": 5, "truncated": True,
        },
    ),
    (
        ToolCallFinished("a", "add", "5", ToolCallState.DONE, 7, 5, args={"a": 2}),
        {
            "type": "tool_result", "tool": "add", "result": "5", "id": "a", "state": "done",
            "is_error": False, "duration_ms": 7, "timestamp": 5, "args": {"a": 2},
        },
    ),
    (RoundEnded(2, "tool_calls"), {"type": "step", "round": 2, "finish_reason": "tool_calls"}),
    (Restart(2), {"type": "restart", "round": 2}),
    (Notice("history_trimmed", "Long."), {"type": "notice", "code": "history_trimmed", "message": "Long."}),
    (Failed("model_timeout", "Slow."), {"type": "error", "code": "model_timeout", "message": "Slow."}),
    (
        RunFinished(12, None, RunState.ERROR, 1),
        {
            "type": "done", "message_id": None, "done": True, "run_id": 12, "state": "error", "rounds": 1,
            "usage": {"input_tokens": 0, "output_tokens": 0, "cached_tokens": 0},
        },
    ),
    (
        RunFinished(12, 99, RunState.DONE, 3, Usage(10, 20, 5)),
        {
            "type": "done", "message_id": 99, "done": True, "run_id": 12, "state": "done", "rounds": 3,
            "usage": {"input_tokens": 10, "output_tokens": 20, "cached_tokens": 5},
        },
    ),
]


@pytest.mark.parametrize(("event", "frame"), FRAMES)
def test_an_event_has_exactly_the_keys_of_the_contract(event, frame):
    assert encode(event) == frame
    assert decode(frame) == event


def test_every_kind_of_event_has_a_frame():
    assert {type(event) for event, _frame in FRAMES} == set(get_args(Event))


def test_a_frame_is_made_of_plain_values_only():
    types = {type(value) for event, _frame in FRAMES for value in encode(event).values()}
    assert types <= {str, int, float, bool, dict, type(None)}


# -- what cannot be stored


def test_q28_what_postgresql_cannot_store_is_replaced_visibly_wherever_it_is():
    event = ToolCallStarted(
        "a\0", "t\0", "s\0", {"k\0": ["\0", {"x": "\ud800"}]}, ToolCallState.PENDING, 1, 5, raw_args="\0"
    )
    assert encode(event) == {
        "type": "tool_call", "tool": "t\ufffd", "args": {"k\ufffd": ["\ufffd", {"x": "\ufffd"}]}, "id": "a\ufffd",
        "server": "s\ufffd", "state": "pending", "round": 1, "timestamp": 5, "raw_args": "\ufffd",
    }


def test_q27_the_halves_of_a_character_are_joined():
    assert encode(Chunk("\ud83d\ude00"))["content"] == "\U0001f600"


def test_q28_numbers_that_json_does_not_have_become_text():
    args = {"a": float("nan"), "b": [float("inf"), -float("inf")]}
    assert encode(ApprovalRequested("a", "t", args))["args"] == {"a": "nan", "b": ["inf", "-inf"]}


def test_q28_bottomless_arguments_are_cut_off_visibly():
    args: dict = {}
    for _ in range(100_000):
        args = {"a": args}
    text = json.dumps(encode(ApprovalRequested("a", "t", args)))
    assert text.count('"a": {') == MAX_DEPTH - 1 and "nested too deeply" in text


def test_q28_quotes_tags_and_line_breaks_are_untouched():
    text = 'He said "no"\r\n\ndata: {"type":"done"}\n</script>\u2028\u2029\t\\'
    assert encode(Chunk(text))["content"] == text


# -- reading frames


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ({}, "None is not the type of a frame"),
        ({"type": "chunks"}, "'chunks' is not the type of a frame"),
        ({"type": "step", "round": 1}, "type 'step' lacks finish_reason"),
        ({"type": "run", "run_id": 1, "state": "flying"}, "'flying' is not a valid RunState"),
    ],
)
def test_what_is_no_frame_is_refused(payload, complaint):
    with pytest.raises(ValueError, match=complaint):
        decode(payload)


def test_keys_of_a_later_version_are_ignored():
    assert decode({"type": "chunk", "content": "Hi", "done": False, "colour": "red"}) == Chunk("Hi")


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
small = st.integers(0, 2**53)
number = st.floats(allow_nan=False, allow_infinity=False) | small
json_value = st.recursive(
    st.none() | st.booleans() | number | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=5,
)
args = st.dictionaries(text, json_value, max_size=3)
usage = st.builds(Usage, small, small, small)
events = (
    st.builds(RunStarted, small, st.sampled_from(RunState))
    | st.builds(Chunk, text)
    | st.builds(Reasoning, text)
    | st.builds(
        ToolCallStarted, text, text, text, args, st.sampled_from(ToolCallState), small, small, st.none() | text
    )
    | st.builds(ApprovalRequested, text, text, args)
    | st.builds(Progress, text, number, st.none() | number, st.none() | text)
    | st.builds(
        ToolCallFinished, text, text, text, st.sampled_from(sorted(TOOL_CALL_ENDS)), small, small, st.booleans()
    )
    | st.builds(RoundEnded, small, text)
    | st.builds(Restart, small)
    | st.builds(Notice, text, text)
    | st.builds(Failed, text, text)
    | st.builds(RunFinished, small, st.none() | small, st.sampled_from(RunState), small, usage)
)


@given(events)
def test_any_event_survives_the_way_through_json_and_back(event):
    assert decode(json.loads(json.dumps(encode(event), allow_nan=False))) == event


@given(st.text(), st.recursive(st.text() | st.floats(), st.lists))
def test_q28_any_text_can_be_encoded_as_utf8_without_nul(content, value):
    frame = encode(ApprovalRequested(content, content, {content: value}))
    json.dumps(frame, ensure_ascii=False, allow_nan=False).encode()
    assert "\\u0000" not in json.dumps(frame)


# -- replays


def shown(*events: Event) -> list[Event]:
    return [decode(payload) for _seq, payload in without_void(enumerate(map(encode, events), 1))]


def call(call_id: str, round: int) -> ToolCallStarted:
    return ToolCallStarted(call_id, "t", "s", {}, ToolCallState.PENDING, round, 5)


def result(call_id: str) -> ToolCallFinished:
    return ToolCallFinished(call_id, "t", "ok", ToolCallState.DONE, 1, 5)


START, STEP_1, STEP_2 = RunStarted(1, RunState.RUNNING), RoundEnded(1, "tool_calls"), RoundEnded(2, "stop")
END = RunFinished(1, 5, RunState.DONE, 2)


def test_a_replay_of_a_run_without_a_restart_shows_everything():
    events = [START, Chunk("a"), call("c", 1), STEP_1, Progress("c", 1), result("c"), Chunk("b"), STEP_2, END]
    assert shown(*events) == events


def test_a_replay_omits_a_restart_and_what_it_voids():
    assert shown(START, Reasoning("h"), Chunk("Hel"), call("x", 1), Restart(1), Chunk("Hello"), STEP_1, END) == [
        START, Chunk("Hello"), STEP_1, END,
    ]


def test_what_belongs_to_earlier_rounds_is_not_void_even_where_it_came_late():
    first = [START, Chunk("a"), call("c", 1), ApprovalRequested("c", "t", {}), STEP_1]
    assert shown(*first, Chunk("half"), result("c"), Restart(2), Chunk("b"), STEP_2, END) == [
        *first, result("c"), Chunk("b"), STEP_2, END,
    ]


def test_a_call_that_is_announced_late_belongs_to_the_round_that_it_names():
    assert shown(START, STEP_1, call("c", 1), Chunk("half"), Restart(2), result("c"), Chunk("b"), END) == [
        START, STEP_1, call("c", 1), result("c"), Chunk("b"), END,
    ]


def test_news_of_the_run_itself_are_never_void():
    notice, failed = Notice("server_unreachable", "Clock"), Failed("model_timeout", "Slow.")
    assert shown(START, notice, Chunk("half"), Restart(1), failed, END) == [START, notice, failed, END]


def test_a_round_may_start_again_more_than_once():
    assert shown(START, Chunk("a"), Restart(1), Chunk("b"), Restart(1), Chunk("c"), STEP_1, END) == [
        START, Chunk("c"), STEP_1, END,
    ]


def test_seqs_stay_with_their_payloads():
    payloads = list(enumerate(map(encode, [START, Chunk("a"), Restart(1), Chunk("b")]), 1))
    assert list(without_void(payloads)) == [payloads[0], payloads[3]]
    assert list(without_void(iter(payloads))) == [payloads[0], payloads[3]]


def test_a_frame_that_came_out_of_the_database_is_read_in_the_contracts_order():
    payload = encode(Chunk("Hi"))
    shuffled = dict(sorted(payload.items()))
    assert list(shuffled) == ["content", "done", "type"]
    assert in_order(shuffled) == payload
    assert list(in_order(shuffled)) == ["type", "content", "done"]
