"""A generation is published wholly or not at all, and what Git's own tools say of the repository is in order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.envoy.resources import ResourceType
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.failures import NotTheWriter
from compiler.snapshot.lock import acquire_lock
from compiler.snapshot.publication import SourceCommit
from compiler.snapshot.restore import restore_generation
from compiler.snapshot.store import SnapshotStore
from tests.snapshot.generations import (
    assert_sound,
    generation,
    git,
    of_snapshots,
    publish_seconds,
    snapshot,
    source,
    writing_store,
)

NODE = "meshes/mesh/east/w/p"


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


def test_replicas_that_differ_in_a_value_cost_little_more_than_their_names(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    shared = {f"c{n}": n + 1 for n in range(50)}
    store.publish(generation({f"w/p{n}": {**shared, "c7": 100 + n} for n in range(200)}), source=source(), now=1)
    assert_sound(tmp_path)
    (pack,) = (tmp_path / "snapshots.git/objects/pack").glob("*.pack")
    assert pack.stat().st_size < 200 * 200
    assert store.read_snapshot("published", "meshes/mesh/east/w/p9") == snapshot("w", "p9", {**shared, "c7": 109})


def test_a_tree_that_is_handed_over_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = writing_store(tmp_path)
    tree = GenerationTree.build([snapshot("w", f"p{n}", {"one": n + 1}) for n in range(3)])
    made = of_snapshots([folder.snapshot for folder in tree.proxies()])
    monkeypatch.setattr(GenerationTree, "proxies", None)
    assert store.publish(made, source=source(), now=1, tree=tree).digest == tree.digest


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
    restored = restore_generation(store.repository, published).generation
    assert restored == made
    first, second = (restored.snapshots[f"mesh.{name}"].resources[ResourceType.CLUSTER] for name in ("p", "q"))
    assert first is second


# The writer


def test_the_lock_is_held_by_one_process_until_it_ends(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from compiler.snapshot.lock import acquire_lock\n"
        "print(acquire_lock(Path(sys.argv[1])), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
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
    assert late.published
    assert late.published.number == 3


def test_locks_of_a_killed_writer_are_removed_by_the_next_one_only(tmp_path: Path) -> None:
    store, lock = writing_store(tmp_path)
    publish_seconds(store, 1)
    root = tmp_path / "snapshots.git"
    stale = [
        root / name for name in ("refs/heads/published.lock", "packed-refs.lock", "objects/pack/tmp_pack_1", "gc.pid")
    ]
    for path in stale:
        path.touch()
    SnapshotStore.open(tmp_path)
    assert all(path.exists() for path in stale)
    publish_seconds(SnapshotStore.open(tmp_path, lock), 2)
    assert not any(path.exists() for path in stale)


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
