"""A generation is published wholly or not at all: under kills, failing disks, and damage to what was stored."""

import itertools
import os
import random
import resource
import signal
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compiler.snapshot.failures import StoreDamaged, StoreError, StoreFull, StoreReadOnly
from compiler.snapshot.lock import Lock, acquire_lock
from compiler.snapshot.restore import restore_generation
from compiler.snapshot.store import SnapshotStore
from tests.snapshot.generations import assert_sound, generation, git, publish_seconds, snapshot, source, writing_store

KILLS = 100
NODE = "meshes/mesh/east/w/p"


def test_after_any_of_100_kills_the_old_or_the_new_generation_is_published(tmp_path: Path) -> None:
    chance = random.Random(7)
    number = 1
    for _ in range(KILLS):
        number = _kill_at_random(tmp_path, number, chance)
    assert number > KILLS / 10


def _kill_at_random(data: Path, first: int, chance: random.Random) -> int:
    """Kills a writer that publishes `first`, `first + 1`, …, and returns the number to go on with."""
    last = _killed_writer(data, first, chance.uniform(0, 0.08), every=chance.choice([1, 4, 1000])) or first - 1
    lock = _wait_for_lock(data)
    store = SnapshotStore.open(data, lock)
    assert store.fallback is None
    published = store.published.seconds if store.published else 0
    assert published in (last, last + 1)
    if store.published:
        wanted = generation({"w/p": {"one": published}, "w/q": {"two": 2}})
        assert restore_generation(store.repository, store.published).generation == wanted
        assert_sound(data)
    lock.release()
    return published + 1


def _killed_writer(data: Path, first: int, seconds: float, every: int) -> int:
    """What a process that prunes now and then said last to have published when it was killed after so many seconds."""
    told, tell = os.pipe()
    if not (child := os.fork()):
        _publish_until_killed(data, first, tell, every)
    os.close(tell)
    with os.fdopen(told, "rb") as lines:
        assert lines.readline() == b"ready\n"
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        numbers = [int(line) for line in lines if line.endswith(b"\n")]
    return numbers[-1] if numbers else 0


def _publish_until_killed(data: Path, first: int, tell: int, every: int) -> None:
    try:
        store, _ = writing_store(data)
        os.write(tell, b"ready\n")
        for number in itertools.count(first):
            store.publish(generation({"w/p": {"one": number}, "w/q": {"two": 2}}), source=source(), now=number)
            os.write(tell, b"%d\n" % number)
            if number % every == 0:
                store.prune(3)
    finally:
        os._exit(1)


def _wait_for_lock(data: Path) -> Lock:
    """Git holds the lock of a killed writer until its packing has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if lock := acquire_lock(data):
            return lock
        time.sleep(0.005)
    raise AssertionError("the lock is still held 10 s after its holder was killed")


# Failing disks


@contextmanager
def failing_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The disk refuses the fsync of this number, and all later ones."""
    left = iter(range(calls))

    def fsync(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fsync)
        yield


