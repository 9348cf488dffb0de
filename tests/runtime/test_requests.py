"""What reaches a model's server of a conversation with tools: images for one that sees, what waits, what fits."""

from typing import Any

from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import calls, text
from tests.runtime.conftest import Room


def describe_model(room: Room, **values: Any) -> None:
    admin = room.server.admin
    [assistant] = admin.search_read("ai.assistant", [("id", "=", room.assistant_id)], "provider_id", "model")
    admin.create("ai.model", provider_id=assistant["provider_id"][0], name=assistant["model"], **values)


def request(room: Room, number: int) -> list[dict[str, Any]]:
    """The messages of the model server's request of that number, counted from 0, without the system prompt."""
    messages = room.model.requests[number].body["messages"]
    return [message for message in messages if message["role"] != "system"]


def roles(messages: list[dict[str, Any]]) -> list[str]:
    return [message["role"] for message in messages]


def images(messages: list[dict[str, Any]]) -> list[str]:
    """The beginnings of the images' URLs."""
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    return [part["image_url"]["url"][:22] for part in parts if part["type"] == "image_url"]


def test_a_model_that_sees_is_shown_what_tools_return_now_and_in_later_turns(room: Room):
    describe_model(room, sees_images=True)
    with McpHttpServer() as tools:
        room.use(tools)
        room.model.script(calls(("mixed", {})), text("A pixel."), text("Grey."))
        room.say("Look.")
        room.ended()
        room.say("Which colour?")
        room.ended(2)
    first, later = request(room, 1), request(room, 2)
    assert roles(first) == ["user", "assistant", "tool", "assistant", "user"]
    assert roles(later) == [*roles(first), "assistant", "user"]
    assert images(first) == images(later) == ["data:image/png;base64,"]


def test_a_model_that_does_not_see_only_reads_that_there_are_images(room: Room):
    with McpHttpServer() as tools:
        room.use(tools)
        room.model.script(calls(("mixed", {})), text("A pixel, I am told."))
        room.say("Look.")
        room.ended()
    assert roles(request(room, 1)) == ["user", "assistant", "tool"]
    assert "image/png" in request(room, 1)[-1]["content"]


def test_what_waits_is_told_in_the_meantime_and_its_images_are_shown_once_it_was_approved(room: Room):
    describe_model(room, sees_images=True)
    admin = room.server.admin
    with McpHttpServer() as tools:
        room.use(tools)
        [server] = admin.search_read("ai.assistant", [("id", "=", room.assistant_id)], "mcp_server_ids")
        mixed = [("server_id", "in", server["mcp_server_ids"]), ("name", "=", "mixed")]
        [tool] = admin.search_read("mcp.tool", mixed, "name")
        admin.call("mcp.tool", "write", [tool["id"]], {"approval": "ask"})
        room.model.script(calls(("mixed", {})), text("You have to allow it."), text("A pixel."))
        room.say("Look.")
        room.server.eventually(lambda: [run["state"] for run in room.runs()] == ["waiting"])
        room.say("Well?")
        room.ended()
        [call] = room.person.search_read("ai.tool.call", [("run_id", "=", room.runs()[0]["id"])], "state")
        room.person.call("ai.tool.call", "action_approve", [call["id"]])
        room.ended(2)
    meanwhile, resumed = request(room, 1), request(room, 2)
    assert roles(meanwhile) == ["user", "assistant", "tool", "assistant", "user"]
    assert meanwhile[2]["content"].startswith("Awaiting approval by a person")
    assert roles(resumed) == ["user", "assistant", "tool", "assistant", "user"]
    assert images(resumed) == ["data:image/png;base64,"]


def test_results_that_are_too_long_for_the_model_are_shortened_and_people_are_told(room: Room):
    describe_model(room, context_tokens=8_000)
    with McpHttpServer() as tools:
        room.use(tools)
        huge = calls(("huge", {"chars": 16_000}))
        room.model.script(huge, huge, text("Long."))
        room.say("Read it all.")
        [run] = room.ended()
    chars = [sum(len(message["content"] or "") for message in request(room, number)) for number in range(3)]
    assert chars[1] > 10_000
    assert chars[2] < 24_000
    contents = [message["content"] for message in request(room, 2) if message["role"] == "tool"]
    assert contents[0].startswith("[This older result was left out") and contents[1].endswith("x>")
    notices = [frame["code"] for frame in room.frames(run["id"]) if frame["type"] == "notice"]
    assert notices == ["results_shortened"]
