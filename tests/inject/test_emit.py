"""Emitted YAML means the same to every reader."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from compiler.inject.emit import emit_block, emit_item, emit_json, emit_scalar
from compiler.source.parse import Limits, parse_blob

TEXTS = st.text(
    alphabet=st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12
) | st.sampled_from(
    [
        "yes",
        "NO",
        "on",
        "1:30",
        "0777",
        "1e3",
        "0x1f",
        "null",
        "~",
        "",
        "-",
        "a: b",
        "a #b",
        "2024-01-02",
        "1_000",
        "a:",
        ".5",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def _read(text: str) -> Any:
    [(_, value)] = parse_blob(text.encode(), Limits()).documents
    return value


@given(VALUES)
def test_a_block_is_read_as_the_value_by_yaml_1_1_and_1_2(value: Any) -> None:
    text = f"key:\n  nested: {emit_json(value)}\n" + emit_block({"other": value, "list": [value]}, 0) + "\n"
    expected = {"key": {"nested": value}, "other": value, "list": [value]}
    assert yaml.safe_load(text) == expected
    assert _read(text) == expected


@given(VALUES)
def test_an_item_may_stand_at_any_column(value: Any) -> None:
    text = "a:\n    " + emit_item({"name": value}, 4) + "\n"
    assert yaml.safe_load(text) == {"a": [{"name": value}]}


def test_a_certificate_keeps_its_lines() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    text = emit_block({"value": pem}, 2)
    assert text == "value: |\n    -----BEGIN CERTIFICATE-----\n    MIIB\n    -----END CERTIFICATE-----"
    assert yaml.safe_load(f"- \n  {text}\n") == [{"value": pem}]


def test_what_every_reader_takes_for_a_text_is_not_quoted() -> None:
    assert [emit_scalar(text) for text in ("docker.io/kumahq/kuma-init:2.14.3", "--concurrency=2", "50m", "64Mi")] == [
        "docker.io/kumahq/kuma-init:2.14.3",
        "--concurrency=2",
        "50m",
        "64Mi",
    ]
    assert [emit_scalar(text) for text in ("yes", "5", "1e3", "---", "a: b")] == [
        '"yes"',
        '"5"',
        '"1e3"',
        '"---"',
        '"a: b"',
    ]
