"""A generation read back from the store: what is served when the serving image is lost."""

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson
from google.protobuf.message import Message

from compiler.envoy.packing import message_type
from compiler.envoy.resources import ResourceType
from compiler.forks import map_shares
from compiler.snapshot.canonical import Rendered, packed_bytes, put_together, write_version
from compiler.snapshot.digest import Blob, GenerationTree, blob_id, parse_secrets, unescape_name
from compiler.snapshot.failures import StoreDamaged
from compiler.snapshot.from_json import Pieces, fill_message
from compiler.snapshot.names import NodeId, SecretName
from compiler.snapshot.publication import Published
from compiler.snapshot.repository import BareRepository, StoredFile
from compiler.snapshot.snapshot import Generation, Snapshot

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Restored", "parse_snapshot", "restore_generation"]

_START: Final = b'{\n  "'
_QUOTE: Final = b'\n  "'
_BETWEEN: Final = b',\n  "'
"""Canonical JSON has this between members of the outermost object, and nowhere else."""
_END: Final = b"\n}\n"
_MANY: Final = 2000
"""Files of which it is worth the copies between processes to read them on two cores."""
_LATELY: Final = 4
"""Texts of one name that are looked for: a load assignment has as many as there are zones."""
_ADDRESSED: Final = (ResourceType.LISTENER, ResourceType.CLUSTER)
"""Each replica has some of its own."""
_ADDRESS: Final = b'"address": "'
_REMEMBERED: Final = 4096
"""Resources that differ from others in an address, by the text around it; of a workload, all come one after another."""
_KINDS: Final = {f"{kind.file}.json": kind for kind in ResourceType}
_OWN: Final = {f"{kind.file}.json" for kind in _ADDRESSED}
"""Half of the work, and nearly all that would have to be handed over; they share nothing with other files."""
_SECRETS: Final = f"{ResourceType.SECRET.file}.json"


class Restored(NamedTuple):
    """A generation, and its tree of files."""

    generation: Generation
    files: GenerationTree


def restore_generation(repository: BareRepository, published: Published, processes: int = 1) -> Restored:
    """The generation of a commit, held to its digest; equal files are read once and shared, and equal resources too.

    Raises `StoreDamaged` when what is read does not give the digest that was published.
    """
    files = repository.list_files(f"{published.commit}:meshes")
    held = _read_all(repository, files, processes)
    snapshots = held.snapshots(files)
    tree = GenerationTree.build(snapshots, held.blobs)
    if tree.digest != published.digest:
        raise StoreDamaged(f"what is read back from {published.commit} is not {published.digest}")
    by_node = {str(snapshot.node): snapshot for snapshot in snapshots}
    return Restored(Generation(published.source.commit, published.source.tree, published.digest, by_node), tree)


def parse_snapshot(path: str, files: Mapping[str, bytes]) -> Snapshot:
    """The snapshot that the files of one folder hold; `path` is the folder's, from `meshes/` on."""
    reader, ids = _Reader(), {name: blob_id(content).hex() for name, content in files.items()}
    for name, content in files.items():
        reader.read(name, ids[name], content)
    (snapshot,) = reader.held.snapshots(StoredFile((*path.split("/")[1:], name), blob) for name, blob in ids.items())
    return snapshot


def _read_all(repository: BareRepository, files: Sequence[StoredFile], processes: int) -> "_Held":
    """What replicas have of their own beside all else, replicas one after another."""
    names: dict[str, set[str]] = {}
    for file in sorted(files, key=_workload):
        names.setdefault(file.id, set()).add(file.path[-1])
    own = {blob: those for blob, those in names.items() if those & _OWN}
    others = {blob: those for blob, those in names.items() if blob not in own}
    held = _Held()
    read = partial(_read_groups, repository)
    for found in map_shares(read, (own, others), processes=min(processes, 2) if len(names) >= _MANY else 1):
        held.add(found)
    return held


def _workload(file: StoredFile) -> tuple[str, ...]:
    """Without its zone: replicas are alike in all of them."""
    return file.path[0], file.path[2], file.path[-1]


def _read_groups(repository: BareRepository, groups: Sequence[Mapping[str, set[str]]]) -> "_Held":
    reader = _Reader()
    for names in groups:
        for found in repository.read_objects(names):
            for name in sorted(names[found.id]):
                reader.read(name, found.id, found.content)
    return reader.held


