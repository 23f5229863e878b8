"""An import beside what a repository has: nothing is written twice, and nothing is written over unasked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.formatting.files import write_whole
from compiler.importing.imported import Imported, write_files
from compiler.importing.placing import Typed
from compiler.resources.envelope import read_envelope
from compiler.resources.judge import judge
from compiler.resources.model import ResourceKey
from compiler.resources.schema import Schemas
from compiler.resources.settings import Settings, read_settings
from compiler.source.parse import parse
from compiler.source.tree import SourceFile, SourceTree, blob_id, read_directory


@dataclass(frozen=True)
class Merge:
    """Texts by path: `new`, `changed` (there already, and different) and `same`; `elsewhere` says in which file a
    resource stands already; `unread` are paths that the repository's settings leave out.
    """

    new: Mapping[str, str]
    changed: Mapping[str, str]
    same: Mapping[str, str]
    elsewhere: Mapping[ResourceKey, str]
    unread: tuple[str, ...]


def merge(imported: Imported, directory: Path, schemas: Schemas) -> Merge:
    """Against the files as they stand; raises OSError where they cannot be read."""
    tree = _read(directory)
    settings = read_settings(tree, schemas).value
    standing = dict(_standing(tree, settings, schemas))
    kept = {path: [one for one in typed if _belongs(one, path, standing)] for path, typed in imported.files.items()}
    texts = write_files(kept, schemas)
    there = {path: _text(directory / path) for path in texts if (directory / path).exists()}
    return Merge(
        {path: text for path, text in texts.items() if path not in there},
        {path: text for path, text in texts.items() if path in there and there[path] != text},
        {path: text for path, text in texts.items() if there.get(path) == text},
        dict(_elsewhere(imported.files, standing)),
        tuple(path for path in texts if not settings.covers(path)),
    )


def write(directory: Path, texts: Mapping[str, str]) -> None:
    """Each file whole; raises OSError."""
    for path, text in texts.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, text)


def overlay(directory: Path, texts: Mapping[str, str]) -> SourceTree:
    """The repository as it would be with these files, for whoever judges it before anything is written."""
    tree = _read(directory)
    contents = {path: text.encode() for path, text in texts.items()}
    made = {path: SourceFile(path, blob_id(content), len(content)) for path, content in contents.items()}
    files = {**{file.path: file for file in tree.files}, **made}
    listed = tuple(files[path] for path in sorted(files))
    return SourceTree(
        listed, "", None, lambda file: contents[file.path] if file.path in contents else tree.read(file), tree.prefix
    )


def _read(directory: Path) -> SourceTree:
    if directory.is_dir():
        return read_directory(directory).value
    return SourceTree((), "", None, lambda _: b"")


def _text(path: Path) -> str | None:
    """What is no file is different from any text, and writing over it fails."""
    return path.read_bytes().decode(errors="replace") if path.is_file() else None


def _standing(tree: SourceTree, settings: Settings, schemas: Schemas) -> Iterator[tuple[ResourceKey, str]]:
    """Every resource that the repository defines, a set's proxies too, by the file that it stands in."""
    for document in parse(tree).value:
        verdict = judge(document.value, schemas) if settings.covers(document.file) else None
        if verdict is not None and verdict.envelope is not None:
            yield verdict.envelope.key, document.file
            yield from ((resource.key, document.file) for resource, _ in verdict.resources)


def _belongs(typed: Typed, path: str, standing: Mapping[ResourceKey, str]) -> bool:
    return standing.get(read_envelope(*typed).key, path) == path


def _elsewhere(
    files: Mapping[str, Sequence[Typed]], standing: Mapping[ResourceKey, str]
) -> Iterator[tuple[ResourceKey, str]]:
    for path, typed in files.items():
        for one in typed:
            if not _belongs(one, path, standing):
                key = read_envelope(*one).key
                yield key, standing[key]
