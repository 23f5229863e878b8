"""JSON is YAML but for one thing: two escapes, each of half a character, are one."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.formatting.canonical import Formatter
from compiler.source.parse import parse_file

# What JSON may say and text.py refuses, and the characters for private use by which pairs are read.
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Mn", "Lo"]), max_size=6)
VALUES = st.recursive(
    WORDS | st.integers(-99, 99) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(WORDS, VALUES), st.booleans())
@settings(deadline=None)
def test_what_a_program_writes_is_read_with_and_without_escapes(value: dict[str, object], escapes: bool) -> None:
    checked = parse_file("a.json", "", json.dumps(value, ensure_ascii=escapes).encode())
    if not checked.diagnostics:
        assert [document.value for document in checked.value] == [value]
    assert "yaml-syntax" not in {found.code.word for found in checked.diagnostics}


def test_two_halves_are_a_character_and_everything_keeps_its_place() -> None:
    text = r'{"\uD83D\uDE00": "a\ud83d\ude00b", "c": "\\ud83d\\ude00 \\\ud83d\ude00", "d": "\u202e"}'
    checked = parse_file("a.json", "", text.encode())
    [document] = checked.value
    assert document.value == {"😀": "a😀b", "c": "\\ud83d\\ude00 \\😀", "d": "\u202e"}
    assert document.position("/😀").column == text.index('"a') + 1
    assert document.position("/c", key=True).column == text.index('"c"') + 1
    assert [(found.code.word, found.position.column) for found in checked.diagnostics] == [
        ("hidden-character", text.index(r'"\u202e') + 1)
    ]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        (r'{"a": "\ud83d x"}', 10),
        (r'{"a": "\ude00\ud83d"}', 10),
        (r'{"a": "\ud83d\ude00", "b": "\ud83d"}', 31),
        (r'{"a": "\ud83d\ude00", "b": "\ue000\ue400"}', 10),
        (r'a: "\ud83d\ude00"', 7),
    ],
)
def test_half_a_character_is_refused_at_its_place_and_so_is_a_pair_outside_of_json(text: str, column: int) -> None:
    [found] = parse_file("a.json", "", text.encode()).diagnostics
    assert (found.code.word, found.position.line, found.position.column) == ("yaml-syntax", 1, column)
    assert "Unicode character escape" in found.message


@pytest.mark.parametrize("text", [r"a: \ud83d\ude00", r"a: '\ud83d\ude00'", "a: |-\n  \\ud83d\\ude00\n"])
def test_what_is_no_escape_in_yaml_stays_as_it_is(text: str) -> None:
    [document] = parse_file("a.yaml", "", text.encode()).value
    assert document.value == {"a": r"\ud83d\ude00"}


@pytest.mark.parametrize(("path", "written"), [("a.json", '"name": "😀"'), ("a.yaml", "name: 😀")])
def test_a_character_of_two_escapes_is_written_as_itself(path: str, written: str) -> None:
    text = r'{"type": "Mesh", "name": "\ud83d\ude00"}'
    formatted = Formatter(frozenset({"Mesh"})).format(path, text.encode())
    assert formatted.value is not None
    assert written in formatted.value.text
