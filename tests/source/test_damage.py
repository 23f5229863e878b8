"""Objects and references that are damaged, torn or hostile."""

import time
import zlib
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

import pytest

from compiler.source.git import (
    DamagedObject,
    UnknownRevision,
    read_commit,
    resolve,
)
from compiler.source.parse import parse
from tests.source.clone import Clone

# Git's own name for the content tells whether it is whole: the end mark and checksum of the compression may be missing.
ZLIB_END_BYTES = 5


# --- damage


def write_loose(clone: Clone, object_id: str, content: bytes) -> None:
    path = clone.path / ".git/objects" / object_id[:2] / object_id[2:]
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"not zlib at all",
        lambda old: zlib.compress(zlib.decompress(old).replace(b"a: 1", b"a: 9")),
        lambda _: zlib.compress(b"tree 4\0a: 1"),
        lambda _: zlib.compress(b"blob 99\0a: 1"),
        lambda _: zlib.compress(b"blob 4\0a: 1 and more"),
        lambda old: old[:-8],
        lambda old: old[:5],
    ],
    ids=["empty", "noise", "changed", "kind", "short", "long", "torn", "torn header"],
)
def test_a_damaged_file_is_named(clone: Clone, damage: Callable[[bytes], bytes]) -> None:
    clone.commit({"a.yaml": "a: 1"})
    blob = clone.git("rev-parse", "HEAD:a.yaml")
    old = (clone.path / ".git/objects" / blob[:2] / blob[2:]).read_bytes()
    write_loose(clone, blob, damage(old))
    with pytest.raises(DamagedObject, match=blob):
        parse(read_commit(clone.path, "HEAD").value)
    write_loose(clone, blob, old)
    assert len(parse(read_commit(clone.path, "HEAD").value).value) == 1


def contents(clone: Clone) -> list[bytes] | None:
    """None where the repository says that it is damaged."""
    try:
        tree = read_commit(clone.path, "HEAD").value
        return [tree.read(file) for file in tree.files]
    except DamagedObject:
        return None


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_torn_object_is_read_right_or_named_and_never_waited_for(clone: Clone, cut: int) -> None:
    clone.commit({"a.yaml": "a: 1 # some words"})
    blob = clone.git("rev-parse", "HEAD:a.yaml")
    write_loose(clone, blob, (clone.path / ".git/objects" / blob[:2] / blob[2:]).read_bytes()[:-cut])
    assert contents(clone) == ([b"a: 1 # some words"] if cut <= ZLIB_END_BYTES else None)


def test_a_torn_object_that_a_pack_holds_too_is_read_from_there(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1"})
    names = [clone.git("rev-parse", name) for name in ("HEAD", "HEAD^{tree}", "HEAD:a.yaml")]
    clone.git("gc", "-q")
    for name in names:
        write_loose(clone, name, b"torn")
    assert parse(read_commit(clone.path, "HEAD").value).value[0].value == {"a": 1}


def test_objects_that_move_into_a_pack_are_found_there(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1"})
    tree = read_commit(clone.path, "HEAD").value
    clone.git("gc", "-q", "--prune=now")
    assert tree.read(tree.files[0]) == b"a: 1"


@pytest.mark.parametrize("offset", [20, 60, 100, 140, -30])
def test_a_damaged_pack_is_an_error_that_names_an_object(clone: Clone, offset: int) -> None:
    clone.commit({"a.yaml": "a: 1" * 100, "b.yaml": "b: 2"})
    clone.git("gc", "-q")
    (pack,) = (clone.path / ".git/objects/pack").glob("*.pack")
    content = bytearray(pack.read_bytes())
    content[offset] ^= 0xFF
    pack.chmod(0o644)
    pack.write_bytes(content)
    assert contents(clone) in ([b"a: 1" * 100, b"b: 2"], None)


def test_objects_borrowed_from_another_repository_are_read(clone: Clone, tmp_path: Path) -> None:
    commit = clone.commit({"a.yaml": "a: 1"})
    clone.git("clone", "-q", "--shared", str(clone.path), str(tmp_path / "borrower"))
    clone.git("clone", "-q", "--shared", str(tmp_path / "borrower"), str(tmp_path / "next"))
    assert resolve(tmp_path / "next", commit[:8]) == commit
    clone.git("gc", "-q")
    assert len(parse(read_commit(tmp_path / "next", "main").value).value) == 1


def test_an_object_that_inflates_to_more_than_it_says_is_refused(clone: Clone) -> None:
    content = b"blob 4\0" + b"x" * 100_000_000
    blob = sha1(content).hexdigest()
    write_loose(clone, blob, zlib.compress(content))
    commit = clone.commit_tree(b"100644 a.yaml\0" + bytes.fromhex(blob))
    started = time.process_time()
    with pytest.raises(DamagedObject):
        parse(read_commit(clone.path, commit).value)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "content",
    [b"", b"tree zz\n\nx", b"author nobody\n\nno tree", b"tree " + b"0" * 40 + b"\nparent \xff\n\nx"],
)
def test_a_commit_object_without_sense_is_damage(clone: Clone, content: bytes) -> None:
    commit = clone.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=content)
    with pytest.raises(DamagedObject):
        read_commit(clone.path, commit)


@pytest.mark.parametrize("content", [b"100644 a.yaml", b"100644 a.yaml\0short", b"\0", b"100644"])
def test_a_tree_object_without_sense_is_damage(clone: Clone, content: bytes) -> None:
    with pytest.raises(DamagedObject):
        read_commit(clone.path, clone.commit_tree(content))


def test_a_damaged_ref_is_named(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1"})
    (clone.path / ".git/refs/heads/main").write_text("garbage\n")
    with pytest.raises(DamagedObject, match="refs/heads/main"):
        resolve(clone.path, "main")


def test_refs_that_name_each_other_end(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1"})
    clone.git("symbolic-ref", "refs/heads/a", "refs/heads/b")
    clone.git("symbolic-ref", "refs/heads/b", "refs/heads/a")
    with pytest.raises(UnknownRevision):
        resolve(clone.path, "a")
