"""Calls of tools, as models stream them and get them wrong (docs/faults.md, 1 to 13 and 20 to 22): over a real socket
through the real SDK client into the loop. What is executed, and what the model is told in its next request."""

import logging

import pytest

from services.errors import ModelEmpty
from services.events import Notice, ToolCallFinished, ToolCallStarted
from services.loop import MAX_REFUSED_ROUNDS
from tests.fakes.conversation import Conversation
from tests.fakes.model_server import Drop, ModelServer, call_delta, calls, delta, end, error, sse, text

TIME, RATE = ("get_time", {"n": 1}), ("get_rate", {"n": 2})


@pytest.fixture
def server():
    with ModelServer() as server:
        yield server


def called(server, *frames, reason="tool_calls"):
    """The calls that were executed because of these frames, after which the model says "Done."."""
    server.script(sse(*frames, end(reason), "[DONE]"), text("Done."))
    conversation = Conversation(server)
    assert (conversation.text.endswith("Done."), conversation.error) == (True, None)
    assert len(conversation.of(ToolCallStarted)) == len(conversation.of(ToolCallFinished))
    return conversation.called


# Calls in fragments: what is streamed → what is executed

FRAGMENTS = {
    1: {
        "whole calls": [
            call_delta(0, id="a", name="get_time", arguments='{"n": 1}'),
            call_delta(0, id="b", name="get_rate", arguments='{"n": 2}'),
        ],
        "a call and its continuation, twice": [
            call_delta(0, id="a", name="get_time", arguments=""), call_delta(0, arguments='{"n": 1}'),
            call_delta(0, id="b", name="get_rate", arguments=""), call_delta(0, arguments='{"n": 2}'),
        ],
        "interleaved by id": [
            call_delta(0, id="a", name="get_time", arguments='{"n"'),
            call_delta(0, id="b", name="get_rate", arguments='{"n"'),
            call_delta(0, id="a", arguments=": 1}"), call_delta(0, id="b", arguments=": 2}"),
        ],
        "without ids at all": [
            call_delta(0, id="", name="get_time", arguments='{"n": 1}'),
            call_delta(0, id="", name="get_rate", arguments='{"n": 2}'),
        ],
    },
    2: {
        "by id": [
            call_delta(None, id="a", name="get_time", arguments='{"n"'),
            call_delta(None, id="b", name="get_rate", arguments='{"n"'),
            call_delta(None, id="a", arguments=": 1}"), call_delta(None, id="b", arguments=": 2}"),
        ],
        "the latest": [
            call_delta(None, id="a", name="get_time", arguments='{"n"'), call_delta(None, arguments=": 1}"),
            call_delta(None, id="b", name="get_rate", arguments='{"n"'), call_delta(None, arguments=": 2}"),
        ],
        "a new name": [
            call_delta(None, name="get_time", arguments='{"n"'), call_delta(None, arguments=": 1}"),
            call_delta(None, name="get_rate", arguments='{"n"'), call_delta(None, arguments=": 2}"),
        ],
        "null": [
            delta(tool_calls=[
                {"index": None, "id": "a", "function": {"name": "get_time", "arguments": '{"n": 1}'}},
                {"index": None, "id": "b", "function": {"name": "get_rate", "arguments": '{"n": 2}'}},
            ]),
        ],
    },
    3: {
        "empty": [
            call_delta(0, id="a", name="get_time", arguments='{"n"'), call_delta(0, id="", arguments=": 1}"),
            call_delta(1, id="b", name="get_rate", arguments='{"n"'), call_delta(1, id="", arguments=": 2}"),
        ],
        "null": [
            call_delta(0, id="a", name="get_time", arguments='{"n"'), call_delta(0, id=None, arguments=": 1}"),
            call_delta(1, id="b", name="get_rate", arguments='{"n"'), call_delta(1, id=None, arguments=": 2}"),
        ],
        "and the name as well": [
            call_delta(0, id="a", name="get_time", arguments='{"n"'), call_delta(0, id="", name="", arguments=": 1}"),
            call_delta(1, id="b", name="get_rate", arguments='{"n"'),
            call_delta(1, id=None, name=None, arguments=": 2}"),
        ],
    },
    4: {
        "one by one": [
            call_delta(0, id="a", name="get_time", arguments=""), call_delta(1, id="b", name="get_rate", arguments=""),
            call_delta(0, arguments='{"n"'), call_delta(1, arguments='{"n"'),
            call_delta(0, arguments=": 1}"), call_delta(1, arguments=": 2}"),
        ],
        "in one chunk": [
            call_delta(0, id="a", name="get_time", arguments=""), call_delta(1, id="b", name="get_rate", arguments=""),
            delta(tool_calls=[
                {"index": 1, "function": {"arguments": '{"n": 2}'}},
                {"index": 0, "function": {"arguments": '{"n": 1}'}},
            ]),
        ],
    },
    6: {
        "absent": [
            call_delta(0, name="get_time", arguments='{"n": 1}'), call_delta(1, name="get_rate", arguments='{"n": 2}'),
        ],
        "empty": [
            call_delta(0, id="", name="get_time", arguments='{"n": 1}'),
            call_delta(1, id="", name="get_rate", arguments='{"n": 2}'),
        ],
        "null": [
            call_delta(0, id=None, name="get_time", arguments='{"n": 1}'),
            call_delta(1, id=None, name="get_rate", arguments='{"n": 2}'),
        ],
    },
    7: {
        "one after the other": [
            call_delta(0, id="x", name="get_time", arguments='{"n": 1}'),
            call_delta(1, id="x", name="get_rate", arguments='{"n": 2}'),
        ],
        "interleaved": [
            call_delta(0, id="x", name="get_time", arguments=""), call_delta(1, id="x", name="get_rate", arguments=""),
            call_delta(0, arguments='{"n": 1}'), call_delta(1, arguments='{"n": 2}'),
        ],
        "at one index": [
            call_delta(0, id="x", name="get_time", arguments='{"n": 1}'),
            call_delta(0, id="x", name="get_rate", arguments='{"n": 2}'),
        ],
    },
    9: {
        "trailers": [
            call_delta(0, id="a", name="get_time", arguments='{"n"'), delta(content=None),
            call_delta(0, arguments=": 1}"), call_delta(0, arguments=None), delta(content=None, tool_calls=None),
            call_delta(1, id="b", name="get_rate", arguments=None), call_delta(1, arguments='{"n": 2}'),
            delta(tool_calls=[{"index": 1, "function": None}]), delta(role="assistant", content=None, tool_calls=[]),
        ],
    },
}


