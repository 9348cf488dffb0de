"""Arguments that a person has written, against schemas as servers send them."""

import json
import time

import pytest

from services.tool_arguments import read_arguments

NOTE = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        "pattern": {"type": "integer"},
        "colour": {"enum": ["red", "blue"]},
    },
    "required": ["title"],
    "$defs": {"Line": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}},
}


@pytest.mark.parametrize("arguments", [
    {"title": "Azure"},
    {"title": "Azure", "lines": [{"text": "Call them"}], "pattern": 1, "colour": "red"},
    {"title": "Azure", "nobody said": "that there is none"},
])  # fmt: skip
def test_what_fits_is_taken_as_it_is(arguments):
    assert read_arguments(arguments, NOTE) == (arguments, "")


@pytest.mark.parametrize(("arguments", "problem"), [
    ({}, "'title' is a required property"),
    ({"title": 7}, "title: 7 is not of type 'string'"),
    ({"title": "A", "lines": [{"text": "a"}, {}]}, "lines[1]: 'text' is a required property"),
    ({"title": "A", "pattern": "a"}, "pattern: 'a' is not of type 'integer'"),
    ({"title": "A", "colour": "green"}, "colour: 'green' is not one of ['red', 'blue']"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_place(arguments, problem):
    assert read_arguments(arguments, NOTE) == ({}, problem)


@pytest.mark.parametrize(("value", "problem"), [
    ([1], "not an object"),
    ("text", "not an object"),
    ({"title": float("nan")}, "not valid JSON"),
    (json.loads('{"title":' + "[" * 200 + "]" * 200 + "}"), "levels deep"),
    ({"title": "a" * 200_000}, "longer than 100000 characters"),
])  # fmt: skip
def test_what_no_call_could_carry_is_refused_whatever_the_schema_says(value, problem):
    arguments, told = read_arguments(value, {})
    assert arguments == {}
    assert problem in told


def test_half_a_character_is_made_one_that_can_be_sent():
    assert read_arguments({"title": "\ud83d"}, NOTE) == ({"title": "\ufffd"}, "")


@pytest.mark.parametrize("schema", [
    {},
    {"type": "object", "properties": {"title": {"minLength": "many"}}},
    {"type": "object", "properties": {"title": {"$ref": "http://127.0.0.1:1/schema"}}},
    {"type": "array"},
])  # fmt: skip
def test_a_schema_that_makes_no_sense_refuses_nothing(schema):
    assert read_arguments({"title": "Azure"}, schema) == ({"title": "Azure"}, "")


def test_what_a_schema_can_make_take_long_is_left_to_the_server():
    schema = {"type": "object", "properties": {
        "word": {"type": "string", "pattern": "^(a+)+$"},
        "things": {"type": "array", "uniqueItems": True},
    }, "patternProperties": {"^b+$": False}}  # fmt: skip
    arguments = {"word": "a" * 16 + "!", "things": [{}, {}], "b": 1}
    assert read_arguments(arguments, schema) == (arguments, "")


def test_the_values_that_a_schema_names_are_no_schemas():
    schema = {"properties": {"where": {"enum": [{"pattern": "north"}]}}}
    assert read_arguments({"where": {"pattern": "north"}}, schema) == ({"where": {"pattern": "north"}}, "")
    assert read_arguments({"where": {}}, schema)[1]


def test_a_long_complaint_is_cut():
    problem = read_arguments({"title": ["a" * 1000]}, NOTE)[1]
    assert problem.startswith("title: ['aaa")
    assert len(problem) < 320


def test_what_would_take_minutes_to_check_is_left_to_the_server():
    schema = {"type": "object", "properties": {"a": {"items": {"allOf": [{"type": "integer"}] * 1_000}}}}
    began = time.monotonic()
    assert read_arguments({"a": [1] * 20_000}, schema) == ({"a": [1] * 20_000}, "")
    assert time.monotonic() - began < 10
    assert read_arguments({"a": ["one"]}, schema)[1]
