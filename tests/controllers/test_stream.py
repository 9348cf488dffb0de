"""`POST /api/ai/stream`: what a client sees of a run, when, and to the last byte."""

import base64
import io
import shutil
import subprocess
import threading

import pytest
from reportlab.pdfgen.canvas import Canvas

from tests.controllers.client import Stream, check_complete, parse_frame, text_of
from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import calls, error, hold, text


def types_of(frames):
    return [frame.type for frame in frames]


def test_a_message_streams_its_reply_and_leaves_it_in_the_channel(conversation):
    conversation.model.script(text("Hello", " Alice"))
    with conversation.post("Hi, who are you?") as stream:
        frames = stream.rest()
    check_complete(frames)
    assert text_of(frames) == "Hello Alice"
    assert types_of(frames)[-2:] == ["step", "done"]
    done = frames[-1].payload
    question, reply = conversation.messages()
    assert "Hi, who are you?" in question["body"]
    assert question["author_id"] == conversation.team.alice.person.partner_id
    assert "Hello Alice" in reply["body"]
    assert reply["author_id"] == conversation.assistant_partner_id
    assert done["message_id"] == reply["id"]
    assert (done["state"], done["rounds"], done["done"]) == ("done", 1, True)
    assert done["usage"] == {"input_tokens": 10, "output_tokens": 5, "cached_tokens": 0}


def test_the_response_says_what_proxies_must_know(conversation):
    conversation.model.script(text("Hello"))
    with conversation.post() as stream:
        headers = stream.response.headers
        stream.rest()
    assert stream.response.status_code == 200
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in headers
    assert "Set-Cookie" not in headers


def test_the_first_chunk_leaves_when_the_models_first_chunk_has_come(conversation):
    gate = hold()
    conversation.model.script(text("Hello", gate, " Alice"))
    with conversation.post() as stream:
        assert stream.until("chunk")[-1].payload == {"type": "chunk", "content": "Hello", "done": False}
        gate.wait_reached()
        gate.release()
        assert text_of(stream.rest()) == " Alice"


def test_the_response_begins_before_there_is_anything_to_say(conversation):
    gate = hold()
    conversation.model.script(text(gate, "Hello"))
    with conversation.post() as stream:
        assert stream.response.status_code == 200
        conversation.model.wait_for_request()
        gate.release()
        check_complete(stream.rest())


def test_tools_show_as_they_happen(conversation, workshop):
    conversation.use(workshop)
    conversation.model.script(
        calls(("add", {"a": 2, "b": 3}, "call_a"), content="Let me see."),
        calls(("slow", {"text": "done waiting"}, "call_b")),
        text("It is 5."),
    )
    with conversation.post("What is 2 + 3?") as stream:
        frames = stream.until("tool_result") + stream.until("tool_call")
        workshop.wait_for_call("slow")
        workshop.release()
        frames += stream.rest()
    check_complete(frames)
    assert [type_ for type_ in types_of(frames) if type_ != "chunk"] == [
        "run", "tool_call", "step", "tool_result", "tool_call", "step", "tool_result", "step", "done",
    ]
    [call, _], [result, late] = ([f.payload for f in frames if f.type == t] for t in ("tool_call", "tool_result"))
    assert (call["tool"], call["args"], call["server"], call["round"]) == ("add", {"a": 2, "b": 3}, "workshop", 1)
    assert (result["id"], result["tool"], result["state"], result["is_error"]) == (call["id"], "add", "done", False)
    assert "5" in result["result"]
    assert late["result"] == "done waiting"
    assert result["timestamp"] >= call["timestamp"] > 1_700_000_000_000
    assert text_of(frames) == "Let me see.\n\nIt is 5."


def test_parallel_calls_are_paired_by_id_in_whatever_order_they_end(conversation, workshop):
    conversation.use(workshop)
    conversation.model.script(
        calls(("slow", {"text": "second"}, "call_slow"), ("echo", {"text": "first"}, "call_fast")), text("Both."),
    )
    with conversation.post() as stream:
        frames = stream.until("tool_result")
        workshop.wait_for_call("slow")
        workshop.release()
        frames += stream.rest()
    check_complete(frames)
    announced = [frame.payload["tool"] for frame in frames if frame.type == "tool_call"]
    ended = [(frame.payload["tool"], frame.payload["result"]) for frame in frames if frame.type == "tool_result"]
    assert announced == ["slow", "echo"]
    assert ended == [("echo", "first"), ("slow", "second")]
    # the model gets the results in the order of its calls
    replayed = [m["content"] for m in conversation.model.requests[1].body["messages"] if m["role"] == "tool"]
    assert replayed == ["second", "first"]


