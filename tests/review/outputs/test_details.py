"""A replaced entry is shown by what differs in it, and a long value is never cut so that both sides look alike."""

from dataclasses import replace
from typing import Any

import pytest

from compiler.review.fields import compare_json
from compiler.review.outputs.details import field_lines, shown_fields, value_lines
from compiler.review.outputs.markdown import render_markdown
from compiler.review.outputs.text import render_text
from compiler.review.plan import FieldChange, Kind, ResourceChange
from tests.review.plans import CHANGED, PLAN


def chain(port: int, *uris: str) -> dict[str, Any]:
    """Long before it says anything that differs."""
    return {"a": ["the same for a long while"] * 6, "match": {"port": port}, "uris": list(uris)}


def fields_of(before: Any, after: Any) -> tuple[FieldChange, ...]:
    return tuple(sorted((edit.change for edit in compare_json(before, after)), key=lambda one: one.path))


def test_an_entry_that_was_replaced_is_shown_by_what_differs() -> None:
    fields = fields_of({"chains": [chain(80, "x", "y")]}, {"chains": [chain(81, "x", "z")]})
    assert {one.path for one in fields} == {"/chains/0"}
    assert list(field_lines(shown_fields(fields))) == [
        (Kind.CHANGED, "/chains/0/match/port: 80 → 81"),
        (Kind.CHANGED, "/chains/0/uris/1: y → z"),
    ]


def test_entries_of_other_names_are_two() -> None:
    before, after = ({"endpoints": [{"endpoint": {"address": each}}]} for each in ("10.0.0.1", "10.0.0.2"))
    assert {one.kind for one in shown_fields(fields_of(before, after))} == {Kind.REMOVED, Kind.ADDED}


def test_what_only_comes_stands_on_lines_of_its_own_where_it_is_long() -> None:
    (first, *others) = [line for _, line in field_lines([FieldChange(Kind.ADDED, "/x", after=chain(80))])]
    assert first == "/x: {"
    assert len(others) == 12
    assert others[-1].endswith("more lines")
    assert list(field_lines([FieldChange(Kind.ADDED, "/x", after={"a": 1})])) == [(Kind.ADDED, '/x: {"a": 1}')]


@pytest.mark.parametrize("value", ["x" * 300, ["y" * 300], {"z": "\x1b"}])
def test_no_line_is_endless_or_a_command(value: Any) -> None:
    assert all(len(line) <= 1_000 and "\x1b" not in line for line in value_lines(value))


def test_a_long_text_is_shown_on_both_sides_to_where_it_differs() -> None:
    change = FieldChange(Kind.CHANGED, "/regex", "x" * 200 + "1", "x" * 200 + "2")
    assert [line[-1] for _, line in field_lines([change])] == ["1", "2"]


def test_both_forms_show_the_difference() -> None:
    fields = fields_of({"chains": [chain(80)]}, {"chains": [chain(81)]})
    group = replace(CHANGED, changes=(ResourceChange(Kind.CHANGED, "listeners", "in", fields),))
    plan = replace(PLAN, groups=(group,))
    assert "~ /chains/0/match/port: 80 → 81" in render_text(plan)
    assert "- /chains/0/match/port: 80\n+ /chains/0/match/port: 81" in render_markdown(plan)


def test_an_entry_of_another_name_that_is_else_the_same_is_one() -> None:
    before, after = ([{"name": name, **chain(80)}] for name in ("old", "new"))
    assert list(field_lines(shown_fields(fields_of(before, after)))) == [(Kind.CHANGED, "/0/name: old → new")]
    other = [{"name": "new", "all": list(range(9)), "else": {str(number): number for number in range(9)}}]
    assert {one.path for one in shown_fields(fields_of(before, other))} == {"/0"}
