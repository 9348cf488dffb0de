"""`GET /api/ai/stream`, and what becomes of a run whose viewers come and go."""

import pytest

from tests.controllers.client import Stream, check_complete, text_of
from tests.fakes.model_server import calls, hold, text


def ask(conversation, *replies, message="Hello?"):
    """Let a run happen, and return its frames."""
    conversation.model.script(*replies)
    with conversation.post(message) as stream:
        return stream.rest()


def test_a_finished_run_is_shown_from_its_beginning(conversation, workshop):
    conversation.use(workshop)
    frames = ask(conversation, calls(("echo", {"text": "one"})), text("one", " two"))
    with conversation.attach() as stream:
        assert stream.rest() == frames
    check_complete(frames)
    assert len(conversation.model.requests) == 2


def test_the_newest_run_is_shown_unless_another_one_is_named(conversation):
    first = ask(conversation, text("one"))
    second = ask(conversation, text("two"))
    with conversation.attach() as stream:
        assert stream.rest() == second
    with conversation.attach(first[0].run_id) as stream:
        assert stream.rest() == first


def test_who_comes_late_sees_everything_and_then_goes_on_live(conversation):
    gate = hold()
    conversation.model.script(text("Hello", gate, " Alice"))
    with conversation.post() as stream:
        early = stream.until("chunk")
        with conversation.attach() as late_stream:
            late = late_stream.until("chunk")
            gate.release()
            late += late_stream.rest()
        early += stream.rest()
    check_complete(late)
    assert late == early


def test_two_viewers_see_the_same(conversation):
    gate = hold()
    conversation.model.script(text(*[f"{number} " for number in range(50)], gate, "end"))
    with conversation.post() as one:
        frames = one.until("chunk")
        with conversation.attach() as two:
            gate.release()
            others = two.rest()
        frames += one.rest()
    assert frames == others
    assert text_of(frames) == "".join(f"{number} " for number in range(50)) + "end"


def test_q41_a_run_goes_on_when_its_only_viewer_leaves(conversation):
    gate = hold()
    conversation.model.script(text("Hello", gate, " Alice"))
    with conversation.post() as stream:
        seen = stream.until("chunk")
    gate.release()
    with conversation.attach(after=seen[-1]) as stream:
        rest = stream.rest()
    check_complete(seen + rest)
    assert text_of(seen + rest) == "Hello Alice"
    assert "Hello Alice" in conversation.messages()[-1]["body"]


def test_resuming_after_any_frame_loses_nothing_and_repeats_nothing(conversation, workshop):
    conversation.use(workshop)
    frames = ask(
        conversation, calls(("echo", {"text": "a"}), ("add", {"a": 1, "b": 2})), text("one", " two", " three"),
    )
    for index, frame in enumerate(frames[:-1]):
        with conversation.attach(after=frame) as stream:
            assert stream.rest() == frames[index + 1:]


def test_resuming_while_the_run_goes_on_loses_nothing(conversation):
    gates = [hold() for _ in range(3)]
    conversation.model.script(text("a", gates[0], "b", gates[1], "c", gates[2], "d"))
    with conversation.post() as stream:
        frames = stream.until("chunk")
    for gate in gates:
        gate.release()
        with conversation.attach(after=frames[-1]) as stream:
            frames += stream.until("chunk")
    with conversation.attach(after=frames[-1]) as stream:
        frames += stream.rest()
    check_complete(frames)
    assert text_of(frames) == "abcd"


def test_after_the_last_frame_there_is_nothing(conversation):
    frames = ask(conversation, text("Bye."))
    with conversation.attach(after=frames[-1]) as stream:
        assert stream.response.status_code == 204
        assert stream.response.read() == b""


def test_frame_zero_is_before_the_first(conversation):
    frames = ask(conversation, text("Hello"))
    with conversation.attach(after=f"{frames[0].run_id}-0") as stream:
        assert stream.rest() == frames


def test_last_event_id_may_name_an_older_run(conversation):
    first = ask(conversation, text("one"))
    ask(conversation, text("two"))
    with conversation.attach(first[0].run_id, after=first[0]) as stream:
        assert stream.rest() == first[1:]


def test_attaching_starts_nothing(conversation):
    ask(conversation, text("one"))
    for _ in range(3):
        with conversation.attach() as stream:
            stream.rest()
    assert len(conversation.model.requests) == 1
    assert len(conversation.messages()) == 2


def test_head_answers_like_get_without_a_body(conversation, team):
    ask(conversation, text("one"))
    answer = team.alice.api.head(conversation.url)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.content == b""


def test_a_purged_journal_is_told_from_the_records(conversation, workshop, live):
    conversation.use(workshop)
    told = ask(conversation, calls(("echo", {"text": "one"}), content="First,"), text("then."))
    live.sql("DELETE FROM ai_run_event WHERE run_id = %s", told[0].run_id)
    with conversation.attach() as stream:
        frames = stream.rest()
    check_complete(frames)
    assert text_of(frames) == text_of(told)
    by_type = {frame.type: frame.payload for frame in frames}
    expected = {frame.type: frame.payload for frame in told}
    assert by_type["done"] == expected["done"]
    assert by_type["tool_result"]["result"] == "one"
    assert by_type["tool_call"]["args"] == {"text": "one"}
    with conversation.attach(after=frames[2]) as stream:
        assert stream.rest() == frames[3:]
    with conversation.attach(after=frames[-1]) as stream:
        assert stream.response.status_code == 204


@pytest.mark.parametrize(("method", "options"), [("POST", {"json": {"message": "Hi"}}), ("GET", {})])
def test_a_session_of_a_page_works_like_a_key(conversation, team, method, options):
    ask(conversation, text("one"))
    conversation.model.script(text("two"))
    headers = {"Sec-Fetch-Site": "same-origin"}
    with Stream(team.alice.browser, method, conversation.url, headers=headers, **options) as stream:
        assert "Set-Cookie" not in stream.response.headers
        check_complete(stream.rest())
