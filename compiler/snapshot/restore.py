"""A generation read back from the store: what is served when the serving image is lost."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import orjson
from google.protobuf.message import Message

from compiler.envoy.packing import message_type
from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered, assemble
from compiler.snapshot.digest import Blob, GenerationTree, blob_id, parse_secrets, unescape_name
from compiler.snapshot.failures import StoreDamaged
from compiler.snapshot.from_json import Pieces, fill_message
from compiler.snapshot.publication import Published
from compiler.snapshot.repository import BareRepository, StoredFile
from compiler.snapshot.snapshot import Generation, NodeId, SecretName, Snapshot

__all__ = ["Restored", "parse_snapshot", "restore_generation"]

_MEMBER: Final = b'\n  "'
"""Canonical JSON begins a member of the outermost object like this, and nothing else."""
_ADDRESSED: Final = (ResourceType.LISTENER, ResourceType.CLUSTER)
"""Each replica has some of its own."""
_ADDRESS: Final = b'"address": "'
_REMEMBERED: Final = 4096
"""Resources that differ from others in an address, by the text around it; of a workload, all come one after another."""
_KINDS: Final = {f"{kind.file}.json": kind for kind in ResourceType}
_SECRETS: Final = f"{ResourceType.SECRET.file}.json"


class Restored(NamedTuple):
    """A generation, and its tree of files."""

    generation: Generation
    files: GenerationTree


def restore_generation(repository: BareRepository, published: Published) -> Restored:
    """The generation of a commit, held to its digest; equal files are read once and shared, and equal resources too.

    Raises `StoreDamaged` when what is read does not give the digest that was published.
    """
    files = repository.list_files(f"{published.commit}:meshes")
    reader = _Reader()
    reader.read_all(repository, files)
    snapshots = reader.snapshots(files)
    tree = GenerationTree.build(snapshots, reader.blobs)
    if tree.digest != published.digest:
        raise StoreDamaged(f"what is read back from {published.commit} is not {published.digest}")
    by_node = {str(snapshot.node): snapshot for snapshot in snapshots}
    return Restored(Generation(published.source.commit, published.source.tree, published.digest, by_node), tree)


def parse_snapshot(path: str, files: Mapping[str, bytes]) -> Snapshot:
    """The snapshot that the files of one folder hold; `path` is the folder's, from `meshes/` on."""
    reader, ids = _Reader(), {name: blob_id(content).hex() for name, content in files.items()}
    for name, content in files.items():
        reader.read(name, ids[name], content)
    (snapshot,) = reader.snapshots(StoredFile((*path.split("/")[1:], name), blob) for name, blob in ids.items())
    return snapshot


class _Reader:
    """Files by name and id, each read once; and their resources by the text that they were read from."""

    def __init__(self) -> None:
        self.blobs: list[Blob] = []
        self._resources: dict[tuple[str, str], Mapping[str, Rendered]] = {}
        self._secrets: dict[str, tuple[SecretName, ...]] = {}
        self._known: dict[ResourceType, dict[bytes, Rendered]] = {kind: {} for kind in ResourceType}
        self._pieces: Pieces = {}
        self._alike: dict[tuple[ResourceType, bytes], _Alike] = {}

    def read_all(self, repository: BareRepository, files: Sequence[StoredFile]) -> None:
        names: dict[str, set[str]] = {}
        for file in files:
            names.setdefault(file.id, set()).add(file.path[-1])
        for found in repository.read_objects(names):
            for name in sorted(names[found.id]):
                self.read(name, found.id, found.content)

    def read(self, name: str, blob: str, content: bytes) -> None:
        if name not in _KINDS:
            raise StoreDamaged(f"a snapshot has no file {name!r}")
        if name == _SECRETS:
            self._secrets[blob] = parse_secrets(content)
            return
        kind = _KINDS[name]
        texts = content.removesuffix(b"\n}\n").split(_MEMBER)[1:]
        known = self._known[kind]
        held = (known.get(text) or self._parse(kind, text) for text in (text.removesuffix(b",") for text in texts))
        resources = self._resources[name, blob] = {resource.name: resource for resource in held}
        self.blobs.append(Blob(bytes.fromhex(blob), resources))

    def snapshots(self, files: Iterable[StoredFile]) -> tuple[Snapshot, ...]:
        """All files of a proxy stand together."""
        return tuple(self._snapshot(path, folder) for path, folder in groupby(files, lambda file: file.path[:-1]))

    def _snapshot(self, path: tuple[str, ...], folder: Iterable[StoredFile]) -> Snapshot:
        ids = {file.path[-1]: file.id for file in folder}
        held = {_KINDS[name]: self._resources[name, blob] for name, blob in ids.items() if name != _SECRETS}
        resources = {kind: named for kind, named in held.items() if named}
        secrets = self._secrets[ids[_SECRETS]] if _SECRETS in ids else ()
        return Snapshot(NodeId(*map(unescape_name, path)), resources, secrets)

    def _parse(self, kind: ResourceType, text: bytes) -> Rendered:
        """From what stands behind the quote that its name begins with; the text alone tells whether it was met before.

        Raises `StoreDamaged` for what this version of the compiler cannot have written.
        """
        try:
            name, message = self._replica(kind, text) or self._read_message(kind, text)
        except (LookupError, TypeError, ValueError) as error:
            raise StoreDamaged(f"{kind.file} {text[:60]!r} cannot be read back: {error}") from error
        json = text[len(orjson.dumps(name)) + 1 :].replace(b"\n  ", b"\n")
        made = self._known[kind][text] = assemble(kind, name, json, message.SerializeToString(deterministic=True))
        return made

    def _read_message(self, kind: ResourceType, text: bytes) -> tuple[str, Message]:
        ((name, plain),) = orjson.loads(b'{"' + text + b"}").items()
        message = message_type(kind.type_url)()
        fill_message(message, plain, self._pieces)
        return name, message

    def _replica(self, kind: ResourceType, text: bytes) -> tuple[str, Message] | None:
        """What differs from one that was read in the first address of its text only; None where there is none."""
        if kind not in _ADDRESSED or (found := text.find(_ADDRESS)) < 0:
            return None
        start = found + len(_ADDRESS)
        end = text.index(b'"', start)
        around = (kind, text[:start] + text[end:])
        alike = self._alike.get(around) or self._remember(around, text, text[start:end])
        if alike is None or b"\\" in text[start:end]:
            return None
        alike.socket.address = text[start:end].decode()
        return alike.name, alike.message

    def _remember(self, around: tuple[ResourceType, bytes], text: bytes, address: bytes) -> "_Alike | None":
        """None unless the address stands where it is looked for, and nowhere else."""
        name, message = self._read_message(around[0], text)
        socket = _socket_of(message)
        if socket is None or socket.address.encode() != address or text.count(_ADDRESS + address + b'"') > 1:
            return None
        if len(self._alike) >= _REMEMBERED:
            self._alike.clear()
        self._alike[around] = made = _Alike(name, message, socket)
        return made


class _Alike(NamedTuple):
    """A resource that was read, and where its address stands in it: that of the next replica is put there."""

    name: str
    message: Message
    socket: Any


def _socket_of(message: Any) -> Any:
    """Where a listener binds, or the first endpoint of a cluster is."""
    if message.DESCRIPTOR.name == "Listener":
        return message.address.socket_address
    localities = message.load_assignment.endpoints
    return next((one.endpoint.address.socket_address for each in localities for one in each.lb_endpoints), None)