def rows(number):
    return pytest.mark.parametrize("frames", FRAGMENTS[number].values(), ids=FRAGMENTS[number])


@rows(1)
def test_q01_parallel_calls_that_all_say_index_zero_are_told_apart_by_their_ids(server, frames):
    assert called(server, *frames) == [TIME, RATE]


@rows(2)
def test_q02_without_any_index_calls_are_known_by_id_by_order_or_by_name(server, frames):
    assert called(server, *frames) == [TIME, RATE]


@pytest.mark.parametrize("label", [{"id": "a"}, {"id": ""}, {}], ids=["same id", "empty id", "no id"])
@pytest.mark.parametrize("index", [0, None])
def test_q02_a_call_that_is_said_again_in_full_is_one_call(server, index, label):
    again = call_delta(index, **label, name="get_time", arguments='{"n": 1}')
    assert called(server, again, again) == [TIME]


@rows(3)
def test_q03_a_continuation_whose_id_is_empty_opens_nothing(server, frames):
    assert called(server, *frames) == [TIME, RATE]


@rows(4)
def test_q04_interleaved_fragments_without_ids_find_their_call_by_index(server, frames):
    assert called(server, *frames) == [TIME, RATE]


def test_q05_a_fragment_of_an_unknown_index_continues_the_only_open_call(server):
    assert called(
        server, call_delta(0, id="a", name="get_time", arguments='{"n"'), call_delta(5, arguments=": 1}"),
    ) == [TIME]


def test_q05_a_fragment_that_may_belong_to_several_calls_is_dropped_with_a_warning(server, caplog):
    with caplog.at_level(logging.WARNING):
        assert called(
            server, call_delta(0, id="a", name="get_time", arguments='{"n": 1}'),
            call_delta(1, id="b", name="get_rate", arguments='{"n": 2}'), call_delta(5, arguments='{"n": 3}'),
        ) == [TIME, RATE]
    assert "belongs to none of 2 open calls" in caplog.text


@rows(6)
def test_q06_calls_that_never_get_an_id_are_given_one(server, frames):
    assert called(server, *frames) == [TIME, RATE]
    first, second = [call["id"] for call in server.requests[-1].body["messages"][1]["tool_calls"]]
    assert first != second and first.isalnum() and second.isalnum()


@rows(7)
def test_q07_calls_with_the_same_id_are_two_calls_with_a_result_each(server, frames):
    assert called(server, *frames) == [TIME, RATE]
    reply, *results = server.requests[-1].body["messages"][1:]
    assert [result["content"] for result in results] == ["get_time says 1", "get_rate says 2"]
    assert reply["tool_calls"][0]["id"] == "x" != reply["tool_calls"][1]["id"]


