"""Faults of models (docs/faults.md) all the way: what people find in the stream, in the run and in the conversation."""

import json

import pytest

from tests.controllers.client import check_complete, text_of
from tests.fakes.model_server import (
    Drop,
    call_delta,
    calls,
    delta,
    end,
    error,
    frame_bytes,
    hold,
    sse,
    status,
    text,
)


def run_of(conversation):
    [run] = conversation.team.admin.search_read(
        "ai.run", [("channel_id", "=", conversation.id)], "state", "error_code", "text", "rounds"
    )
    return run


@pytest.mark.parametrize(("ending", "code", "words"), [
    ({"error": {"message": "The engine is on fire"}}, "model_error", "The engine is on fire"),
    (Drop(), "model_unreachable", "broke before the reply was complete"),
    (end("insufficient_system_resource"), "model_error", "gave up in the middle of its reply"),
], ids=["q14 error frame", "q25 drop", "q14 no end"])
def test_q25_half_an_answer_stays_in_the_conversation_beside_what_went_wrong(conversation, ending, code, words):
    conversation.model.script(sse(delta(content="Half an answer"), ending))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert text_of(frames) == "Half an answer"
    failed, done = frames[-2].payload, frames[-1].payload
    assert (failed["type"], failed["code"], words in failed["message"]) == ("error", code, True)
    assert done["state"] == "error"
    _question, reply = conversation.messages()
    assert "Half an answer" in reply["body"] and words in reply["body"]
    run = run_of(conversation)
    assert (run["state"], run["error_code"], run["text"]) == ("error", code, "Half an answer")


def test_q14_a_success_whose_body_is_an_error_is_no_empty_reply(conversation):
    body = {"error": {"message": "The engine is on fire"}}
    conversation.model.script(status(200, {"Content-Type": "text/event-stream"}, body))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert "The engine is on fire" in frames[-2].payload["message"]
    assert "The engine is on fire" in conversation.messages()[-1]["body"]


def test_q25_after_a_broken_reply_the_conversation_goes_on(conversation):
    conversation.model.script(text("Half", Drop()), text("Whole."))
    for _ in range(2):
        with conversation.post() as stream:
            frames = stream.rest()
    assert (text_of(frames), frames[-1].payload["state"]) == ("Whole.", "done")
    roles = [message["role"] for message in conversation.model.requests[1].body["messages"]]
    assert roles[-3:] == ["user", "assistant", "user"]


def test_q26_a_model_that_stalls_is_left_after_its_providers_timeout(conversation):
    [assistant] = conversation.team.admin.call("ai.assistant", "read", [conversation.assistant_id], ["provider_id"])
    conversation.team.admin.call("ai.provider", "write", [assistant["provider_id"][0]], {"timeout": 1})
    conversation.model.script(text("Half", hold()))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert (text_of(frames), frames[-2].payload["code"]) == ("Half", "model_timeout")
    conversation.model.wait_for_disconnect()


WORDS = "Größe 😀 𝄞\u2028\u2029\x85 line\r\nline 店"


@pytest.mark.parametrize("size", [1, 3])
def test_q27_text_is_exact_in_the_stream_in_the_run_and_in_the_message(conversation, size):
    conversation.model.script(text(WORDS, WORDS).sliced(size))
    with conversation.post() as stream:
        frames = stream.rest()
    assert text_of(frames) == WORDS * 2
    assert run_of(conversation)["text"] == WORDS * 2
    body = conversation.messages()[-1]["body"]
    assert "Größe 😀 𝄞" in body and "line 店Größe" in body


@pytest.mark.parametrize(("said", "kept"), [
    ("a\0b", "a\ufffdb"), ("a\ud83db", "a\ufffdb"), ("\"'</script>\n\ndata: x", ""),
])
def test_q28_what_a_tool_is_told_and_answers_is_shown_and_stored(conversation, workshop, said, kept):
    conversation.use(workshop)
    pieces = [call_delta(0, id="a", name="echo", arguments=json.dumps({"text": said})), end("tool_calls")]
    conversation.model.script(sse(*(frame_bytes(json.dumps(piece)) for piece in pieces), "[DONE]"), text("Done."))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    shown = {frame.type: frame.payload for frame in frames}
    assert shown["tool_call"]["args"] == {"text": kept or said}
    assert shown["tool_result"]["result"] == (kept or said)
    [call] = conversation.team.admin.search_read(
        "ai.tool.call", [("run_id.channel_id", "=", conversation.id)], "arguments", "response"
    )
    assert (call["arguments"], call["response"]) == ({"text": kept or said}, kept or said)


def test_q10_a_model_that_cannot_write_json_has_to_answer(conversation, workshop):
    conversation.use(workshop)
    conversation.model.respond_with(
        lambda request: calls(("echo", "{")) if "tools" in request.body else text("I give up.")
    )
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert [frame.payload["code"] for frame in frames if frame.type == "notice"] == ["calls_refused"]
    assert (text_of(frames), workshop.calls) == ("I give up.", [])
    assert run_of(conversation)["rounds"] == 5


def test_q20_a_name_that_no_provider_takes_does_not_poison_the_conversation(conversation, workshop):
    conversation.use(workshop)
    conversation.model.script(calls(("functions.echo größe", {})), text("Sorry."), text("Yes?"))
    for _ in range(2):
        with conversation.post() as stream:
            check_complete(stream.rest())
    messages = conversation.model.requests[2].body["messages"]
    [call] = [call for message in messages for call in message.get("tool_calls", ())]
    assert call["function"]["name"] == "functions_echo_gr_e"


def test_q49_people_read_that_a_model_takes_no_tools(conversation, workshop):
    conversation.use(workshop)
    conversation.model.script(error(400, "this model does not support tools"), text("Without."))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert [frame.payload["code"] for frame in frames if frame.type == "notice"] == ["tools_unsupported"]
    assert (text_of(frames), frames[-1].payload["state"]) == ("Without.", "done")
