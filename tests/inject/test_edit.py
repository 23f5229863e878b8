"""An edited document says what it must, and its neighbours are what they were."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compiler.inject.edit import rewrite
from compiler.source.parse import Limits, parse_blob
from compiler.source.spans import find_spans

KEYS = st.sampled_from(["a", "b", "spec", "name", "x-y"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["t", "yes", "a: b", "multi\nline\n", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)
STYLES = st.sampled_from([False, True, None])


def _documents(text: str) -> dict[int, Any]:
    return dict(parse_blob(text.encode(), Limits()).documents)


@given(DOCUMENTS, DOCUMENTS, STYLES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_change_of_any_document_is_made(
    old: dict[str, Any], new: dict[str, Any], style: bool | None, line_end: str, indented: bool
) -> None:
    dumper = type("Indented", (yaml.SafeDumper,), {}) if indented else yaml.SafeDumper
    if indented:
        dumper.increase_indent = lambda self, flow=False, indentless=False: yaml.SafeDumper.increase_indent(
            self, flow, False
        )
    written = yaml.dump(old, default_flow_style=style, Dumper=dumper)
    first, last = "# first\nkind:   A # é\n---\n", "---\nlast: [ 1,2 ]  # kept\n"
    text = (first + written + last).replace("\n", line_end)
    before = _documents(text)
    made = rewrite(text.encode(), before, {1: new}, Limits()).content.decode()
    assert _documents(made) == {**before, 1: new}
    assert made.startswith(first.replace("\n", line_end))
    assert made.endswith(last.replace("\n", line_end))
    assert (line_end == "\n") == ("\r" not in made)


ADDED = [
    ("a: 1 # c\n", {"a": 1, "b": {"c": "x"}}, "a: 1 # c\nb:\n  c: x\n"),
    (
        "l:\n  - name: x # c\n  # end\n",
        {"l": [{"name": "s"}, {"name": "x"}]},
        "l:\n  - name: s\n  - name: x # c\n  # end\n",
    ),
    ("l:\n- 1\n# t\nm: 2\n", {"l": [1, 3], "m": 2}, "l:\n- 1\n- 3\n# t\nm: 2\n"),
    ("a: {b: 1} # c\n", {"a": {"b": 1, "c": "y"}}, 'a: {b: 1, c: "y"} # c\n'),
    ("a: {} # c\n", {"a": {"b": 1}}, "a:\n  b: 1 # c\n"),
    ("a:\nb: 2\n", {"a": {"c": 1}, "b": 2}, "a:\n  c: 1\nb: 2\n"),
    ("a: old # c\n", {"a": "new"}, "a: new # c\n"),
    ("t: |\n  x\n\nb: 1\n", {"t": "x\n", "b": 1, "c": 2}, "t: |\n  x\n\nb: 1\nc: 2\n"),
    ("a: 1", {"a": 1, "b": 2}, "a: 1\nb: 2"),
    ("a: |+\n  x\n\n# c\n", {"a": "x\n\n", "b": 2}, "a: |+\n  x\n\nb: 2\n# c\n"),
    (
        "m:\n  a: &k >2+\n     x\n\nn: 1\n",
        {"m": {"a": " x\n\n", "b": 2}, "n": 1},
        "m:\n  a: &k >2+\n     x\n\n  b: 2\nn: 1\n",
    ),
]


@pytest.mark.parametrize(("text", "value", "expected"), ADDED)
def test_what_is_added_stands_in_the_style_of_its_place(text: str, value: dict[str, Any], expected: str) -> None:
    rewritten = rewrite(text.encode(), _documents(text), {0: value}, Limits())
    assert (rewritten.content.decode(), rewritten.anew) == (expected, ())


def test_json_stays_json() -> None:
    text = json.dumps({"spec": {"containers": [{"name": "a"}]}}, indent=2)
    new = {"spec": {"containers": [{"name": "s"}, {"name": "a"}], "volumes": []}}
    assert json.loads(rewrite(text.encode(), _documents(text), {0: new}, Limits()).content) == new


def test_a_value_that_another_shares_is_not_changed_for_both() -> None:
    text = "a: &x {n: 1}   # shared\nb: *x\n---\nc: 1 # kept\n"
    rewritten = rewrite(text.encode(), _documents(text), {0: {"a": {"n": 1, "m": 2}, "b": {"n": 1}}}, Limits())
    assert _documents(rewritten.content.decode())[0] == {"a": {"n": 1, "m": 2}, "b": {"n": 1}}
    assert rewritten.anew == (0,)
    assert rewritten.content.endswith(b"---\nc: 1 # kept\n")


def test_a_byte_order_mark_stays_in_front() -> None:
    text = "\ufeffa: é\n"
    assert (
        rewrite(text.encode(), _documents(text), {0: {"a": "é", "b": 1}}, Limits()).content
        == "\ufeffa: é\nb: 1\n".encode()
    )


def test_a_span_ends_with_its_value() -> None:
    text = "a:\n- x: 1 # c\n\n# d\nb: {c: d}\n"
    root = find_spans(text.encode())[0]
    assert text[root.children["a"].start : root.children["a"].end] == "- x: 1"
    assert text[root.children["b"].start : root.children["b"].end] == "{c: d}"


def test_spans_of_a_broken_file_are_those_before_the_break() -> None:
    assert list(find_spans(b"a: 1\n---\nb: [\n")) == [0]
