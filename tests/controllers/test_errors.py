"""Refusals: one shape, the right code, and nothing that a person or a program should not see."""

import itertools

import httpx2
import pytest

from tests.controllers.client import PATIENCE
from tests.fakes.model_server import hold, text

NOBODY = 99_999_999
HUGE = 99_999_999_999_999_999_999  # beyond every integer of the database


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """The status and code of an error; its shape is checked."""
    assert response.headers["Content-Type"] == "application/json; charset=utf-8", response.text
    assert "Set-Cookie" not in response.headers
    body = response.json()
    assert body.keys() == {"error"} and body["error"].keys() == {"code", "message"}
    assert body["error"]["message"] and "Traceback" not in response.text
    return response.status_code, body["error"]["code"]


@pytest.fixture
def idle(conversation):
    """A conversation in which nothing was asked; whoever reaches its model fails the test."""
    yield conversation
    assert conversation.model.requests == []
    assert conversation.messages() == []


@pytest.mark.parametrize(("body", "code"), [
    (b"", "no_message"),
    (b"{}", "no_message"),
    (b'{"message": ""}', "no_message"),
    (b'{"message": " \\n\\t"}', "no_message"),
    (b'{"message": "", "attachment_ids": []}', "no_message"),
    (b"{", "bad_request"),
    (b"message=hi", "bad_request"),
    (b"[]", "bad_request"),
    (b'"hi"', "bad_request"),
    (b"null", "bad_request"),
    (b"\xff\xfe\xfd", "bad_request"),
    (b"[" * 100_000, "bad_request"),
    (b'{"message": 5}', "bad_request"),
    (b'{"message": null}', "bad_request"),
    (b'{"message": ["hi"]}', "bad_request"),
    (b'{"message": "hi", "attachment_ids": 5}', "bad_request"),
    (b'{"message": "hi", "attachment_ids": ["5"]}', "bad_request"),
    (b'{"message": "hi", "attachment_ids": [true]}', "bad_request"),
    (b'{"message": "hi", "attachment_ids": [99999999]}', "bad_request"),
    (b'{"message": "hi", "attachment_ids": [-1]}', "bad_request"),
    (b'{"message": "hi", "attachment_ids": [99999999999999999999]}', "bad_request"),
])
def test_a_body_that_is_no_message_is_refused(idle, team, body, code):
    headers = {"Content-Type": "application/json"}
    assert refusal(team.alice.api.post(idle.url, content=body, headers=headers)) == (400, code)


def test_a_body_beyond_the_limit_is_refused(idle, team):
    assert refusal(team.alice.api.post(idle.url, json={"message": "x" * 1_100_000})) == (413, "too_large")


def test_a_body_of_unknown_length_is_read_and_bounded(idle, team):
    endless = itertools.repeat(b"x" * 100_000, 20)
    assert refusal(team.alice.api.post(idle.url, content=endless)) == (413, "too_large")


def test_an_idempotency_key_is_bounded(idle, team):
    answer = team.alice.api.post(idle.url, json={"message": "hi"}, headers={"Idempotency-Key": "k" * 256})
    assert refusal(answer) == (400, "bad_request")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("channel_id", [NOBODY, HUGE, 0, -5])
def test_a_channel_that_does_not_exist_is_not_found(team, method, channel_id):
    answer = team.alice.api.request(method, f"/api/ai/stream/{channel_id}", json={"message": "hi"})
    assert refusal(answer) == (404, "channel_not_found")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("who", ["bob", "paula", "mia"])
def test_q47_a_channel_that_one_may_not_see_does_not_exist(idle, team, method, who):
    answer = getattr(team, who).api.request(method, idle.url, json={"message": "hi"})
    assert refusal(answer) == (404, "channel_not_found")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_q47_a_channel_that_one_only_sees_is_closed(team, model, method):
    channel_id = _open_channel(team)
    answer = team.bob.api.request(method, f"/api/ai/stream/{channel_id}", json={"message": "hi"})
    assert refusal(answer) == (403, "access_denied")


