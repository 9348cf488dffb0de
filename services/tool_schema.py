"""Tool names and input schemas as language models' providers take them, with the way back.

Names map back through the dictionary that `fit_names` returns. Schemas need no way back: no argument is renamed or
moved, a schema only gets simpler, and whether arguments are right is for the tool's server to say.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .messages import INVALID_IN_NAMES, NAME_MAX_CHARS
from .specs import ToolSpec

_VALID_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_HASH_CHARS = 8

MAX_SCHEMA_NODES = 2000  # a schema of this size fills a model's attention by itself; inlined references can explode
MAX_SCHEMA_DEPTH = 24

_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
# What people write for types; the value is what they mean, with the format where there is one.
_KNOWN_MISTAKES: Mapping[str, tuple[str, str]] = {
    "str": ("string", ""), "text": ("string", ""), "char": ("string", ""), "file": ("string", ""),
    "date": ("string", "date"), "time": ("string", "time"), "datetime": ("string", "date-time"),
    "date-time": ("string", "date-time"), "timestamp": ("string", "date-time"), "email": ("string", "email"),
    "uri": ("string", "uri"), "url": ("string", "uri"), "uuid": ("string", "uuid"),
    "int": ("integer", ""), "long": ("integer", ""), "float": ("number", ""), "double": ("number", ""),
    "decimal": ("number", ""), "bool": ("boolean", ""), "dict": ("object", ""), "map": ("object", ""),
    "list": ("array", ""), "tuple": ("array", ""), "none": ("null", ""), "nil": ("null", ""),
}
_MAPS_OF_SCHEMAS = ("properties", "patternProperties", "dependentSchemas")
_LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties")
_DROPPED = frozenset({"$schema", "$id", "id", "$anchor", "$comment", "$defs", "definitions", "$vocabulary"})


class UnusableSchema(Exception):
    """No provider would take this schema, and what it means cannot be told. The message says what is wrong."""


def fit_names(specs: Sequence[ToolSpec]) -> dict[str, ToolSpec]:
    """What the model calls each tool, in the order of `specs`; the same for the same tools, whatever their order.

    A tool keeps its own name where that is valid and no other tool has it. Otherwise it is made valid and prefixed
    with its server's; where that is too long or still not unique, a hash of its server and its real name ends it.
    """
    specs = list({(spec.server.id, spec.name): spec for spec in specs}.values())  # a tool given twice is one tool
    own = Counter(spec.name for spec in specs)
    prefixed = Counter(_prefixed(spec) for spec in specs)
    plain = {name for name, count in own.items() if count == 1 and _VALID_NAME.fullmatch(name)}
    names: dict[str, ToolSpec] = {}
    for spec in specs:
        name = spec.name
        if name not in plain:
            name = _prefixed(spec)
            if len(name) > NAME_MAX_CHARS or name in plain or prefixed[name] > 1:
                name = _hashed(name, spec)
        names[name] = spec
    return names


def _prefixed(spec: ToolSpec) -> str:
    server = INVALID_IN_NAMES.sub("_", spec.server.name).strip("_") or f"server{spec.server.id}"
    return f"{server}_{INVALID_IN_NAMES.sub('_', spec.name).strip('_')}"


def _hashed(name: str, spec: ToolSpec) -> str:
    digest = hashlib.sha256(f"{spec.server.id}\0{spec.name}".encode()).hexdigest()[:_HASH_CHARS]
    return f"{name[:NAME_MAX_CHARS - _HASH_CHARS - 1]}_{digest}"


def fit_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` as an object schema that the pickiest provider takes: no references, no combinator at its root.

    Raises:
        UnusableSchema: it does not describe an object, or refers to what is not there, or is far too large.
    """
    if not isinstance(schema, Mapping):
        raise UnusableSchema("the schema is not a JSON object")
    fitted = _merge_root(_Fitting(schema).fit(schema, (), 0))
    if fitted.setdefault("type", "object") != "object":
        if not (isinstance(fitted["type"], list) and "object" in fitted["type"]):
            raise UnusableSchema(f"the arguments are to be of type {fitted['type']!r}, not an object")
        fitted["type"] = "object"
    properties = fitted.setdefault("properties", {})
    if "required" in fitted:
        fitted["required"] = [name for name in fitted["required"] if name in properties]
    return fitted


