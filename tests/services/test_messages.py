"""Messages go to the wire and come back as they were."""

import pytest

from services.messages import (
    AssistantMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
    from_wire,
    parse_arguments,
    to_wire,
)

CALL = ToolCall("c1", "add", {"a": 1}, '{"a": 1}', "c1")


@pytest.mark.parametrize("message", [
    SystemMessage("Be brief."),
    UserMessage("Hello"),
    UserMessage("What is this?", ("data:image/png;base64,AAAA",)),
    AssistantMessage("Hi"),
    AssistantMessage("", (CALL,)),
    ToolMessage("c1", "3"),
], ids=lambda message: type(message).__name__)
def test_a_message_survives_the_way_to_the_wire_and_back(message):
    assert from_wire(to_wire(message)) == message


def test_only_valid_json_is_replayed_as_arguments():
    broken = ToolCall("c1", "add", {}, '{"a": ', problem="The arguments are not valid JSON.")
    assert to_wire(AssistantMessage("", (broken,)))["tool_calls"][0]["function"]["arguments"] == "{}"


def test_an_assistant_message_has_null_content_only_beside_calls():
    assert to_wire(AssistantMessage("", (CALL,)))["content"] is None
    assert to_wire(AssistantMessage(""))["content"] == ""


def test_an_unknown_role_is_named():
    with pytest.raises(ValueError, match="'robot'"):
        from_wire({"role": "robot"})


@pytest.mark.parametrize(
    ("raw", "word"),
    [("{", "not valid JSON"), ("[1]", "list"), ("3", "int"), ("null", "NoneType"), ('{"a": 1e400}', "too large")],
)
def test_q11_arguments_that_are_no_object_are_a_problem(raw, word):
    arguments, problem = parse_arguments(raw)
    assert arguments == {} and word in problem


def test_no_arguments_at_all_are_an_empty_object():
    assert parse_arguments(" ") == ({}, "")
