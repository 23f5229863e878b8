"""A source tree with some files replaced, in memory: what would be compiled if a document said something else."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final

from compiler.source.tree import MAX_FILE_BYTES, Listing, SourceFile, SourceTree, blob_id, is_considered, is_skipped

Changes = Mapping[str, SourceFile | None]
"""By path from the tree's root; None is removed."""

_NOWHERE: Final = "0" * 40
"""The tree id of a directory that was not there."""


def with_files(tree: SourceTree, files: Mapping[str, bytes | None]) -> SourceTree:
    """The tree with these files written anew, added or (None) removed; of no commit, unless nothing differs.

    Files that reading would pass over are passed over here. The tree ids are not git's: they only tell contents apart.
    Directories that hold none of the files are shared, so that compiling the one after the other reads these alone.
    """
    known = {file.path: file for file in tree.files}
    wanted = {
        path: None if content is None else SourceFile(path, blob_id(content), len(content))
        for path, content in files.items()
        if _is_read(path)
    }
    changes = {path: file for path, file in wanted.items() if known.get(path) != file}
    if not changes:
        return tree
    contents = {file.blob: files[path] or b"" for path, file in changes.items() if file is not None}
    root = _change(tree.root, "", changes, tree.root.max_bytes) if tree.root is not None else None
    left = {path: file for path, file in {**known, **changes}.items() if file is not None}
    listed = root.files if root is not None else tuple(left[path] for path in sorted(left))
    name = root.tree if root is not None else _name(tree.tree, changes)
    return replace(tree, files=listed, tree=name, commit=None, read=partial(_read, contents, tree.read), root=root)


def with_root(tree: SourceTree) -> SourceTree:
    """A directory's tree with the listing that a commit's has, so that its variants cost what they change."""
    if tree.root is not None:
        return tree
    changes = {file.path: file for file in tree.files}
    return replace(tree, root=_change(None, "", changes, MAX_FILE_BYTES))


def _is_read(path: str) -> bool:
    *directories, name = path.split("/")
    return is_considered(name) and not any(is_skipped(one) for one in directories)


def _read(contents: Mapping[str, bytes], read: Callable[[SourceFile], bytes], file: SourceFile) -> bytes:
    content = contents.get(file.blob)
    return read(file) if content is None else content


@dataclass(frozen=True, slots=True)
class _Split:
    """Changes of one directory: of its own files, and by directory below it."""

    own: Changes
    below: Mapping[str, Changes]


def _change(before: Listing | None, path: str, changes: Changes, max_bytes: int) -> Listing:
    """No deeper than the paths of the changed files."""
    split = _split(path, changes)
    former = before if before is not None else Listing(path, _NOWHERE, max_bytes, (), {}, (), (), 0)
    own: dict[str, SourceFile | None] = {**{file.path: file for file in former.own}, **split.own}
    files = [own[one] for one in sorted(own)]
    kept = tuple(file for file in files if file is not None)
    changed = {
        child: _change(former.directories.get(child), child, some, max_bytes) for child, some in split.below.items()
    }
    directories = {**former.directories, **changed}
    return replace(
        former,
        tree=_name(former.tree, changes),
        own=kept,
        directories=directories,
        files=_in_order(kept, directories.values()),
        entries=former.entries + len(changes),
    )


def _split(path: str, changes: Changes) -> _Split:
    own: dict[str, SourceFile | None] = {}
    below: dict[str, dict[str, SourceFile | None]] = {}
    for name, file in changes.items():
        first, slash, _ = name.removeprefix(path).partition("/")
        (below.setdefault(f"{path}{first}/", {}) if slash else own)[name] = file
    return _Split(own, below)


def _in_order(own: Iterable[SourceFile], directories: Iterable[Listing]) -> tuple[SourceFile, ...]:
    """By path, as a commit lists them."""
    parts = sorted([(file.path, (file,)) for file in own] + [(one.path, one.files) for one in directories])
    return tuple(chain.from_iterable(files for _, files in parts))


def _name(before: str, changes: Changes) -> str:
    """Another name for other contents: of what was there, and of all that is written over it."""
    text = "\0".join(f"{path}\0{file.blob if file is not None else ''}" for path, file in sorted(changes.items()))
    return hashlib.sha1(f"variant {before}\0{text}".encode(), usedforsecurity=False).hexdigest()


__all__ = ["with_files", "with_root"]
