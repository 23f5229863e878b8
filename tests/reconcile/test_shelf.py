"""The store, the image and the census together, on a real folder."""

import time
from pathlib import Path

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from compiler.envoy.resources import ResourceType
from compiler.reconcile.ports import Published, Tip
from compiler.reconcile.shelf import DataShelf
from compiler.snapshot.canonical import render
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.failures import StoreError
from compiler.snapshot.image.reading import ImageReader
from compiler.snapshot.lock import acquire_lock
from compiler.snapshot.names import NodeId
from compiler.snapshot.snapshot import Generation, Snapshot

TIP = Tip("c" * 40, "t" * 40, "subject\n\nbody")


@pytest.fixture
def shelf(tmp_path: Path) -> DataShelf:
    lock = acquire_lock(tmp_path / "data")
    assert lock is not None
    return DataShelf(tmp_path / "data", lock, "https://user:secret@host/mesh")


def test_what_was_published_is_what_the_server_reads(shelf: DataShelf, tmp_path: Path) -> None:
    published = _publish(shelf, "a")
    assert published == Published(1, TIP.commit, _generation("a")[1].digest)
    served = ImageReader(tmp_path / "data" / "serving.image").latest()
    assert served is not None
    assert (served.number, served.commit, served.digest) == (1, TIP.commit, published.digest)


def test_a_crash_between_store_and_image_is_made_good_at_the_next_start(shelf: DataShelf, tmp_path: Path) -> None:
    _publish(shelf, "a")
    published = shelf.publish(*_generation("b"), TIP)
    assert shelf.recover() == published
    served = ImageReader(tmp_path / "data" / "serving.image").latest()
    assert served is not None
    assert served.digest == published.digest


def test_the_census_is_kept_for_the_digest_that_it_was_made_of(shelf: DataShelf, tmp_path: Path) -> None:
    assert shelf.census() is None
    published = _publish(shelf, "a")
    shelf.note_census(published.digest, {"proxy": 1, "meshtimeout": 3})
    assert shelf.census() == {"proxy": 1, "meshtimeout": 3}
    _publish(shelf, "b")
    assert shelf.census() == {"mesh": 1, "proxy": 1, "listener": 0}, "what the image shows"
    (tmp_path / "data" / "census.json").write_text("{")
    assert shelf.census() == {"mesh": 1, "proxy": 1, "listener": 0}


def test_a_folder_that_is_not_there_yet_is_asked_again(tmp_path: Path) -> None:
    lock = acquire_lock(tmp_path / "data")
    assert lock is not None
    (tmp_path / "data" / "snapshots.git").write_text("in the way")
    shelf = DataShelf(tmp_path / "data", lock, "/mesh")
    with pytest.raises(StoreError):
        shelf.publish(*_generation("a"), TIP)
    (tmp_path / "data" / "snapshots.git").unlink()
    assert _publish(shelf, "a").number == 1


def test_credentials_of_the_repository_are_not_published(shelf: DataShelf, tmp_path: Path) -> None:
    _publish(shelf, "a")
    assert shelf._store is not None
    assert shelf._store.published is not None
    assert shelf._store.published.source.repository == "https://host/mesh"


def _publish(shelf: DataShelf, cluster: str) -> Published:
    generation, files = _generation(cluster)
    published = shelf.publish(generation, files, TIP)
    shelf.serve(published, generation, files)
    return published


def _generation(cluster: str) -> tuple[Generation, GenerationTree]:
    held = {ResourceType.CLUSTER: {cluster: render(ResourceType.CLUSTER, cluster, Cluster(name=cluster))}}
    snapshot = Snapshot(NodeId("default", "", "web", "web"), held)
    files = GenerationTree.build([snapshot])
    return Generation(TIP.commit, TIP.tree, files.digest, {"default.web": snapshot}), files


def test_what_can_wait_takes_no_time_that_a_commit_would_notice_and_is_done_in_the_end(
    shelf: DataShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compiler.snapshot.image.writing._SMALL", 0)
    monkeypatch.setattr("compiler.reconcile.shelf._STEP", 0)
    image = tmp_path / "data" / "serving.image"
    for number in range(40):
        _publish(shelf, f"c{number}")
    size = image.stat().st_size
    assert shelf.tidy(), "there is more to do"
    _publish(shelf, "meanwhile")
    while shelf.tidy():
        pass
    assert image.stat().st_size < size / 2
    served = ImageReader(image).latest()
    assert served is not None
    assert served.digest == _generation("meanwhile")[1].digest


def test_less_garbage_is_enough_when_no_commit_comes_for_a_while(
    shelf: DataShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compiler.snapshot.image.writing._SMALL", 0)
    monkeypatch.setattr("compiler.snapshot.image.writing._GARBAGE", 100)
    image = tmp_path / "data" / "serving.image"
    for number in range(5):
        _publish(shelf, f"c{number}")
    size = image.stat().st_size
    assert not shelf.tidy()
    assert image.stat().st_size == size, "another commit may follow at once"
    monkeypatch.setattr("compiler.reconcile.shelf._QUIET", 0.0)
    while shelf.tidy():
        pass
    assert image.stat().st_size < size


def test_old_generations_are_cut_off_beside_the_work(
    shelf: DataShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compiler.reconcile.shelf._QUIET", 0.0)
    monkeypatch.setattr("compiler.reconcile.pruning.KEPT", 5)
    for number in range(12):
        _publish(shelf, f"c{number}")
    deadline = time.monotonic() + 10
    while len(list((tmp_path / "data/snapshots.git/objects/pack").glob("*.pack"))) > 1:
        assert time.monotonic() < deadline
        shelf.tidy()
        time.sleep(0.01)
    shelf.close()
    assert _publish(shelf, "next").number == 13
