import subprocess
from pathlib import Path

from benchmarks.stored import StoredObjects


def git(folder: Path, *arguments: str, text: str = "") -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], input=text, capture_output=True, text=True, check=True)
    return done.stdout


def test_new_objects_are_counted_once_in_files_of_their_own_and_in_packs(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", ".")
    stored = StoredObjects(tmp_path / "objects")
    assert stored.count_new() == 0
    ids = [git(tmp_path, "hash-object", "-w", "--stdin", text=text) for text in ("one", "two", "three")]
    assert stored.count_new() == 3
    assert stored.count_new() == 0
    git(tmp_path, "pack-objects", "--quiet", "objects/pack/pack", text="".join(ids))
    assert stored.count_new() == 3
    assert stored.size == sum(path.stat().st_size for path in (tmp_path / "objects").rglob("*") if path.is_file())