class _Fitting:
    """One walk through one schema, in whose root the references are looked up."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def fit(self, schema: Any, open_refs: tuple[str, ...], depth: int) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > MAX_SCHEMA_NODES or depth > MAX_SCHEMA_DEPTH:
            raise UnusableSchema("the schema is too large")
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        if not isinstance(schema, Mapping):
            raise UnusableSchema(f"{str(schema)[:40]!r} stands where a schema should be")
        if "$ref" in schema:
            return self._fit_reference(schema, open_refs, depth)
        fitted = {
            key: self._fit_keyword(key, value, open_refs, depth)
            for key, value in schema.items() if key not in _DROPPED and _says_something(key, value)
        }
        _fit_type(fitted)
        _fit_bounds(fitted)
        _fit_required(fitted, schema)
        if fitted.get("type") == "array":
            fitted.setdefault("items", {})  # optional in JSON schema, not for providers
        return fitted

    def _fit_keyword(self, key: str, value: Any, open_refs: tuple[str, ...], depth: int) -> Any:
        if key in _MAPS_OF_SCHEMAS:
            return {
                name: self.fit(child, open_refs, depth + 1) for name, child in value.items() if child is not False
            }
        if key in _LISTS_OF_SCHEMAS:
            return [self.fit(child, open_refs, depth + 1) for child in value]
        if key == "items" and isinstance(value, list):  # a tuple, as drafts before 2020-12 wrote it
            return {"anyOf": [self.fit(child, open_refs, depth + 1) for child in value]} if value else {}
        if key == "items" or (key in _SCHEMAS and not isinstance(value, bool)):
            return self.fit(value, open_refs, depth + 1)
        return value

    def _fit_reference(self, schema: Mapping[str, Any], open_refs: tuple[str, ...], depth: int) -> dict[str, Any]:
        reference = schema["$ref"]
        if reference in open_refs:  # recursive: one level is spelled out, below it anything goes
            return {}
        target = self.fit(self._look_up(reference), (*open_refs, reference), depth + 1)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**target, **self.fit(beside, open_refs, depth + 1)} if beside else target

    def _look_up(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise UnusableSchema(f"it refers to {str(reference)[:80]!r}, which is not in the schema")
        node: Any = self._root
        for step in reference.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and step in node:
                node = node[step]
            elif isinstance(node, list) and step.isdigit() and int(step) < len(node):
                node = node[int(step)]
            else:
                raise UnusableSchema(f"it refers to {reference[:80]!r}, which is not in the schema")
        return node


def _says_something(key: str, value: Any) -> bool:
    """False for a keyword whose value is of a kind that it cannot have: `"properties": null`, say."""
    if key in _MAPS_OF_SCHEMAS:
        return isinstance(value, Mapping)
    if key in _LISTS_OF_SCHEMAS:
        return isinstance(value, list) and bool(value)
    return not (value is None and (key in _SCHEMAS or key == "items"))


def _fit_type(schema: dict[str, Any]) -> None:
    if "type" not in schema:
        return
    written = schema.pop("type")
    types: list[str] = []
    for name in written if isinstance(written, list) else [written]:
        word = name.lower() if isinstance(name, str) else ""
        kind, format_ = (word, "") if word in _TYPES else _KNOWN_MISTAKES.get(word, ("", ""))
        if not kind:  # nobody knows what it means: anything goes, and the server will say
            return
        types.append(kind)
        if format_:
            schema.setdefault("format", format_)
    if types:
        schema["type"] = types if len(types) > 1 else types[0]


def _fit_bounds(schema: dict[str, Any]) -> None:
    """Draft 4 said `minimum: 3, exclusiveMinimum: true`; since draft 6 it is `exclusiveMinimum: 3`."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)


def _fit_required(fitted: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """Draft 3 said `required: true` in the property itself; its parent is who lists them now."""
    required = fitted.pop("required", None)
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        names += [
            name for name, child in properties.items()
            if isinstance(child, Mapping) and child.get("required") is True and name not in names
        ]
    if names:
        fitted["required"] = names


def _merge_root(schema: dict[str, Any]) -> dict[str, Any]:
    """Alternatives at the root become one object with all their properties; required is what each of them requires."""
    merged = {
        key: value for key, value in schema.items()
        if key not in ("anyOf", "oneOf", "allOf", "not", "enum", "if", "then", "else")
    }
    for branch in map(_merge_root, schema.get("allOf", ())):
        if "type" in branch:
            merged["type"] = branch["type"]
        _add_properties(merged, branch)
        _require(merged, branch.get("required", ()))
    for combinator in ("anyOf", "oneOf"):
        branches = [_merge_root(branch) for branch in schema.get(combinator, ())]
        for branch in branches:
            _add_properties(merged, branch)
        if branches:
            _require(merged, [
                name for name in branches[0].get("required", ())
                if all(name in branch.get("required", ()) for branch in branches)
            ])
    return merged


def _add_properties(merged: dict[str, Any], branch: Mapping[str, Any]) -> None:
    if branch.get("properties"):
        merged["properties"] = {**branch["properties"], **merged.get("properties", {})}


def _require(merged: dict[str, Any], names: Sequence[str]) -> None:
    required = merged.get("required", [])
    if names:
        merged["required"] = [*required, *(name for name in names if name not in required)]