def test_q47_an_assistant_of_other_people_does_not_answer(idle, team):
    group_id = team.admin.create("res.groups", name="Only they")
    team.admin.call("ai.assistant", "write", [idle.assistant_id], {"group_ids": [(6, 0, [group_id])]})
    assert refusal(team.alice.api.post(idle.url, json={"message": "hi"})) == (403, "access_denied")


def test_q47_a_portal_user_starts_no_run(idle, team):
    team.admin.call("discuss.channel", "write", [idle.id], {
        "channel_member_ids": [(0, 0, {"partner_id": team.paula.person.partner_id})],
    })
    assert refusal(team.paula.api.post(idle.url, json={"message": "hi"})) == (403, "access_denied")


def test_a_channel_without_an_assistant_cannot_answer(team):
    channel_id = _open_channel(team)
    assert refusal(team.alice.api.post(f"/api/ai/stream/{channel_id}", json={"message": "hi"})) == (409, "no_assistant")


@pytest.mark.parametrize(("query", "headers", "status", "code"), [
    ("", {}, 404, "run_not_found"),
    (f"?run_id={NOBODY}", {}, 404, "run_not_found"),
    ("?run_id=9999999999", {}, 404, "run_not_found"),
    ("", {"Last-Event-ID": f"{NOBODY}-1"}, 404, "run_not_found"),
    ("?run_id=one", {}, 400, "bad_request"),
    ("?run_id=", {}, 400, "bad_request"),
    ("?run_id=-1", {}, 400, "bad_request"),
    ("?run_id=" + "9" * 5000, {}, 400, "bad_request"),
    ("", {"Last-Event-ID": "5"}, 400, "bad_request"),
    ("", {"Last-Event-ID": "5-"}, 400, "bad_request"),
    ("", {"Last-Event-ID": "5-1-1"}, 400, "bad_request"),
    ("", {"Last-Event-ID": "-5-1"}, 400, "bad_request"),
    ("", {"Last-Event-ID": "99999999999-1"}, 400, "bad_request"),
    ("?run_id=4", {"Last-Event-ID": "5-1"}, 400, "bad_request"),
])
def test_what_cannot_be_attached_to_is_refused(idle, team, query, headers, status, code):
    assert refusal(team.alice.api.get(idle.url + query, headers=headers)) == (status, code)


def test_a_run_of_another_channel_is_not_found(conversation, team):
    conversation.model.script(text("here"))
    with conversation.post() as stream:
        run_id = stream.rest()[0].run_id
    other = team.alice.person.call("ai.assistant", "open_chat", [conversation.assistant_id], new=True)
    for query, headers in ((f"?run_id={run_id}", {}), ("", {"Last-Event-ID": f"{run_id}-1"})):
        answer = team.alice.api.get(f"/api/ai/stream/{other}{query}", headers=headers)
        assert refusal(answer) == (404, "run_not_found")


def test_a_frame_that_was_never_sent_is_refused(conversation, team):
    gate = hold()
    conversation.model.script(text("Hello", gate))
    with conversation.post() as stream:
        frame = stream.until("chunk")[-1]
        headers = {"Last-Event-ID": f"{frame.run_id}-{frame.seq + 1000}"}
        assert refusal(team.alice.api.get(conversation.url, headers=headers)) == (400, "bad_request")
        gate.release()
        stream.rest()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("authorization", [
    None, "Bearer", "Bearer wrong", "bearer 0000000000000000000000000000000000000000", "Basic YTpi",
])
def test_who_does_not_say_who_they_are_is_refused(idle, live, method, authorization):
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx2.request(
        method, live.url + idle.url, json={"message": "hi"}, headers=headers, timeout=PATIENCE, follow_redirects=False,
    )
    assert refusal(answer) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_counts_and_not_the_session_beside_it(idle, team):
    headers = {"Authorization": "Bearer wrong", "Sec-Fetch-Site": "same-origin"}
    assert refusal(team.alice.browser.post(idle.url, json={"message": "hi"}, headers=headers))[0] == 401
    headers["Authorization"] = team.bob.api.headers["Authorization"]
    assert refusal(team.alice.browser.post(idle.url, json={"message": "hi"}, headers=headers))[0] == 404


