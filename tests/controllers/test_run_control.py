"""`POST /api/ai/run/<id>/…`: who may stop a run and decide on its calls, and that doing it twice does no harm."""

import pytest

from tests.controllers.client import check_complete, text_of
from tests.controllers.test_errors import NOBODY, refusal
from tests.fakes.model_server import hold, text


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


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 5}, {"id": None}])
def test_a_decision_names_its_call(team, body):
    assert refusal(team.alice.api.post(f"/api/ai/run/{NOBODY}/approve", json=body)) == (400, "bad_request")


def test_a_call_that_the_run_has_not_is_refused(conversation, team):
    conversation.model.script(text("Hello"))
    with conversation.post() as stream:
        run_id = stream.rest()[0].run_id
    answer = team.alice.api.post(f"/api/ai/run/{run_id}/approve", json={"id": "call_1"})
    assert refusal(answer) == (400, "bad_request")
