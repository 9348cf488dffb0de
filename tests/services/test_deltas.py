"""Deltas of every provider's making → one turn: a test for each quirk, and all again torn into single characters."""

import copy
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from services.deltas import MINTED_ID_LENGTH, Accumulator
from services.events import Chunk, Reasoning
from services.messages import Usage
from tests.fakes.model_server import chunk, delta, end


def fragment(index=None, id=None, name=None, arguments=None, **more):
    """A chunk with one fragment of a call; what is None is left out."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {key: value for key, value in (("index", index), ("id", id)) if value is not None}
    return delta(tool_calls=[{**call, "function": function, **more}])


def turn_of(*chunks, taken_ids=()):
    reply = Accumulator(taken_ids)
    for piece in chunks:
        reply.feed(piece)
    return reply.finish()


def calls_of(*chunks, **options):
    """Name, arguments and the provider's id of each assembled call."""
    return [
        (call.name, dict(call.arguments), call.provider_id)
        for call in turn_of(*chunks, **options).message.tool_calls
    ]


def events_of(*chunks):
    reply = Accumulator()
    return [event for piece in chunks for event in reply.feed(piece)]


def torn(piece):
    """The same chunk as many, each with one character of its text or of its call's arguments."""
    choices = piece.get("choices") or [{}]
    change = (choices[0] or {}).get("delta") or {}
    for path in (("content",), ("reasoning_content",), ("tool_calls", 0, "function", "arguments")):
        value = change
        for key in path:
            value = value[key] if isinstance(value, list) else (value or {}).get(key)
        if isinstance(value, str) and len(value) > 1:
            return [_with(piece, path, part, first=not at) for at, part in enumerate(value)]
    return [piece]


def _with(piece, path, value, first):
    """A copy of the chunk with `value` at `path`; only the first one names the call."""
    piece = copy.deepcopy(piece)
    target = piece["choices"][0]["delta"]
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    if not first and path[0] == "tool_calls":
        target.pop("name", None)
    return piece


# What a well-behaved provider sends

TEXT = [delta(role="assistant", content=""), delta(content="Hello"), delta(content=", world"), end()]
TWO_CALLS = [
    fragment(0, "a", "get_time", ""), fragment(0, arguments='{"tz": '), fragment(0, arguments='"UTC"}'),
    fragment(1, "b", "get_rate", '{"of": "EUR"}'), end("tool_calls"),
]


def test_text_comes_piece_by_piece_and_whole():
    assert events_of(*TEXT) == [Chunk("Hello"), Chunk(", world")]
    turn = turn_of(*TEXT)
    assert (turn.message.text, turn.message.tool_calls, turn.finish_reason) == ("Hello, world", (), "stop")


def test_fragments_become_calls_in_their_order():
    turn = turn_of(*TWO_CALLS)
    first, second = turn.message.tool_calls
    assert (first.id, first.name, first.arguments, first.raw_arguments) == (
        "a", "get_time", {"tz": "UTC"}, '{"tz": "UTC"}',
    )
    assert (second.id, second.name, second.arguments, second.problem) == ("b", "get_rate", {"of": "EUR"}, "")
    assert turn.finish_reason == "tool_calls"


def test_the_sdks_own_chunks_are_understood():
    chunks = [ChatCompletionChunk.model_construct(**piece) for piece in (chunk(None), chunk([]))]
    chunks += [ChatCompletionChunk.model_validate(piece) for piece in TWO_CALLS]
    assert calls_of(*chunks) == calls_of(*TWO_CALLS)


def test_usage_is_taken_from_the_last_chunk_that_has_it():
    early = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    late = {"prompt_tokens": 10, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}
    turn = turn_of(delta(content="x") | {"usage": early}, end(), chunk([], usage=late), chunk([], usage=None))
    assert turn.usage == Usage(10, 7, 4)


@pytest.mark.parametrize("usage", [
    {"prompt_tokens": None, "prompt_tokens_details": None}, {"prompt_tokens": "7", "completion_tokens": -1}, {},
])
def test_usage_without_numbers_counts_nothing(usage):
    assert turn_of(chunk([], usage=usage)).usage == Usage()


