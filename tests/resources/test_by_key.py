"""A mapping that shares what did not change, held to what a plain dict would be."""

import pickle
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from compiler.resources.by_key import ByKey

KEYS = st.integers(0, 30)
STEPS = st.lists(st.tuples(st.dictionaries(KEYS, st.integers()), st.sets(KEYS)), max_size=8)


def shown(mapping: Mapping[int, int]) -> list[tuple[int, int]]:
    return list(mapping.items())


@given(st.dictionaries(KEYS, st.integers()), STEPS)
def test_every_version_stays_what_it_was(first: dict[int, int], steps: list[tuple[dict[int, int], set[int]]]) -> None:
    versions, plain = [ByKey(first)], [first]
    for changes, gone in steps:
        versions.append(versions[-1].with_changes(changes, gone))
        plain.append({key: value for key, value in plain[-1].items() if key not in gone} | changes)
    for version, wanted in zip(versions, plain, strict=True):
        assert shown(version) == sorted(wanted.items())
        assert list(version) == list(version.keys()) == sorted(wanted)
        assert list(version.values()) == [wanted[key] for key in sorted(wanted)]
        assert len(version) == len(wanted)
        assert {key: version.get(key) for key in range(31)} == {key: wanted.get(key) for key in range(31)}
        assert all(version[key] == value and key in version for key, value in wanted.items())
        assert shown(pickle.loads(pickle.dumps(version))) == shown(version)


def test_it_is_pickled_alike_in_whatever_order_it_was_made() -> None:
    one, other = ByKey({"a": 1, "b": 2}), ByKey({"b": 2}).with_changes({"a": 1})
    assert pickle.dumps(one) == pickle.dumps(other)
