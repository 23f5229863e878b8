"""When old generations are cut off, with a store that only says what is asked of it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from compiler.reconcile.pruning import _PRESSING, KEPT, Pruning
from compiler.snapshot.failures import StoreDamaged
from compiler.snapshot.store import SnapshotStore


class Store:
    """Of `number` generations, in `packs` packs; Git packs from `begin_pruning` on until `running` is unset."""

    def __init__(self, number: int = 0, packs: int = 0) -> None:
        self.published: Any = None
        self.repository = SimpleNamespace(packs=packs)
        self.running = False
        self.failing = False
        self.begun = 0
        self.publish(number)

    def publish(self, number: int) -> None:
        self.published = SimpleNamespace(number=number) if number else None

    def begin_pruning(self, keep: int) -> None:
        assert keep == KEPT
        assert not self.running
        self.running = True
        self.begun += 1

    def is_pruning(self) -> bool:
        if self.failing:
            self.running = self.failing = False
            raise StoreDamaged("git gc failed")
        return self.running

    def end_pruning(self) -> bool:
        ended, self.running = self.running, False
        return ended


def _pruning(store: Store) -> Pruning:
    return Pruning(cast("SnapshotStore", store))


def _publish(found: Pruning, store: Store) -> None:
    found.give_way()
    store.publish((store.published.number if store.published else 0) + 1)


def test_it_begins_after_as_many_generations_as_are_kept_and_then_after_as_many_again() -> None:
    store = Store()
    found = _pruning(store)
    for number in range(1, 3 * KEPT + 1):
        _publish(found, store)
        found.go_on(quiet=True)
        store.running = False
        assert store.begun == number // KEPT


def test_generations_of_an_earlier_process_count_by_their_packs() -> None:
    store = Store(number=1000, packs=KEPT - 1)
    found = _pruning(store)
    found.go_on(quiet=True)
    assert store.begun == 0
    _publish(found, store)
    found.go_on(quiet=True)
    assert store.begun == 1


def test_it_gives_way_to_each_publication_and_after_three_waits_for_a_long_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    store = Store(number=KEPT, packs=KEPT)
    found = _pruning(store)
    for begun in (1, 2, 3):
        found.go_on(quiet=True)
        assert (store.begun, store.running) == (begun, True)
        _publish(found, store)
        assert not store.running
    now += 29
    found.go_on(quiet=True)
    assert not store.running
    now += 2
    found.go_on(quiet=True)
    assert store.running
    store.running = False
    found.go_on(quiet=True)
    store.publish(store.published.number + KEPT)
    found.give_way()
    found.go_on(quiet=True)
    assert store.begun == 5, "once it was done, the next one need not wait"


def test_between_commits_that_follow_each_other_it_begins_only_when_it_presses() -> None:
    store = Store()
    found = _pruning(store)
    for _ in range(_PRESSING):
        assert store.begun == 0
        _publish(found, store)
        found.go_on(quiet=False)
    assert store.begun == 1
    _publish(found, store)
    assert not store.running
    found.go_on(quiet=False)
    assert store.begun == 2, "broken off, it is still due"


def test_a_failure_is_said_and_not_tried_again_until_it_is_due_again() -> None:
    store = Store(number=KEPT, packs=KEPT)
    found = _pruning(store)
    found.go_on(quiet=True)
    store.failing = True
    with pytest.raises(StoreDamaged):
        found.go_on(quiet=True)
    found.go_on(quiet=True)
    assert store.begun == 1
    store.publish(2 * KEPT)
    found.go_on(quiet=True)
    assert store.begun == 2
