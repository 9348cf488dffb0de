"""What providers refuse, break off, tear apart or send in place of an answer (docs/faults.md, 14 to 19, 23 to 28, 49):
over a real socket through the real SDK client into the loop."""

import asyncio
import json
import re
import time
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import llm_failures
from services.deltas import Accumulator
from services.errors import ModelEmpty, ModelRefused, ModelTimeout, ModelUnreachable
from services.events import Chunk, Notice, Reasoning, Restart
from services.history import StoredMessage, build
from services.journal import Journal
from services.llm import Models
from services.mcp_pool import McpPool
from services.messages import AssistantMessage, ToolCall, ToolMessage, ToolResult, Turn
from services.runner import Runner
from services.specs import ModelSpec, RunInputs
from services.sse import frame
from services.states import ToolCallState
from services.transcript import decode_turn, encode_turn
from services.wire_v1 import encode
from tests.fakes.conversation import QUESTION, Conversation
from tests.fakes.memory import LocalTools, MemoryStore
from tests.fakes.model_server import (
    Drop,
    ModelServer,
    Reply,
    Reset,
    call_delta,
    calls,
    chunk,
    delta,
    end,
    error,
    frame_bytes,
    hold,
    raw,
    sse,
    status,
    text,
)

TIME = ("get_time", {"n": 1})


@pytest.fixture(scope="module")
def shared_server():
    with ModelServer() as server:
        yield server


@pytest.fixture
def server():
    with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(llm_failures, "FIRST_DELAY_S", 0.0)


# Errors, silence and ends

FIRE = {"message": "The engine is on fire"}
ERRORS = {
    "object": {"error": {**FIRE, "type": "server_error"}}, "text": {"error": "The engine is on fire"},
    "flat": {"object": "error", **FIRE}, "beside no choices": {"error": FIRE, "choices": []},
    "beside null choices": {"error": FIRE, "choices": None}, "in a list": [{"error": FIRE}],
    "beside a choice": {"error": FIRE, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]},
}


