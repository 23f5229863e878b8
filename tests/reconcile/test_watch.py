"""Hints that a ref has moved, and what the watched repository says of itself."""

import errno
import threading
import time
from pathlib import Path

import pytest

from compiler.reconcile.ports import SourceError
from compiler.reconcile.watch import watch_refs
from compiler.reconcile.watched import WatchedRepository
from tests.reconcile.daemon import Repository


def test_a_moved_ref_gives_a_hint_at_once(repository: Repository) -> None:
    repository.commit("one\n")
    hinted = threading.Event()
    watch_refs(repository.path, hinted.set)
    time.sleep(0.3)
    hinted.clear()
    repository.commit("two\n")
    assert hinted.wait(1.0)


def test_a_repository_that_appears_later_is_watched_then(tmp_path: Path) -> None:
    hinted = threading.Event()
    watch_refs(tmp_path / "later", hinted.set)
    repository = Repository(tmp_path / "later")
    time.sleep(1.5)
    hinted.clear()
    repository.commit("one\n")
    assert hinted.wait(1.0)


def test_a_tip_is_described_with_its_tree_its_message_and_the_time_of_its_ref(
    repository: Repository, tmp_path: Path
) -> None:
    begun = time.time()
    commit = repository.commit("web\n", "subject\n\nAllow-Removal: proxy/3")
    source = WatchedRepository(str(repository.path), "main", "", tmp_path / "mirror.git")
    assert source.tip() == commit
    tip = source.describe(commit)
    assert tip.tree == repository.git("rev-parse", "HEAD^{tree}")
    assert "Allow-Removal: proxy/3" in tip.message
    assert tip.moved is not None
    assert begun - 1 <= tip.moved <= time.time() + 1
    assert [file.path for file in source.read(tip).value.files] == ["mesh.yaml"]


def test_a_link_that_the_settings_leave_out_is_no_finding(repository: Repository, tmp_path: Path) -> None:
    (repository.path / "docs").symlink_to("elsewhere")
    source = WatchedRepository(str(repository.path), "main", "", tmp_path / "mirror.git")
    for settings, refused in (("ignore: [old/]\n", True), ("paths: [mesh/]\n", False)):
        commit = repository.commit(settings, file="meshwright.yaml")
        assert source.read(source.describe(commit)).failed is refused


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    source = WatchedRepository("https://user:hunter2@host.test/mesh", "main", "", tmp_path / "mirror.git")
    with pytest.raises(SourceError) as caught:
        source.tip()
    assert "hunter2" not in str(caught.value)
    assert "host.test/mesh" in str(caught.value)


def test_a_full_disk_is_said_with_its_place_and_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "mirror.git/objects")

    monkeypatch.setattr("compiler.source.mirror.Mirror.open_source", fail)
    with pytest.raises(SourceError, match=r"mirror\.git/objects: No space left on device; free some space there"):
        WatchedRepository(str(tmp_path), "main", "", tmp_path / "mirror.git").tip()
