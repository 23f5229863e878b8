"""A reader of the serving image sees the old generation or the new one, whatever happened to who wrote it."""

import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.envoy.resources import ResourceType
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.failures import StoreError, StoreFull
from compiler.snapshot.image.frames import ImageDamaged
from compiler.snapshot.image.reading import ImageReader
from compiler.snapshot.image.served import ServedGeneration
from compiler.snapshot.image.writing import ImageWriter, rebuild_image
from compiler.snapshot.snapshot import Generation
from tests.snapshot.generations import Wanted, generation, of_snapshots, snapshot, source, writing_store

OLD: Wanted = {"w/p": {"one": 1, "two": 2}, "w/q": {"one": 1, "two": 2}, "v/r": {}}
NEW: Wanted = {"w/p": {"one": 5, "two": 2}, "w/q": {"one": 1, "two": 2}, "x/s": {"one": 1}}
CLUSTERS = ResourceType.CLUSTER.type_url


def read(path: Path) -> ServedGeneration:
    """By a reader that knows nothing yet."""
    found = ImageReader(path).latest()
    assert found is not None
    return found


def assert_serves(served: ServedGeneration | None, made: Generation) -> None:
    """Every body, version and secret is the one that was compiled, and nothing else is there."""
    assert served is not None
    assert (served.commit, served.digest) == (made.commit, made.digest)
    assert served.proxies.keys() == made.snapshots.keys()
    tree = GenerationTree.build(made.snapshots.values())
    digests = {str(folder.snapshot.node): folder.digest for folder in tree.proxies()}
    for node, proxy in served.proxies.items():
        compiled = made.snapshots[node]
        assert (proxy.node, proxy.digest, proxy.secrets) == (compiled.node, digests[node], compiled.secrets)
        assert proxy.resources == {
            kind.type_url: {name: (one.version, one.body) for name, one in resources.items()}
            for kind, resources in compiled.resources.items()
        }


def test_what_is_read_is_what_was_compiled(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path / "image")
    writer.append(generation(OLD), 1)
    assert_serves(read(tmp_path / "image"), generation(OLD))
    writer.append(generation(NEW), 2)
    assert_serves(read(tmp_path / "image"), generation(NEW))
    assert read(tmp_path / "image").number == 2


def test_a_reader_follows_what_is_appended(tmp_path: Path) -> None:
    writer, reader = ImageWriter(tmp_path / "image"), ImageReader(tmp_path / "image")
    assert reader.latest() is None
    for number, wanted in enumerate((OLD, NEW, {}, OLD)):
        writer.append(generation(wanted), number)
        assert_serves(reader.latest(), generation(wanted))
        assert reader.latest() is reader.generation


def test_unchanged_proxies_are_the_same_objects_and_equal_maps_are_shared(tmp_path: Path) -> None:
    writer, reader = ImageWriter(tmp_path / "image"), ImageReader(tmp_path / "image")
    writer.append(generation(OLD), 1)
    old = reader.latest()
    writer.append(generation(NEW), 2)
    new = reader.latest()
    assert old
    assert new
    assert new.proxies["mesh.q"] is old.proxies["mesh.q"]
    assert old.proxies["mesh.p"].resources[CLUSTERS] is old.proxies["mesh.q"].resources[CLUSTERS]
    changed, before = new.proxies["mesh.p"].resources[CLUSTERS], old.proxies["mesh.p"].resources[CLUSTERS]
    assert changed["two"] is before["two"]
    assert changed["one"] != before["one"]


def test_an_edit_appends_what_it_changes(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path / "image")
    wanted = {f"w{n}/p{n}": {f"c{n}": 1} for n in range(300)}
    writer.append(generation(wanted), 1)
    whole = (tmp_path / "image").stat().st_size
    writer.append(generation(wanted | {"w7/p7": {"c7": 2}}), 2)
    assert (tmp_path / "image").stat().st_size - whole < 600 < whole / 100


def test_the_same_generation_again_appends_nothing(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path / "image")
    writer.append(generation(OLD), 1)
    before = (tmp_path / "image").read_bytes()
    writer.append(generation(OLD), 1)
    ImageWriter(tmp_path / "image").append(generation(OLD), 1)
    assert (tmp_path / "image").read_bytes() == before