@pytest.mark.parametrize(("headers", "refused"), [
    ({"Sec-Fetch-Site": "same-origin"}, False),
    ({"Sec-Fetch-Site": "none"}, False),
    ({"Origin": "{own}"}, False),
    ({"Referer": "{own}/live/discuss"}, False),
    ({}, False),
    ({"Sec-Fetch-Site": "cross-site"}, True),
    ({"Sec-Fetch-Site": "same-site"}, True),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, True),
    ({"Origin": "https://evil.example"}, True),
    ({"Origin": "null"}, True),
    ({"Origin": "{own}.evil.example"}, True),
    ({"Referer": "https://evil.example/{own}"}, True),
])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_session_is_worth_nothing_on_pages_of_others(idle, team, live, headers, refused, method):
    headers = {name: value.replace("{own}", live.url) for name, value in headers.items()}
    answer = team.alice.browser.request(method, idle.url, json={"message": ""}, headers=headers)
    let_in = (404, "run_not_found") if method == "GET" else (400, "no_message")
    assert refusal(answer) == ((403, "csrf") if refused else let_in)


@pytest.mark.parametrize("content_type", [
    "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x",
])
def test_a_form_cannot_use_a_session(idle, team, content_type):
    headers = {"Content-Type": content_type}
    answer = team.alice.browser.post(idle.url, content=b'{"message": "hi"}', headers=headers)
    assert refusal(answer) == (403, "csrf")


@pytest.mark.parametrize(("method", "path", "status", "code"), [
    ("GET", "/api/ai/", 404, "not_found"),
    ("GET", "/api/ai/nothing", 404, "not_found"),
    ("POST", "/api/ai/stream/abc", 404, "not_found"),
    ("POST", "/api/ai/stream/1/more", 404, "not_found"),
    ("PUT", "/api/ai/stream/1", 405, "method_not_allowed"),
    ("DELETE", "/api/ai/stream/1", 405, "method_not_allowed"),
    ("OPTIONS", "/api/ai/stream/1", 405, "method_not_allowed"),
    ("GET", "/api/ai/run/1/stop", 405, "method_not_allowed"),
])
def test_addresses_that_are_none_answer_in_the_same_shape(team, method, path, status, code):
    assert refusal(team.alice.api.request(method, path)) == (status, code)


def test_the_pages_of_odoo_stay_as_they_are(team, live):
    answer = httpx2.get(live.url + "/api/elsewhere", timeout=PATIENCE)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_database_that_is_not_served_is_answered_in_the_same_shape(team):
    answer = team.alice.api.get("/api/ai/stream/1", headers={"X-Odoo-Database": "no_such_database"})
    assert refusal(answer) == (404, "not_found")
    answer = team.alice.browser.get("/api/ai/stream/1", headers={"X-Odoo-Database": "no_such_database"})
    assert refusal(answer) == (403, "access_denied")


def test_files_of_others_and_files_in_use_are_refused(idle, team):
    foreign = team.bob.person.create("ir.attachment", name="bob.txt", raw="Bob's")
    other = team.alice.person.call("ai.assistant", "open_chat", [idle.assistant_id], new=True)
    used = team.alice.person.create(
        "ir.attachment", name="plan.txt", raw="x", res_model="discuss.channel", res_id=other,
    )
    for file_id in (foreign, used):
        answer = team.alice.api.post(idle.url, json={"message": "hi", "attachment_ids": [file_id]})
        assert refusal(answer) == (400, "bad_request")
        assert str(file_id) in answer.json()["error"]["message"]


def test_a_bug_is_no_traceback_for_the_client(idle, team, live):
    live.sql("""
        CREATE FUNCTION fail_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'a secret of the server'; END $$;
        CREATE TRIGGER fail_for_test BEFORE INSERT ON ai_run FOR EACH ROW EXECUTE FUNCTION fail_for_test();
    """)
    try:
        answer = team.alice.api.post(idle.url, json={"message": "hi"})
    finally:
        live.sql("DROP FUNCTION fail_for_test CASCADE")
    assert refusal(answer) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "a secret of the server" in live.log.text()


def _open_channel(team) -> int:
    """A channel that everybody who works here sees, with Alice as its only member."""
    return team.alice.person.create("discuss.channel", name="Lobby", channel_type="channel")
