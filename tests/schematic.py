"""Hypothesis strategies out of the JSON Schemas: arbitrary values that a schema accepts."""

import json
from collections.abc import Mapping
from functools import cache
from math import ceil, floor
from typing import Any

from hypothesis import strategies as st

from compiler.resources.schema import find_schemas

Strategy = st.SearchStrategy[Any]
_ASCII = st.characters(min_codepoint=32, max_codepoint=126)
_UNITS = st.sampled_from(["h", "m", "s", "ms", "us", "ns"])
_PLAIN = {
    "boolean": st.booleans(),
    "null": st.none(),
    None: st.none() | st.booleans() | st.integers(0, 9) | st.text(_ASCII, max_size=4),
}
NAMES = ["backend", "backend-grpc", "db", "frontend", "nobody"]
PREFERRED: Mapping[str, Strategy] = {
    "name": st.sampled_from(NAMES),
    "mesh": st.just("default"),
    "labels": st.sampled_from([{"app": "frontend"}, {"app": "backend"}, {"kuma.io/display-name": "backend"}, {}]),
    "tags": st.sampled_from([{"version": "v1"}, {"kuma.io/service": "backend"}, {"kuma.io/service": "db"}]),
    "sectionName": st.sampled_from(["http", "tcp", "9001"]),
    "port": st.sampled_from([80, 9001, 9004]),
}
"""Values of fields, by name, with which documents meet each other; others are mixed in."""


DEFINED: Mapping[str, Strategy] = {
    "duration": st.builds("{}{}".format, st.integers(0, 999_999) | st.sampled_from([0, 0.5]), _UNITS) | st.just("0"),
    "positiveDuration": st.builds("{}{}".format, st.integers(1, 999_999), _UNITS),
    "endpoint": st.sampled_from(["otel", "otel.obs:4317", "10.9.9.9:99999", "fd00::1", "[fd00::1]:4317"]),
    "hostPort": st.sampled_from(["logs:5000", "10.9.9.9:5000", "[fd00::1]:5000", "logs:0"]),
    "httpUrl": st.sampled_from(
        ["http://zipkin", "https://zipkin.obs/api?a=b", "http://[fd00::1]:9411/", "http://z:99999"]
    ),
    "httpHostPort": st.sampled_from(["http://datadog:8126", "http://[fd00::1]:0"]),
}
"""Definitions whose patterns would take long to make strings of."""


@cache
def contents(name: str) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads((find_schemas() / name).read_bytes())
    return loaded


@cache
def part(kind: str, definition: str) -> Strategy:
    """Values of a definition in the schema of a kind, such as its `spec`."""
    return _values(contents(f"{kind}.json")["definitions"][definition], f"{kind}.json", ())


def _values(schema: Mapping[str, Any], file: str, path: tuple[str, ...]) -> Strategy:
    if "$ref" in schema:
        return _referenced(schema["$ref"], file, path)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        rest = {name: value for name, value in schema.items() if name != "anyOf"}
        return st.one_of([_values(rest | one, file, path) for one in schema["anyOf"]])
    if "allOf" in schema:
        return _values(_together(schema, file), file, path)
    if "if" in schema and "type" not in schema:
        wanted = {name: one["const"] for name, one in schema["if"].get("properties", {}).items()}
        others = _values(schema["else"], file, path)
        if wanted:
            others = others.filter(lambda value: not wanted.items() <= value.items())
        return _values(schema["then"], file, path) | others
    return _typed(schema, file, path)


def _typed(schema: Mapping[str, Any], file: str, path: tuple[str, ...]) -> Strategy:
    match schema.get("type"):
        case "object":
            return _objects(schema, file, path)
        case "array":
            items = _values(schema.get("items", {}), file, path)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=min(schema.get("maxItems", 2), 2))
        case "string":
            return _strings(schema)
        case "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 100)
            return st.sampled_from([low, high]) | st.integers(low, high)
        case "number":
            low, high = schema.get("minimum", 0), schema.get("maximum", 100)
            return st.sampled_from([low, high]) | st.floats(low, high) | st.integers(ceil(low), floor(high))
        case other:
            return _PLAIN[other]


def _referenced(reference: str, file: str, path: tuple[str, ...]) -> Strategy:
    """Definitions are looked up when they are drawn, so that one may hold itself, a little."""
    other, _, pointer = reference.partition("#")
    target = other or file
    step = f"{target}{pointer}"
    if step.rpartition("/")[2] in DEFINED:
        return DEFINED[step.rpartition("/")[2]]
    if path.count(step) > 1:
        return st.nothing()
    schema: Any = contents(target)
    for name in pointer.split("/")[1:]:
        schema = schema[name]
    return _values(schema, target, (*path, step))


def _together(schema: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    """All parts at once; of several patterns the later ones are asked of what the first one makes."""
    merged: dict[str, Any] = {name: value for name, value in schema.items() if name != "allOf"}
    patterns: list[str] = []
    for written in schema["allOf"]:
        source, _, name = written.get("$ref", "").rpartition("#/definitions/")
        one = contents(source or file)["definitions"][name] if name else written
        patterns += [one["pattern"]] if "pattern" in one else []
        merged |= one
    return merged | {"pattern": patterns[0], "also": patterns[1:]} if patterns else merged


def _objects(schema: Mapping[str, Any], file: str, path: tuple[str, ...]) -> Strategy:
    properties = schema.get("properties")
    if properties is None:
        names = _strings({"type": "string", **schema.get("propertyNames", {})})
        more = schema.get("additionalProperties")
        values = _values(more if isinstance(more, dict) else {}, file, path)
        return st.dictionaries(names, values, min_size=schema.get("minProperties", 0), max_size=2)
    required = set(schema.get("required", ()))
    drawn = {name: _property(name, one, file, path) for name, one in properties.items()}
    return st.fixed_dictionaries(
        {name: drawn[name] for name in drawn if name in required},
        optional={name: drawn[name] for name in drawn if name not in required},
    ).filter(lambda value: schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 1000))


def _property(name: str, schema: Mapping[str, Any], file: str, path: tuple[str, ...]) -> Strategy:
    values = _values(schema, file, path)
    fits = name in PREFERRED and schema.get("type") != "array" and "enum" not in schema
    return PREFERRED[name] | values if fits else values


def _strings(schema: Mapping[str, Any]) -> Strategy:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 40)
    if "pattern" not in schema:
        return st.text(_ASCII, min_size=low, max_size=min(high, 40))
    made = st.from_regex(schema["pattern"], alphabet=_ASCII).map(lambda text: text.removesuffix("\n"))
    also = schema.get("also", ())
    return made.filter(lambda text: low <= len(text) <= high and all(_found(one, text) for one in also))


def _found(pattern: str, text: str) -> bool:
    return any(character in "123456789" for character in text) if pattern == "[1-9]" else True