def test_q07_an_id_that_comes_again_in_the_next_round_is_another_call(server):
    server.script(calls(("get_time", {"n": 1}, "x")), calls(("get_rate", {"n": 2}, "x")), text("Done."))
    conversation = Conversation(server)
    assert conversation.called == [TIME, RATE]
    assert conversation.results == ["get_time says 1", "get_rate says 2"]


@pytest.mark.parametrize("identity", ["x" * 65, "a\0b", "größe", "a\nb"], ids=["long", "nul", "not ascii", "two lines"])
def test_q07_an_id_that_nobody_could_store_is_replaced(server, identity):
    assert called(server, call_delta(0, id=identity, name="get_time", arguments='{"n": 1}')) == [TIME]
    [call] = server.requests[-1].body["messages"][1]["tool_calls"]
    assert call["id"].isalnum()


@pytest.mark.parametrize("arguments", [
    {"arguments": ""}, {"arguments": None}, {"arguments": " \n"}, {}, {"arguments": "{}"},
], ids=["empty", "null", "blank", "absent", "object"])
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_q08_a_name_with_empty_arguments_is_executed_without_arguments(server, arguments, reason):
    assert called(server, call_delta(0, id="a", name="get_time", **arguments), reason=reason) == [("get_time", {})]


@rows(9)
def test_q09_nulls_between_and_after_fragments_change_nothing(server, frames):
    assert called(server, *frames) == [TIME, RATE]


# Calls that cannot be executed

MALFORMED = {
    "comma": '{"n": 1,}', "cut": '{"n": ', "python": "{'n': 1}", "nan": '{"n": NaN}', "two": '{"n": 1}{"n": 2}',
    "prose": "n = 1", "deep": '{"n":' * 60 + "1" + "}" * 60,
}


@pytest.mark.parametrize("arguments", MALFORMED.values(), ids=MALFORMED)
def test_q10_malformed_arguments_are_not_executed_and_the_model_may_correct_itself(server, arguments):
    server.script(calls(("get_time", arguments)), calls(("get_time", {"n": 1})), text("Noon."))
    conversation = Conversation(server)
    assert (conversation.called, conversation.text) == ([TIME], "Noon.")
    bad, good = conversation.of(ToolCallStarted)
    assert (bad.args, bad.raw_args, good.args, good.raw_args) == ({}, arguments, {"n": 1}, None)
    [told] = [message for message in conversation.requests[1]["messages"] if message["role"] == "tool"]
    assert told["content"].startswith("Not executed. The arguments are ")
    assert conversation.requests[1]["messages"][1]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_q10_the_result_quotes_the_problem(server):
    server.script(calls(("get_time", '{"n": 1 "m": 2}')), text("Hm."))
    assert "Expecting ',' delimiter: line 1 column 9" in Conversation(server).results[0]


def test_q10_a_model_that_cannot_write_json_is_not_asked_for_ever(server):
    server.respond_with(lambda request: calls(("get_time", "{")) if "tools" in request.body else text("I give up."))
    conversation = Conversation(server, max_rounds=100)
    assert (conversation.called, conversation.text, conversation.rounds) == ([], "I give up.", MAX_REFUSED_ROUNDS + 1)
    assert [notice.code for notice in conversation.of(Notice)] == ["calls_refused"]


def test_q10_a_call_that_succeeds_makes_room_for_new_mistakes(server):
    mistakes = [calls(("get_time", "{"))] * (MAX_REFUSED_ROUNDS - 1)
    server.script(*mistakes, calls(("get_time", {"n": 1})), *mistakes, text("Noon."))
    conversation = Conversation(server, max_rounds=100)
    assert (conversation.called, conversation.text, conversation.of(Notice)) == ([TIME], "Noon.", [])


@pytest.mark.parametrize("arguments", ["[1]", '[{"n": 1}]', '"UTC"', "7", "1.5", "true", "null"])
def test_q11_arguments_that_are_no_object_are_not_executed(server, arguments):
    server.script(calls(("get_time", arguments)), calls(("get_time", {"n": 1})), text("Noon."))
    conversation = Conversation(server)
    assert (conversation.called, conversation.text) == ([TIME], "Noon.")
    [told] = [message for message in conversation.requests[1]["messages"] if message["role"] == "tool"]
    assert "not an object" in told["content"]