@pytest.mark.parametrize("cached", [
    {"prompt_tokens_details": {"cached_tokens": 4}}, {"prompt_cache_hit_tokens": 4}, {"cached_tokens": 4},
], ids=["OpenAI", "DeepSeek", "Moonshot"])
def test_cached_tokens_are_counted_under_every_name(cached):
    assert turn_of(chunk([], usage={"prompt_tokens": 10, "completion_tokens": 1, **cached})).usage == Usage(10, 1, 4)


# The catalogue's quirks


def test_q01_a_new_id_opens_a_call_though_every_index_is_zero():
    assert calls_of(
        fragment(0, "a", "get_time", '{"tz": "UTC"}'), fragment(0, "b", "get_rate", '{"of": "EUR"}'),
    ) == [("get_time", {"tz": "UTC"}, "a"), ("get_rate", {"of": "EUR"}, "b")]


def test_q01_fragments_that_follow_find_their_call_by_id_though_every_index_is_zero():
    assert calls_of(
        fragment(0, "a", "get_time", '{"n"'), fragment(0, "b", "get_time", '{"n"'),
        fragment(0, "a", arguments=": 1}"), fragment(0, "b", arguments=": 2}"),
    ) == [("get_time", {"n": 1}, "a"), ("get_time", {"n": 2}, "b")]


def test_q02_without_an_index_fragments_belong_to_their_id():
    assert calls_of(
        fragment(None, "a", "get_time", '{"n": '), fragment(None, "b", "get_rate", '{"n": '),
        fragment(None, "a", arguments="1}"), fragment(None, "b", arguments="2}"),
    ) == [("get_time", {"n": 1}, "a"), ("get_rate", {"n": 2}, "b")]


def test_q02_without_index_and_id_fragments_continue_the_latest_call():
    assert calls_of(
        fragment(None, "a", "get_time", '{"n": '), fragment(arguments="1}"),
        fragment(None, "b", "get_rate", '{"n": '), fragment(arguments="2}"),
    ) == [("get_time", {"n": 1}, "a"), ("get_rate", {"n": 2}, "b")]


def test_q02_without_index_and_id_a_new_name_opens_a_call():
    assert calls_of(
        fragment(name="get_time", arguments='{"n": 1}'), fragment(name="get_rate", arguments='{"n": 2}'),
    ) == [("get_time", {"n": 1}, ""), ("get_rate", {"n": 2}, "")]


def test_q02_without_index_and_id_a_name_said_again_after_whole_arguments_opens_a_call():
    assert calls_of(
        fragment(name="get_time", arguments='{"n": 1}'), fragment(name="get_time", arguments='{"n": 2}'),
    ) == [("get_time", {"n": 1}, ""), ("get_time", {"n": 2}, "")]


def test_q02_without_index_and_id_a_new_name_opens_a_call_also_after_one_without_arguments():
    assert calls_of(fragment(name="ping"), fragment(name="pong")) == [("ping", {}, ""), ("pong", {}, "")]


def test_q02_an_id_that_comes_after_the_name_is_known_from_then_on():
    assert calls_of(
        fragment(name="f"), fragment(None, "a"), fragment(None, "b", "g", '{"n": 2}'),
        fragment(None, "a", arguments="{}"),
    ) == [("f", {}, "a"), ("g", {"n": 2}, "b")]


@pytest.mark.parametrize("empty", ["", None], ids=["empty", "null"])
def test_q03_a_continuation_with_an_empty_id_opens_nothing(empty):
    continuation = fragment(0, arguments="1}")
    continuation["choices"][0]["delta"]["tool_calls"][0]["id"] = empty
    assert calls_of(fragment(0, "a", "get_time", '{"n": '), continuation) == [("get_time", {"n": 1}, "a")]


def test_q04_interleaved_fragments_without_ids_go_by_their_index():
    assert calls_of(
        fragment(0, "a", "get_time", '{"n"'), fragment(1, "b", "get_rate", '{"n"'),
        fragment(0, arguments=": 1}"), fragment(1, arguments=": 2}"),
    ) == [("get_time", {"n": 1}, "a"), ("get_rate", {"n": 2}, "b")]


def test_q05_an_unknown_index_continues_the_only_open_call():
    assert calls_of(fragment(0, "a", "f", '{"n": '), fragment(7, arguments="1}")) == [("f", {"n": 1}, "a")]


