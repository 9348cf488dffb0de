"""`POST /api/ai/run/<id>/…`: who may stop a run and decide on its calls, and that doing it twice does no harm."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.controllers.client import check_complete, text_of
from tests.controllers.test_errors import NOBODY, refusal
from tests.fakes.model_server import calls, hold, text


def test_a_stopped_run_keeps_what_was_said(conversation, team):
    gate = hold()
    conversation.model.script(text("Once upon", gate, " a time"))
    with conversation.post() as stream:
        frames = stream.until("chunk")
        answer = team.alice.api.post(f"/api/ai/run/{frames[0].run_id}/stop")
        assert answer.status_code == 200
        assert answer.json()["run_id"] == frames[0].run_id
        frames += stream.rest()
    check_complete(frames)
    assert text_of(frames) == "Once upon"
    assert frames[-1].payload["state"] == "cancelled"
    conversation.model.wait_for_disconnect()
    assert "Once upon" in conversation.messages()[-1]["body"]
    again = team.alice.api.post(f"/api/ai/run/{frames[0].run_id}/stop", json={})
    assert again.json() == {"run_id": frames[0].run_id, "state": "cancelled"}


def test_a_stop_that_meets_a_step_begins_anew_without_a_word_in_the_log(conversation, team, live):
    gate = hold()
    conversation.model.script(text("Once upon", gate, " a time"))
    with conversation.post() as stream, ThreadPoolExecutor() as threads, live.base.connect(live.db) as database:
        run_id = stream.until("chunk")[0].run_id
        mark = live.log.mark()
        with database.transaction():
            database.execute("UPDATE ai_run SET rounds = 1 WHERE id = %s", [run_id])
            stop = threads.submit(team.alice.api.post, f"/api/ai/run/{run_id}/stop")
            live.eventually(lambda: live.sql("SELECT 1 FROM pg_locks WHERE NOT granted"))
        assert stop.result().status_code == 200
        assert stream.rest()[-1].payload["state"] == "cancelled"
    assert live.log.errors(mark) == []


@pytest.mark.parametrize(("command", "state", "sent"), [("approve", "done", ["add"]), ("deny", "denied", [])])
def test_a_decision_lets_the_same_stream_go_on(conversation, workshop, team, live, command, state, sent):
    _ask_before_each_call(conversation, workshop, live)
    conversation.model.script(calls(("add", {"a": 2, "b": 3}, "call_a")), text("Well."))
    with conversation.post() as stream:
        frames = stream.until("approval")
        assert workshop.calls == []
        call_id = frames[-1].payload["id"]
        answer = team.alice.api.post(f"/api/ai/run/{frames[0].run_id}/{command}", json={"id": call_id})
        assert answer.status_code == 200
        frames += stream.rest()
    check_complete(frames)
    [result] = [frame.payload for frame in frames if frame.type == "tool_result"]
    assert (result["id"], result["state"]) == (call_id, state)
    assert [name for name, _arguments in workshop.calls] == sent
    assert text_of(frames) == "Well."


def test_a_denial_is_told_at_once_although_another_call_still_waits(conversation, workshop, team, live):
    _ask_before_each_call(conversation, workshop, live)
    conversation.model.script(
        calls(("add", {"a": 2, "b": 3}, "call_a"), ("add", {"a": 4, "b": 5}, "call_b")), text("Well.")
    )
    with conversation.post() as stream:
        frames = stream.until("approval") + stream.until("approval")
        run_url = _url_of_parked(live, frames[0].run_id)
        assert team.alice.api.post(f"{run_url}/deny", json={"id": "call_a"}).json()["state"] == "waiting"
        told = stream.until("tool_result")
        assert (told[-1].payload["id"], told[-1].payload["state"]) == ("call_a", "denied")
        assert team.alice.api.post(f"{run_url}/approve", json={"id": "call_b"}).json()["state"] == "queued"
        frames += told + stream.rest()
    check_complete(frames)
    assert [arguments for _name, arguments in workshop.calls] == [{"a": 4, "b": 5}]


@pytest.mark.parametrize(("command", "sent"), [("approve", 2), ("deny", 0)])
def test_decisions_that_people_make_at_once_all_count(conversation, workshop, team, live, command, sent):
    _ask_before_each_call(conversation, workshop, live)
    conversation.model.script(
        calls(("add", {"a": 2, "b": 3}, "call_a"), ("add", {"a": 4, "b": 5}, "call_b")), text("Well.")
    )
    with conversation.post() as stream, ThreadPoolExecutor() as threads, live.base.connect(live.db) as database:
        frames = stream.until("approval") + stream.until("approval")
        run_url = _url_of_parked(live, frames[0].run_id)
        with database.transaction():  # both have begun, and neither knows of the other
            database.execute("SELECT FROM ai_run WHERE id = %s FOR UPDATE", [frames[0].run_id])
            answers = [
                threads.submit(team.alice.api.post, f"{run_url}/{command}", json={"id": call_id})
                for call_id in ("call_a", "call_b")
            ]
            live.eventually(lambda: live.sql("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] >= len(answers))
        assert [answer.result().status_code for answer in answers] == [200, 200]
        live.eventually(lambda: live.sql("SELECT 1 FROM ai_run WHERE id = %s AND state = 'done'", frames[0].run_id))
        frames += stream.rest()
    check_complete(frames)
    assert text_of(frames) == "Well."
    assert len(workshop.calls) == sent


def test_two_people_who_decide_on_a_call_at_once_make_one_decision(conversation, workshop, team, live):
    _ask_before_each_call(conversation, workshop, live)
    conversation.model.script(calls(("add", {"a": 2, "b": 3}, "call_a")), text("Well."))
    with conversation.post() as stream, ThreadPoolExecutor() as threads, live.base.connect(live.db) as database:
        frames = stream.until("approval")
        run_url = _url_of_parked(live, frames[0].run_id)
        with database.transaction():
            database.execute("SELECT FROM ai_run WHERE id = %s FOR UPDATE", [frames[0].run_id])
            answers = [
                threads.submit(team.alice.api.post, f"{run_url}/{command}", json={"id": "call_a"})
                for command in ("approve", "deny")
            ]
            live.eventually(lambda: live.sql("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] >= len(answers))
        assert [answer.result().status_code for answer in answers] == [200, 200]
        live.eventually(lambda: live.sql("SELECT 1 FROM ai_run WHERE id = %s AND state = 'done'", frames[0].run_id))
        frames += stream.rest()
    check_complete(frames)
    [result] = [frame.payload for frame in frames if frame.type == "tool_result"]
    assert (result["state"], len(workshop.calls)) in (("done", 1), ("denied", 0))


def test_a_call_that_was_denied_before_the_run_was_stopped_stays_denied_for_everybody(
    conversation, workshop, team, live
):
    server_id = conversation.use(workshop)
    add = live.admin.call("mcp.tool", "search", [("server_id", "=", server_id), ("name", "=", "add")])
    live.admin.call("mcp.tool", "write", add, {"approval": "ask"})
    conversation.model.script(calls(("slow_note", {"text": "x"}, "call_a"), ("add", {"a": 4, "b": 5}, "call_b")))
    with conversation.post() as stream:
        frames = stream.until("tool_call") + stream.until("tool_call")
        run_url = f"/api/ai/run/{frames[0].run_id}"
        workshop.wait_for_call("slow_note")
        assert team.alice.api.post(f"{run_url}/deny", json={"id": "call_b"}).status_code == 200
        assert team.alice.api.post(f"{run_url}/stop").status_code == 200
        frames += stream.rest()
    check_complete(frames)
    told = {frame.payload["id"]: frame.payload["state"] for frame in frames if frame.type == "tool_result"}
    assert told == {"call_a": "cancelled", "call_b": "denied"}
    assert dict(live.sql("SELECT call_id, state FROM ai_tool_call WHERE run_id = %s", frames[0].run_id)) == told


def test_what_a_parked_run_has_consumed_is_counted_once(conversation, workshop, team, live):
    _ask_before_each_call(conversation, workshop, live)
    [provider_id] = live.sql("SELECT provider_id FROM ai_assistant WHERE id = %s", conversation.assistant_id)[0]
    live.admin.create("ai.model", provider_id=provider_id, name="scripted", input_price=1_000, output_price=10_000)
    conversation.model.script(calls(("add", {"a": 2, "b": 3}, "call_a")), text("Well."))
    with conversation.post() as stream:
        frames = stream.until("approval")
        [parked] = _consumed(live, frames[0].run_id)
        team.alice.api.post(f"/api/ai/run/{frames[0].run_id}/approve", json={"id": "call_a"})
        done = stream.rest()[-1].payload
    assert done["usage"] == {"input_tokens": 20, "output_tokens": 10, "cached_tokens": 0}
    [ended] = _consumed(live, frames[0].run_id)
    assert [parked, ended] == [(10, 5, 0.06, "scripted"), (20, 10, 0.12, "scripted")]


def test_a_decision_that_comes_after_the_end_is_refused_in_plain_words(conversation, workshop, team, live):
    _ask_before_each_call(conversation, workshop, live)
    conversation.model.script(calls(("add", {"a": 2, "b": 3}, "call_a")))
    with conversation.post() as stream:
        frames = stream.until("approval")
        run_url = _url_of_parked(live, frames[0].run_id)
        assert team.alice.api.post(f"{run_url}/stop").json()["state"] == "cancelled"
        frames += stream.rest()
    check_complete(frames)
    assert refusal(team.alice.api.post(f"{run_url}/approve", json={"id": "call_a"})) == (409, "not_waiting")
    assert workshop.calls == []
    assert "Stopped by alice." in conversation.messages()[-1]["body"]


def test_the_command_of_a_conversation_stops_what_its_caller_has_asked(conversation, team):
    gate = hold()
    conversation.model.script(text("Once upon", gate, " a time"))
    with conversation.post() as stream:
        frames = stream.until("chunk")
        team.alice.person.call("discuss.channel", "execute_command_ai_stop", [conversation.id], body="/stop")
        frames += stream.rest()
    check_complete(frames)
    assert frames[-1].payload["state"] == "cancelled"
    conversation.model.wait_for_disconnect()
    assert "Stopped by alice." in conversation.messages()[-1]["body"]


@pytest.mark.parametrize("command", ["stop", "approve", "deny"])
@pytest.mark.parametrize("who", ["bob", "paula"])
def test_q47_the_run_of_another_person_does_not_exist(conversation, team, command, who):
    conversation.model.script(text("Hello"))
    with conversation.post() as stream:
        run_id = stream.rest()[0].run_id
    answer = getattr(team, who).api.post(f"/api/ai/run/{run_id}/{command}", json={"id": "call_1"})
    assert refusal(answer) == (404, "run_not_found")


@pytest.mark.parametrize("command", ["stop", "approve", "deny"])
def test_a_run_that_does_not_exist_is_not_found(team, command):
    answer = team.alice.api.post(f"/api/ai/run/{NOBODY}/{command}", json={"id": "call_1"})
    assert refusal(answer) == (404, "run_not_found")


def test_a_call_is_made_with_the_arguments_that_it_is_approved_with(conversation, workshop, team, live):
    _ask_before_each_call(conversation, workshop, live)
    conversation.model.script(calls(("add", {"a": 2, "b": 3}, "call_a")), text("Well."))
    with conversation.post() as stream:
        frames = stream.until("approval")
        url = f"/api/ai/run/{frames[0].run_id}/approve"
        for arguments in ({"a": "two", "b": 3}, ["a"]):
            answer = team.alice.api.post(url, json={"id": "call_a", "arguments": arguments})
            assert refusal(answer) == (400, "bad_request")
        answer = team.alice.api.post(url, json={"id": "call_a", "arguments": {"a": 20, "b": 3}})
        assert answer.status_code == 200
        frames += stream.rest()
    check_complete(frames)
    assert workshop.calls == [("add", {"a": 20, "b": 3})]
    *_, asked, told = conversation.model.requests[-1].body["messages"]
    assert '"a": 2,' in asked["tool_calls"][0]["function"]["arguments"]
    assert told["content"].startswith("[alice changed the arguments")
    [result] = [frame.payload for frame in frames if frame.type == "tool_result"]
    assert (result["result"], result["args"]) == ("23", {"a": 20, "b": 3})


def test_only_managers_allow_once_and_for_all_what_a_manager_has_ask(conversation, workshop, team, live):
    _ask_before_each_call(conversation, workshop, live)
    conversation.model.script(calls(("add", {"a": 2, "b": 3}, "call_a")))
    with conversation.post() as stream:
        run_url = _url_of_parked(live, stream.until("approval")[0].run_id)
        for always, refused in ((True, (403, "access_denied")), ("yes", (400, "bad_request"))):
            answer = team.alice.api.post(f"{run_url}/approve", json={"id": "call_a", "always": always})
            assert refusal(answer) == refused
        assert team.alice.api.post(f"{run_url}/stop").json()["state"] == "cancelled"
    assert workshop.calls == []


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 5}, {"id": None}])
def test_a_decision_names_its_call(team, body):
    assert refusal(team.alice.api.post(f"/api/ai/run/{NOBODY}/approve", json=body)) == (400, "bad_request")


def test_a_call_that_the_run_has_not_is_refused(conversation, team):
    conversation.model.script(text("Hello"))
    with conversation.post() as stream:
        run_id = stream.rest()[0].run_id
    answer = team.alice.api.post(f"/api/ai/run/{run_id}/approve", json={"id": "call_1"})
    assert refusal(answer) == (400, "bad_request")


def _ask_before_each_call(conversation, workshop, live) -> None:
    server_id = conversation.use(workshop)
    tool_ids = live.admin.call("mcp.tool", "search", [("server_id", "=", server_id)])
    live.admin.call("mcp.tool", "write", tool_ids, {"approval": "ask"})


def _url_of_parked(live, run_id: int) -> str:
    """The run's address, once its host has let go of it: the frames of its calls are a moment earlier."""
    live.eventually(lambda: live.sql("SELECT 1 FROM ai_run WHERE id = %s AND state = 'waiting'", run_id))
    return f"/api/ai/run/{run_id}"


def _consumed(live, run_id: int) -> list[tuple]:
    return live.sql("SELECT input_tokens, output_tokens, cost::float, model_name FROM ai_run WHERE id = %s", run_id)
