"""What an image holds, for whoever writes it: where each resource stands, and what must be appended."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from compiler.snapshot.canonical import Rendered
from compiler.snapshot.digest import Blob, GenerationTree, ProxyFolder, TreeChanges, parse_secrets
from compiler.snapshot.image.frames import ImageDamaged
from compiler.snapshot.image.records import (
    FileRecord,
    GenerationRecord,
    ProxyEntry,
    Record,
    ResourceRecord,
)
from compiler.snapshot.image.served import ServedGeneration
from compiler.snapshot.names import NodeId

__all__ = ["Places"]

_BATCH: Final = 500
_T = TypeVar("_T")


class Holding(NamedTuple):
    """What a proxy holds in the last generation of an image."""

    node: NodeId
    digest: str


class Places:
    """What an image holds already, for the writer; `held` and `last` are what another process wrote."""

    def __init__(self) -> None:
        self.held: dict[str, Holding] = {}
        self.last: ServedGeneration | None = None
        self._resources: dict[tuple[str, str, str], int] = {}
        self._files: set[bytes] = set()
        self._count = 0
        self._unplaced: dict[int, tuple[str, str]] = {}

    def note(self, record: Record) -> None:
        """Of an image that another process wrote; no body is looked at. Raises `ImageDamaged` as a reader does."""
        match record:
            case ResourceRecord():
                named = ((name, version) for name, version, _ in record.resources)
                self._unplaced.update(enumerate(named, self._count))
                self._count += len(record.resources)
            case FileRecord():
                self._note_file(record)
            case GenerationRecord():
                self._note_generation(record)

    def _note_file(self, record: FileRecord) -> None:
        self._files.add(record.blob)
        if record.resources and max(record.resources) >= self._count:
            raise ImageDamaged(f"a record refers to resource {max(record.resources)}, which is not in the image")
        for place in record.resources:
            if named := self._unplaced.pop(place, None):
                self._resources[record.kind, *named] = place

    def _note_generation(self, record: GenerationRecord) -> None:
        for removed in record.removed:
            self.held.pop(removed, None)
        for entry in record.changed:
            self.held[entry.name] = Holding(entry.node or self._node_of(entry.name), entry.digest)
        self.last = ServedGeneration(record.number, record.commit, record.digest)

    def _node_of(self, name: str) -> NodeId:
        if name not in self.held:
            raise ImageDamaged(f"a record changes {name}, which is not in the image")
        return self.held[name].node

    def records(self, number: int, commit: str | None, tree: GenerationTree, changes: TreeChanges) -> Iterator[Record]:
        """What must be appended for this generation, in order; each is soon made, however many proxies there are."""
        entries: list[ProxyEntry] = []
        for some in _batches(changes.changed):
            yield from self._content_records([change.folder for change in some])
            entries += [_entry(*change) for change in some]
        yield GenerationRecord(number, commit, tree.digest, tuple(entries), tuple(map(str, changes.removed)))

    def _content_records(self, folders: Iterable[ProxyFolder]) -> Iterator[Record]:
        held = self._files
        files = [file for folder in folders for file in folder.entries.items() if file[1].id not in held]
        missing = {blob.id: (name, blob) for name, blob in files if isinstance(blob, Blob)}
        yield from self._resource_records(missing.values())
        for name, blob in missing.values():
            yield self._file_record(name.removesuffix(".json"), blob)
            self._files.add(blob.id)

    def _resource_records(self, files: Iterable[tuple[str, Blob]]) -> Iterator[ResourceRecord]:
        fresh: list[Rendered] = []
        for name, blob in files:
            for resource in (blob.resources or {}).values():
                key = (name.removesuffix(".json"), resource.name, resource.version)
                if key not in self._resources:
                    self._resources[key] = self._count
                    self._count += 1
                    fresh.append(resource)
        for batch in _batches(fresh):
            yield ResourceRecord(tuple((one.name, one.version, one.body) for one in batch))

    def _file_record(self, kind: str, blob: Blob) -> FileRecord:
        if blob.resources is None:
            return FileRecord(blob.id, kind, (), tuple(parse_secrets(blob.content)))
        resources = (self._resources[kind, one.name, one.version] for one in blob.resources.values())
        return FileRecord(blob.id, kind, tuple(resources))


def _entry(folder: ProxyFolder, former: ProxyFolder | None) -> ProxyEntry:
    """Of a policy for the whole mesh one file in six is another: a reader need not look for the others."""
    files, node = folder.entries, folder.snapshot.node
    if former is None or former.snapshot.node != node:
        return ProxyEntry(str(node), folder.digest, tuple([file.id for file in files.values()]), node)
    before = former.entries
    fresh = tuple([file.id for name, file in files.items() if name not in before or before[name].id != file.id])
    gone = tuple([name.removesuffix(".json") for name in before if name not in files])
    return ProxyEntry(str(node), folder.digest, fresh, None, gone)


def _batches(items: Sequence[_T]) -> Iterator[tuple[_T, ...]]:
    remaining = iter(items)
    while batch := tuple(islice(remaining, _BATCH)):
        yield batch