def test_a_tools_error_is_a_result_and_the_run_goes_on(conversation, workshop):
    conversation.use(workshop)
    conversation.model.script(calls(("fail", {"message": "out of paper"})), text("It has no paper."))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    [result] = [frame.payload for frame in frames if frame.type == "tool_result"]
    assert (result["state"], result["is_error"]) == ("error", True)
    assert "out of paper" in result["result"]
    assert frames[-1].payload["state"] == "done"


def test_arguments_that_are_no_json_are_shown_as_they_came(conversation, workshop):
    conversation.use(workshop)
    conversation.model.script(calls(("echo", '{"text": ')), text("Sorry."))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    [call] = [frame.payload for frame in frames if frame.type == "tool_call"]
    assert (call["args"], call["raw_args"]) == ({}, '{"text": ')
    assert workshop.calls == []


def test_at_the_round_limit_the_model_answers_without_tools(conversation, workshop):
    conversation.use(workshop)
    conversation.team.admin.call("ai.assistant", "write", [conversation.assistant_id], {"max_rounds": 2})
    conversation.model.script(calls(("echo", {"text": "again"})), text("Enough of that."))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert [frame.payload["code"] for frame in frames if frame.type == "notice"] == ["round_limit"]
    assert text_of(frames).endswith("Enough of that.")
    assert frames[-1].payload["rounds"] == 2
    assert "tools" not in conversation.model.requests[1].body


def test_a_dead_server_costs_its_own_tools_and_a_notice(conversation, workshop):
    with McpHttpServer() as other:
        conversation.use(other, "archive")
        conversation.use(workshop, "workshop")
    conversation.model.script(calls(("workshop__echo", {"text": "alive"})), text("Still here."))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    [notice] = [frame.payload for frame in frames if frame.type == "notice"]
    assert notice["code"] == "server_unreachable"
    assert "archive" in notice["message"]
    assert text_of(frames) == "Still here."
    assert frames[-1].payload["state"] == "done"


def test_without_any_tool_the_answer_is_plain_text(conversation):
    with McpHttpServer() as dead:
        conversation.use(dead)
    conversation.model.script(text("Without tools."))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert text_of(frames) == "Without tools."
    assert "tools" not in conversation.model.requests[0].body


def test_a_providers_error_ends_the_stream_with_error_and_done(conversation):
    conversation.model.script(error(401, "Incorrect API key provided"))
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert types_of(frames)[-2:] == ["error", "done"]
    assert frames[-2].payload["code"] == "model_auth"
    assert frames[-1].payload["state"] == "error"


@pytest.mark.parametrize("said", [
    "line one\nline two\r\n\r\nline four",
    "data: {\"type\": \"done\"}\n\nid: 1-1\ndata: x",
    "a\u2028b\u2029c\x85d\x0be\x0cf",
    "Grüße, 世界 🌍 — «quotes» \"and\" 'more' \\ backslash",
    "</script><img src=x onerror=alert(1)>",
    ": ping",
])
def test_q28_every_frame_is_one_json_object_whatever_the_model_says(conversation, said):
    conversation.model.script(text(said, " and ", said))
    with conversation.post(said) as stream:
        frames = stream.rest()
    check_complete(frames)
    assert text_of(frames) == f"{said} and {said}"


def test_q28_what_the_database_cannot_store_is_replaced_visibly(conversation):
    conversation.model.script(text("a\0b"))
    body = b'{"message": "c\\u0000d \\ud800"}'
    with Stream(conversation.team.alice.api, "POST", conversation.url, content=body) as stream:
        frames = stream.rest()
    check_complete(frames)
    assert text_of(frames) == "a\N{REPLACEMENT CHARACTER}b"
    assert "c\N{REPLACEMENT CHARACTER}d" in conversation.messages()[0]["body"]


def test_lines_of_a_message_stay_lines_and_its_html_stays_text(conversation):
    conversation.model.script(text("I see."))
    with conversation.post("first <b>line</b>\nsecond line") as stream:
        check_complete(stream.rest())
    asked = conversation.model.requests[0].body["messages"][-1]
    assert asked["role"] == "user"
    assert asked["content"] == "first <b>line</b>\nsecond line"


def test_the_channels_own_assistant_answers_whatever_the_reply_mode(conversation):
    conversation.team.alice.person.call("discuss.channel", "write", [conversation.id], {"ai_reply_mode": "off"})
    conversation.model.script(text("Nevertheless."))
    with conversation.post() as stream:
        assert text_of(stream.rest()) == "Nevertheless."
    assert len(conversation.model.requests) == 1


