"""Names and schemas that every provider takes."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.specs import ServerSpec, ToolSpec
from services.tool_schema import MAX_SCHEMA_NODES, UnusableSchema, fit_names, fit_schema

SHOP = ServerSpec(1, "Web Shop", "streamable_http")
BANK = ServerSpec(2, "bank", "streamable_http")


def tools(*pairs):
    return [ToolSpec(number, server, name) for number, (server, name) in enumerate(pairs, 1)]


def fitted(*pairs):
    return {name: (spec.server.name, spec.name) for name, spec in fit_names(tools(*pairs)).items()}


def test_q29_a_valid_unique_name_is_kept():
    assert fitted((SHOP, "add_to-Cart2"), (BANK, "x" * 64)) == {
        "add_to-Cart2": ("Web Shop", "add_to-Cart2"), "x" * 64: ("bank", "x" * 64),
    }


def test_q29_equal_names_are_prefixed_by_their_servers():
    assert fitted((SHOP, "search"), (BANK, "search"), (BANK, "pay")) == {
        "Web_Shop_search": ("Web Shop", "search"), "bank_search": ("bank", "search"), "pay": ("bank", "pay"),
    }


def test_q29_illegal_characters_are_replaced():
    assert list(fitted((SHOP, "orders/list.all"))) == ["Web_Shop_orders_list_all"]
    assert list(fitted((SHOP, "größe"))) == ["Web_Shop_gr_e"]


def test_q29_long_names_end_in_a_hash():
    (name,) = fitted((SHOP, "y" * 65))
    assert re.fullmatch(r"Web_Shop_y+_[0-9a-f]{8}", name)
    assert len(name) == 64


def test_q29_names_that_become_equal_end_in_hashes():
    names = fitted((SHOP, "a.b"), (SHOP, "a/b"), (BANK, "c"))
    assert len(names) == 3
    assert all(re.fullmatch(r"Web_Shop_a_b_[0-9a-f]{8}", name) for name in list(names)[:2])
    twin = ServerSpec(3, "Web Shop", "sse")
    assert len(fitted((SHOP, "search"), (twin, "search"))) == 2


def test_q29_a_made_up_name_never_takes_a_tools_own():
    names = fitted((SHOP, "search"), (BANK, "search"), (BANK, "Web_Shop_search"))
    assert names["Web_Shop_search"] == ("bank", "Web_Shop_search")
    assert len(names) == 3


def test_q29_a_server_whose_name_has_no_legal_character_is_called_by_its_number():
    assert list(fitted((ServerSpec(9, "店", "sse"), "a b"))) == ["server9_a_b"]


def test_q29_a_tool_given_twice_is_one_tool():
    assert list(fitted((SHOP, "search"), (SHOP, "search"))) == ["search"]


@given(st.lists(st.tuples(st.sampled_from([SHOP, BANK]), st.text(min_size=1, max_size=80)), unique=True), st.randoms())
def test_q29_names_are_valid_unique_exact_and_independent_of_the_order(pairs, random):
    specs = tools(*pairs)
    names = fit_names(specs)
    assert list(names.values()) == specs
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    shuffled = random.sample(specs, len(specs))
    assert {name: spec.id for name, spec in fit_names(shuffled).items()} == {n: s.id for n, s in names.items()}


def test_q30_an_ordinary_schema_stays_as_it_is():
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where", "enum": ["Lyon", "Oslo"]},
            "days": {"type": ["integer", "null"], "default": 3, "minimum": 1},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    before = json.dumps(schema)
    assert fit_schema(schema) == schema
    assert json.dumps(schema) == before


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"$schema": "http://json-schema.org/draft-04/schema#"}])
def test_q30_a_schema_that_says_nothing_becomes_an_object_without_properties(schema):
    assert fit_schema(schema) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(("written", "meant"), [
    ({"type": "date"}, {"type": "string", "format": "date"}),
    ({"type": "int"}, {"type": "integer"}),
    ({"type": "String"}, {"type": "string"}),
    ({"type": ["str", "none"]}, {"type": ["string", "null"]}),
    ({"type": "any"}, {}),
    ({"type": "money", "description": "?"}, {"description": "?"}),
    ({"type": 7}, {}),
    ({"type": [{}]}, {}),
    ({"type": "array"}, {"type": "array", "items": {}}),
    ({"type": "array", "items": [{"type": "int"}, {"type": "string"}]},
     {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}),
    ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, {"type": "number", "exclusiveMinimum": 3}),
    ({"type": "number", "maximum": 3, "exclusiveMaximum": False}, {"type": "number", "maximum": 3}),
    (True, {}),
])
def test_q30_what_is_written_becomes_what_is_meant(written, meant):
    assert fit_schema({"type": "object", "properties": {"x": written}})["properties"]["x"] == meant


def test_q30_required_in_a_property_is_moved_to_its_object():
    schema = {"properties": {"a": {"type": "string", "required": True}, "b": {"type": "string", "required": False}}}
    assert fit_schema(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["a"],
    }


def test_q30_required_properties_that_do_not_exist_are_not_required():
    schema = {"type": "object", "properties": {"a": {}}, "required": ["a", "ghost"]}
    assert fit_schema(schema)["required"] == ["a"]


def test_q30_properties_may_be_called_like_keywords():
    schema = {"type": "object", "properties": {"type": {"type": "date"}, "$ref": {"type": "int"}, "id": {}}}
    assert fit_schema(schema)["properties"] == {
        "type": {"type": "string", "format": "date"}, "$ref": {"type": "integer"}, "id": {},
    }


def test_q30_references_are_spelled_out():
    schema = {
        "type": "object",
        "properties": {
            "to": {"$ref": "#/$defs/Address", "description": "receiver"},
            "via": {"$ref": "#/properties/to"},
        },
        "$defs": {"Address": {"type": "object", "properties": {"zip": {"$ref": "#/definitions/a~1b"}}}},
        "definitions": {"a/b": {"type": "string"}},
    }
    address = {"type": "object", "properties": {"zip": {"type": "string"}}, "description": "receiver"}
    assert fit_schema(schema) == {"type": "object", "properties": {"to": address, "via": address}}


def test_q30_a_recursive_schema_is_spelled_out_once():
    node = {"type": "object", "properties": {"name": {"type": "string"}, "children": {
        "type": "array", "items": {"$ref": "#/$defs/Node"}}}}
    inside = fit_schema({"type": "object", "properties": {"root": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}})
    assert inside["properties"]["root"]["properties"]["children"] == {"type": "array", "items": {}}
    assert fit_schema({"$ref": "#/$defs/Node", "$defs": {"Node": node}})["properties"].keys() == {"name", "children"}


@pytest.mark.parametrize("combinator", ["anyOf", "oneOf"])
def test_q30_alternatives_at_the_root_become_one_object(combinator):
    schema = {
        "type": "object",
        "properties": {"who": {"type": "string"}},
        combinator: [
            {"properties": {"id": {"type": "integer"}, "x": {}}, "required": ["id", "x"]},
            {"properties": {"name": {"type": "string"}, "x": {}}, "required": ["name", "x"]},
        ],
    }
    result = fit_schema(schema)
    assert combinator not in result
    assert result["properties"].keys() == {"who", "id", "name", "x"}
    assert result["required"] == ["x"]


def test_q30_all_of_at_the_root_is_merged():
    schema = {"allOf": [
        {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {}}, "required": ["b"]},
    ]}
    assert fit_schema(schema) == {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}


@pytest.mark.parametrize("schema", [
    {"type": "array"},
    {"type": "object", "allOf": [{"type": "string"}]},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}},
    {"type": "object", "properties": {"a": {"$ref": "https://example.com/schema.json"}}},
    {"type": "object", "properties": {"a": {"$ref": 5}}},
    {"type": "object", "properties": {"a": "string"}},
    ["type", "object"],
])
def test_q30_what_cannot_be_meant_is_unusable(schema):
    with pytest.raises(UnusableSchema):
        fit_schema(schema)


def test_q30_references_that_explode_are_unusable():
    definitions = {f"d{n}": {"properties": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in "abcd"}} for n in range(20)}
    definitions["d20"] = {"type": "string"}
    with pytest.raises(UnusableSchema, match="too large"):
        fit_schema({"$ref": "#/$defs/d0", "$defs": definitions})
    deep = {"type": "object"}
    for _ in range(MAX_SCHEMA_NODES * 2):
        deep = {"type": "object", "properties": {"x": deep}}
    with pytest.raises(UnusableSchema, match="too large"):
        fit_schema(deep)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "type", "properties", "items", "required", "anyOf", "oneOf", "allOf", "$ref", "enum", "not", "x",
            "minimum", "exclusiveMinimum", "additionalProperties", "$defs",
        ]) | st.text(max_size=4),
        inner, max_size=4,
    ),
    max_leaves=15,
)


@given(JSON)
def test_q30_anything_is_either_fitted_or_unusable(schema):
    try:
        result = fit_schema(schema)
    except UnusableSchema:
        return
    assert result["type"] == "object"
    assert isinstance(result["properties"], dict)
    assert not {"anyOf", "oneOf", "allOf", "not", "enum", "$ref"} & result.keys()
