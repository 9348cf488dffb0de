"""Whether arguments that a person has written fit a tool's input schema.

What the model writes is only read as JSON (`messages.parse_arguments`): whether it is right is for the tool's server to
say, and the model can try again. A person should learn of a slip before the call is gone. Above: the records. Below:
the same reading, and the schema as the model was given it.
"""

import json
from collections.abc import Mapping
from typing import Any

from .messages import parse_arguments, without_surrogates
from .tool_schema import fit_schema

MAX_CHARS = 100_000  # far more than anybody writes, and soon checked
MAX_CHECKS = 200_000  # values times schemas: some seconds; nobody who writes by hand comes near
MAX_PROBLEM_CHARS = 300  # a message quotes what is wrong, however long that is
# Keywords that cost more to check than an answer may take, with a schema that is made for it; the server checks them.
_COSTLY = frozenset({"pattern", "patternProperties", "uniqueItems"})
_MAPS = ("properties", "dependentSchemas")  # keywords whose value has schemas by name
_DATA = ("const", "default", "enum", "examples")  # keywords whose value has none


def read_arguments(value: Any, schema: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """`value`, as parsed from JSON, as the arguments of a tool with this input `schema`, and what is wrong with it in
    words for a person: `({}, problem)` for what cannot be sent."""
    text = without_surrogates(json.dumps(value, ensure_ascii=False))
    if len(text) > MAX_CHARS:
        return {}, f"The arguments are longer than {MAX_CHARS} characters."
    arguments, problem = parse_arguments(text)
    problem = problem or _misfit(arguments, schema)
    return ({}, problem) if problem else (arguments, "")


def _misfit(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    from jsonschema import Draft202012Validator  # lazily: few processes ever need it
    from jsonschema.exceptions import best_match

    try:
        # without references: nothing is fetched from anywhere
        fitted = _affordable(fit_schema(schema))
        if _values(arguments) * _schemas(fitted) > MAX_CHECKS:
            return ""
        error = best_match(Draft202012Validator(fitted).iter_errors(arguments))
    except Exception:  # noqa: BLE001 - whatever a schema that makes no sense has it stumble over; the server will say
        return ""
    if error is None:
        return ""
    place = error.json_path.removeprefix("$").removeprefix(".")
    text = f"{place}: {error.message}" if place else error.message
    return text if len(text) <= MAX_PROBLEM_CHARS else f"{text[:MAX_PROBLEM_CHARS]}…"


def _affordable(schema: Any) -> Any:
    """`schema` without the costly keywords."""
    if isinstance(schema, list):
        return [_affordable(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    fitted = {}
    for key, value in schema.items():
        if key in _DATA:
            fitted[key] = value
        elif key in _MAPS:
            fitted[key] = {name: _affordable(child) for name, child in value.items()}
        elif key not in _COSTLY:
            fitted[key] = _affordable(value)
    return fitted


def _values(value: Any) -> int:
    """How many values there are in this one, itself included."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return 1 + sum(map(_values, value)) if isinstance(value, list) else 1


def _schemas(schema: Any) -> int:
    """How many schemas there are in this one, about."""
    if isinstance(schema, Mapping):
        return 1 + sum(map(_schemas, schema.values()))
    return sum(map(_schemas, schema)) if isinstance(schema, list) else 0
