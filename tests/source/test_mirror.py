"""Repositories that are followed: what changed, and a mirror that survives."""

import subprocess
from pathlib import Path

import pytest

from compiler.source.git import (
    NotARepository,
    UnknownRevision,
    changed_files,
    commit_summary,
)
from compiler.source.mirror import Mirror
from tests.source.clone import Clone, paths

# Git's own name for the content tells whether it is whole: the end mark and checksum of the compression may be missing.
ZLIB_END_BYTES = 5


# --- differences and summaries


def test_changed_files_are_the_difference_of_two_commits(clone: Clone) -> None:
    same: dict[str, str | bytes] = {"b.yaml": "b: 1", "d/c.yaml": "c: 1"}
    old = clone.commit({**same, "a.yaml": "a: 1", "d/note.txt": "x", ".ci/x.yaml": "x: 1"})
    (clone.path / "b.yaml").rename(clone.path / "moved.yaml")
    new = clone.commit({"a.yaml": "a: 2", "d/e.json": "{}", "d/note.txt": "y", ".ci/x.yaml": "x: 2"})
    assert changed_files(clone.path, old, new) == ("a.yaml", "b.yaml", "d/e.json", "moved.yaml")
    assert changed_files(clone.path, old, new, "d") == ("e.json",)
    assert changed_files(clone.path, new, new) == ()
    with pytest.raises(UnknownRevision):
        changed_files(clone.path, "1" * 40, new)


def test_a_summary_is_safe_to_print(clone: Clone) -> None:
    commit = clone.commit({"a.yaml": "a: 1"}, "policies: \x1b[31mred\u202e retries\n\nbody")
    summary = commit_summary(clone.path, "main")
    assert (summary.commit, summary.author, summary.time) == (commit, "Ada Lovelace", 1_700_003_600)
    assert summary.subject == "policies: \ufffd[31mred\ufffd retries"


# --- the mirror


def test_a_local_repository_is_read_in_place(clone: Clone, tmp_path: Path) -> None:
    first = clone.commit({"a.yaml": "a: 1"})
    mirror = Mirror(tmp_path / "var/mirror.git")
    source = mirror.open_source(f"file://{clone.path}")
    assert mirror.folder.stat().st_mode & 0o777 == 0o700
    assert source.tip("main") == first
    second = clone.commit({"b.yaml": "b: 1"})
    assert source.tip("main") == source.tip("refs/heads/main") == second
    tree = source.read_commit(second).value
    assert [tree.read(file) for file in tree.files] == [b"a: 1", b"b: 1"]
    assert source.changed_files(first, second) == ("b.yaml",)
    clone.git("-C", str(mirror.folder), "cat-file", "-e", second)
    assert not list((mirror.folder / "objects/pack").iterdir())


def test_unborn_and_removed_branches_have_no_tip(clone: Clone, tmp_path: Path) -> None:
    source = Mirror(tmp_path / "mirror.git").open_source(clone.path)
    assert source.tip("main") is None
    commit = clone.commit({"a.yaml": "a: 1"})
    clone.git("branch", "live")
    assert source.tip("live") == commit
    clone.git("branch", "-D", "live")
    assert source.tip("live") is None
    clone.git("tag", "-a", "v1", "-m", "release")
    assert source.tip("v1") == commit


def test_a_force_push_does_not_descend(clone: Clone, tmp_path: Path) -> None:
    base = clone.commit({"a.yaml": "a: 1"})
    old = clone.commit({"a.yaml": "a: 2"})
    clone.git("reset", "-q", "--hard", base)
    new = clone.commit({"a.yaml": "a: 3"})
    clone.git("checkout", "-q", "--orphan", "unrelated")
    unrelated = clone.commit({"z.yaml": "z: 1"})
    clone.git("checkout", "-q", "main")
    clone.git("merge", "-q", "-m", "both", old, "-s", "ours")
    merged = clone.git("rev-parse", "HEAD")
    source = Mirror(tmp_path / "mirror.git").open_source(clone.path)
    assert source.descends(new, base)
    assert source.descends(new, new)
    assert not source.descends(new, old)
    assert not source.descends(base, new)
    assert not source.descends(unrelated, base)
    assert source.descends(merged, old)
    assert source.descends(merged, new)
    assert not source.descends(new, "1" * 40)


def test_a_backdated_commit_still_descends(clone: Clone, tmp_path: Path) -> None:
    clone.hour = 1000
    base = clone.commit({"a.yaml": "a: 1"})
    clone.hour = 0
    for number in range(5):
        clone.commit({"a.yaml": f"a: {number + 2}"})
    source = Mirror(tmp_path / "mirror.git").open_source(clone.path)
    assert source.descends(clone.git("rev-parse", "main"), base)
    assert not source.descends(base, clone.git("rev-parse", "main"))


def test_a_shallow_source_is_followed(clone: Clone, tmp_path: Path) -> None:
    for number in range(3):
        clone.commit({"a.yaml": f"a: {number}"})
    clone.git("clone", "-q", "--depth=2", f"file://{clone.path}", str(tmp_path / "shallow"))
    source = Mirror(tmp_path / "mirror.git").open_source(tmp_path / "shallow")
    tip = source.tip("main")
    assert tip is not None
    assert source.descends(tip, clone.git("rev-parse", "HEAD~1"))
    assert not source.descends(tip, clone.git("rev-parse", "HEAD~2"))


def test_a_source_survives_gc_repair_and_a_lost_mirror(clone: Clone, tmp_path: Path) -> None:
    clone.commit({"a.yaml": "a: 1"})
    mirror = Mirror(tmp_path / "mirror.git")
    source = mirror.open_source(clone.path)
    commit = clone.commit({"a.yaml": "a: 2"})
    assert source.tip("main") == commit
    clone.git("gc", "-q", "--prune=now")
    assert len(source.read_commit(commit).value.files) == 1
    clone.path.rename(tmp_path / "away")
    with pytest.raises(NotARepository):
        source.tip("main")
    (tmp_path / "away").rename(clone.path)
    assert source.tip("main") == commit
    subprocess.run(["rm", "-r", str(mirror.folder)], check=True)
    assert mirror.open_source(clone.path).tip("main") == commit


def test_a_mirror_turns_to_another_source(clone: Clone, tmp_path: Path) -> None:
    clone.commit({"a.yaml": "a: 1"})
    other = Clone(tmp_path / "other")
    commit = other.commit({"b.yaml": "b: 1"})
    mirror = Mirror(tmp_path / "mirror.git")
    mirror.open_source(clone.path)
    assert paths(mirror.open_source(other.path).read_commit(commit).value) == ["b.yaml"]


@pytest.mark.parametrize(
    "location",
    ["https://host.test/mesh", "https:/host.test/mesh", "ssh://git@host.test/mesh", "git@host.test:mesh.git"],
)
def test_a_repository_of_another_machine_is_said_to_be_one(location: str, tmp_path: Path) -> None:
    with pytest.raises(NotARepository, match="on another machine"):
        Mirror(tmp_path / "mirror.git").open_source(location)
