"""From a message to its reply, on a live server: what is said when, in which order, and what becomes of it."""

import json
import time

from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import calls, error, hold, text
from tests.runtime.conftest import Room, open_room

AT_ONCE_S = 2  # well under the five seconds after which the queue is polled anyway


def test_posting_does_not_wait_for_the_model(room: Room):
    gate = hold()
    room.model.script(text("Hello", gate, "!"))
    room.say("Are you there?")  # returns although the model is held
    gate.wait_reached()
    assert [run["state"] for run in room.runs()] == ["running"]
    assert room.replies() == []
    gate.release()
    assert [run["state"] for run in room.ended()] == ["done"]
    assert room.replies() == ["<p>Hello!</p>"]


def test_the_first_words_are_in_the_journal_while_the_model_still_speaks(room: Room):
    gate = hold()
    room.model.script(text("First", gate, " last"))
    room.say("Tell me.")
    gate.wait_reached()
    run_id = room.runs()[0]["id"]
    room.server.eventually(lambda: [frame["type"] for frame in room.frames(run_id)] == ["run", "chunk"], AT_ONCE_S)
    gate.release()
    room.ended()
    kinds = [frame["type"] for frame in room.frames(run_id)]
    assert kinds[:2] == ["run", "chunk"] and kinds[-2:] == ["step", "done"] and kinds.count("done") == 1


def test_q42_a_conversation_has_one_run_at_a_time_and_the_next_starts_at_once(room: Room):
    gate = hold()
    room.model.script(text("One.", gate), text("Two."))
    room.say("First?")
    gate.wait_reached()
    room.say("Second?")
    assert [run["state"] for run in room.runs()] == ["running", "queued"]
    gate.release()
    second = room.model.wait_for_request(2, timeout=AT_ONCE_S)
    room.ended(2)
    assert room.replies() == ["<p>One.</p>", "<p>Two.</p>"]
    said = [(message["role"], message["content"]) for message in second.body["messages"]]
    assert said == [
        ("system", "Be brief."), ("user", "First?"), ("assistant", "One."), ("user", "Second?"),
    ]  # fmt: skip


def test_conversations_do_not_wait_for_each_other(room: Room):
    other = open_room(room.server, room.model, room.person)
    gate = hold()
    room.model.script(text("Slow", gate), text("Quick."))
    room.say("Take your time.")
    gate.wait_reached()
    other.say("Hurry.")
    other.ended()
    assert [run["state"] for run in room.runs()] == ["running"]
    gate.release()
    room.ended()


def test_the_reply_carries_its_tool_calls(room: Room):
    with McpHttpServer() as tools:
        room.use(tools)
        room.model.script(calls(("echo", {"text": "ping"})), text("It said ping."))
        room.say("Use the tool.")
        run = room.ended()[0]
    record = room.person.search_read(
        "ai.tool.call", [("run_id", "=", run["id"])],
        "tool_name", "state", "arguments", "response", "is_error", "message_id", "server_name",
    )[0]  # fmt: skip
    assert record["message_id"][0] == run["message_id"]
    assert (record["tool_name"], record["state"], record["is_error"]) == ("echo", "done", False)
    assert (record["arguments"], record["server_name"]) == ({"text": "ping"}, "workshop")
    kinds = [frame["type"] for frame in room.frames(run["id"])]
    assert kinds == ["run", "tool_call", "step", "tool_result", "chunk", "step", "done"]


def test_open_tabs_hear_of_each_change_in_its_order(room: Room):
    with McpHttpServer() as tools:
        room.use(tools)
        gate = hold()
        room.model.script(calls(("echo", {"text": "ping"})), text("Do", gate, "ne."))
        room.say("Use the tool.")
        room.server.eventually(lambda: any(_is_typing(_bus(room))))
        gate.release()
        room.ended()
    heard = _bus(room)
    states = [data["ai.run"][0]["state"] for kind, data in heard if kind == "mail.record/insert" and "ai.run" in data]
    assert states == ["queued", "running", "done"]
    calls_ = [data["state"] for kind, data in heard if kind == "assistant.toolCall.updated"]
    assert calls_ == ["pending", "invoking", "done"]
    messages = [data for kind, data in heard if kind == "discuss.channel/new_message"]
    assert len(messages) == 2  # the question and the one reply
    assert _is_typing(heard) == [True, False]


def test_an_error_of_the_model_is_a_message_that_people_see(room: Room):
    room.model.script(error(401, "Incorrect API key provided: sk-secret"))
    room.say("Hello?")
    run = room.ended()[0]
    assert (run["state"], run["error_code"]) == ("error", "model_auth")
    (reply,) = room.replies()
    assert "sk-secret" not in reply
    assert [frame["type"] for frame in room.frames(run["id"])] == ["run", "error", "done"]


