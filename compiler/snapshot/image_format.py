"""The records of the serving image: resources and files once each, then a generation that refers to them by place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, NamedTuple, TypeVar

import msgspec

from compiler.envoy.resources import ResourceType
from compiler.mesh.proxy import Trusted
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.digest import Blob, GenerationTree, ProxyFolder, TreeChanges, parse_secrets
from compiler.snapshot.records import ImageDamaged
from compiler.snapshot.served import ServedGeneration, ServedProxy, ServedResource, Touched
from compiler.snapshot.snapshot import NodeId, SecretName

__all__ = ["HEADER", "Places", "Segments", "decode", "encode"]

HEADER: Final = b"meshwright serving image 1\n"
_BATCH: Final = 500
_T = TypeVar("_T")
_TYPE_URLS: Final = {kind.file: kind.type_url for kind in ResourceType}


class ResourceRecord(msgspec.Struct, tag="r", array_like=True, frozen=True):
    """Resources that later records name by their place, counted over the whole image."""

    resources: tuple[tuple[str, str, bytes], ...]
    """Name, version and body of each."""


class SecretEntry(NamedTuple):
    """The fields of a SecretName, in their order."""

    name: str
    authority: str
    uris: tuple[str, ...] = ()
    lifetime_seconds: int = 0
    sources: tuple[str, ...] = ()
    kind: str = ""
    mesh: str = ""
    trusted: tuple[Trusted, ...] = ()


class FileRecord(msgspec.Struct, tag="f", array_like=True, frozen=True):
    """A file of a snapshot, by its blob id: places of resources of one type, or names of secrets."""

    blob: bytes
    kind: str
    resources: tuple[int, ...] = ()
    secrets: tuple["SecretEntry", ...] = ()


class ProxyEntry(msgspec.Struct, array_like=True, frozen=True):
    """A proxy and the files that it holds, by blob id."""

    node: tuple[str, str, str, str]
    digest: str
    files: tuple[bytes, ...]


class GenerationRecord(msgspec.Struct, tag="g", array_like=True, frozen=True):
    """What differs from the generation before it in this image; the first differs from nothing."""

    number: int
    commit: str | None
    digest: str
    changed: tuple[ProxyEntry, ...]
    removed: tuple[str, ...]


Record = ResourceRecord | FileRecord | GenerationRecord
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Record]] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    return _ENCODER.encode(record)


def decode(payload: bytes) -> Record:
    try:
        return _DECODER.decode(payload)
    except msgspec.DecodeError as error:
        raise ImageDamaged(f"a record cannot be understood: {error}") from error


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
            node = NodeId(*entry.node)
            self.held[str(node)] = Holding(node, entry.digest)
        self.last = ServedGeneration(record.number, record.commit, record.digest)

    def records(self, number: int, commit: str | None, tree: GenerationTree, changes: TreeChanges) -> Iterator[Record]:
        """What must be appended for this generation, in order; each is soon made, however many proxies there are."""
        entries: list[ProxyEntry] = []
        for folders in _batches(changes.changed):
            yield from self._content_records(folders)
            entries += map(_entry, folders)
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
            return FileRecord(blob.id, kind, (), tuple(map(_secret_entry, parse_secrets(blob.content))))
        resources = (self._resources[kind, one.name, one.version] for one in blob.resources.values())
        return FileRecord(blob.id, kind, tuple(resources))


def _secret_entry(secret: SecretName) -> SecretEntry:
    return SecretEntry(*(getattr(secret, field) for field in SecretEntry._fields))


class Segments:
    """What an image holds, for the reader. `known` is what it served before: equal proxies and resources are reused."""

    def __init__(self, known: ServedGeneration | None = None) -> None:
        self.resources: list[tuple[str, ServedResource]] = []
        self.generation: ServedGeneration | None = None
        self._files: dict[bytes, tuple[str, Mapping[str, ServedResource], tuple[SecretName, ...]]] = {}
        self._trusted: dict[tuple[Trusted, ...], tuple[Trusted, ...]] = {}
        self._known_proxies = known.proxies if known else {}
        self._known_bodies = _bodies(known) if known else {}
        self._touched: set[str] = set()
        self._handed_out: tuple[int, str] | None = None

    def apply(self, record: Record) -> None:
        """Raises `ImageDamaged` for a reference to what is not there."""
        try:
            match record:
                case ResourceRecord():
                    self.resources.extend(self._resource(*one) for one in record.resources)
                case FileRecord():
                    self._add_file(record)
                case GenerationRecord():
                    self.generation = self._advance(record)
        except LookupError as error:
            raise ImageDamaged(f"a record refers to {error}, which is not in the image") from error

    def forget_known(self) -> None:
        """Once the newest generation is read, what it was compared with may go."""
        self._known_proxies, self._known_bodies = {}, {}

    def _resource(self, name: str, version: str, body: bytes) -> tuple[str, ServedResource]:
        return name, ServedResource(version, self._known_bodies.get(body, body))

    def _add_file(self, record: FileRecord) -> None:
        resources = dict([self.resources[place] for place in record.resources])
        secrets = tuple([self._secret(secret) for secret in record.secrets])
        self._files[record.blob] = (_TYPE_URLS[record.kind] if resources else "", resources, secrets)

    def _secret(self, entry: SecretEntry) -> SecretName:
        """Whom to trust is the same for all of a mesh, and long."""
        return SecretName(*entry[:-1], trusted=self._trusted.setdefault(entry.trusted, entry.trusted))

    def hand_out(self) -> ServedGeneration | None:
        """The newest generation, with the nodes that were touched since the one that was handed out before it."""
        if self.generation is not None and self._touched:
            since, nodes = self._handed_out, frozenset(self._touched)
            self.generation = replace(self.generation, touched=Touched(since, nodes) if since else None)
            self._touched.clear()
        if self.generation is not None:
            self._handed_out = self.generation.number, self.generation.digest
        return self.generation

    def _advance(self, record: GenerationRecord) -> ServedGeneration:
        proxies = dict(self.generation.proxies) if self.generation else {}
        self._touched.update(record.removed)
        for removed in record.removed:
            proxies.pop(removed, None)
        for entry in record.changed:
            node = NodeId(*entry.node)
            name = str(node)
            proxies[name] = self._known_proxy(name, node, entry) or self._proxy(node, entry)
            self._touched.add(name)
        return ServedGeneration(record.number, record.commit, record.digest, proxies)

    def _known_proxy(self, name: str, node: NodeId, entry: ProxyEntry) -> ServedProxy | None:
        known = self._known_proxies.get(name)
        return known if known is not None and known.digest == entry.digest and known.node == node else None

    def _proxy(self, node: NodeId, entry: ProxyEntry) -> ServedProxy:
        """One look at each file: a generation may change thousands of proxies, and they wait."""
        resources: dict[str, Mapping[str, ServedResource]] = {}
        secrets: tuple[SecretName, ...] = ()
        for file in entry.files:
            type_url, held, named = self._files[file]
            if held:
                resources[type_url] = held
            secrets += named
        return ServedProxy(node, entry.digest, resources, secrets)


def _entry(folder: ProxyFolder) -> ProxyEntry:
    node = folder.snapshot.node
    names = (node.mesh, node.zone, node.workload, node.proxy)
    return ProxyEntry(names, folder.digest, tuple([file.id for file in folder.entries.values()]))


def _batches(items: Sequence[_T]) -> Iterator[tuple[_T, ...]]:
    remaining = iter(items)
    while batch := tuple(islice(remaining, _BATCH)):
        yield batch


def _bodies(generation: ServedGeneration) -> dict[bytes, bytes]:
    resources = (held for proxy in generation.proxies.values() for held in proxy.resources.values())
    return {one.body: one.body for named in resources for one in named.values()}
