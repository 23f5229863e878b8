"""Git packs beside the work: it is ended at any moment, nothing is lost by it, and nobody waits for it."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from compiler.snapshot.failures import StoreDamaged
from compiler.snapshot.lock import acquire_lock
from compiler.snapshot.packing import Packing
from compiler.snapshot.restore import restore_generation
from compiler.snapshot.store import SnapshotStore
from tests.snapshot.generations import assert_sound, generation, publish_seconds, source, writing_store

ENDS = 60
STUBBORN = """\
#!/bin/sh
case "$*" in
*" gc "*) trap '' TERM; touch {begun}; sleep 60 & wait; sleep 60;;
*) exec {git} "$@";;
esac
"""


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGKILL), (signal.SIGKILL,)])
def test_after_any_of_60_ends_all_that_is_kept_is_whole_and_nothing_is_left_lying(
    numbers: tuple[signal.Signals, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compiler.snapshot.packing._SIGNALS", numbers)
    chance = random.Random(7)
    store, lock = writing_store(tmp_path)
    ended = 0
    for number in range(1, ENDS + 1):
        publish_seconds(store, number)
        store.begin_pruning(3)
        time.sleep(chance.uniform(0, 0.04))
        ended += store.end_pruning()
        _assert_whole(tmp_path, number)
    assert ended > ENDS / 3
    store.prune(3)
    assert [one.number for one in SnapshotStore.open(tmp_path, lock).history()] == [ENDS, ENDS - 1, ENDS - 2]
    assert store.repository.packs == 1


def _assert_whole(data: Path, number: int) -> None:
    """As one finds it who opens it next: fsck complains of half a pack too."""
    assert_sound(data)
    store = SnapshotStore.open(data)
    assert (store.fallback, store.published and store.published.seconds) == (None, 1000 + number)
    assert store.published
    assert restore_generation(store.repository, store.published).generation.snapshots
    repository = data / "snapshots.git"
    names = [path.name for path in repository.rglob("*")]
    assert not [name for name in names if name.endswith(".lock") or "tmp" in name or name == "gc.pid"]
    packs = (repository / "objects/pack").iterdir()
    assert all(path.with_suffix(".idx").exists() and path.with_suffix(".pack").exists() for path in packs)


def test_a_publication_does_not_wait_for_git_even_where_it_will_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = writing_store(tmp_path / "data")
    publish_seconds(store, 1)
    begun = tmp_path / "begun"
    _put_stubborn_git_in_the_way(tmp_path, begun, monkeypatch)
    store.begin_pruning(3)
    _wait_for(begun)
    assert store.is_pruning()
    before = time.monotonic()
    publish_seconds(store, 2)
    assert time.monotonic() - before < 2
    assert not store.is_pruning()
    assert acquire_lock(tmp_path / "data") is None
    assert store._lock is not None
    store._lock.release()
    assert acquire_lock(tmp_path / "data") is not None, "no process of Git is left that would hold it"


def test_the_lock_is_held_until_git_has_ended_though_its_writer_has_not_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, lock = writing_store(tmp_path / "data")
    publish_seconds(store, 1)
    begun = tmp_path / "begun"
    _put_stubborn_git_in_the_way(tmp_path, begun, monkeypatch)
    store.begin_pruning(3)
    _wait_for(begun)
    lock.release()
    assert acquire_lock(tmp_path / "data") is None
    store.end_pruning()
    assert acquire_lock(tmp_path / "data") is not None


def test_a_pin_is_not_written_beside_git(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    store.begin_pruning(2)
    store.pin("kept", "published")
    assert not store.is_pruning()
    assert_sound(tmp_path)


def test_what_git_says_when_it_fails_is_said_once(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    (tmp_path / "snapshots.git/config").write_text("[broken")
    store._packing = Packing(store.repository.path, {"PATH": os.environ["PATH"]}, 0)
    deadline = time.monotonic() + 10
    while store._packing.is_running and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(StoreDamaged, match="bad config"):
        store.is_pruning()
    assert not store.is_pruning()


def test_where_somebody_kills_git_what_it_had_started_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, lock = writing_store(tmp_path / "data")
    publish_seconds(store, 1)
    begun = tmp_path / "begun"
    _put_stubborn_git_in_the_way(tmp_path, begun, monkeypatch)
    store.begin_pruning(3)
    _wait_for(begun)
    assert store._packing is not None
    os.kill(store._packing._process.pid, signal.SIGKILL)
    store._packing._process.wait()
    before = time.monotonic()
    with pytest.raises(StoreDamaged, match="git gc failed"):
        store.is_pruning()
    assert time.monotonic() - before < 2
    lock.release()
    assert acquire_lock(tmp_path / "data") is not None


def test_one_publication_after_another_finds_what_was_packed_meanwhile(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    for number in range(1, 30):
        store.publish(generation({"w/p": {"one": number % 3}, "w/q": {}}), source=source(), now=number)
        if not store.is_pruning():
            store.begin_pruning(2)
        time.sleep(0.03 * (number % 3))
    reopened = SnapshotStore.open(tmp_path, lock)
    assert (reopened.published, reopened.fallback) == (store.published, None)
    assert_sound(tmp_path)


def _put_stubborn_git_in_the_way(folder: Path, begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bin").mkdir()
    script = folder / "bin" / "git"
    script.write_text(STUBBORN.format(begun=begun, git=shutil.which("git")))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
