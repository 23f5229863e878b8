"""A delta is what Git makes of it: the target, byte for byte."""

import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.snapshot import entries
from compiler.snapshot.canonical import file_bytes
from compiler.snapshot.delta import Base
from compiler.snapshot.digest import Blob, Folder, blob_id
from compiler.snapshot.objects import GitObject, write_pack
from tests.snapshot.generations import cluster

FILL = b"what both have in common\n" * 100
WORDS = st.lists(st.sampled_from([b"", b"10.0.0.1", b"10.0.0.12", b"abcdefghij" * 4, bytes(range(256)), FILL * 40]))
PIECES = st.lists(WORDS.map(b"".join), min_size=1, max_size=8)


def apply(delta: bytes, base: bytes) -> bytes:
    """By the letter of Git's documentation of the pack format, `patch-delta.c` where that is silent."""
    base_size, place = _read_number(delta, 0)
    assert base_size == len(base)
    size, place = _read_number(delta, place)
    target = b""
    while place < len(delta):
        instruction, place = delta[place], place + 1
        assert instruction, "is reserved"
        if instruction < 0x80:
            target += delta[place : place + instruction]
            place += instruction
            continue
        fields = [0] * 7
        for bit in range(7):
            if instruction & 1 << bit:
                fields[bit], place = delta[place], place + 1
        start, length = int.from_bytes(fields[:4], "little"), int.from_bytes(fields[4:], "little") or 0x10000
        assert start + length <= len(base)
        target += base[start : start + length]
    assert len(target) == size
    return target


def _read_number(delta: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte, place = delta[place], place + 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, place


@given(PIECES, st.data())
def test_a_delta_leads_from_its_base_to_its_target(base: list[bytes], draw: st.DataObject) -> None:
    target = [draw.draw(st.sampled_from([old, old + b"x", old[1:], b"y" + old, old[::-1], b"new"])) for old in base]
    delta = Base([FILL, *base, FILL]).make_delta([FILL, *target, FILL])
    if delta is not None:
        assert apply(delta, b"".join([FILL, *base, FILL])) == b"".join([FILL, *target, FILL])


@given(PIECES, st.integers(0), st.binary(max_size=60), st.binary(max_size=60))
def test_a_few_bytes_that_differ_are_always_a_small_delta(
    pieces: list[bytes], where: int, old: bytes, new: bytes
) -> None:
    place = where % (len(pieces) + 1)
    base, target = ([*pieces[:place], FILL + word + FILL, *pieces[place:]] for word in (old, new))
    delta = Base(base).make_delta(target)
    assert delta is not None
    assert len(delta) < 100 + sum(map(len, pieces)) // 5000
    assert apply(delta, b"".join(base)) == b"".join(target)


@pytest.mark.parametrize("other", [[b"one"], [b"one", b"two", b"three"], [b"a" * 500, b"b" * 500]])
def test_what_is_not_alike_has_no_delta(other: list[bytes]) -> None:
    assert Base([b"c" * 500, b"d" * 500]).make_delta(other) is None


def test_an_eighth_that_differs_is_the_most() -> None:
    base = [b"%04d" % n * 10 for n in range(1000)]
    few, many = ([b"-" * 40 if n % every == 0 else one for n, one in enumerate(base)] for every in (20, 5))
    assert Base(base).make_delta(few) is not None
    assert Base(base).make_delta(many) is None


# In a pack


@pytest.mark.parametrize("length", [0, 1, 50, 99])
def test_what_is_too_short_for_compression_is_stored_as_zlib_would(length: int) -> None:
    content = bytes(range(length))
    compressor = zlib.compressobj(0, wbits=9, memLevel=1)
    assert entries._compress(content) == compressor.compress(content) + compressor.flush()


@pytest.mark.parametrize("proxies", [3, 1500, 3000])
def test_a_tree_of_any_length_is_stored_as_it_is(tmp_path: Path, proxies: int) -> None:
    """3,000 entries take more than the 64 KiB that zlib stores in one block."""
    file = _file(1)
    tree = Folder({f"workload-{number:05}.json": file for number in range(proxies)})
    data = tmp_path / "data"
    subprocess.run(["git", "init", "-q", "--bare", str(data)], check=True)
    objects = [GitObject("blob", file.id, file), GitObject("tree", tree.id, tree)]
    write_pack(data / "objects/pack", objects)
    said = subprocess.run(["git", "cat-file", "tree", tree.id.hex()], cwd=data, check=True, capture_output=True)
    assert said.stdout == tree.content
    (pack,) = (data / "objects/pack").glob("*.pack")
    assert tree.content[:60_000] in pack.read_bytes()
    subprocess.run(["git", "fsck", "--strict", "--full"], cwd=data, check=True, capture_output=True)


def _file(*seconds: int) -> Blob:
    held = {f"c{n:03}": cluster(f"c{n:03}", each) for n, each in enumerate(seconds)}
    return Blob(blob_id(file_bytes(held)), held)


def _pack(data: Path, files: Sequence[Blob]) -> str:
    """What Git's three readers of packs say of one with these files, all of them alike."""
    subprocess.run(["git", "init", "-q", "--bare", str(data)], check=True)
    write_pack(data / "objects/pack", [GitObject("blob", file.id, file, ("w", "clusters.json")) for file in files])
    (pack,) = (data / "objects/pack").glob("*.pack")
    for command in (["fsck", "--strict", "--full"], ["index-pack", "--strict", str(pack), "-o", str(data / "again")]):
        subprocess.run(["git", *command], cwd=data, check=True, capture_output=True)
    assert (data / "again").read_bytes() == pack.with_suffix(".idx").read_bytes()
    said = subprocess.run(["git", "verify-pack", "-v", str(pack)], cwd=data, check=True, capture_output=True, text=True)
    return said.stdout


def test_pieces_are_the_file() -> None:
    for file in (_file(), _file(1), _file(1, 2, 3)):
        assert b"".join(file.pieces) == file.content == file_bytes(file.resources or {})


def test_replicas_are_deltas_against_the_first_of_them_and_git_reads_them_all(tmp_path: Path) -> None:
    seconds = list(range(1, 800))
    files = [_file(*seconds), *(_file(*seconds[:place], 9999, *seconds[place + 1 :]) for place in range(0, 799, 40))]
    said = _pack(tmp_path, files)
    assert "chain length = 1: 20 objects" in said
    assert "chain length = 2" not in said
    for file in files:
        read = ["git", "cat-file", "blob", file.id.hex()]
        assert subprocess.run(read, cwd=tmp_path, check=True, capture_output=True).stdout == file.content


def test_libgit2_reads_deltas_too(tmp_path: Path) -> None:
    pygit2 = pytest.importorskip("pygit2")
    files = [_file(*range(1, 60), last) for last in (60, 61, 62)]
    _pack(tmp_path, files)
    repository = pygit2.Repository(str(tmp_path))
    assert [repository[file.id.hex()].data for file in files] == [file.content for file in files]


def test_one_that_is_not_like_the_others_is_whole_and_those_behind_it_are_like_it(tmp_path: Path) -> None:
    files = [_file(*range(1, 60)), _file(*range(100, 190)), _file(*range(100, 189), 7)]
    assert "non delta: 2 objects\nchain length = 1: 1 object" in _pack(tmp_path, files)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(1, 30), min_size=20, max_size=25), unique_by=tuple, min_size=1, max_size=8))
def test_any_files_come_back_from_git(tmp_path_factory: pytest.TempPathFactory, contents: list[list[int]]) -> None:
    files = [_file(*seconds) for seconds in contents]
    _pack(tmp_path_factory.mktemp("pack"), files)