@pytest.mark.parametrize("ending", [(end("stop"), "[DONE]"), ("[DONE]",), (end("STOP"), Drop())], ids=[
    "stop", "no reason", "upper case",
])
def test_q12_calls_run_whatever_reason_the_provider_gives(server, ending):
    server.script(sse(call_delta(0, id="a", name="get_time", arguments='{"n": 1}'), *ending), text("Noon."))
    conversation = Conversation(server)
    assert (conversation.called, conversation.text) == ([TIME], "Noon.")


@pytest.mark.parametrize("reason", ["length", "max_tokens", "model_length", "content_filter"])
@pytest.mark.parametrize("arguments", ['{"n": 1', '{"n"', ""], ids=["value", "key", "nothing"])
def test_q13_a_call_that_was_cut_off_is_never_executed_and_the_model_is_told(server, reason, arguments):
    server.script(
        sse(call_delta(0, id="a", name="get_time", arguments='{"n": 1}'),
            call_delta(1, id="b", name="get_rate", arguments=arguments), end(reason), "[DONE]"),
        text("Done."),
    )
    conversation = Conversation(server)
    assert conversation.called == [TIME]
    assert "within this call, so it was not executed" in conversation.results[1]


@pytest.mark.parametrize(("name", "sent_back"), [
    ("get_tme", "get_tme"), ("Clock_get_time", "Clock_get_time"), ("functions.get_time", "functions_get_time"),
    ("", "unnamed"), ("größe", "gr_e"), ("x" * 80, "x" * 64),
], ids=["unknown", "wrong prefix", "illegal", "empty", "not ascii", "long"])
def test_q20_a_tool_that_does_not_exist_is_answered_with_the_names_that_do(server, name, sent_back):
    server.script(calls((name, {"n": 1}, "a")), calls(("get_time", {"n": 1})), text("Noon."))
    conversation = Conversation(server)
    assert (conversation.called, conversation.text) == ([TIME], "Noon.")
    reply, told = conversation.requests[1]["messages"][1:]
    assert reply["tool_calls"][0]["function"]["name"] == sent_back
    assert told["content"].endswith("The available tools are: get_rate, get_time.")


def test_q21_the_same_call_again_and_again_is_refused_with_an_explanation(server):
    spellings = ['{"n": 1, "m": 2}', '{"m": 2, "n": 1}', '{"n":1,"m":2}', '{"m":2,"n":1}']
    server.script(*(calls(("get_time", spelling)) for spelling in spellings), text("Noon."))
    conversation = Conversation(server)
    assert conversation.called == [("get_time", {"n": 1, "m": 2})] * 3
    assert "made 3 times with the same arguments" in conversation.results[-1]


def test_q21_the_same_call_four_times_in_one_reply_is_refused_once(server):
    server.script(calls(*[("get_time", {"n": 1})] * 4), text("Noon."))
    conversation = Conversation(server)
    assert len(conversation.called) == 3
    assert "made 3 times" in conversation.results[-1]


def test_q22_at_the_round_limit_the_last_request_has_no_tools_and_its_text_is_the_answer(server):
    server.script(*(calls(("get_time", {"n": n})) for n in range(2)), text("As far as I know: noon."))
    conversation = Conversation(server, max_rounds=3)
    assert (conversation.text, conversation.rounds) == ("As far as I know: noon.", 3)
    assert ["tools" in body for body in conversation.requests] == [True, True, False]
    assert [notice.code for notice in conversation.of(Notice)] == ["round_limit"]


def test_q22_a_last_reply_that_only_calls_again_is_asked_for_once_more(server):
    stubborn = calls(("get_time", {"n": 2}))
    server.script(calls(("get_time", {"n": 1})), stubborn, text("Noon."))
    conversation = Conversation(server, max_rounds=2)
    assert (conversation.text, conversation.called, len(conversation.requests)) == ("Noon.", [TIME], 3)
    server.script(calls(("get_time", {"n": 1})), stubborn, stubborn)
    assert isinstance(Conversation(server, max_rounds=2).error, ModelEmpty)


def test_q22_a_server_that_wants_the_tools_of_earlier_calls_defined_is_told_of_them_as_text(server):
    wants_tools = error(400, "The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    server.script(calls(("get_time", {"n": 1}), content="Let me see."), wants_tools, text("Noon."))
    conversation = Conversation(server, max_rounds=2)
    assert (conversation.text, conversation.error) == ("Let me see.\n\nNoon.", None)
    assert conversation.requests[-1]["messages"][1:] == [
        {"role": "assistant", "content": 'Let me see.\n[I call get_time with {"n": 1}]'},
        {"role": "user", "content": "[Result of get_time]\nget_time says 1"},
    ]
