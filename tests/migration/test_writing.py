"""YAML that is written here says to every reader what was meant."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from compiler.migration.writing import write_yaml
from compiler.source.parse import parse_file
from tests.schematic import part

WORDS = st.text(max_size=12) | st.sampled_from(
    [
        "on",
        "No",
        "1e3",
        "0777",
        "1:30",
        "3s",
        "1h30m",
        "~",
        "a: b",
        "- a",
        "#",
        "a #b",
        "*",
        "&a",
        "!t",
        "2024-01-01",
        "a\nb\n",
        " x\n",
        "|",
        "é",
        "x\ty",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_as_it_was(value: dict[str, Any]) -> None:
    text = write_yaml(value)
    assert yaml.safe_load(text) == value


@given(part("MeshHTTPRoute", "spec"))
def test_our_own_reader_reads_it_too(spec: dict[str, Any]) -> None:
    [document] = parse_file("a.yaml", "", write_yaml({"spec": spec}).encode()).value
    assert document.value == {"spec": spec}


def test_it_looks_as_people_write_it() -> None:
    value = {"a": {"b": ["x", {"c": "3s", "d": []}]}, "t": "one\ntwo\n", "code": "503"}
    assert write_yaml(value) == 'a:\n  b:\n  - x\n  - c: 3s\n    d: []\nt: |\n  one\n  two\ncode: "503"\n'