def test_q05_an_unknown_index_is_dropped_with_a_warning_when_several_calls_are_open(caplog):
    with caplog.at_level(logging.WARNING):
        calls = calls_of(
            fragment(0, "a", "get_time", "{}"), fragment(1, "b", "get_rate", "{}"), fragment(7, arguments='{"n": 1}'),
        )
    assert calls == [("get_time", {}, "a"), ("get_rate", {}, "b")]
    assert "belongs to none of 2 open calls" in caplog.text


def test_q05_a_fragment_before_any_call_is_dropped():
    assert calls_of(fragment(0, arguments='{"n": 1}'), delta(content="x")) == []


def test_q06_a_call_without_an_id_gets_one_that_every_provider_takes():
    turn = turn_of(fragment(0, name="f", arguments="{}"), fragment(1, name="g", arguments="{}"))
    first, second = turn.message.tool_calls
    assert first.provider_id == second.provider_id == ""
    assert first.id != second.id
    assert all(call.id.isascii() and call.id.isalnum() and len(call.id) == MINTED_ID_LENGTH for call in (first, second))


def test_q07_calls_with_the_same_id_are_both_kept_and_told_apart():
    first, second = turn_of(fragment(0, "x", "f", '{"n": 1}'), fragment(1, "x", "f", '{"n": 2}')).message.tool_calls
    assert (first.id, first.provider_id, first.arguments) == ("x", "x", {"n": 1})
    assert (second.provider_id, second.arguments) == ("x", {"n": 2})
    assert second.id not in ("", "x")


def test_q07_interleaved_calls_with_the_same_id_go_by_their_index():
    assert calls_of(
        fragment(0, "x", "f", ""), fragment(1, "x", "f", ""),
        fragment(0, arguments='{"n": 1}'), fragment(1, arguments='{"n": 2}'),
    ) == [("f", {"n": 1}, "x"), ("f", {"n": 2}, "x")]


def test_q07_calls_with_the_same_id_and_no_index_are_told_apart():
    assert calls_of(fragment(None, "x", "f", '{"n": 1}'), fragment(None, "x", "f", '{"n": 2}')) == [
        ("f", {"n": 1}, "x"), ("f", {"n": 2}, "x"),
    ]


def test_q07_an_id_of_an_earlier_reply_is_not_used_again():
    [call] = turn_of(fragment(0, "x", "f", "{}"), taken_ids={"x"}).message.tool_calls
    assert (call.provider_id, call.id != "x") == ("x", True)


@pytest.mark.parametrize("arguments", ["", None, "  "], ids=["empty", "absent", "blank"])
def test_q08_a_name_with_empty_arguments_is_a_call_without_arguments(arguments):
    [call] = turn_of(fragment(0, "a", "ping", arguments), end("tool_calls")).message.tool_calls
    assert (call.name, call.arguments, call.problem) == ("ping", {}, "")