@dataclass
class _Held:
    """Files by name and id, each once."""

    blobs: list[Blob] = field(default_factory=list)
    resources: dict[tuple[str, str], Mapping[str, Rendered]] = field(default_factory=dict)
    secrets: dict[str, tuple[SecretName, ...]] = field(default_factory=dict)

    def add(self, other: "_Held") -> None:
        self.blobs += other.blobs
        self.resources |= other.resources
        self.secrets |= other.secrets

    def snapshots(self, files: Iterable[StoredFile]) -> tuple[Snapshot, ...]:
        """All files of a proxy stand together."""
        return tuple(self._snapshot(path, folder) for path, folder in groupby(files, lambda file: file.path[:-1]))

    def _snapshot(self, path: tuple[str, ...], folder: Iterable[StoredFile]) -> Snapshot:
        ids = {file.path[-1]: file.id for file in folder}
        held = {_KINDS[name]: self.resources[name, blob] for name, blob in ids.items() if name != _SECRETS}
        resources = {kind: named for kind, named in held.items() if named}
        secrets = self.secrets[ids[_SECRETS]] if _SECRETS in ids else ()
        return Snapshot(NodeId(*map(unescape_name, path)), resources, secrets)


class _Reader:
    """Reads files one after another; it knows their resources by the text that they were read from."""

    def __init__(self) -> None:
        self.held = _Held()
        self._known: dict[ResourceType, dict[bytes, _Fixed]] = {kind: {} for kind in ResourceType}
        self._lately: dict[ResourceType, dict[bytes, deque[_Met]]] = {kind: {} for kind in ResourceType}
        self._pieces: Pieces = {}
        self._alike: dict[tuple[ResourceType, bytes], _Alike] = {}
        self._shapes: dict[ResourceType, _Shape] = {}

    def read(self, name: str, blob: str, content: bytes) -> None:
        """As the file before it, but for what replicas have of their own; else by its parts.

        Raises `StoreDamaged` for what this version of the compiler cannot have written.
        """
        if name not in _KINDS:
            raise StoreDamaged(f"a snapshot has no file {name!r}")
        if name == _SECRETS:
            self.held.secrets[blob] = parse_secrets(content)
            return
        kind = _KINDS[name]
        shape = self._shapes.get(kind)
        try:
            resources = (shape and shape.find(content)) or self._walk(kind, content)
        except (LookupError, TypeError, ValueError) as error:
            raise StoreDamaged(f"{name} {blob} cannot be read back: {error}") from error
        self.held.resources[name, blob] = resources
        self.held.blobs.append(Blob(bytes.fromhex(blob), resources))

    def _walk(self, kind: ResourceType, content: bytes) -> Mapping[str, Rendered]:
        """One after another; what was lately met under the same name need not be cut out."""
        members: dict[str, Rendered] = {}
        named, start, end = self._lately[kind], len(_START), len(content) - len(_END)
        own: list[_Alike] = []
        ends = [0]
        while start < end:
            for met in named.get(content[start : content.find(b'"', start)], ()):
                if content.startswith(met.text, start) and (found := met.find(content, start)):
                    break
            else:
                met, found = self._cut_out(kind, content, start, end)
            resource, behind = found
            members[resource.name] = resource
            if isinstance(met, _Alike):
                own.append(met)
                ends += start, behind
            start = behind + len(_BETWEEN)
        if own:
            around = [content[one:other] for one, other in zip(ends[::2], [*ends[1::2], None], strict=True)]
            self._shapes[kind] = _Shape(around, own, members)
        return members

    def _cut_out(self, kind: ResourceType, content: bytes, start: int, end: int) -> "tuple[_Met, _Found]":
        behind = content.find(_BETWEEN, start)
        text = content[start : behind if behind >= 0 else end]
        met, resource = self._meet(kind, text)
        self._lately[kind].setdefault(text[: text.find(b'"')], deque(maxlen=_LATELY)).appendleft(met)
        return met, (resource, start + len(text))

    def _meet(self, kind: ResourceType, text: bytes) -> "tuple[_Met, Rendered]":
        """By what stands behind the quote that its name begins with."""
        fixed = self._known[kind].get(text)
        alike = None if fixed else self._find_alike(kind, text)
        if alike is None:
            fixed = fixed or self._read_fixed(kind, text)
            return fixed, fixed.resource
        resource = alike.fill(text[len(alike.text) : len(text) - len(alike.behind)])
        return alike if len(alike.made) > 1 else _Fixed(text, resource), resource

    def _read_fixed(self, kind: ResourceType, text: bytes) -> "_Fixed":
        name, message = self._read_message(kind, text)
        body = packed_bytes(kind, message.SerializeToString(deterministic=True))
        resource = put_together(kind, name, _json(name, text), (_QUOTE, text), body)
        made = self._known[kind][text] = _Fixed(text, resource)
        return made

    def _read_message(self, kind: ResourceType, text: bytes) -> tuple[str, Message]:
        ((name, plain),) = orjson.loads(b'{"' + text + b"}").items()
        message = message_type(kind.type_url)()
        fill_message(message, plain, self._pieces)
        return name, message

    def _find_alike(self, kind: ResourceType, text: bytes) -> "_Alike | None":
        """What differs in the first address of its text only; None where that cannot be."""
        if kind not in _ADDRESSED or (found := text.find(_ADDRESS)) < 0:
            return None
        start = found + len(_ADDRESS)
        end = text.index(b'"', start)
        if b"\\" in text[start:end]:
            return None
        around = (kind, text[:start] + text[end:])
        return self._alike.get(around) or self._remember(around, text, slice(start, end))

    def _remember(self, around: tuple[ResourceType, bytes], text: bytes, place: slice) -> "_Alike | None":
        """None unless the address stands where it is looked for, and nowhere else."""
        address = text[place]
        name, message = self._read_message(around[0], text)
        socket = _socket_of(message)
        if socket is None or socket.address.encode() != address or text.count(_ADDRESS + address + b'"') > 1:
            return None
        if len(self._alike) >= _REMEMBERED:
            self._alike.clear()
        made = self._alike[around] = _Alike.make(around[0], name, text, place, message, socket)
        return made


