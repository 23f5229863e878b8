"""The memo gives what a computation from nothing gives, and computes only what an edit touches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.memo import CyclicQueryError, Input, Memo, Query

NUMBER: Input[str, int] = Input("number", 0)
PARITY: Query[str, int] = Query("parity", lambda memo, key: memo.read(NUMBER, key) % 2)
TOTAL: Query[tuple[str, ...], int] = Query("total", lambda memo, keys: sum(memo.ask(PARITY, key) for key in keys))
CHOICE: Query[str, int] = Query(
    "choice", lambda memo, key: memo.ask(PARITY, "b") if memo.read(NUMBER, key) > 5 else memo.ask(PARITY, "c")
)


def test_an_edit_that_changes_nothing_downstream_stops_there() -> None:
    memo = Memo()
    memo.write(NUMBER, "a", 1)
    assert memo.ask(TOTAL, ("a", "b")) == 1
    memo.write(NUMBER, "a", 3)
    assert memo.ask(TOTAL, ("a", "b")) == 1
    assert memo.computed == {"parity": 3, "total": 1}


def test_equal_values_mark_nothing_stale() -> None:
    memo = Memo()
    memo.write(NUMBER, "a", 1)
    memo.ask(TOTAL, ("a",))
    assert not memo.write(NUMBER, "a", 1)
    assert memo.stale(TOTAL) == frozenset()


def test_only_what_leans_on_an_edit_is_stale() -> None:
    memo = Memo()
    memo.ask(TOTAL, ("a",))
    memo.ask(TOTAL, ("b",))
    memo.write(NUMBER, "a", 1)
    assert memo.stale(TOTAL) == {("a",)}


def test_what_went_stale_is_had_and_lacked() -> None:
    memo = Memo()
    memo.ask(PARITY, "a")
    memo.write(NUMBER, "a", 1)
    assert memo.has(PARITY, "a")
    assert memo.lacks(PARITY, "a")
    assert not memo.has(PARITY, "b")


def test_what_reads_the_same_again_still_leans_on_it() -> None:
    memo = Memo()
    for number in (1, 2, 3, 4):
        memo.write(NUMBER, "a", number)
        assert memo.ask(TOTAL, ("a", "b")) == number % 2
    memo.forget(TOTAL, [("a", "b")])
    assert memo.size == 1


def test_what_is_no_longer_used_is_forgotten() -> None:
    memo = Memo()
    memo.ask(TOTAL, ("a", "b"))
    memo.ask(TOTAL, ("b",))
    memo.forget(TOTAL, [("a", "b")])
    memo.write(NUMBER, "a", 1)
    assert memo.ask(TOTAL, ("b",)) == 0
    assert memo.ask(PARITY, "a") == 1
    assert memo.computed["parity"] == 3


def test_inputs_that_say_nothing_and_that_nobody_reads_are_forgotten() -> None:
    memo = Memo()
    memo.write(NUMBER, "a", 1)
    memo.ask(TOTAL, ("b",))
    size = memo.size
    for number in range(5):
        memo.write(NUMBER, f"new-{number}", 1)
        memo.write(NUMBER, f"new-{number}", 0)
        memo.sweep()
    assert memo.size == size
    assert memo.read(NUMBER, "a") == 1


def test_a_query_that_asks_itself_is_a_bug_of_ours() -> None:
    loop: Query[str, int] = Query("loop", lambda memo, key: memo.ask(loop, key))
    with pytest.raises(CyclicQueryError, match="loop"):
        Memo().ask(loop, "a")


def test_a_query_that_failed_is_computed_again() -> None:
    def invert(memo: Memo, key: str) -> float:
        return 1 / memo.read(NUMBER, key)

    query: Query[str, float] = Query("invert", invert)
    memo = Memo()
    with pytest.raises(ZeroDivisionError):
        memo.ask(query, "a")
    memo.write(NUMBER, "a", 2)
    assert memo.ask(query, "a") == 0.5


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=30))
def test_any_sequence_of_edits_ends_where_a_fresh_memo_ends(edits: list[tuple[str, int]]) -> None:
    memo, final = Memo(), Memo()
    for key, number in edits:
        memo.write(NUMBER, key, number)
        memo.ask(CHOICE, "a")
        memo.ask(TOTAL, ("a", "c"))
        memo.sweep()
    for key, number in dict(edits).items():
        final.write(NUMBER, key, number)
    assert memo.ask(CHOICE, "a") == final.ask(CHOICE, "a")
    assert memo.ask(TOTAL, ("a", "c")) == final.ask(TOTAL, ("a", "c"))


def test_an_adopted_value_is_as_if_it_had_been_computed_here() -> None:
    elsewhere, memo = Memo(), Memo()
    for each in (elsewhere, memo):
        each.write(NUMBER, "a", 1)
        each.ask(PARITY, "a")
    value, sources = elsewhere.ask(TOTAL, ("a",)), elsewhere.sources(TOTAL, ("a",))
    assert memo.lacks(TOTAL, ("a",))
    memo.adopt(TOTAL, ("a",), value, sources)
    assert not memo.lacks(TOTAL, ("a",))
    assert memo.ask(TOTAL, ("a",)) == 1
    assert memo.computed == elsewhere.computed
    memo.write(NUMBER, "a", 2)
    assert memo.ask(TOTAL, ("a",)) == 0


def test_a_value_made_from_what_is_not_here_is_not_adopted() -> None:
    elsewhere, memo = Memo(), Memo()
    value, sources = elsewhere.ask(TOTAL, ("a",)), elsewhere.sources(TOTAL, ("a",))
    memo.adopt(TOTAL, ("a",), value, sources)
    assert memo.lacks(TOTAL, ("a",))


RECENT: Query[str, int] = Query("recent", lambda memo, key: memo.read(NUMBER, key) * 10, recent=2)
CHOSEN: Query[str, int] = Query("chosen", lambda memo, _: memo.ask(RECENT, str(memo.read(NUMBER, "which"))))


def choose(memo: Memo, *which: int) -> list[int]:
    found = []
    for one in which:
        memo.write(NUMBER, "which", one)
        found.append(memo.ask(CHOSEN, ""))
        memo.sweep()
    return found


def test_what_was_forgotten_lately_is_recalled() -> None:
    memo = Memo()
    for number in range(5):
        memo.write(NUMBER, str(number), number + 1)
    assert choose(memo, 0, 1, 0, 1) == [10, 20, 10, 20]
    assert memo.computed["recent"] == 2
    assert choose(memo, 2, 3, 4) == [30, 40, 50]
    assert choose(memo, 0) == [10]
    assert memo.computed["recent"] == 6


def test_what_was_forgotten_is_not_recalled_when_what_it_was_made_from_changed() -> None:
    memo = Memo()
    memo.write(NUMBER, "1", 1)
    assert choose(memo, 1, 2) == [10, 0]
    memo.write(NUMBER, "1", 5)
    assert choose(memo, 1) == [50]


def test_what_was_recalled_follows_edits() -> None:
    memo = Memo()
    memo.write(NUMBER, "1", 1)
    assert choose(memo, 1, 2, 1) == [10, 0, 10]
    memo.write(NUMBER, "1", 7)
    assert memo.ask(CHOSEN, "") == 70


TABLES = {table.name: table for table in (NUMBER, PARITY, TOTAL, CHOICE)}
EDITS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=6)


@given(before=EDITS, after=EDITS)
def test_a_memo_made_from_an_image_goes_on_as_the_one_that_was_drawn(
    before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    drawn = Memo()
    for key, number in before:
        drawn.write(NUMBER, key, number)
    for key in "abc":
        drawn.ask(CHOICE, key)
    drawn.ask(TOTAL, ("a", "b"))
    drawn.sweep()
    restored = Memo.from_image(drawn.image(), TABLES)
    assert restored.image() == drawn.image()
    counted = dict(drawn.computed)
    for key, number in after:
        for memo in (drawn, restored):
            memo.write(NUMBER, key, number)
        asked = [(memo.ask(CHOICE, key), memo.ask(TOTAL, ("a", "b"))) for memo in (drawn, restored)]
        assert asked[0] == asked[1]
    cost = {name: count - counted.get(name, 0) for name, count in drawn.computed.items()}
    assert {name: count for name, count in cost.items() if count} == restored.computed


def test_what_is_stale_is_not_in_an_image() -> None:
    memo = Memo()
    memo.ask(TOTAL, ("a", "b"))
    memo.write(NUMBER, "a", 1)
    restored = Memo.from_image(memo.image(), TABLES)
    assert not restored.has(TOTAL, ("a", "b"))
    assert restored.ask(TOTAL, ("a", "b")) == memo.ask(TOTAL, ("a", "b")) == 1
    assert restored.computed == {"total": 1, "parity": 1}


def test_an_image_of_an_unknown_table_is_refused() -> None:
    memo = Memo()
    memo.write(NUMBER, "a", 1)
    with pytest.raises(KeyError):
        Memo.from_image(memo.image(), {})
