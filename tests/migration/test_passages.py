"""A file cut into its documents, and put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.migration.passages import cut
from compiler.source.parse import parse_file

LINES = st.sampled_from(
    ["a: 1", "---", "--- # said", "# noted", "", "b: |", "  --- no", "  c", "%YAML 1.2", "- x", "---\ta: 1"]
)


@given(st.lists(LINES, max_size=12), st.booleans())
def test_the_documents_of_a_file_are_the_file(lines: list[str], ended: bool) -> None:
    text = "\n".join(lines) + ("\n" if ended else "")
    passages = cut(text)
    assert passages is not None
    assert "".join(passages.parts) == text
    assert passages.with_changes({}) == text


@given(st.lists(st.sampled_from(["a: 1\n", "# noted\na: {b: 2}\n", "t: |\n  ---\n  x\n", ""]), min_size=1, max_size=5))
def test_a_document_is_where_the_parser_has_it(documents: list[str]) -> None:
    text = "---\n".join(documents)
    passages = cut(text)
    assert passages is not None
    for document in parse_file("a.yaml", "", text.encode()).value:
        assert passages.holds(document.index, document.value)


def test_what_is_noted_above_a_document_stays_and_the_others_keep_every_byte() -> None:
    text = "# one\na: 1   # here\n\n---\n# two\nb:   2\n---\nc: 3"
    passages = cut(text)
    assert passages is not None
    assert (
        passages.with_changes({1: ["x: 1\n", "y: 2\n"]})
        == "# one\na: 1   # here\n\n---\n# two\nx: 1\n---\ny: 2\n---\nc: 3"
    )


def test_a_document_can_go() -> None:
    passages = cut("a: 1\n---\nb: 2\n---\nc: 3\n")
    assert passages is not None
    assert passages.with_changes({1: []}) == "a: 1\n---\nc: 3\n"


@pytest.mark.parametrize("text", ["a: 1\n...\n---\nb: 2\n", "...\n"])
def test_marked_ends_are_left_alone(text: str) -> None:
    assert cut(text) is None


def test_a_first_document_goes_with_the_mark_of_the_second() -> None:
    passages = cut("# one\na: 1\n---\nb: 2\n---\nc: 3\n")
    assert passages is not None
    assert passages.with_changes({0: []}) == "b: 2\n---\nc: 3\n"


def test_what_is_noted_around_the_first_mark_stays() -> None:
    passages = cut("# licence\n---\n# one\na: 1\n")
    assert passages is not None
    assert passages.with_changes({0: ["b: 2\n"]}) == "# licence\n---\n# one\nb: 2\n"