class _Fixed(NamedTuple):
    """A resource by the whole of its text."""

    text: bytes
    resource: Rendered

    def find(self, _: bytes, start: int) -> "_Found":
        """In content that has the text here."""
        return self.resource, start + len(self.text)


class _Alike(NamedTuple):
    """Resources of one text but for an address; each replica's is put where it stands in the message."""

    text: bytes
    """Up to the address."""
    behind: bytes
    kind: ResourceType
    name: str
    message: Message
    socket: Any
    hashed: "_Hash"
    """Of the JSON up to the address."""
    json_behind: bytes
    made: dict[bytes, Rendered]
    """By address: only one where it is the virtual address of a service, which is the same for all callers."""

    @classmethod
    def make(cls, kind: ResourceType, name: str, text: bytes, place: slice, message: Message, socket: Any) -> "_Alike":
        before, behind = text[: place.start], text[place.stop :]
        hashed = hashlib.sha256(_json(name, before))
        return cls(before, behind, kind, name, message, socket, hashed, behind.replace(b"\n  ", b"\n"), {})

    def find(self, content: bytes, start: int) -> "_Found | None":
        """In content that begins alike here; None where it goes on in another way."""
        begun = start + len(self.text)
        end = content.find(b'"', begun)
        address = content[begun:end]
        if not content.startswith(self.behind, end) or b"\\" in address:
            return None
        return self.fill(address), end + len(self.behind)

    def fill(self, address: bytes) -> Rendered:
        return self.made.get(address) or self._fill_in(address)

    def _fill_in(self, address: bytes) -> Rendered:
        self.socket.address = address.decode()
        hashed = self.hashed.copy()
        hashed.update(address + self.json_behind)
        body = packed_bytes(self.kind, self.message.SerializeToString(deterministic=True))
        pieces = (_QUOTE, self.text, address, self.behind)
        made = self.made[address] = Rendered(self.kind, self.name, write_version(hashed), pieces, body)
        return made


class _Shape(NamedTuple):
    """A file of one replica: what stands around the resources that each has of its own."""

    around: Sequence[bytes]
    own: Sequence[_Alike]
    members: Mapping[str, Rendered]

    def find(self, content: bytes) -> Mapping[str, Rendered] | None:
        """What another's file holds; None where more differs."""
        at, members = len(self.around[0]), dict(self.members)
        if not content.startswith(self.around[0]):
            return None
        for one, behind in zip(self.own, self.around[1:], strict=True):
            found = one.find(content, at) if content.startswith(one.text, at) else None
            if found is None or not content.startswith(behind, found[1]):
                return None
            members[one.name] = found[0]
            at = found[1] + len(behind)
        return members if at == len(content) else None


_Met: TypeAlias = _Fixed | _Alike
_Found: TypeAlias = tuple[Rendered, int]
"""What stands in a file, and where it ends."""


def _json(name: str, text: bytes) -> bytes:
    """What of a text, or of its beginning, is canonical JSON."""
    return text[len(orjson.dumps(name)) + 1 :].replace(b"\n  ", b"\n")


def _socket_of(message: Any) -> Any:
    """Where a listener binds, or the first endpoint of a cluster is."""
    if message.DESCRIPTOR.name == "Listener":
        return message.address.socket_address
    localities = message.load_assignment.endpoints
    return next((one.endpoint.address.socket_address for each in localities for one in each.lb_endpoints), None)
