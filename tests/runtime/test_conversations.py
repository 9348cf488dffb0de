"""What people do to a conversation while it is answered, and assistants among themselves: faults 41, 42, 44 and 46."""

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import calls, hold, text
from tests.live import LiveServer, Person
from tests.runtime.conftest import Room, open_room


@pytest.fixture(scope="module")
def tools() -> Iterator[McpHttpServer]:
    with McpHttpServer() as server:
        yield server


@pytest.fixture
def quiet(room: Room) -> Iterator[None]:
    """Whatever happens, no error is in the server's log."""
    mark = room.server.log.mark()
    yield
    assert room.server.log.errors(mark) == []


@pytest.fixture
def group(room: Room) -> Room:
    """The same in a conversation that others can join; the assistant answers to everything."""
    room.channel_id = room.person.call("ai.assistant", "open_chat", [room.assistant_id], new=True)
    return room


# -- 41: whoever watches goes away


def test_q41_a_question_is_answered_though_its_client_hangs_up_at_once(room: Room, quiet: None):
    gate = hold()
    room.model.script(text(gate, "For nobody."))
    with room.person.http.stream("POST", f"/api/ai/stream/{room.channel_id}", json={"message": "Hello?"}):
        gate.wait_reached()
    gate.release()
    assert [(run["state"], run["stop_requested"]) for run in room.ended()] == [("done", None)]
    assert room.replies() == ["<p>For nobody.</p>"]


# -- 42: several at once


def test_q42_what_two_people_post_at_once_is_answered_in_the_order_in_which_it_stands_there(group: Room):
    bob = group.server.person("bob")
    group.person.call("discuss.channel", "add_members", [group.channel_id], partner_ids=[bob.partner_id])
    people = [group.person, bob]
    group.model.respond_with(lambda request: text(f"You said {request.body['messages'][-1]['content']}"))
    _at_once([lambda person=person: _say(group, person, f"I am {person.login}.") for person in people])
    runs = group.ended(2)
    questions = group.server.sql(
        "SELECT author_id FROM mail_message WHERE id IN (SELECT trigger_message_id FROM ai_run WHERE channel_id = %s)"
        " ORDER BY id", group.channel_id,
    )  # fmt: skip
    logins = {person.partner_id: person.login for person in people}
    order = [logins[partner_id] for (partner_id,) in questions]
    assert [run["state"] for run in runs] == ["done", "done"]
    assert [f"I am {login}." in reply for login, reply in zip(order, group.replies(), strict=True)] == [True, True]
    assert len(group.model.requests) == 2


def test_q42_a_double_click_is_two_messages_and_each_is_answered_once(room: Room):
    room.model.respond_with(lambda request: text("Once."))
    _at_once([lambda: _say(room, room.person, "Pay")] * 2)
    assert [run["state"] for run in room.ended(2)] == ["done", "done"]
    asked = [
        [message["content"] for message in request.body["messages"] if message["role"] == "user"]
        for request in room.model.requests
    ]
    assert asked in ([["Pay"], ["Pay", "Pay"]], [["Pay", "Pay"], ["Pay"]])


# -- 44: what a run is about is changed under its hands


def _edit(room: Room, message_id: int) -> None:
    _update(room, message_id, "<p>Goodbye?</p>")


def _take_back(room: Room, message_id: int) -> None:
    _update(room, message_id, "")


def _delete_message(room: Room, message_id: int) -> None:
    room.server.admin.call("mail.message", "unlink", [message_id])


def _archive(room: Room, _message_id: int) -> None:
    room.server.admin.call("discuss.channel", "write", [room.channel_id], {"active": False})


def _delete(room: Room, _message_id: int) -> None:
    room.server.admin.call("discuss.channel", "unlink", [room.channel_id])


def _update(room: Room, message_id: int, body: str) -> None:
    params = {"message_id": message_id, "update_data": {"body": body, "attachment_ids": []}}
    room.person.http.post("/mail/message/update_content", json={"params": params}).raise_for_status()


CHANGES = [  # how the run ends, and whether its reply is posted: what was begun is answered as it was begun
    (_edit, "done", True),
    (_take_back, "done", True),
    (_delete_message, "done", True),
    (_archive, "done", False),
    (_delete, None, False),
]