def test_a_conversation_remembers_what_was_said(conversation):
    conversation.model.script(text("Hello Alice."), text("Alice."))
    with conversation.post("I am Alice.") as stream:
        stream.rest()
    with conversation.post("Who am I?") as stream:
        stream.rest()
    said = [(m["role"], m["content"]) for m in conversation.model.requests[1].body["messages"] if m["role"] != "system"]
    assert said == [("user", "I am Alice."), ("assistant", "Hello Alice."), ("user", "Who am I?")]


def test_q42_messages_that_are_posted_at_once_are_answered_one_after_the_other(conversation):
    gate = hold()
    conversation.model.script(text(gate, "one"), text("two"))
    with conversation.post("First") as first, conversation.post("Second") as second:
        conversation.model.wait_for_request(1)
        assert len(conversation.model.requests) == 1
        gate.release()
        first_frames, second_frames = first.rest(), second.rest()
    check_complete(first_frames)
    check_complete(second_frames)
    assert (text_of(first_frames), text_of(second_frames)) == ("one", "two")


def test_q42_a_repeated_post_attaches_to_the_first_ones_run(conversation):
    conversation.model.script(text("Once."))
    with conversation.post("Pay", headers={"Idempotency-Key": "k1"}) as stream:
        first = stream.rest()
    with conversation.post("Pay", headers={"Idempotency-Key": "k1"}) as stream:
        again = stream.rest()
    assert again == first
    assert len(conversation.model.requests) == 1
    assert len(conversation.messages()) == 2


def test_q42_two_equal_posts_at_the_same_moment_are_one(conversation):
    gate = hold()
    conversation.model.script(text("Once.", gate))
    seen, lined_up = [], threading.Barrier(4)

    def post():
        lined_up.wait()
        with conversation.post("Pay", headers={"Idempotency-Key": "k1"}) as stream:
            seen.append(stream.rest())

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    conversation.model.wait_for_request()
    gate.release()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert all(frames == seen[0] for frames in seen)
    assert len(conversation.model.requests) == 1
    assert len(conversation.messages()) == 2


def test_an_idempotency_key_belongs_to_one_person_and_channel(conversation, team):
    other = team.alice.person.call("ai.assistant", "open_chat", [conversation.assistant_id], new=True)
    conversation.model.script(text("here"), text("there"))
    headers = {"Idempotency-Key": "k1"}
    with conversation.post(headers=headers) as stream:
        assert text_of(stream.rest()) == "here"
    with Stream(team.alice.api, "POST", f"/api/ai/stream/{other}", json={"message": "Hi"}, headers=headers) as stream:
        assert text_of(stream.rest()) == "there"


def test_a_file_that_the_caller_has_uploaded_is_sent_along(conversation, team):
    file_id = team.alice.person.create("ir.attachment", name="plan.txt", raw="the plan")
    conversation.model.script(text("A fine plan."))
    with conversation.post("", attachment_ids=[file_id]) as stream:
        check_complete(stream.rest())
    assert conversation.messages()[0]["attachment_ids"] == [file_id]
    file = team.alice.person.read("ir.attachment", file_id, "res_model", "res_id")
    assert (file["res_model"], file["res_id"]) == ("discuss.channel", conversation.id)


def test_a_pdf_is_read_by_the_model(conversation, team):
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(50, 800, "Total 12.50")
    canvas.save()
    content = base64.b64encode(buffer.getvalue()).decode()
    file_id = team.alice.person.create("ir.attachment", name="invoice.pdf", datas=content)
    conversation.model.script(text("Not dear."))
    with conversation.post("How much?", attachment_ids=[file_id]) as stream:
        check_complete(stream.rest())
    assert "Total 12.50" in conversation.model.requests[-1].body["messages"][-1]["content"]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl, an optional program of people's, is not on this machine")
def test_curl_shows_the_reply_as_it_comes(conversation, team):
    gate = hold()
    conversation.model.script(text("Hello", gate, " curl"))
    command = [
        "curl", "-sN", f"{team.alice.api.base_url}{conversation.url}",
        "-H", f"Authorization: {team.alice.api.headers['Authorization']}",
        "-H", "Content-Type: application/json", "-d", '{"message": "Hi"}',
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        seen = []
        for block in _blocks(curl.stdout):
            if block != b": ping":
                seen.append(parse_frame(block))
            if seen and seen[-1].type == "chunk":
                gate.release()
    check_complete(seen)
    assert text_of(seen) == "Hello curl"
    assert curl.returncode == 0


def _blocks(pipe):
    lines = []
    for line in pipe:
        if line == b"\n":
            yield b"".join(lines).rstrip(b"\n")
            lines = []
        else:
            lines.append(line)
