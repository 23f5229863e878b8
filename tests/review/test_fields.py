"""Fields and patches from one JSON value to another."""

from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.review.fields import compare_json, patch_of
from compiler.review.plan import FieldChange, Kind

_keys = st.sampled_from(["name", "a", "b/c", "d~e", "0"])
_leaves = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["x", "y"])
_values = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=3), max_leaves=12
)


@given(_values, _values)
def test_the_patch_turns_the_one_into_the_other(before: Any, after: Any) -> None:
    patch = [dict(each) for each in patch_of(compare_json(before, after))]
    assert _strict(jsonpatch.apply_patch(before, patch)) == _strict(after)


def _strict(value: Any) -> str:
    """True is not 1."""
    return repr(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


@given(_values)
def test_equal_values_differ_in_nothing(value: Any) -> None:
    assert compare_json(value, value) == ()


def test_an_entry_among_many_is_one_change() -> None:
    def entries(*names: str) -> dict[str, Any]:
        return {"hosts": [{"name": name, "weight": 1} for name in names]}

    (edit,) = compare_json(entries("a", "b", "c", "d"), entries("a", "b", "new", "c", "d"))
    assert edit.change == FieldChange(Kind.ADDED, "/hosts/2", after={"name": "new", "weight": 1})
    (edit,) = compare_json(entries("a", "b", "c"), entries("b", "c"))
    assert edit.change == FieldChange(Kind.REMOVED, "/hosts/0", before={"name": "a", "weight": 1})


def test_an_entry_that_moved_on_is_told_where_it_is_now_and_patched_where_it_was() -> None:
    before = [{"name": "goes"}, {"name": "stays", "timeout": "1s"}]
    gone, changed = sorted(compare_json(before, [{"name": "stays", "timeout": "2s"}]), key=lambda one: one.place)
    assert (gone.change.path, changed.change.path, changed.place) == ("/0", "/0/timeout", "/1/timeout")


@pytest.mark.parametrize(("before", "after"), [({"a": None}, {}), ({"a": 0}, {"a": False}), ({"a": 1}, {"a": "1"})])
def test_what_looks_alike_is_told_apart(before: Any, after: Any) -> None:
    assert len(compare_json(before, after)) == 1