@pytest.mark.parametrize(("change", "state", "is_answered"), CHANGES)
def test_q44_what_changes_while_the_model_speaks(room: Room, quiet: None, change: Callable, state, is_answered):
    gate = hold()
    room.model.script(text("He", gate, "llo!"))
    message_id = room.say("Hello?")
    gate.wait_reached()
    change(room, message_id)
    gate.release()
    _check_end(room, state, ["<p>Hello!</p>"] if is_answered else [])


@pytest.mark.parametrize(("change", "state", "is_answered"), CHANGES)
def test_q44_what_changes_while_a_tool_is_at_work(
    room: Room, quiet: None, tools: McpHttpServer, change: Callable, state, is_answered
):
    room.use(tools)
    room.model.script(calls(("slow", {"text": change.__name__})), text("There."))
    message_id = room.say("Hello?")
    tools.wait_until(lambda: ("slow", {"text": change.__name__}) in tools.calls)
    change(room, message_id)
    tools.release()
    _check_end(room, state, ["<p>There.</p>"] if is_answered else [])


@pytest.mark.parametrize(("change", "state", "is_answered"), CHANGES)
def test_q44_what_changes_while_a_call_waits_for_a_decision(
    room: Room, quiet: None, tools: McpHttpServer, change: Callable, state, is_answered
):
    _ask_first(room, room.use(tools))
    room.model.script(calls(("echo", {"text": "ping"}, "call_1")), text("There."))
    message_id = room.say("Hello?")
    room.server.eventually(lambda: [run["state"] for run in room.runs()] == ["waiting"])
    [run] = room.runs()
    change(room, message_id)
    answer = room.person.http.post(f"/api/ai/run/{run['id']}/approve", json={"id": "call_1"})
    assert answer.status_code == (200 if state else 404), answer.text
    _check_end(room, state, ["<p>There.</p>"] if is_answered else [])


# -- 46: machines among themselves


def test_q46_an_assistant_that_names_itself_and_another_asks_nobody(room: Room, quiet: None):
    other = open_room(room.server, room.model, room.person)
    partners = [_partner(room.server, one.assistant_id) for one in (room, other)]
    room.model.script(text(*(_mention(partner) for partner in partners)))
    room.say("Who can help me?")
    assert [run["state"] for run in room.ended()] == ["done"]
    assert room.jobs("todo") == 0
    assert len(room.model.requests) == 1


def test_q46_two_assistants_that_answer_to_everything_don_t_answer_each_other(group: Room, quiet: None):
    other = open_room(group.server, group.model, group.person)
    partners = [_partner(group.server, one.assistant_id) for one in (group, other)]
    group.model.respond_with(lambda request: text("And what do you think?"))
    _say(group, group.person, "Discuss.", partner_ids=partners)
    assert [run["state"] for run in group.ended(2)] == ["done", "done"]
    group.say("Thank you.")  # to the conversation's own
    assert [run["state"] for run in group.ended(3)] == ["done"] * 3
    assert len(group.model.requests) == 3


def _mention(partner_id: int) -> str:
    return f'<a class="o_mail_redirect" data-oe-model="res.partner" data-oe-id="{partner_id}" href="#">@Botty</a> '


def _partner(server: LiveServer, assistant_id: int) -> int:
    return server.admin.read("ai.assistant", assistant_id, "partner_id")["partner_id"][0]


def _ask_first(room: Room, server_id: int) -> None:
    found = room.server.admin.call("mcp.tool", "search", [("server_id", "=", server_id)])
    room.server.admin.call("mcp.tool", "write", found, {"approval": "ask"})


def _say(room: Room, person: Person, body: str, **values) -> None:
    values = {"body": body, "message_type": "comment", "subtype_xmlid": "mail.mt_comment", **values}
    params = {"thread_model": "discuss.channel", "thread_id": room.channel_id, "post_data": values}
    answer = person.http.post("/mail/message/post", json={"params": params}).json()
    assert "error" not in answer, answer


def _at_once(works: list[Callable[[], None]]) -> None:
    """Do all of `works`, each in a thread of its own, and begin with them at the same moment."""
    lined_up = threading.Barrier(len(works))

    def begin(work: Callable[[], None]) -> None:
        lined_up.wait()
        work()

    threads = [threading.Thread(target=begin, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _check_end(room: Room, state: str | None, replies: list[str]) -> None:
    """The run ends in `state`, or is gone with its conversation; its host has nothing more to do with it."""
    room.server.eventually(lambda: room.jobs("todo") + room.jobs("doing") == 0)  # in this order: todo becomes doing
    assert [run["state"] for run in room.runs()] == ([state] if state else [])
    assert room.replies() == replies
