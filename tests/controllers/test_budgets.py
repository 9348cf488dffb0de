"""Budgets over the public addresses: a clear 429 before anything is posted, a graceful answer midway in a run."""

import threading

import pytest

from tests.controllers.client import Stream, check_complete, text_of
from tests.controllers.test_errors import refusal
from tests.fakes.model_server import calls, hold, text


@pytest.fixture
def limit(team, conversation):
    """Limits what may be asked of the conversation's assistant."""
    def limit(**limits):
        values = {"name": "Fair share", "assistant_id": conversation.assistant_id, **limits}
        return team.admin.create("ai.budget", **values)

    return limit


def post_at_once(*posts):
    """What each of `posts`, (caller, url, headers), is answered with: a refusal, or the frames of its stream."""
    answers, lined_up = [], threading.Barrier(len(posts))

    def post(caller, url, headers):
        lined_up.wait()
        with Stream(caller.api, "POST", url, json={"message": "Hello?"}, headers=headers) as stream:
            if stream.response.status_code == 200:
                answers.append(stream.rest())
            else:
                stream.response.read()
                answers.append(refusal(stream.response))

    threads = [threading.Thread(target=post, args=args) for args in posts]
    for thread in threads:
        thread.start()
    return threads, answers


def test_who_has_used_up_a_budget_is_refused_before_anything_is_posted(conversation, team, limit):
    limit(max_runs=1)
    conversation.model.script(text("Well."))
    key = {"Idempotency-Key": "k1"}
    with conversation.post(headers=key) as stream:
        frames = stream.rest()
    file_id = team.alice.person.create("ir.attachment", name="plan.txt", raw="the plan")
    answer = team.alice.api.post(conversation.url, json={"message": "And now?", "attachment_ids": [file_id]})
    assert refusal(answer) == (429, "rate_limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 24 * 3600
    assert "The budget “Fair share” is used up: 1 reply a day. It starts anew on" in answer.json()["error"]["message"]
    assert len(conversation.messages()) == 2
    assert team.alice.person.read("ir.attachment", file_id, "res_id")["res_id"] in (0, False)
    with conversation.post(headers=key) as stream:  # was answered before
        assert stream.rest() == frames


@pytest.mark.parametrize(("limits", "granted"), [
    ({"max_concurrent": 1}, 1),
    ({"max_concurrent": 2, "per_person": False}, 2),
    ({"max_runs": 2, "period": "month"}, 2),
])
def test_of_those_who_ask_at_the_same_moment_no_more_are_answered_than_the_budget_allows(
    conversation, team, limit, limits, granted
):
    limit(**limits)
    gate = hold()
    conversation.model.respond_with(lambda request: text("Well.", gate))
    asking = (team.alice, team.bob) if limits.get("per_person") is False else (team.alice,)
    posts = []
    for number in range(6):
        caller = asking[number % len(asking)]
        channel_id = caller.person.call("ai.assistant", "open_chat", [conversation.assistant_id], new=True)
        posts.append((caller, f"/api/ai/stream/{channel_id}", {}))
    threads, answers = post_at_once(*posts)
    conversation.model.wait_for_request(granted)
    team.alice.person.server.eventually(lambda: len(answers) == 6 - granted)
    gate.release()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer == (429, "rate_limited")]
    assert (len(answers), len(refused), len(conversation.model.requests)) == (6, 6 - granted, granted)


def test_q42_a_post_that_comes_twice_at_once_is_one_also_where_only_one_is_allowed(conversation, team, limit):
    limit(max_concurrent=1)
    gate = hold()
    conversation.model.script(text("Once.", gate))
    threads, answers = post_at_once(*[(team.alice, conversation.url, {"Idempotency-Key": "k1"})] * 3)
    conversation.model.wait_for_request()
    gate.release()
    for thread in threads:
        thread.join()
    assert len(answers) == 3 and all(frames == answers[0] for frames in answers)
    assert text_of(answers[0]) == "Once."


def test_a_reply_whose_tokens_are_used_up_answers_with_what_it_knows(conversation, workshop, team, limit):
    limit(max_tokens=100, period="reply")
    conversation.use(workshop)
    conversation.model.script(
        calls(("add", {"a": 2, "b": 3}, "call_a"), usage=(90, 20)), text("That is five.", usage=(90, 20))
    )
    with conversation.post() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert (text_of(frames), frames[-1].payload["state"]) == ("That is five.", "done")
    [notice] = [frame.payload for frame in frames if frame.type == "notice"]
    assert notice["code"] == "budget_limit"
    assert notice["message"].startswith("The budget “Fair share” is used up: 100 tokens in a reply.")
    assert [name for name, _arguments in workshop.calls] == ["add"]
    assert ["tools" in request.body for request in conversation.model.requests] == [True, False]


def test_a_message_in_discuss_is_posted_and_answered_with_what_the_budget_says(conversation, team, limit, live):
    limit(max_concurrent=1)
    gate = hold()
    conversation.model.script(text("Once upon", gate))
    with conversation.post() as stream:
        stream.until("chunk")
        for body in ("And now?", "Hello?"):
            team.alice.person.call(
                "discuss.channel", "message_post", [conversation.id], body=body, message_type="comment"
            )
        bodies = [message["body"] for message in conversation.messages()]
        gate.release()
        stream.rest()
    assert ["And now?" in body for body in bodies] == [False, True, False, False]
    assert "No more than 1 reply can be made at the same time" in bodies[2]
    with conversation.attach() as stream:  # to the refused one: it is the newest
        frames = stream.rest()
    check_complete(frames)
    assert [frame.type for frame in frames] == ["run", "error", "done"]
    assert frames[1].payload["code"] == "rate_limited"
