"""Host names of gateways."""

import pytest

from compiler.mesh.gateways.domains import closeness, contains, meet

INSIDE = [
    ("*", "shop.example"),
    ("*", "*"),
    ("*", "*.example"),
    ("a.example", "a.example"),
    ("*.example", "a.example"),
    ("*.example", "a.b.example"),
    ("*.example", "*.b.example"),
]
OUTSIDE = [
    ("*.example", "example"),
    ("*.example", "*"),
    ("*.a.example", "*.example"),
    ("a.example", "b.example"),
    ("*.a.example", "x.b.example"),
    ("*.ample", "a.example"),
]


@pytest.mark.parametrize(("outer", "inner"), INSIDE)
def test_a_name_is_inside_of_a_wider_one(outer: str, inner: str) -> None:
    assert contains(outer, inner)
    assert meet(outer, inner) == meet(inner, outer) == inner


@pytest.mark.parametrize(("outer", "inner"), OUTSIDE)
def test_other_names_are_not(outer: str, inner: str) -> None:
    assert not contains(outer, inner)


def test_names_that_no_host_has_both_of_do_not_meet() -> None:
    assert meet("*.a.example", "*.b.example") is None


def test_a_longer_name_is_closer_and_one_without_wildcard_is_closest() -> None:
    names = ["*", "b.example", "*.b.example", "*.example", "a.b.example"]
    assert sorted(names, key=closeness, reverse=True) == [
        "a.b.example",
        "b.example",
        "*.b.example",
        "*.example",
        "*",
    ]
