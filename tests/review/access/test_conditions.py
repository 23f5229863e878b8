"""Formulas are what they stand for, whatever is made of them."""

from hypothesis import given
from hypothesis import strategies as st

from compiler.review.access.conditions import (
    ALWAYS,
    NEVER,
    OPAQUE,
    Formula,
    Grant,
    Literally,
    both,
    either,
    grants,
    negate,
    only,
)

METHODS = ("GET", "POST", "PUT")
PATHS = ("/a", "/a/b", "/a/c", "/b")
PATTERNS = ("/a", "/a*", "/a/*", "/a/b", "/b*", "/*")
WORDS = ("header x", "header y")
Request = tuple[str, str, frozenset[str]]
REQUESTS: list[Request] = [
    (method, path, frozenset(words))
    for method in METHODS
    for path in PATHS
    for words in ((), WORDS[:1], WORDS[1:], WORDS)
]

literals = st.one_of(
    st.sampled_from(METHODS).map(lambda value: only("method", value)),
    st.sampled_from(PATTERNS).map(lambda value: only("path", value)),
    st.sampled_from(WORDS).map(lambda value: only("word", value)),
    st.sampled_from([ALWAYS, NEVER]),
)
trees = st.recursive(
    literals.map(lambda formula: ("is", formula)),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


def fits(path: str, pattern: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def literally(one: Literally, request: Request) -> bool:
    method, path, words = request
    holds = {"method": method == one.value, "path": fits(path, one.value), "word": one.value in words}[one.kind]
    return holds != one.negated


def holds(formula: Formula, request: Request) -> bool:
    return any(all(literally(one, request) for one in clause) for clause in formula)


def built(tree) -> Formula:
    kind, inner = tree
    match kind:
        case "is":
            return inner
        case "not":
            return negate(built(inner))
        case "and":
            return both(built(one) for one in inner)
    return either(built(one) for one in inner)


def meant(tree, request: Request) -> bool:
    kind, inner = tree
    match kind:
        case "is":
            return holds(inner, request)
        case "not":
            return not meant(inner, request)
        case "and":
            return all(meant(one, request) for one in inner)
    return any(meant(one, request) for one in inner)


@given(trees)
def test_a_formula_holds_for_the_requests_that_its_parts_say(tree) -> None:
    formula = built(tree)
    if formula != OPAQUE:
        assert [holds(formula, request) for request in REQUESTS] == [meant(tree, request) for request in REQUESTS]


def granted(grant: Grant, request: Request) -> bool:
    method, path, words = request
    for condition in grant.conditions:
        wanted = condition.removeprefix("not ")
        kind, _, value = wanted.partition(" ")
        found = wanted in words if kind == "header" else {"method": method == value, "path": fits(path, value)}[kind]
        if found == (wanted != condition):
            return False
    return (not grant.methods or method in grant.methods) and (
        not grant.paths or any(fits(path, one) for one in grant.paths)
    )


@given(trees)
def test_grants_say_in_words_what_the_formula_says(tree) -> None:
    formula = built(tree)
    if formula != OPAQUE:
        found = grants(formula)
        for request in REQUESTS:
            assert any(granted(grant, request) for grant in found) == holds(formula, request), (found, request)


def test_methods_and_paths_that_go_together_stand_together() -> None:
    some = both(
        (either((only("method", "GET"), only("method", "HEAD"))), either((only("path", "/a*"), only("path", "/b"))))
    )

    assert grants(some) == (Grant(("GET", "HEAD"), ("/a*", "/b")),)
    assert grants(ALWAYS) == (Grant(),)
    assert grants(NEVER) == ()
    assert grants(both((only("method", "GET"), negate(only("path", "/admin*"))))) == (
        Grant(("GET",), (), ("not path /admin*",)),
    )


def test_what_is_not_told_does_not_become_clear_by_turning_it_around() -> None:
    assert negate(OPAQUE) == OPAQUE
    assert both((OPAQUE, negate(OPAQUE))) == OPAQUE
    assert grants(OPAQUE) == (Grant(conditions=("(conditional)",)),)


def test_what_grows_too_long_is_said_to_be_conditional() -> None:
    pairs = [either((only("word", f"a{at}"), only("word", f"b{at}"))) for at in range(7)]
    assert len(both(pairs[:6])) == 64
    assert both(pairs) == OPAQUE
