"""Whatever policies tell apart, each caller's first class has of each policy the first set that the caller is in."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from compiler.mesh.callers import EVERYONE, classes, includes
from compiler.mesh.calls import Principal
from compiler.mesh.permission import contains
from compiler.mesh.value import UriMatch

IDS = ("spiffe://m/a", "spiffe://m/ab", "spiffe://m/a/x", "spiffe://m/b")
TAGS = ("kuma://v/1", "kuma://v/2", "kuma://w/1")
SPIFFE = st.one_of(
    st.sampled_from(IDS).map(UriMatch),
    st.sampled_from(("spiffe://m/", "spiffe://m/a", "spiffe://m/a/")).map(lambda uri: UriMatch(uri, prefix=True)),
)
CALLERS = st.tuples(st.sampled_from(IDS), st.sets(st.sampled_from(TAGS))).filter(
    lambda caller: not {"kuma://v/1", "kuma://v/2"} <= caller[1]
)


def by_specificity(found: Sequence[UriMatch]) -> list[Principal]:
    ordered = sorted(set(found), key=lambda one: (not one.prefix, len(one.value), one.value), reverse=True)
    return [Principal((one,)) for one in ordered]


BY_ID = st.lists(SPIFFE, max_size=4).map(by_specificity)
BY_TAG = st.lists(st.sets(st.sampled_from(TAGS), min_size=1, max_size=2), max_size=3).map(
    lambda sets: [
        Principal(tuple(UriMatch(tag) for tag in sorted(tags)))
        for tags in sets
        if len(tags) < 2 or "kuma://w/1" in tags
    ]
)


def first(sets: Sequence[Principal], uris: frozenset[str]) -> Principal:
    return next((one for one in sets if contains(one, uris)), EVERYONE)


@given(st.lists(BY_ID, max_size=3), BY_TAG, CALLERS)
def test_the_first_class_of_a_caller_has_of_each_policy_its_first_set(
    by_id: list[list[Principal]], by_tag: list[Principal], caller: tuple[str, set[str]]
) -> None:
    told_apart = [*by_id, by_tag]
    uris = frozenset({caller[0], *caller[1]})
    found = first(classes(told_apart), uris)
    for sets in told_apart:
        wanted = first(sets, uris)
        assert first_including(sets, found) == wanted


def first_including(sets: Sequence[Principal], callers: Principal) -> Principal:
    return next((one for one in sets if includes(one, callers)), EVERYONE)


def test_nobody_is_no_class() -> None:
    a, b = Principal((UriMatch("spiffe://m/a"),)), Principal((UriMatch("spiffe://m/b"),))
    assert classes([[a], [b]]) == (a, b)


def test_one_policy_gives_its_own_sets_in_order() -> None:
    sets = [Principal((UriMatch("spiffe://m/a"),)), Principal((UriMatch("spiffe://m/", prefix=True),))]
    assert classes([sets, []]) == tuple(sets)