def test_q09_null_arguments_and_null_content_change_nothing():
    trailer = fragment(0)
    trailer["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] = None
    assert calls_of(
        fragment(0, "a", "f", '{"n": '), delta(content=None), fragment(0, arguments="1}"), trailer,
        delta(content=None, tool_calls=None), fragment(0, function=None),
    ) == [("f", {"n": 1}, "a")]


def test_q10_malformed_arguments_are_a_problem_and_never_executed():
    [call] = turn_of(fragment(0, "a", "f", '{"n": 1,}')).message.tool_calls
    assert (call.arguments, call.raw_arguments) == ({}, '{"n": 1,}')
    assert "not valid JSON" in call.problem


@pytest.mark.parametrize("raw", ["NaN", '{"n": NaN}', '{"n": Infinity}', "[" * 9999], ids=["nan", "in", "inf", "deep"])
def test_q10_what_is_json_only_to_python_is_malformed(raw):
    [call] = turn_of(fragment(0, "a", "f", raw)).message.tool_calls
    assert (call.arguments, "not valid JSON" in call.problem) == ({}, True)


@pytest.mark.parametrize("raw", ["[1]", '"UTC"', "7", "null", "true"])
def test_q11_arguments_that_are_no_object_are_a_problem(raw):
    [call] = turn_of(fragment(0, "a", "f", raw)).message.tool_calls
    assert (call.arguments, "not an object" in call.problem) == ({}, True)


def test_q12_calls_are_kept_whatever_reason_the_provider_gives():
    turn = turn_of(fragment(0, "a", "f", "{}"), end("stop"))
    assert (len(turn.message.tool_calls), turn.finish_reason) == (1, "stop")


@pytest.mark.parametrize("arguments", ['{"n": 1', ""], ids=["within the arguments", "before the arguments"])
def test_q13_a_call_that_is_cut_off_is_not_executed(arguments):
    first, last = turn_of(
        fragment(0, "a", "f", '{"n": 1}'), fragment(1, "b", "g", arguments), end("length"),
    ).message.tool_calls
    assert (first.arguments, first.problem) == ({"n": 1}, "")
    assert (last.arguments, "length limit" in last.problem) == ({}, True)


@pytest.mark.parametrize("choices", [[], None], ids=["empty", "null"])
def test_q15_chunks_without_a_choice_are_skipped(choices):
    assert turn_of(delta(content="a"), chunk(choices), delta(content="b"), end()).message.text == "ab"


def test_q15_a_null_delta_is_skipped_but_its_reason_counts():
    last = end("length")
    last["choices"][0]["delta"] = None
    assert turn_of(delta(content="a"), last).finish_reason == "length"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_q17_reasoning_is_an_event_of_its_own(name):
    chunks = [delta(**{name: "Hm"}), delta(**{name: "m."}), delta(content="Yes", **{name: None}), end()]
    assert events_of(*chunks) == [Reasoning("Hm"), Reasoning("m."), Chunk("Yes")]
    message = turn_of(*chunks).message
    assert (message.reasoning, message.text) == ("Hmm.", "Yes")


def test_q17_reasoning_under_both_names_is_taken_once():
    assert events_of(delta(reasoning="Hm", reasoning_content="Hm")) == [Reasoning("Hm")]


# Quirks beyond the catalogue


def test_an_id_that_is_new_with_every_fragment_opens_nothing():
    assert calls_of(
        fragment(0, "a", "f", '{"n"'), fragment(0, "b", arguments=": "), fragment(0, "c", arguments="1}"),
    ) == [("f", {"n": 1}, "a")]


def test_an_id_and_a_name_may_come_in_two_fragments():
    assert calls_of(fragment(0, "a"), fragment(0, name="f"), fragment(0, arguments="{}")) == [("f", {}, "a")]
    assert calls_of(fragment(0, name="f"), fragment(0, "a"), fragment(0, arguments="{}")) == [("f", {}, "a")]


def test_a_name_and_an_id_that_come_with_every_fragment_open_one_call():
    assert calls_of(
        fragment(0, "a", "f", '{"n"'), fragment(0, "a", "f", ": "), fragment(0, "a", "f", "1}"),
        fragment(0, "a", "f", ""),
    ) == [("f", {"n": 1}, "a")]


def test_a_call_that_is_said_again_in_full_is_one_call():
    assert calls_of(
        fragment(0, "a", "f", '{"n": '), fragment(0, arguments="1}"), fragment(0, "a", "f", '{"n": 1}'),
    ) == [("f", {"n": 1}, "a")]
    assert calls_of(*[fragment(name="f", arguments='{"n": 1}')] * 2) == [("f", {"n": 1}, "")]


def test_arguments_may_come_as_an_object():
    assert calls_of(fragment(0, "a", "f", {"n": 1})) == [("f", {"n": 1}, "a")]


def test_a_whole_message_is_taken_like_a_delta():
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Yes", "tool_calls": [call, {**call, "id": "b"}]}
    turn = turn_of(chunk([{"index": 0, "message": message, "finish_reason": "tool_calls"}]))
    assert (turn.message.text, [call.id for call in turn.message.tool_calls]) == ("Yes", ["a", "b"])


def test_content_may_be_a_list_of_parts():
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    assert events_of(delta(content=[thought, {"type": "text", "text": "Yes"}])) == [Reasoning("Hm"), Chunk("Yes")]


def test_a_refusal_is_an_answer():
    assert turn_of(delta(refusal="I would rather not."), end()).message.text == "I would rather not."


def test_a_character_in_two_halves_is_shown_when_it_is_whole():
    assert events_of(delta(content="Hi \ud83d"), delta(content="\ude00!")) == [Chunk("Hi "), Chunk("😀!")]


def test_half_a_character_alone_is_replaced_visibly():
    assert turn_of(delta(content="a\ude00b")).message.text == "a\ufffdb"
    [call] = turn_of(fragment(0, "a", "f", '{"n": "\\ud83d"}')).message.tool_calls
    assert call.arguments == {"n": "\ufffd"}


# Any cut


QUIRKS = {
    "text": TEXT,
    "two calls": TWO_CALLS,
    "every index zero": [fragment(0, "a", "f", '{"n": {"m": 1}}'), fragment(0, "b", "g", '{"n": 2}')],
    "no index": [fragment(None, "a", "f", '{"n": 1}'), fragment(None, "b", "f", '{"n": 2}')],
    "no ids": [fragment(0, name="f", arguments='{"n": 1}'), fragment(1, name="f", arguments='{"n": 2}')],
    "neither": [fragment(name="f", arguments='{"n": 1}'), fragment(name="f", arguments='{"n": 2}')],
    "one id": [fragment(0, "x", "f", '{"n": 1}'), fragment(1, "x", "f", '{"n": 2}')],
    "reasoning": [delta(reasoning_content="Hm, let me see."), delta(content="Yes 😀 {}"), end()],
    "malformed": [fragment(0, "a", "f", '{"n": 1,}'), fragment(1, "b", "g", "[1]")],
    "cut off": [fragment(0, "a", "f", '{"n": 1}'), fragment(1, "b", "g", '{"n": '), end("length")],
}


def said(turn):
    """A turn without its minted ids."""
    message = turn.message
    calls = [
        (call.name, call.arguments, call.raw_arguments, call.provider_id, call.problem) for call in message.tool_calls
    ]
    return message.text, message.reasoning, calls, turn.finish_reason, turn.usage


@pytest.mark.parametrize("chunks", QUIRKS.values(), ids=QUIRKS)
def test_fed_character_by_character_the_turn_is_the_same(chunks):
    assert said(turn_of(*(part for piece in chunks for part in torn(piece)))) == said(turn_of(*chunks))


def test_as_utf16_units_the_text_is_the_same():
    units = "Größe 😀 𝄞!".encode("utf-16-le")
    halves = [units[at:at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(units), 2)]
    assert turn_of(*(delta(content=half) for half in halves)).message.text == "Größe 😀 𝄞!"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
wanted_calls = st.lists(
    st.tuples(st.sampled_from(["f", "g"]), st.dictionaries(st.text(max_size=5), json_values, max_size=3)), max_size=4
)


@st.composite
def cuts(draw, text):
    """`text` in pieces, some of them empty."""
    at = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[start:stop] for start, stop in zip([0, *at], [*at, len(text)], strict=True)]


