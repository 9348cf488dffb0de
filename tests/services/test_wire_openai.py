"""Events as OpenAI's chunks: their shape, and what OpenAI's own client makes of them over a real socket."""

import asyncio

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

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
from services.sse import PING, frame_without_id
from services.states import TOOL_CALL_ENDS, RunState, ToolCallState
from services.wire_openai import DONE, STATE_NAMES, Encoder
from tests.fakes import model_server

START = RunStarted(1, RunState.RUNNING)
CALL = ToolCallStarted("a", "get.time", "Clock", {"tz": "UTC"}, ToolCallState.PENDING, 1, 1_700_000_000_000)
RESULT = ToolCallFinished("a", "get.time", "12:00", ToolCallState.DONE, 7, 1_700_000_000_007)
END = RunFinished(1, 5, RunState.DONE, 2, Usage(10, 20, 5))
RUN = (START, CALL, RoundEnded(1, "tool_calls"), RESULT, Chunk("It is "), Chunk("noon."), RoundEnded(2, "stop"), END)


def frames(*events: Event, include_usage: bool = False) -> list[dict]:
    encoder = Encoder("chatcmpl-1", "aria", 1_700_000_000, include_usage, clock=lambda: 42)
    return [frame for event in events for frame in encoder.encode(event)]


def base(delta: dict | None = None, finish_reason: str | None = None) -> dict:
    return {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "aria",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish_reason}],
    }


def test_an_answer_is_a_role_its_text_and_a_reason():
    assert frames(START, Chunk("Hel"), Chunk("lo"), RoundEnded(1, "stop"), END) == [
        base({"role": "assistant", "content": ""}), base({"content": "Hel"}), base({"content": "lo"}), base({}, "stop"),
    ]


def test_a_call_is_a_start_and_an_end():
    assert frames(CALL, RESULT) == [
        base() | {
            "event": "tool:start", "tool_call_id": "a", "tool_name": "get.time", "state": "Pending",
            "timestamp": 1_700_000_000_000,
        },
        base() | {
            "event": "tool:end", "tool_call_id": "a", "tool_name": "get.time", "state": "Completed", "duration_ms": 7,
            "timestamp": 1_700_000_000_007,
        },
    ]


@pytest.mark.parametrize(("state", "name"), [("error", "Failed"), ("denied", "Denied"), ("cancelled", "Sealed")])
def test_a_call_that_did_not_work_ends_in_an_error_that_says_why(state, name):
    assert frames(ToolCallFinished("a", "get.time", "No such zone", ToolCallState(state), 7, 9)) == [
        base() | {
            "event": "tool:error", "tool_call_id": "a", "tool_name": "get.time", "state": name, "duration_ms": 7,
            "error": "No such zone", "timestamp": 9,
        },
    ]


def test_a_call_that_waits_for_a_decision_says_so():
    assert frames(ApprovalRequested("a", "drop", {})) == [
        base() | {
            "event": "tool:start", "tool_call_id": "a", "tool_name": "drop", "state": "ApprovalRequired",
            "timestamp": 42,
        },
    ]


def test_every_state_of_a_call_has_its_own_name_and_every_end_exactly_one_frame():
    assert set(STATE_NAMES) == set(ToolCallState) and len(set(STATE_NAMES.values())) == len(STATE_NAMES)
    ends = [frames(ToolCallFinished("a", "t", "", state, 0, 0)) for state in TOOL_CALL_ENDS]
    assert [len(end) for end in ends] == [1] * 4
    assert sorted(end[0]["event"] for end in ends) == ["tool:end"] + ["tool:error"] * 3


def test_what_the_format_has_no_words_for_is_left_out():
    assert frames(Notice("x", "y"), Progress("a", 1), Restart(1), RoundEnded(1, "tool_calls")) == []


@pytest.mark.parametrize(("reason", "said"), [("length", "length"), ("tool_calls", "stop"), ("eos", "stop")])
def test_the_last_round_says_why_the_answer_ends(reason, said):
    assert frames(RoundEnded(1, "length"), RoundEnded(2, reason), END)[-1]["choices"][0]["finish_reason"] == said


def test_an_error_is_the_end_and_no_finish_reason_follows():
    assert frames(Failed("model_timeout", "Slow."), RunFinished(1, 5, RunState.ERROR, 1)) == [
        {"error": {"message": "Slow.", "type": "server_error", "code": "model_timeout"}},
    ]


def test_usage_comes_last_and_only_where_it_was_asked_for():
    *others, last = frames(*RUN, include_usage=True)
    assert last["choices"] == [] and last["usage"] == {
        "prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "prompt_tokens_details": {"cached_tokens": 5},
    }
    assert all(frame["usage"] is None for frame in others)
    assert not any("usage" in frame for frame in frames(*RUN))


def read_with_the_sdk(*events: Event) -> list[ChatCompletionChunk]:
    """What OpenAI's client yields for a response that streams `events`."""
    body = b"".join(map(frame_without_id, frames(*events, include_usage=True)))

    async def read():
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="key", max_retries=0) as client:
            stream = await client.chat.completions.create(model="aria", messages=[], stream=True)
            return [chunk async for chunk in stream]

    with model_server.ModelServer() as server:
        server.script(model_server.sse(PING, body, DONE))
        return asyncio.run(read())


def test_openais_client_reads_the_stream_unchanged():
    chunks = read_with_the_sdk(START, Reasoning("Hm"), *RUN[1:])
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "It is noon."
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 30
    tool_events = [chunk.model_extra["event"] for chunk in chunks if "event" in chunk.model_extra]
    assert tool_events == ["tool:start", "tool:end"]


def test_openais_client_raises_what_the_run_failed_with():
    with pytest.raises(openai.APIError, match="Slow"):
        read_with_the_sdk(START, Chunk("Hel"), Failed("model_timeout", "Slow."), RunFinished(1, 5, RunState.ERROR, 1))