def test_an_assistant_without_a_model_says_so(room: Room):
    room.server.admin.call("ai.assistant", "write", [room.assistant_id], {"model": False})
    room.say("Hello?")
    run = room.ended()[0]
    assert (run["state"], run["error_code"]) == ("error", "not_configured")
    assert "no model" in room.replies()[0]
    assert [frame["type"] for frame in room.frames(run["id"])] == ["run", "error", "done"]


def test_the_one_who_has_lost_the_right_gets_no_answer(room: Room):
    gate = hold()
    room.model.script(text("One.", gate), text("Two."))
    room.say("First?")
    gate.wait_reached()
    room.say("Second?")
    group_id = room.server.admin.create("res.groups", name="the chosen")
    room.server.admin.call("ai.assistant", "write", [room.assistant_id], {"group_ids": [(6, 0, [group_id])]})
    gate.release()
    assert [(run["state"], run["error_code"]) for run in room.ended(2)] == [("done", None), ("error", "access_denied")]
    assert len(room.model.requests) == 1


def test_q44_a_conversation_that_is_archived_meanwhile_gets_no_reply_and_the_log_no_error(room: Room):
    mark, gate = room.server.log.mark(), hold()
    room.model.script(text("Nobody", gate, "reads this."))
    room.say("Hello?")
    gate.wait_reached()
    room.server.admin.call("discuss.channel", "write", [room.channel_id], {"active": False})
    gate.release()
    assert [run["state"] for run in room.ended()] == ["done"]
    assert room.replies() == []
    assert room.server.log.errors(mark) == []


def test_q44_a_conversation_that_is_deleted_meanwhile_takes_its_run_along(room: Room):
    mark, gate = room.server.log.mark(), hold()
    room.model.script(text("Nobody", gate, "reads this."))
    room.say("Hello?")
    gate.wait_reached()
    room.server.admin.call("discuss.channel", "unlink", [room.channel_id])
    gate.release()
    room.server.eventually(lambda: room.jobs("doing") == 0)
    assert room.runs() == []
    assert room.server.log.errors(mark) == []


def test_q44_a_question_that_is_taken_back_before_its_turn_is_not_answered(room: Room):
    gate = hold()
    room.model.script(text("One.", gate))
    room.say("First?")
    gate.wait_reached()
    second = room.say("Second?")
    room.person.http.post(
        "/mail/message/update_content",
        json={"params": {"message_id": second, "update_data": {"body": "", "attachment_ids": []}}},
    )
    gate.release()
    assert [run["state"] for run in room.ended(2)] == ["done", "cancelled"]
    assert len(room.model.requests) == 1


def test_a_stop_ends_the_run_at_once_and_keeps_what_was_said(room: Room):
    gate = hold()
    room.model.script(text("So far", gate, " so good."))
    room.say("Tell me a long story.")
    gate.wait_reached()
    run_id = room.runs()[0]["id"]
    room.server.eventually(lambda: "chunk" in [frame["type"] for frame in room.frames(run_id)])
    answer = room.person.http.post(f"/api/ai/run/{run_id}/stop", json={})
    assert answer.status_code == 200, answer.text
    assert [run["state"] for run in room.ended(within=AT_ONCE_S)] == ["cancelled"]
    assert room.replies() == ['<p>So far</p>\n<p class="o_ai_stopped text-muted">Stopped by ann.</p>']
    room.model.wait_for_disconnect()


def test_a_burst_of_conversations_is_answered_completely(room: Room):
    rooms = [open_room(room.server, room.model, room.person) for _ in range(12)]
    room.model.respond_with(lambda request: text("Hi."))
    for one in rooms:
        one.say("Hello?")
    for one in rooms:
        assert [run["state"] for run in one.ended()] == ["done"]


def test_posting_costs_a_fraction_of_what_the_model_needs(room: Room):
    """Not a benchmark: only that nothing of the answer happens while the poster waits."""
    gate = hold()
    room.model.script(text(gate, "Late."))
    started = time.monotonic()
    room.say("Hello?")
    assert time.monotonic() - started < AT_ONCE_S
    gate.release()
    room.ended()


def _is_typing(heard: list[tuple[str, dict]]) -> list[bool]:
    """What was said, in order, of whether the assistant is typing."""
    return [
        member["isTyping"]
        for kind, data in heard if kind == "mail.record/insert"
        for member in data.get("discuss.channel.member", ()) if "isTyping" in member
    ]  # fmt: skip


def _bus(room: Room) -> list[tuple[str, dict]]:
    """What the members of the conversation were told, in order."""
    rows = room.server.sql(
        "SELECT message FROM bus_bus WHERE channel = %s ORDER BY id",
        json.dumps([room.server.db, "discuss.channel", room.channel_id], separators=(",", ":")),
    )
    return [(data["type"], data["payload"]) for data in (json.loads(message) for (message,) in rows)]
