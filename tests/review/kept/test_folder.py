"""A folder of compilers is a cache: whatever becomes of it, what is found there is what was kept, or nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.pipeline import Compiler
from compiler.review.access.edge import Edge
from compiler.review.access.reaching import Access
from compiler.review.kept import folder as folders
from compiler.review.kept.folder import Kept, UnusableFolderError
from compiler.source.tree import SourceTree
from tests.review.shop_edits import FASTER, SHOP, edited
from tests.trees import SCHEMAS, tree_of

ACCESS = Access(
    frozenset({Edge("shop/web", "shop/backend", 8080)}), {"shop/web": frozenset({"shop/backend"})}, frozenset()
)
TREE = tree_of(SHOP)
OTHER = tree_of(edited(FASTER))
NEW = Compiler(SCHEMAS)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path / "cache" / "meshwright")
    made.open()
    keep(made)
    return made


def keep(kept: Kept, tree: SourceTree = TREE) -> None:
    compiler = Compiler(SCHEMAS)
    compiler.compile(tree)
    kept.keep(tree, compiler, lambda: ACCESS)


def image(kept: Kept) -> Path:
    (found,) = kept.folder.iterdir()
    return found


def test_what_was_kept_is_found_by_whoever_has_the_same_files(kept: Kept) -> None:
    found = Kept(kept.folder).find(tree_of(dict(SHOP)), NEW)
    assert found is not None
    assert found.access == ACCESS
    expected = Compiler(SCHEMAS).compile(TREE).value.generation
    generation = found.compiler.compile(TREE).value.generation
    assert generation is not None
    assert expected is not None
    assert generation.digest == expected.digest


def test_other_files_are_not_what_was_kept(kept: Kept) -> None:
    moved = {("z.yaml" if path == "retry.yaml" else path): text for path, text in SHOP.items()}
    assert kept.find(OTHER, NEW) is None
    assert kept.find(tree_of(moved), NEW) is None


def test_what_was_kept_of_a_zone_is_for_that_zone_alone(kept: Kept) -> None:
    west = Compiler(SCHEMAS, zone="west")
    generation = west.compile(TREE).value.generation
    assert generation is not None
    assert kept.find(TREE, Compiler(SCHEMAS, zone="west")) is None
    kept.keep(TREE, west, lambda: ACCESS)
    found, whole = kept.find(TREE, Compiler(SCHEMAS, zone="west")), kept.find(TREE, NEW)
    assert found is not None
    assert whole is not None
    assert (found.compiler.zone, whole.compiler.zone) == ("west", None)
    again = found.compiler.compile(TREE).value.generation
    assert again == generation
    assert {snapshot.node.zone for snapshot in generation.snapshots.values()} == {"west"}
    assert whole.compiler.compile(TREE).value.generation != generation
    assert kept.find(TREE, Compiler(SCHEMAS, zone="east")) is None
    assert kept.find(TREE, Compiler(SCHEMAS, zone="None")) is None


def test_another_program_finds_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_program", lambda: "another")
    assert kept.find(TREE, NEW) is None


def test_it_is_ones_own(kept: Kept) -> None:
    assert kept.folder.stat().st_mode & 0o777 == 0o700
    assert image(kept).stat().st_mode & 0o777 == 0o600


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _flip(at: float) -> Callable[[Path], None]:
    def flip(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[int(at * (len(content) - 1))] ^= 1
        file.write_bytes(content)

    return flip


def _open_to_others(file: Path) -> None:
    file.chmod(0o666)


def _link(file: Path) -> None:
    file.rename(file.with_suffix(".elsewhere"))
    file.symlink_to(file.with_suffix(".elsewhere"))


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "harm",
    [_cut, _empty, _flip(0), _flip(0.001), _flip(0.01), _flip(0.5), _flip(1), _open_to_others, _link, _directory],
)
def test_what_was_harmed_is_not_found_and_kept_anew(harm: Callable[[Path], None], kept: Kept) -> None:
    harm(image(kept))
    assert kept.find(TREE, NEW) is None
    if harm is not _directory:
        keep(kept)
        assert kept.find(TREE, NEW) is not None


def test_a_pipe_is_not_waited_for(kept: Kept) -> None:
    _pipe(image(kept))
    assert kept.find(TREE, NEW) is None


def test_what_others_may_write_to_is_not_used(kept: Kept) -> None:
    kept.folder.chmod(0o777)
    assert kept.find(TREE, NEW) is None
    with pytest.raises(UnusableFolderError, match="others may write to it"):
        kept.open()


def test_a_file_in_its_place_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UnusableFolderError, match="taken"):
        Kept(tmp_path / "taken").open()
    with pytest.raises(UnusableFolderError, match="taken/below: Not a directory"):
        Kept(tmp_path / "taken" / "below").open()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_only_read_is_told_of(kept: Kept) -> None:
    kept.folder.chmod(0o500)
    with pytest.raises(UnusableFolderError, match="cannot be written to"):
        kept.open()


def test_the_least_lately_used_goes_first(kept: Kept) -> None:
    first = image(kept)
    keep(kept, OTHER)
    (second,) = set(kept.folder.iterdir()) - {first}
    for age, file in enumerate((first, second)):
        os.utime(file, (age, age))
    assert kept.find(TREE, NEW) is not None
    third = tree_of(edited(("retry.yaml", "numRetries: 2", "numRetries: 3")))
    keep(Kept(kept.folder, most_bytes=int(2.5 * first.stat().st_size)), third)
    assert len(set(kept.folder.iterdir())) == 2
    assert not second.exists()
    assert kept.find(TREE, NEW) is not None
    assert kept.find(third, NEW) is not None


def test_what_a_killed_run_left_behind_is_taken_away_and_a_running_ones_is_not(kept: Kept) -> None:
    old, running, foreign = kept.folder / "a.new", kept.folder / "b.new", kept.folder / "notes.txt"
    for file in (old, running, foreign):
        file.write_bytes(b"half")
    os.utime(old, (1, 1))
    os.utime(foreign, (1, 1))
    keep(kept, OTHER)
    assert (old.exists(), running.exists(), foreign.exists()) == (False, True, True)


def test_nothing_half_written_is_left_where_the_disk_is_full(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, __: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        keep(kept, OTHER)
    assert len(list(kept.folder.iterdir())) == 1