@st.composite
def streams(draw):
    """Text, reasoning and calls; and the chunks of them, cut anywhere, the calls interleaved."""
    text, reasoning, wanted = draw(st.text()), draw(st.text()), draw(wanted_calls)
    lanes = [
        [delta(content=piece) for piece in draw(cuts(text))],
        [delta(reasoning=piece) for piece in draw(cuts(reasoning))],
    ]
    for index, (name, arguments) in enumerate(wanted):
        lane = [fragment(index, arguments=piece) for piece in draw(cuts(json.dumps(arguments)))]
        lanes.append([fragment(index, f"id{index}", name, ""), *lane])
    turns = draw(st.permutations([number for number, lane in enumerate(lanes) for _ in lane]))
    waiting = [iter(lane) for lane in lanes]
    return text, reasoning, wanted, [next(waiting[number]) for number in turns]


@given(streams())
def test_any_cut_and_any_order_give_the_same_turn(stream):
    text, reasoning, wanted, chunks = stream
    message = turn_of(*chunks).message
    assert (message.text, message.reasoning) == (text, reasoning)
    calls = sorted(message.tool_calls, key=lambda call: call.id)
    assert [(call.id, call.name, call.arguments, call.problem) for call in calls] == [
        (f"id{index}", name, arguments, "") for index, (name, arguments) in enumerate(wanted)
    ]