@pytest.mark.parametrize("body", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain", "application/x-ndjson"])
def test_q14_a_success_whose_body_is_an_error_fails_visibly(server, body, kind):
    server.script(status(200, {"Content-Type": kind}, body))
    conversation = Conversation(server)
    assert isinstance(conversation.error, ModelRefused)
    assert "“The engine is on fire”" in conversation.error.message
    assert (conversation.text, len(conversation.requests)) == ("", 1)


@pytest.mark.parametrize("body", [*ERRORS.values(), {"error": {}}], ids=[*ERRORS, "empty"])
def test_q14_a_frame_that_is_an_error_fails_visibly_and_keeps_the_text(server, body):
    server.script(sse(delta(content="Half"), frame_bytes(json.dumps(body)), "[DONE]"))
    conversation = Conversation(server)
    assert isinstance(conversation.error, ModelRefused)
    assert "on fire" in conversation.error.message or body == {"error": {}}
    assert (conversation.text, conversation.of(Chunk), len(conversation.requests)) == ("Half", [Chunk("Half")], 1)


@pytest.mark.parametrize("said", ['{"message": "On fire"}', '{"error": {"message": "On fire"}}', "On fire"])
def test_q14_an_event_that_is_called_an_error_is_quoted(server, said):
    server.script(sse(delta(content="Half"), f"event: error\ndata: {said}\n\n".encode()))
    conversation = Conversation(server)
    assert (conversation.text, "“On fire”" in conversation.error.message) == ("Half", True)


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_q14_a_reason_that_is_no_end_is_an_error(server, reason):
    last = chunk([{"index": 0, "delta": {"content": " an answer"}, "finish_reason": reason}])
    for ending in ("[DONE]",), (), (Drop(),):
        server.script(sse(delta(content="Half"), last, *ending))
        conversation = Conversation(server)
        assert (conversation.text, reason in conversation.error.message) == ("Half an answer", True)
    server.script(sse(delta(role="assistant", content=""), end(reason), "[DONE]"), text("Noon."))
    assert Conversation(server).text == "Noon."


def test_q14_an_error_never_executes_the_calls_before_it(server):
    server.script(sse(call_delta(0, id="a", name="get_time", arguments='{"n": 1}'), {"error": FIRE}))
    conversation = Conversation(server)
    assert (conversation.called, type(conversation.error)) == ([], ModelRefused)


@pytest.mark.parametrize("noise", [
    chunk([]), chunk(None), {"id": "x", "object": "chat.completion.chunk"}, chunk([{"index": 0, "delta": None}]),
    chunk([{"index": 0, "finish_reason": None}]), chunk([{}]), {"error": None, "choices": []}, {},
], ids=["empty", "null", "absent", "delta null", "delta absent", "nothing", "error null", "empty frame"])
def test_q15_frames_without_a_delta_are_skipped(server, noise):
    server.script(sse(noise, delta(content="No"), noise, delta(content="on."), noise, end(), noise, "[DONE]"))
    conversation = Conversation(server)
    assert (conversation.text, conversation.error, len(conversation.requests)) == ("Noon.", None, 1)


@pytest.mark.parametrize("empty", [
    text(), sse("[DONE]"), sse(), sse(end("tool_calls"), "[DONE]"), status(200, body=chunk([])), status(200),
], ids=["no content", "only done", "no frame", "a reason", "no choice", "no body"])
def test_q16_an_empty_reply_is_asked_for_once_more_and_then_an_error(server, empty):
    server.script(empty, text("Noon."), empty, empty)
    assert Conversation(server).text == "Noon."
    conversation = Conversation(server)
    assert (type(conversation.error), len(conversation.requests)) == (ModelEmpty, 2)


def test_q16_an_empty_reply_after_results_does_not_repeat_their_calls(server):
    server.script(calls(("get_time", {"n": 1})), text(), text("Noon."))
    conversation = Conversation(server)
    assert (conversation.called, conversation.text, conversation.rounds) == ([TIME], "Noon.", 2)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_q17_reasoning_is_an_event_is_stored_and_goes_back_only_where_it_is_required(server, name):
    thoughtful = sse(delta(**{name: "Hm"}), delta(**{name: "m."}), *calls(("get_time", {"n": 1}, "a")).parts)
    server.script(thoughtful, text("Noon."))
    conversation = Conversation(server)
    assert conversation.of(Reasoning) == [Reasoning("Hm"), Reasoning("m.")]
    assert not any("reasoning" in key for key in conversation.requests[1]["messages"][1])

    missing = error(400, "Missing `reasoning_content` field in the assistant message at message index 1")
    server.script(thoughtful, missing, text("Noon."))
    conversation = Conversation(server)
    assert (conversation.text, conversation.called) == ("Noon.", [TIME])
    assert conversation.requests[2]["messages"][1]["reasoning_content"] == "Hmm."
    assert all("tools" in body for body in conversation.requests)


def test_q17_a_signature_beside_a_call_goes_back_only_where_it_is_required(server):
    signature = {"google": {"thought_signature": "c2ln"}}
    fragment = {"index": 0, "id": "a", "extra_content": signature, "function": {"name": "get_time", "arguments": "{}"}}
    signed = sse(delta(tool_calls=[fragment]), end("tool_calls"), "[DONE]")
    missing = status(400, body=[{"error": {"code": 400, "message": "Function call is missing a thought_signature"}}])
    server.script(signed, missing, text("Noon."))
    first, second = [body["messages"][1]["tool_calls"][0] for body in Conversation(server).requests[1:]]
    assert ("extra_content" in first, second["extra_content"]) == (False, signature)

    elsewhere = (*QUESTION, AssistantMessage("", (ToolCall("a", "get_time"),)), ToolMessage("a", "noon"), *QUESTION)
    server.script(missing, text("Noon."))
    call = Conversation(server, messages=elsewhere).requests[1]["messages"][1]["tool_calls"][0]
    assert call["extra_content"]["google"]["thought_signature"] == "skip_thought_signature_validator"


def test_q17_reasoning_and_signatures_are_stored_with_the_turn():
    call = ToolCall("a", "get_time", {"n": 1}, '{"n": 1}', "a", "", {"google": {"thought_signature": "c2ln"}})
    turn = Turn(AssistantMessage("", (call,), "Hmm."), "tool_calls")
    assert decode_turn(json.loads(json.dumps(encode_turn(turn)))) == turn


def test_q18_usage_that_is_rejected_is_dropped_and_the_run_goes_on(server):
    rejection = error(400, "Unknown parameter: 'stream_options.include_usage'.", param="stream_options")
    server.script(rejection, calls(("get_time", {"n": 1})), text("Noon."))
    conversation = Conversation(server)
    assert (conversation.text, conversation.called, conversation.of(Notice)) == ("Noon.", [TIME], [])
    assert ["stream_options" in body for body in conversation.requests] == [True, False, False]
    assert all("tools" in body for body in conversation.requests)


def test_q19_a_server_that_refuses_an_empty_list_of_tools_never_gets_one(server):
    def picky(request):
        return error(400, "[] is too short - 'tools'") if request.body.get("tools") == [] else text("Noon.")

    server.respond_with(picky)
    assert Conversation(server, has_tools=False).text == "Noon."
    assert Conversation(server, max_rounds=1).text == "Noon."
    assert not any("tools" in request.body or "tool_choice" in request.body for request in server.requests)


@pytest.mark.parametrize("trouble", [status(429, {"Retry-After": "0"}), status(500), status(503), raw(), sse(Reset())])
def test_q24_trouble_in_a_later_round_is_retried_without_repeating_its_calls(server, trouble):
    server.script(calls(("get_time", {"n": 1})), trouble, trouble, text("Noon."))
    conversation = Conversation(server)
    assert (conversation.text, conversation.called, conversation.of(Restart)) == ("Noon.", [TIME], [])
    assert conversation.requests[1] == conversation.requests[3]


def test_q24_a_provider_is_left_alone_for_as_long_as_it_asks(server):
    server.script(status(429, {"Retry-After": "0.2"}), status(503, {"Retry-After-Ms": "200"}), text("Noon."))
    started = time.monotonic()
    assert Conversation(server).text == "Noon."
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize("output", [delta(content="Half"), delta(reasoning_content="Hm")], ids=["text", "thoughts"])
@pytest.mark.parametrize("trouble", [
    {"error": {"message": "Overloaded", "code": 503}}, {"error": {"message": "Slow", "code": 429}}, Drop(), Reset(),
], ids=["503", "429", "drop", "reset"])
def test_q24_after_output_nothing_is_restarted_in_silence(server, output, trouble):
    server.script(sse(output, trouble), text("Noon."))
    conversation = Conversation(server)
    assert (conversation.error is not None, len(conversation.requests)) == (True, 1)


SHORT = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99999\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
HALF = frame_bytes(delta(content="Half"))


@pytest.mark.parametrize("reply", [
    sse(HALF, Drop()), sse(HALF, b'data: {"choices": [{"del', Drop()), raw(SHORT, HALF), raw(CLOSED, HALF),
    raw(CLOSED, HALF, b'data: {"choices": [{"del'),
], ids=["dropped", "within a frame", "too short", "closed", "closed within a frame"])
def test_q25_a_connection_that_breaks_keeps_the_text_and_ends_in_an_error(server, reply):
    server.script(reply)
    conversation = Conversation(server)
    assert (conversation.text, type(conversation.error)) == ("Half", ModelUnreachable)
    assert "Try again" in conversation.error.message


@pytest.mark.parametrize("cut", [Drop(), Reset()], ids=["drop", "reset"])
def test_q25_a_connection_that_breaks_within_a_call_executes_nothing(server, cut):
    server.respond_with(lambda request: sse(call_delta(0, id="a", name="get_time", arguments='{"n": 1}'), cut))
    conversation = Conversation(server)
    assert (conversation.called, type(conversation.error)) == ([], ModelUnreachable)
    assert len(conversation.requests) == 1 + llm_failures.MAX_RETRIES  # nothing was seen of it


def test_q26_a_stream_that_stalls_within_a_call_is_cancelled_and_executes_nothing(server):
    server.script(sse(delta(content="Half"), call_delta(0, id="a", name="get_time", arguments='{"n": 1}'), hold()))
    conversation = Conversation(server, timeout=0.2)
    assert (conversation.text, conversation.called, type(conversation.error)) == ("Half", [], ModelTimeout)
    server.wait_for_disconnect()


# Any cut of a stream into network reads

WORDS = "Größe 😀 𝄞\u2028\u2029\x85 line\r\nline\n\0 </script> \"data: [DONE]\"\n\n店"
STREAMS = [
    [delta(content=piece) for piece in (WORDS, "", WORDS)],
    [delta(reasoning_content=WORDS), delta(content=WORDS)],
    [
        call_delta(0, id="a", name="get_time", arguments='{"n"'), call_delta(1, id="b", name="get_rate", arguments=""),
        delta(content=None), call_delta(0, id="", arguments=": 1}"), call_delta(1, arguments='{"n": 2}'),
    ],
    [call_delta(0, id="a", name="get_time", arguments=json.dumps({WORDS: WORDS}, ensure_ascii=False))],
]
KEEP_ALIVES = st.sampled_from([": ping\n\n", ":\n", "event: ping\n\n", "data:\n\n", "retry: 5\n\n", "\n", "id: 7\n\n"])


@st.composite
def bodies(draw):
    """The frames of a stream, and its bytes: with any line ends, any keep-alives, in any pieces."""
    frames = [*draw(st.sampled_from(STREAMS)), end("tool_calls")]
    written = "".join(
        draw(st.just("") | KEEP_ALIVES) + f"data: {json.dumps(frame, ensure_ascii=draw(st.booleans()))}\n\n"
        for frame in frames
    ) + "data: [DONE]\n\n"
    content = written.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"]))).encode()
    at = sorted(draw(st.lists(st.integers(0, len(content)), max_size=40)))
    return frames, [content[start:stop] for start, stop in zip([0, *at], [*at, len(content)], strict=True)]


@settings(max_examples=100, deadline=None)
@given(bodies())
def test_q27_any_cut_of_a_stream_into_network_reads_gives_the_same_reply(shared_server, body):
    frames, pieces = body
    reply = Accumulator()
    spoken = [event for piece in frames for event in reply.feed(piece)]
    shared_server.script(Reply(tuple(pieces)))
    items = asyncio.run(_asked(shared_server))
    assert items[:-1] == spoken
    assert _said(items[-1]) == _said(reply.finish())


async def _asked(server):
    async with aclosing(Models()) as models:
        model = models.get(ModelSpec(server.base_url, "m", timeout=10.0))
        return [item async for item in model.ask(QUESTION, LocalTools(_get_time).offered.values())]


async def _get_time():
    return "noon"


def _said(turn):
    """A turn without the ids that were minted for it."""
    wanted = [(call.name, call.arguments, call.provider_id, call.problem) for call in turn.message.tool_calls]
    return turn.message.text, turn.message.reasoning, wanted, turn.finish_reason


# From the provider to the journal and the reply

EVIL = (
    "\"quoted\" 'q' \\ back\\nslash </script><!-- \n"
    "data: {\"type\": \"done\"}\n\nevent: error\n: ping\r\n\u2028\u2029 😀 𝄞"
)


@pytest.mark.parametrize(("said", "kept"), [(EVIL, EVIL), ("a\0b", "a\ufffdb"), ("a\ud83db", "a\ufffdb")], ids=[
    "evil", "nul", "half a character",
])
def test_q28_whatever_is_said_called_or_returned_every_frame_is_one_json_object(server, said, kept):
    pieces = [
        delta(reasoning=said), delta(content=said),
        call_delta(0, id="a", name="get_time", arguments=json.dumps({"n": said})), end("tool_calls"),
    ]
    server.script(sse(*(frame_bytes(json.dumps(piece)) for piece in pieces), "[DONE]"), text("Noon."))
    conversation = Conversation(server, answer=said)
    sent = [frame(7, seq, encode(event)).decode() for seq, event in enumerate(conversation.events, 1)]
    assert all(len(lines.splitlines()) == 3 for lines in sent)  # whatever splits lines: the id, the data, nothing
    payloads = [json.loads(lines.splitlines()[1].removeprefix("data: ")) for lines in sent]
    by_type = {payload["type"]: payload for payload in reversed(payloads)}
    assert by_type["reasoning"]["content"] == by_type["chunk"]["content"] == kept
    assert (by_type["tool_call"]["args"], by_type["tool_result"]["result"]) == ({"n": kept}, kept)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_q27_text_is_exact_in_events_in_the_journal_and_in_the_reply(server, size):
    words = WORDS.replace("\0", "")
    server.script(text(words, words).sliced(size))
    rows, [(_, _, outcome, _)] = asyncio.run(_run(server))
    assert "".join(encode(row.event)["content"] for row in rows if isinstance(row.event, Chunk)) == words * 2
    assert outcome.text == words * 2


async def _run(server):
    """A run of this server's model: the rows of its journal, and how it ended."""
    inputs = RunInputs(7, 1, 2, model=ModelSpec(server.base_url, "m"), messages=QUESTION)
    store = MemoryStore(inputs)
    journal, pool = Journal(store), McpPool()
    async with aclosing(Models()) as models:
        await Runner(store, journal, models, pool).run(7, 1)
        await journal.aclose()
        await pool.aclose()
    return store.rows, store.ended


# Whatever is stored

IDS = st.sampled_from(["", "a", "b", "call_0"])
NAMES = st.sampled_from(["get_time", "", "functions.get_time", "x" * 80, "größe"])
TEXTS = st.sampled_from(["", " ", "Hello", "a\ufffdb"])
CALLS = st.builds(ToolCall, IDS, NAMES, st.dictionaries(TEXTS, st.floats() | TEXTS, max_size=2))
TURNS = st.builds(Turn, st.builds(AssistantMessage, TEXTS, st.lists(CALLS, max_size=3).map(tuple), TEXTS))
RESULTS = st.builds(ToolResult, IDS, TEXTS, st.just(ToolCallState.DONE))
STORED = st.lists(st.builds(
    StoredMessage, TEXTS, TEXTS, st.booleans(), st.lists(TURNS, max_size=3).map(tuple), st.dictionaries(IDS, RESULTS),
), max_size=5)


@settings(max_examples=50, deadline=None)
@given(STORED, st.integers(10, 200))
def test_q23_any_stored_history_is_a_request_that_the_strictest_provider_takes(shared_server, stored, room):
    question = StoredMessage("Marc", "And now?", is_assistant=False)
    messages, _notices = build("", [*stored, question], is_group=False, room_tokens=room)
    shared_server.script(text("Noon."))
    conversation = Conversation(shared_server, messages=messages)
    assert (conversation.text, conversation.error) == ("Noon.", None)


# A provider without tools


@pytest.mark.parametrize("refusal", [
    error(400, "registry.example/gemma does not support tools"), error(400, "Bad request"), status(400),
    error(422, "Extra inputs are not permitted: tools"),
], ids=["said", "unsaid", "silent", "422"])
def test_q49_a_provider_that_rejects_tools_answers_without_them_and_people_are_told(server, refusal):
    server.script(refusal, text("Noon."))
    conversation = Conversation(server)
    assert (conversation.text, conversation.error) == ("Noon.", None)
    assert ["tools" in body for body in conversation.requests] == [True, False]
    assert [notice.code for notice in conversation.of(Notice)] == ["tools_unsupported"]


def test_q49_a_model_without_tools_is_told_of_earlier_calls_as_text(server):
    def without_tools(request):
        is_plain = "tools" not in request.body and all(m["role"] != "tool" for m in request.body["messages"])
        return text("Noon.") if is_plain else error(400, "Unexpected field")

    server.respond_with(without_tools)
    earlier = (*QUESTION, AssistantMessage("", (ToolCall("a", "get_time"),)), ToolMessage("a", "noon"), *QUESTION)
    conversation = Conversation(server, messages=earlier)
    assert (conversation.text, len(conversation.requests)) == ("Noon.", 3)
    assert conversation.requests[2]["messages"][2]["content"] == "[Result of get_time]\nnoon"


def test_q49_a_model_that_took_tools_before_keeps_them(server):
    server.script(calls(("get_time", {})), error(400, "Bad request"), text("A"), calls(("get_time", {})))

    async def two_replies():
        async with aclosing(Models()) as models:
            model = models.get(ModelSpec(server.base_url, "m"))
            for _ in range(3):
                async for _item in model.ask(QUESTION, LocalTools(_get_time).offered.values()):
                    pass

    asyncio.run(two_replies())
    assert ["tools" in request.body for request in server.requests] == [True, True, False, True]


def test_a_conversation_that_moves_to_a_stricter_provider_gets_ids_that_it_takes(server):
    strict = status(400, body={"message": "Tool call id was call_0123456789 but must be a-z, A-Z, 0-9, length 9."})
    server.script(strict, text("Noon."))
    calls_ = (ToolCall("call_0123456789", "get_time"), ToolCall("abcDEF123", "get_time"))
    results = (ToolMessage("call_0123456789", "1"), ToolMessage("abcDEF123", "2"))
    conversation = Conversation(server, messages=(*QUESTION, AssistantMessage("", calls_), *results, *QUESTION))
    reply, first, second = conversation.requests[1]["messages"][1:4]
    ids = [call["id"] for call in reply["tool_calls"]]
    assert ids == [first["tool_call_id"], second["tool_call_id"]]
    assert re.fullmatch("[0-9a-f]{9}", ids[0]) and ids[1] == "abcDEF123"
    assert "tools" in conversation.requests[1]
