"""Speedscope's file format, as its documentation gives it: what a file must hold for speedscope.app to open it."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft7Validator

_INDEX = {"type": "integer", "minimum": 0}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["$schema", "shared", "profiles"],
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "name": {"type": "string"},
        "exporter": {"type": "string"},
        "activeProfileIndex": _INDEX,
        "shared": {
            "type": "object",
            "required": ["frames"],
            "properties": {
                "frames": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "file": {"type": "string"},
                            "line": _INDEX,
                            "col": _INDEX,
                        },
                        "additionalProperties": False,
                    },
                }
            },
        },
        "profiles": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
                "properties": {
                    "type": {"const": "sampled"},
                    "name": {"type": "string"},
                    "unit": {"enum": ["none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"]},
                    "startValue": {"type": "number"},
                    "endValue": {"type": "number"},
                    "samples": {"type": "array", "items": {"type": "array", "items": _INDEX}},
                    "weights": {"type": "array", "items": {"type": "number", "minimum": 0}},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def seconds_in(document: Any) -> dict[str, float]:
    """Seconds for which each function stood on the stack; the document must be one that Speedscope opens."""
    Draft7Validator(SCHEMA).validate(document)
    frames = document["shared"]["frames"]
    [profile] = document["profiles"]
    assert document["activeProfileIndex"] == 0
    assert len(profile["samples"]) == len(profile["weights"])
    assert profile["endValue"] - profile["startValue"] >= sum(profile["weights"]) - 1e-6
    seconds: dict[str, float] = {}
    for sample, weight in zip(profile["samples"], profile["weights"], strict=True):
        for number in set(sample):
            name = frames[number]["name"]
            seconds[name] = seconds.get(name, 0.0) + weight
    return seconds