def test_another_commit_of_the_same_snapshots_is_seen(tmp_path: Path) -> None:
    writer, reader = ImageWriter(tmp_path / "image"), ImageReader(tmp_path / "image")
    writer.append(generation(OLD), 1)
    old = reader.latest()
    writer.append(generation(OLD, "c" * 40), 1)
    new = reader.latest()
    assert old
    assert new
    assert new.commit == "c" * 40
    assert all(new.proxies[node] is old.proxies[node] for node in old.proxies)


def test_a_writer_goes_on_where_another_ended(tmp_path: Path) -> None:
    path = tmp_path / "image"
    ImageWriter(path).append(generation(OLD), 1)
    reader = ImageReader(path)
    old, size = reader.latest(), path.stat().st_size
    ImageWriter(path).append(generation(NEW), 2)
    new = reader.latest()
    assert_serves(new, generation(NEW))
    assert old
    assert new
    assert new.proxies["mesh.q"] is old.proxies["mesh.q"]
    assert path.stat().st_size < 2 * size


HELD = st.dictionaries(st.sampled_from(["one", "two", "three"]), st.integers(1, 2), max_size=3)
PLACES = st.sampled_from(["w/p", "w/q", "v/r", "x/s"])
MESHES = st.dictionaries(PLACES, st.tuples(HELD, st.sampled_from(["east", "west"]), st.integers(0, 2)), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(meshes=st.lists(st.tuples(MESHES, st.sampled_from(["append", "reopen", "compact"])), max_size=6))
def test_any_sequence_of_generations_is_served_as_compiled(
    meshes: list[tuple[dict[str, tuple[dict[str, int], str, int]], str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Resources, kinds of them and secrets come and go, and proxies move."""
    path = tmp_path_factory.mktemp("image") / "image"
    writer, reader = ImageWriter(path), ImageReader(path)
    for number, (wanted, action) in enumerate(meshes):
        if action == "reopen":
            writer = ImageWriter(path)
        made = of_snapshots([snapshot(place[0], place[-1], *held) for place, held in wanted.items()])
        writer.append(made, number)
        if action == "compact":
            writer.compact()
        assert_serves(reader.latest(), made)
        assert_serves(read(path), made)


def test_a_proxy_that_moves_to_another_zone_stays(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path / "image")
    for number, zone in enumerate(("east", "west", "", "east")):
        made = of_snapshots([snapshot("w", "p", {"one": 1}, zone)])
        writer.append(made, number)
        assert_serves(read(tmp_path / "image"), made)


# Torn ends


def _images(path: Path) -> tuple[bytes, bytes]:
    """An image with the old generation, and with the new one behind it."""
    writer = ImageWriter(path)
    writer.append(generation(OLD), 1)
    old = path.read_bytes()
    writer.append(generation(NEW), 2)
    return old, path.read_bytes()


def test_an_image_torn_at_any_byte_shows_the_old_generation_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "image"
    old, new = _images(path)
    for end in range(len(new) + 1):
        path.write_bytes(new[:end])
        found = ImageReader(path).latest()
        expected = None if end < len(old) else 1 if end < len(new) else 2
        assert (found and found.number) == expected, end


def test_a_reader_that_sees_a_write_byte_by_byte_passes_from_old_to_new(tmp_path: Path) -> None:
    path = tmp_path / "image"
    old, new = _images(path)
    path.write_bytes(old)
    reader = ImageReader(path)
    with path.open("ab", buffering=0) as file:
        for place in range(len(old), len(new)):
            assert_serves(reader.latest(), generation(OLD))
            file.write(new[place : place + 1])
    assert_serves(reader.latest(), generation(NEW))


def test_a_torn_end_is_written_over_and_readers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "image"
    old, new = _images(path)
    for end in range(len(old) + 1, len(new), 7):
        path.write_bytes(new[:end])
        reader = ImageReader(path)
        reader.latest()
        ImageWriter(path).append(generation({"y/t": {"three": 3}}), 3)
        assert_serves(reader.latest(), generation({"y/t": {"three": 3}}))


def test_an_end_of_zeros_is_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "image"
    old, new = _images(path)
    path.write_bytes(old + bytes(len(new) - len(old)))
    assert read(path).number == 1


def test_damage_before_the_end_is_never_served(tmp_path: Path) -> None:
    path = tmp_path / "image"
    old, new = _images(path)
    for place in range(len(old)):
        path.write_bytes(new[:place] + bytes([new[place] ^ 0x40]) + new[place + 1 :])
        with pytest.raises(ImageDamaged):
            ImageReader(path).latest()


def test_damage_at_the_end_shows_the_old_generation_or_is_said(tmp_path: Path) -> None:
    path = tmp_path / "image"
    old, new = _images(path)
    for place in range(len(old), len(new)):
        path.write_bytes(new[:place] + bytes([new[place] ^ 0x40]) + new[place + 1 :])
        try:
            found = ImageReader(path).latest()
        except ImageDamaged:
            continue
        assert_serves(found, generation(OLD))


def test_a_reader_serves_on_when_the_image_is_damaged_removed_or_foreign(tmp_path: Path) -> None:
    path = tmp_path / "image"
    old, new = _images(path)
    path.write_bytes(old)
    reader = ImageReader(path)
    held = reader.latest()
    path.write_bytes(old + bytes([new[len(old)] ^ 1]) + new[len(old) + 1 :])
    for _ in range(2):
        with pytest.raises(ImageDamaged):
            reader.latest()
        assert reader.generation is held
    path.unlink()
    assert reader.latest() is held
    path.write_bytes(b"something else, and long enough to have a header")
    with pytest.raises(ImageDamaged):
        reader.latest()
    path.unlink()
    ImageWriter(path).append(generation(NEW), 2)
    assert_serves(reader.latest(), generation(NEW))


def test_a_writer_makes_a_damaged_image_anew(tmp_path: Path) -> None:
    path = tmp_path / "image"
    _, new = _images(path)
    path.write_bytes(new[:60] + b"\xff" + new[61:])
    ImageWriter(path).append(generation(NEW), 3)
    assert_serves(read(path), generation(NEW))


# Compaction


def test_compaction_leaves_the_last_generation_and_readers_keep_their_objects(tmp_path: Path) -> None:
    path = tmp_path / "image"
    writer, reader = ImageWriter(path), ImageReader(path)
    for number in range(1, 50):
        writer.append(generation({"w/p": {"one": number}, "w/q": {"two": 2}}), number)
    old, size = reader.latest(), path.stat().st_size
    assert not reader.is_replaced
    writer.compact()
    assert path.stat().st_size < size / 10
    assert reader.is_replaced
    new = reader.latest()
    assert not reader.is_replaced
    assert old
    assert new
    assert new is not old
    assert (new.number, new.digest) == (49, old.digest)
    assert all(new.proxies[node] is old.proxies[node] for node in old.proxies)
    writer.append(generation({"w/p": {"one": 99}, "w/q": {"two": 2}}), 50)
    after = reader.latest()
    assert after
    assert after.proxies["mesh.q"] is old.proxies["mesh.q"]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_what_is_appended_during_a_compaction_is_in_the_old_file_and_in_the_new_one(tmp_path: Path, steps: int) -> None:
    path = tmp_path / "image"
    writer = ImageWriter(path)
    for number in range(1, 20):
        writer.append(generation({**OLD, "x/z": {"one": number}}), number)
    compaction = writer.compact_in_steps()
    for _ in range(steps):
        next(compaction)
    writer.append(generation(NEW), 20)
    assert_serves(read(path), generation(NEW))
    size = path.stat().st_size
    for _ in compaction:
        pass
    assert path.stat().st_size < size
    assert_serves(read(path), generation(NEW))
    writer.append(generation(OLD), 21)
    assert_serves(read(path), generation(OLD))
    assert_serves(ImageWriter(path).last and read(path), generation(OLD))


def test_a_compaction_that_is_given_up_leaves_the_image_as_it_was(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path / "image")
    writer.append(generation(OLD), 1)
    compaction = writer.compact_in_steps()
    next(compaction)
    del compaction
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
    writer.append(generation(NEW), 2)
    assert_serves(read(tmp_path / "image"), generation(NEW))


@pytest.mark.parametrize(("quiet", "most"), [(False, 1.5), (True, 1.2)])
def test_an_image_with_much_garbage_wants_compaction_and_in_quiet_times_one_with_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: bool, most: float
) -> None:
    monkeypatch.setattr("compiler.snapshot.image.writing._SMALL", 0)
    writer = ImageWriter(tmp_path / "image")
    sizes: list[int] = []
    while not writer.wants_compaction(quiet=quiet):
        number = len(sizes) + 1
        writer.append(generation({"w/p": {"one": number}} | {f"w/{rest}": {rest: 1} for rest in "abcdefgh"}), number)
        sizes.append((tmp_path / "image").stat().st_size)
    assert sizes[-2] <= most * sizes[0] < sizes[-1]
    writer.compact()
    assert not writer.wants_compaction(quiet=quiet)


# Failures and kills


def test_a_full_disk_is_said_and_the_next_generation_makes_a_new_image(tmp_path: Path) -> None:
    path = tmp_path / "image"
    writer, reader = ImageWriter(path), ImageReader(path)
    writer.append(generation(OLD), 1)
    reader.latest()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, limits[1]))
        with pytest.raises(StoreFull):
            writer.append(generation(NEW), 2)
        assert_serves(reader.latest(), generation(OLD))
        with pytest.raises(StoreFull):
            writer.append(generation({f"w/p{n}": {} for n in range(100)}), 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_serves(read(path), generation(OLD))
    writer.append(generation(NEW), 4)
    assert_serves(reader.latest(), generation(NEW))


def test_a_failed_fsync_is_not_trusted_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image"
    writer = ImageWriter(path)
    writer.append(generation(OLD), 1)
    inode = path.stat().st_ino

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(StoreError, match="cannot append"):
            writer.append(generation(NEW), 2)
    writer.append(generation(NEW), 2)
    assert path.stat().st_ino != inode
    assert_serves(read(path), generation(NEW))


def test_after_any_of_100_kills_the_image_shows_a_whole_generation(tmp_path: Path) -> None:
    path, chance, number = tmp_path / "image", random.Random(3), 0
    reader = ImageReader(path)
    for _ in range(100):
        told = _killed_writer(path, number, chance.uniform(0, 0.02))
        found = reader.latest()
        number = max(number, told)
        if found:
            assert found.number >= number
            number = found.number
            assert_serves(found, generation({"w/p": {"one": number}, "w/q": {"two": 2}}))
            assert_serves(read(path), generation({"w/p": {"one": number}, "w/q": {"two": 2}}))
    assert number > 10


def test_a_new_file_is_not_taken_for_the_old_one_though_it_has_its_number(tmp_path: Path) -> None:
    """File systems reuse the numbers of files that are gone: after each compaction the second next has the first's."""
    path = tmp_path / "image"
    writer, reader = ImageWriter(path), ImageReader(path)
    for number in range(1, 60):
        writer.append(generation({"w/p": {"one": number}, "w/q": {"two": 2}}), number)
        if number % 3 == 0:
            writer.compact()
            writer.append(generation({"w/p": {"one": -number}}), number)
            writer.compact()
        if number % 2 == 0:
            found = reader.latest()
            assert found is not None
            assert found.number == number


def _killed_writer(path: Path, first: int, seconds: float) -> int:
    """What it said last to have appended."""
    told, tell = os.pipe()
    if not (child := os.fork()):
        _append_until_killed(path, first, tell)
    os.close(tell)
    with os.fdopen(told, "rb") as lines:
        assert lines.readline() == b"ready\n"
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        numbers = [int(line) for line in lines if line.endswith(b"\n")]
    return numbers[-1] if numbers else 0


def _append_until_killed(path: Path, first: int, tell: int) -> None:
    try:
        writer = ImageWriter(path)
        os.write(tell, b"ready\n")
        while True:
            first += 1
            writer.append(generation({"w/p": {"one": first}, "w/q": {"two": 2}}), first)
            os.write(tell, b"%d\n" % first)
            if first % 11 == 0:
                writer.compact()
    finally:
        os._exit(1)


# Rebuilding


def test_a_lost_image_is_made_again_from_the_store(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    store.publish(generation(OLD), source=source(), now=1)
    store.publish(generation(NEW), source=source(), now=2)
    ImageWriter(tmp_path / "kept").append(generation(NEW), 2)
    writer = rebuild_image(store, tmp_path / "image")
    assert_serves(read(tmp_path / "image"), generation(NEW))
    assert read(tmp_path / "image").number == 2
    writer.append(generation(OLD), 3)
    assert_serves(read(tmp_path / "image"), generation(OLD))


def test_nothing_published_gives_no_image(tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    with pytest.raises(StoreError, match="nothing is published"):
        rebuild_image(store, tmp_path / "image")
