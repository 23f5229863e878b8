"""A generation is published wholly or not at all, and what Git's own tools say of the repository is in order."""

import itertools
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compiler.envoy.resources import ResourceType
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.failures import NotTheWriter, StoreDamaged, StoreError, StoreFull, StoreReadOnly
from compiler.snapshot.lock import Lock, acquire_lock
from compiler.snapshot.publication import SourceCommit
from compiler.snapshot.restore import restore_generation
from compiler.snapshot.store import SnapshotStore
from tests.snapshot.generations import generation, snapshot, source, writing_store

KILLS = 100
NODE = "meshes/mesh/east/w/p"


def git(data: Path, *arguments: str) -> str:
    command = ["git", f"--git-dir={data / 'snapshots.git'}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def assert_sound(data: Path) -> None:
    done = subprocess.run(
        ["git", f"--git-dir={data / 'snapshots.git'}", "fsck", "--strict", "--full"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def publish_seconds(store: SnapshotStore, *seconds: int) -> None:
    """One generation for each."""
    for one in seconds:
        store.publish(generation({"w/p": {"one": one}, "w/q": {}}), source=source(f"{one:040x}"), now=1000 + one)


def objects_of(data: Path) -> set[Path]:
    return {path for path in (data / "snapshots.git" / "objects").rglob("*") if path.is_file()}


def test_the_digest_that_is_served_is_the_tree_id_that_git_finds(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    made = generation({"w/p": {"one": 1}, "v/r": {"two": 2}})
    published = store.publish(made, source=source(), now=1000)
    assert published.digest == made.digest == f"sha1:{git(tmp_path, 'rev-parse', 'published:meshes').strip()}"
    assert published.commit == git(tmp_path, "rev-parse", "HEAD").strip()
    assert_sound(tmp_path)


def test_a_thousand_proxies_are_sound_for_git(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    made = generation({f"w{n}/p{n}": {"one": n, "two": 2} for n in range(1000)})
    store.publish(made, source=source(), now=1000)
    assert_sound(tmp_path)
    assert git(tmp_path, "rev-parse", "published:meshes").strip() == made.digest.removeprefix("sha1:")


def test_the_log_reads_well(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    log = git(tmp_path, "log", "--stat", "-1")
    assert "Author: meshwright <meshwright@localhost>" in log
    assert "    generation 2: edit the mesh\n" in log
    assert f" {NODE}/clusters.json | 2 +-" in log
    assert " 1 file changed" in log


def test_trailers_tell_where_a_generation_came_from(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    published = store.publish(generation({"w/p": {}}), source=source(subject="mesh: a\nline"), now=1234.9)
    trailers = git(tmp_path, "log", "-1", "--format=%(trailers:only,unfold)").strip().splitlines()
    assert trailers == [
        "Generation: 1",
        f"Digest: {published.digest}",
        "Source-Repository: https://git.example/mesh",
        f"Source-Commit: {'a' * 40}",
        f"Source-Tree: {'b' * 40}",
        "Compiler-Version: meshwright 0.1.0",
    ]
    assert git(tmp_path, "log", "-1", "--format=%s %ct").strip() == "generation 1: mesh: a line 1234"


def test_credentials_of_the_source_are_not_kept(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    store.publish(generation({}), source=SourceCommit("https://me:s3cret@git.example/mesh", None, "b" * 40), now=1)
    assert "https://git.example/mesh" in git(tmp_path, "log")
    assert "s3cret" not in git(tmp_path, "log", "-p")


def test_publishing_the_same_again_makes_nothing(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    first = store.publish(generation({"w/p": {}}), source=source(), now=1)
    held = objects_of(tmp_path)
    assert store.publish(generation({"w/p": {}}), source=source(), now=2) == first
    assert objects_of(tmp_path) == held


def test_the_same_digest_from_another_commit_records_the_source_only(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    recorded = store.publish(generation({"w/p": {"one": 2}, "w/q": {}}), source=source("c" * 40), now=9)
    assert (recorded.number, recorded.source.commit) == (2, "c" * 40)
    assert [one.number for one in store.history()] == [2, 2, 1]
    assert git(tmp_path, "log", "-1", "--format=%B", "previous").startswith("generation 1")


def test_an_empty_generation_has_a_digest_too(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    store.publish(generation({}), source=source(), now=1)
    assert_sound(tmp_path)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert (reopened.published, reopened.fallback) == (store.published, None)


def test_an_edit_stores_what_it_touches_and_no_more(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    wanted = {f"w{n}/p{n}": {"one": n} for n in range(100)}
    store.publish(generation(wanted), source=source(), now=1)
    for again in (False, False, True):
        opened = SnapshotStore.open(tmp_path, lock) if again else store
        before = int(_counts(tmp_path)["in-pack"])
        wanted["w7/p7"] = {"one": 500 + before}
        opened.publish(generation(wanted), source=source(), now=2)
        # the file, the folders of proxy, workload, zone, mesh and all meshes, the root, and the commit
        assert int(_counts(tmp_path)["in-pack"]) - before == 8


def _counts(data: Path) -> dict[str, str]:
    return dict(line.split(": ") for line in git(data, "count-objects", "-v").splitlines())


def test_a_digest_that_is_not_the_snapshots_is_refused(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    made = generation({"w/p": {}})
    with pytest.raises(ValueError, match="its snapshots are"):
        store.publish(made, source=source(), now=1, tree=GenerationTree.build([snapshot("w", "other", {})]))
    assert store.published is None


def test_the_repository_is_ours_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        writing_store(tmp_path / "data")
    finally:
        os.umask(old)
    modes = [(tmp_path / path).stat().st_mode & 0o777 for path in ("data", "data/snapshots.git", "data/lock")]
    assert modes == [0o700, 0o700, 0o600]


# Reading back


def test_history_is_newest_first(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2, 3)
    assert [(one.number, one.seconds) for one in store.history()] == [(3, 1003), (2, 1002), (1, 1001)]
    assert store.history(limit=1) == (store.published,)
    assert SnapshotStore.open(tmp_path, lock).history() == store.history()


def test_an_old_snapshot_is_read_by_ref_commit_and_digest(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    old = store.history()[1]
    for revision in ("previous", old.commit, f"sha1:{old.commit}", old.digest):
        assert store.read_snapshot(revision, NODE) == snapshot("w", "p", {"one": 1})
    assert store.read_snapshot("published", NODE) == snapshot("w", "p", {"one": 2})
    assert sorted(store.read_files("published", NODE)) == ["clusters.json", "listeners.json", "secrets.json"]


@pytest.mark.parametrize("revision", ["--help", "nothing", "0" * 40, "a b", "../HEAD", "heads/../../HEAD", ""])
def test_a_revision_that_is_none_gives_nothing(revision: str, tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    assert store.read_snapshot(revision, NODE) is None


@pytest.mark.parametrize("path", ["meshes/mesh/east/w/none", "meshes/mesh\nHEAD", "--help"])
def test_a_path_that_is_none_gives_nothing(path: str, tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    assert store.read_files("published", path) == {}


def test_what_is_read_back_is_what_was_published(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    made = generation({"w/p": {"one": 1, "two": 2}, "w/q": {"one": 1, "two": 2}, "v/r": {}})
    published = store.publish(made, source=source(), now=1)
    restored = restore_generation(store.repository, published)
    assert restored == made
    first, second = (restored.snapshots[f"mesh.{name}"].resources[ResourceType.CLUSTER] for name in ("p", "q"))
    assert first is second


# The writer


def test_the_lock_is_held_by_one_process_until_it_ends(tmp_path: Path) -> None:
    script = f"from compiler.snapshot.lock import *; from pathlib import Path; print(acquire_lock(Path({str(tmp_path)!r})), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().startswith("Lock")
        assert acquire_lock(tmp_path) is None
        other.kill()
    assert acquire_lock(tmp_path) is not None


def test_without_the_lock_a_store_reads_only(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    reader = SnapshotStore.open(tmp_path)
    assert reader.published == store.published
    with pytest.raises(NotTheWriter):
        publish_seconds(reader, 2)
    with pytest.raises(NotTheWriter):
        reader.prune(2)
    publish_seconds(store, 2)
    assert reader.reload() == store.published


def test_a_reader_of_nothing_finds_nothing_and_makes_nothing(tmp_path: Path) -> None:
    store = SnapshotStore.open(tmp_path)
    assert (store.published, store.history(), store.read_files("published", NODE)) == (None, (), {})
    assert list(tmp_path.iterdir()) == []


def test_a_released_or_replaced_lock_does_not_publish(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    (tmp_path / "lock").unlink()
    with pytest.raises(NotTheWriter):
        publish_seconds(store, 1)
    acquire_lock(tmp_path)
    with pytest.raises(NotTheWriter):
        publish_seconds(store, 1)
    lock.release()
    with pytest.raises(NotTheWriter):
        publish_seconds(store, 1)


def test_a_late_writer_does_not_move_the_ref(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1)
    late = SnapshotStore.open(tmp_path, lock)
    publish_seconds(store, 2)
    with pytest.raises(NotTheWriter, match="published moved"):
        publish_seconds(late, 3)
    assert git(tmp_path, "rev-parse", "published").strip() == store.history()[0].commit
    publish_seconds(late, 3)
    assert late.published and late.published.number == 3


def test_locks_of_a_killed_writer_are_removed_by_the_next_one_only(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1)
    root = tmp_path / "snapshots.git"
    stale = [root / name for name in ("refs/heads/published.lock", "packed-refs.lock", "objects/pack/tmp_pack_1", "gc.pid")]
    for path in stale:
        path.touch()
    SnapshotStore.open(tmp_path)
    assert all(path.exists() for path in stale)
    publish_seconds(SnapshotStore.open(tmp_path, lock), 2)
    assert not any(path.exists() for path in stale)


# Kills


def test_after_any_of_100_kills_the_old_or_the_new_generation_is_published(tmp_path: Path) -> None:
    chance = random.Random(7)
    number = 1
    for _ in range(KILLS):
        number = _kill_at_random(tmp_path, number, chance)
    assert number > KILLS


def _kill_at_random(data: Path, first: int, chance: random.Random) -> int:
    """Kills a writer that publishes `first`, `first + 1`, …, and returns the number to go on with."""
    last = _killed_writer(data, first, chance.uniform(0, 0.05)) or first - 1
    lock = _wait_for_lock(data)
    store = SnapshotStore.open(data, lock)
    assert store.fallback is None
    published = store.published.seconds if store.published else 0
    assert published in (last, last + 1)
    if store.published:
        wanted = generation({"w/p": {"one": published}, "w/q": {"two": 2}})
        assert restore_generation(store.repository, store.published) == wanted
        assert_sound(data)
    lock.release()
    return published + 1


def _killed_writer(data: Path, first: int, seconds: float) -> int:
    """What a process said last to have published when it was killed, `seconds` after it had opened the store."""
    told, tell = os.pipe()
    if not (child := os.fork()):
        _publish_until_killed(data, first, tell)
    os.close(tell)
    with open(told, "rb") as lines:
        assert lines.readline() == b"ready\n"
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        numbers = [int(line) for line in lines if line.endswith(b"\n")]
    return numbers[-1] if numbers else 0


def _publish_until_killed(data: Path, first: int, tell: int) -> None:
    try:
        store, _ = writing_store(data)
        os.write(tell, b"ready\n")
        for number in itertools.count(first):
            store.publish(generation({"w/p": {"one": number}, "w/q": {"two": 2}}), source=source(), now=number)
            os.write(tell, b"%d\n" % number)
            if number % 7 == 0:
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
    assert store.published and store.published.number == 1
    named = SnapshotStore.open(tmp_path)
    assert named.fallback is None
    assert named.published and named.published.number in (1, 2)
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
    assert store.published and store.published.number == 1
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
    assert store.published and store.published.number == 1
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
        if commit in subprocess.run(["git", "verify-pack", "-v", index], check=True, capture_output=True, text=True).stdout:
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
    assert reopened.fallback and reopened.fallback.startswith("the published generation cannot be used: ")
    assert reopened.published and reopened.published.seconds == 1001
    assert restore_generation(reopened.repository, reopened.published) == generation({"w/p": {"one": 1}, "w/q": {}}, f"{1:040x}")
    publish_seconds(reopened, 2)
    assert reopened.fallback is None
    healed = SnapshotStore.open(tmp_path, lock)
    assert (healed.fallback, healed.published) == (None, reopened.published)
    assert reopened.read_snapshot("published", NODE) == snapshot("w", "p", {"one": 2})


def test_a_generation_number_is_not_used_twice(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    tree = git(tmp_path, "rev-parse", "published:meshes/mesh/east/w/p/clusters.json").strip()
    forged = git(tmp_path, "cat-file", "commit", "published").replace(git(tmp_path, "rev-parse", "published^{tree}").strip(), tree)
    made = subprocess.run(
        ["git", f"--git-dir={tmp_path / 'snapshots.git'}", "hash-object", "-w", "-t", "commit", "--stdin", "--literally"],
        input=forged, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (tmp_path / "snapshots.git/refs/heads/published").write_text(made.stdout)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.published and reopened.published.number == 1
    publish_seconds(reopened, 3)
    assert reopened.published.number == 3


def test_where_all_is_damaged_nothing_is_published_and_publishing_starts_anew(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    for pack in (tmp_path / "snapshots.git/objects/pack").glob("*.pack"):
        _cut(pack)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.published is None
    assert reopened.fallback and "nor can the previous one" in reopened.fallback
    publish_seconds(reopened, 3)
    assert reopened.read_snapshot("published", NODE) == snapshot("w", "p", {"one": 3})
    assert SnapshotStore.open(tmp_path, lock).published == reopened.published


@pytest.mark.parametrize("content", ["", "garbage\n", "0" * 40, "ref: refs/heads/published"])
def test_a_ref_that_names_nothing_is_not_followed(content: str, tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    (tmp_path / "snapshots.git/refs/heads/published").write_text(content)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.published and reopened.published.number == 1
    assert reopened.fallback


def test_a_commit_of_somebody_else_is_not_followed(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    tree = git(tmp_path, "rev-parse", "published^{tree}").strip()
    identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
    commit = git(tmp_path, *identity, "commit-tree", tree, "-m", "mine").strip()
    git(tmp_path, "update-ref", "refs/heads/published", commit)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert reopened.fallback and "not one of ours" in reopened.fallback


def test_a_damaged_object_is_never_read_as_something_else(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    _flip(_pack_of(tmp_path, "published"))
    with pytest.raises(StoreDamaged):
        store.read_files("published", NODE)


# Retention


def test_pruning_keeps_the_newest_generations_and_git_agrees(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, *range(1, 11))
    oldest = store.history()[-1]
    store.prune(keep=3)
    assert [one.number for one in store.history()] == [10, 9, 8]
    assert_sound(tmp_path)
    assert store.read_files(oldest.digest, NODE) == {}
    assert store.read_snapshot("previous", NODE) == snapshot("w", "p", {"one": 9})
    publish_seconds(store, 11)
    store.prune(keep=3)
    assert [one.number for one in SnapshotStore.open(tmp_path, lock).history()] == [11, 10, 9]
    assert_sound(tmp_path)


def test_what_is_pinned_stays_and_nothing_before_it(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, *range(1, 11))
    pinned, before = store.history()[6], store.history()[7]
    store.pin("incident-12", pinned.digest)
    store.prune(keep=2)
    assert store.read_snapshot("pins/incident-12", NODE) == snapshot("w", "p", {"one": 4})
    assert store.read_files(before.commit, NODE) == {}
    assert [one.number for one in store.history()] == [10, 9]
    assert_sound(tmp_path)


def test_published_and_previous_stay_however_little_is_to_be_kept(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2, 3)
    for n in range(5):
        store.publish(generation({"w/p": {"one": 3}, "w/q": {}}), source=source(f"{n:040x}"), now=2000 + n)
    store.prune(keep=0)
    reopened = SnapshotStore.open(tmp_path, lock)
    assert (reopened.published, reopened.fallback) == (store.published, None)
    assert reopened.read_snapshot("previous", NODE) == snapshot("w", "p", {"one": 2})
    assert_sound(tmp_path)


def test_pruning_an_empty_store_does_nothing(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    store.prune(keep=3)
    publish_seconds(store, 1)
    store.prune(keep=3)
    assert [one.number for one in store.history()] == [1]


def test_many_packs_ask_for_pruning_and_one_is_left(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, *range(1, 52))
    assert store.wants_pruning
    store.prune(keep=20)
    assert not store.wants_pruning
    assert _counts(tmp_path)["packs"] == "1"


def test_git_itself_may_pack_the_repository(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1, 2)
    git(tmp_path, "pack-refs", "--all")
    git(tmp_path, "repack", "-adq")
    reopened = SnapshotStore.open(tmp_path, lock)
    assert (reopened.published, reopened.fallback) == (store.published, None)
    publish_seconds(reopened, 3)
    assert [one.number for one in reopened.history()] == [3, 2, 1]


def test_a_pin_needs_a_commit_and_a_plain_name(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    publish_seconds(store, 1)
    for name, revision in (("one", "0" * 40), ("../heads/published", "published"), ("a/b", "published")):
        with pytest.raises(ValueError, match="names no commit"):
            store.pin(name, revision)