@pytest.mark.parametrize("calls", range(6))
def test_a_failed_fsync_abandons_the_attempt_and_the_next_one_writes_anew(
    calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    with failing_after(calls, monkeypatch), pytest.raises(StoreError, match="cannot publish sha1:"):
        publish_seconds(store, 2)
    assert store.published
    assert store.published.number == 1
    named = SnapshotStore.open(tmp_path)
    assert named.fallback is None
    assert named.published
    assert named.published.number in (1, 2)
    publish_seconds(store, 2)
    assert store.published.seconds == 1002
    assert_sound(tmp_path)


def test_a_full_disk_is_said_and_the_next_attempt_goes_through(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        with pytest.raises(StoreFull, match="no room left"):
            publish_seconds(store, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.published
    assert store.published.number == 1
    publish_seconds(store, 2)
    assert store.published.number == 2
    assert not list((tmp_path / "snapshots.git/objects").rglob("tmp_*"))
    assert_sound(tmp_path)


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)

    def refuse(*_: object) -> int:
        raise OSError(30, "Read-only file system", str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr("compiler.snapshot.objects.os.open", refuse)
        with pytest.raises(StoreReadOnly, match="not writable"):
            publish_seconds(store, 2)
    assert store.published
    assert store.published.number == 1
    publish_seconds(store, 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_cannot_be_locked(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreReadOnly):
        acquire_lock(tmp_path)


# Damage


def _pack_of(data: Path, revision: str) -> Path:
    """The pack that was written for a generation: the one that has its commit."""
    commit = git(data, "rev-parse", revision).strip()
    for index in (data / "snapshots.git/objects/pack").glob("*.idx"):
        if commit in git(data, "verify-pack", "-v", str(index)):
            return index.with_suffix(".pack")
    raise AssertionError(f"no pack has {revision}")


def _cut(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    for place in range(20, len(content) - 20, 7):
        content[place] ^= 0x55
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_cut, _flip, Path.unlink])
def test_previous_stands_in_for_a_damaged_generation_and_the_next_publish_heals(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    damage(_pack_of(tmp_path, "published"))
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.fallback
    assert reopened.fallback.startswith("the published generation cannot be used: ")
    assert reopened.published
    assert reopened.published.seconds == 1001
    first = generation({"w/p": {"one": 1}, "w/q": {}}, f"{1:040x}")
    assert restore_generation(reopened.repository, reopened.published).generation == first
    publish_seconds(reopened, 2)
    assert reopened.fallback is None
    healed = SnapshotStore.open(tmp_path, lock)
    assert (healed.fallback, healed.published) == (None, reopened.published)
    assert reopened.read_snapshot("published", NODE) == snapshot("w", "p", {"one": 2})


def test_a_pack_is_trusted_unread_only_where_it_and_its_index_are_what_was_written(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    ids = store.repository.list_objects("published")
    assert store.repository.list_doubtful(ids) == ()
    pack = _pack_of(tmp_path, "published")
    for name, place in ((pack, -30), (pack, 14), (pack.with_suffix(".idx"), 1040)):
        content = name.read_bytes()
        name.chmod(0o600)
        name.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert store.repository.list_doubtful(ids) == ids
        name.write_bytes(content)


def test_a_loose_object_is_read_before_it_is_trusted(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1)
    pack = _pack_of(tmp_path, "published")
    content = pack.read_bytes()
    for name in (pack, pack.with_suffix(".idx")):
        name.unlink()
    subprocess.run(["git", "unpack-objects", "-q"], cwd=tmp_path / "snapshots.git", input=content, check=True)
    assert SnapshotStore.open(tmp_path, lock).published == store.published
    blob = git(tmp_path, "rev-parse", f"published:{NODE}/clusters.json").strip()
    loose = tmp_path / "snapshots.git/objects" / blob[:2] / blob[2:]
    loose.chmod(0o600)
    loose.write_bytes(zlib.compress(b"blob 3\0{}\n"))
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.published is None
    assert reopened.fallback


def test_a_generation_number_is_not_used_twice(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    tree, blob = (
        git(tmp_path, "rev-parse", f"published{below}").strip() for below in ("^{tree}", f":{NODE}/clusters.json")
    )
    forged = tmp_path / "forged"
    forged.write_text(git(tmp_path, "cat-file", "commit", "published").replace(tree, blob))
    made = git(tmp_path, "hash-object", "-w", "-t", "commit", "--literally", str(forged))
    (tmp_path / "snapshots.git/refs/heads/published").write_text(made)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.published
    assert reopened.published.number == 1
    publish_seconds(reopened, 3)
    assert reopened.published.number == 3


def test_where_all_is_damaged_nothing_is_published_and_publishing_starts_anew(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    for pack in (tmp_path / "snapshots.git/objects/pack").glob("*.pack"):
        _cut(pack)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.published is None
    assert reopened.fallback
    assert "nor can the previous one" in reopened.fallback
    publish_seconds(reopened, 3)
    assert reopened.read_snapshot("published", NODE) == snapshot("w", "p", {"one": 3})
    assert SnapshotStore.open(tmp_path, lock).published == reopened.published


@pytest.mark.parametrize("content", ["", "garbage\n", "0" * 40, "ref: refs/heads/published"])
def test_a_ref_that_names_nothing_is_not_followed(content: str, tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    (tmp_path / "snapshots.git/refs/heads/published").write_text(content)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.published
    assert reopened.published.number == 1
    assert reopened.fallback


def test_a_commit_of_somebody_else_is_not_followed(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    tree = git(tmp_path, "rev-parse", "published^{tree}").strip()
    identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
    commit = git(tmp_path, *identity, "commit-tree", tree, "-m", "mine").strip()
    git(tmp_path, "update-ref", "refs/heads/published", commit)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.fallback
    assert "not one of ours" in reopened.fallback


def test_a_damaged_object_is_never_read_as_something_else(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    _flip(_pack_of(tmp_path, "published"))
    with pytest.raises(StoreDamaged):
        store.read_files("published", NODE)
