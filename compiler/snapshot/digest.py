"""Git object ids without Git: the tree that a generation is stored as, and the digests that name it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import compress
from operator import is_, is_not, itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast
from urllib.parse import unquote

import orjson

from compiler import __version__
from compiler.envoy.resources import ResourceType
from compiler.mesh.names import NO_ZONE
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.files import LAYOUT, Blob, Files, blob_id, object_id, parse_secrets
from compiler.snapshot.names import NodeId
from compiler.snapshot.snapshot import Snapshot

__all__ = [
    "COMPILER_VERSION",
    "Blob",
    "Folder",
    "FolderChange",
    "GenerationTree",
    "ProxyFolder",
    "TreeChanges",
    "blob_id",
    "escape_name",
    "manifest_blob",
    "object_id",
    "parse_secrets",
    "running_toolchain",
    "unescape_name",
    "write_digest",
]

COMPILER_VERSION: Final = f"meshwright {__version__}"
SCHEMA_VERSION: Final = 1
T = TypeVar("T")
_TOOLCHAIN: Final = ("protobuf", "xds-protos")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f/\\%~]|^\.")
_ALWAYS: Final = ResourceType.LISTENER
"""This file stands even when it is empty, so that a proxy that holds nothing is still in the tree."""


def write_digest(tree: bytes) -> str:
    """How a tree's id is written everywhere."""
    return f"sha1:{tree.hex()}"


def escape_name(name: str) -> str:
    """A tag's value may hold a slash or begin with a dot, which the name of a folder must not."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)


def unescape_name(name: str) -> str:
    return unquote(name)


class _once(Generic[T]):  # noqa: N801  # read like a property
    """`cached_property` without its lock, which takes as long as hashing a small folder."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function

    def __get__(self, folder: object, owner: type) -> T:
        value = folder.__dict__[self._function.__name__] = self._function(folder)
        return value


@dataclass(frozen=True, eq=False)
class Folder:
    """A Git tree; `lines` are its entries as Git writes them, where they are known from the folder before it."""

    entries: "Mapping[str, Blob | Folder]"
    lines: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @_once
    def id(self) -> bytes:
        return object_id("tree", self.content)

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)

    @_once
    def pieces(self) -> tuple[bytes, ...]:
        """In one; asked for twice, for the id and when it is written, and a zone has a thousand entries."""
        lines = self.lines.values() or [_line(name, entry) for name, entry in self.entries.items()]
        return (b"".join(lines),)

    @property
    def digest(self) -> str:
        return write_digest(self.id)

    def differing(self, old: "Folder | None") -> "list[tuple[str, Blob | Folder]]":
        """The entries that are not the very same ones in `old`, in order; a zone has a thousand of them."""
        if old is None:
            return list(self.entries.items())
        now, before = self.entries, old.entries
        if self.has_names_of(old):
            return list(compress(now.items(), map(is_not, now.values(), before.values())))
        return [one for one in now.items() if before.get(one[0]) is not one[1]]

    def has_names_of(self, old: "Folder") -> bool:
        """Where it is so, it was made from `old` without one more name or one less: the very names, in order."""
        return len(self.entries) == len(old.entries) and all(map(is_, self.entries, old.entries))


@dataclass(frozen=True, eq=False)
class ProxyFolder(Folder):
    """The folder of a proxy, with the snapshot that it was made from."""

    snapshot: Snapshot = field(kw_only=True)

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """Those of replicas differ in an id or two; made anew each time, for there are many such folders."""
        return tuple([piece for name, entry in self.entries.items() for piece in (_BEFORE_ID[name], entry.id)])


class FolderChange(NamedTuple):
    """A proxy's folder that is new or differs; `former` is None where nobody knows what was there before."""

    folder: ProxyFolder
    former: ProxyFolder | None = None


class TreeChanges(NamedTuple):
    """Folders of proxies that are new or differ, and the nodes that are gone."""

    changed: tuple[FolderChange, ...]
    removed: tuple[NodeId, ...]


_Edits = dict[str, "Snapshot | _Edits | None"]
"""What changes below a folder, by name; None takes an entry away."""


@dataclass(frozen=True)
class GenerationTree:
    """The `meshes/` tree of a generation. A changed one shares every folder that it did not touch."""

    meshes: Folder = field(default_factory=lambda: Folder({}))
    _files: Files = field(default_factory=Files, repr=False, compare=False)

    @classmethod
    def build(cls, snapshots: Iterable[Snapshot], known: Iterable[Blob] = ()) -> "GenerationTree":
        """From nothing; `known` are files whose ids were held to their bytes already, and which somebody else holds."""
        tree = cls()
        for blob in known:
            tree._files.note(blob)
        return tree.with_changes(snapshots, ())

    @property
    def digest(self) -> str:
        return self.meshes.digest

    @property
    def zone_digests(self) -> dict[str, str]:
        """The digest of each zone, by `mesh/zone`."""
        zones = ((mesh, zone, folder) for mesh, zones in _folders(self.meshes) for zone, folder in _folders(zones))
        return {f"{mesh}/{zone}": folder.digest for mesh, zone, folder in zones}

    def with_changes(self, changed: Iterable[Snapshot], removed: Iterable[NodeId]) -> "GenerationTree":
        """Only folders on the way to what really differs are made anew."""
        edits = _Placing()
        for node in removed:
            edits.place(node, None)
        for snapshot in changed:
            edits.place(snapshot.node, snapshot)
        meshes = self._edited(self.meshes, edits.by_mesh)
        self._files.forget_beginnings()
        return self if meshes is self.meshes else GenerationTree(meshes or Folder({}), self._files)

    def holding(self, snapshots: Mapping[str, Snapshot]) -> "GenerationTree":
        """The tree of exactly these snapshots; what is the same object as before is not looked at."""
        held = {id(folder.snapshot): folder.snapshot for folder in self.proxies()}
        wanted = {id(snapshot): snapshot for snapshot in snapshots.values()}
        changed = [snapshot for key, snapshot in wanted.items() if key not in held]
        gone = {snapshot.node for key, snapshot in held.items() if key not in wanted}
        return self.with_changes(changed, gone - {snapshot.node for snapshot in changed})

    def proxies(self) -> Iterator[ProxyFolder]:
        """The folders of all proxies, by path."""
        return _proxies_below(self.meshes)

    def changes_since(self, old: "GenerationTree") -> TreeChanges:
        """What differs, found along the folders that are not shared."""
        changed: list[FolderChange] = []
        removed: list[NodeId] = []
        _compare(old.meshes, self.meshes, changed, removed)
        return TreeChanges(tuple(changed), tuple(removed))

    def _edited(self, old: Folder | None, edits: _Edits) -> Folder | None:
        """None when nothing is left; the very same folder when nothing differs."""
        before = old.entries if old else {}
        entries, lines = dict(before), dict(old.lines if old else {})
        for name, edit in edits.items():
            entry = self._replaced(before.get(name), edit)
            if entry is None:
                entries.pop(name, None)
                lines.pop(name, None)
            else:
                entries[name] = entry
                lines[name] = _line(name, entry)
        if old and len(entries) == len(before) and all(entries.get(name) is before.get(name) for name in edits):
            return old
        if not edits.keys() <= before.keys():
            entries = _in_order(entries)
            lines = {name: lines[name] for name in entries}
        return Folder(entries, lines) if entries else None

    def _replaced(self, old: Blob | Folder | None, edit: Snapshot | _Edits | None) -> Folder | None:
        folder = old if isinstance(old, Folder) else None
        if edit is None:
            return None
        if isinstance(edit, dict):
            return self._edited(folder, edit)
        made = self._proxy_folder(edit, folder if isinstance(folder, ProxyFolder) else None)
        return folder if folder and folder.id == made.id else made

    def _proxy_folder(self, snapshot: Snapshot, old: ProxyFolder | None) -> ProxyFolder:
        """What is the very same in the snapshot before is the same file."""
        if snapshot.resources.get(ResourceType.SECRET):
            raise ValueError(f"{snapshot.node.path} holds secrets, of which a snapshot may know the names only")
        if old and _differs_in_content_only(old.snapshot, snapshot):
            return ProxyFolder({**old.entries, **dict(self._new_files(old.snapshot, snapshot))}, snapshot=snapshot)
        entries: dict[str, Blob | Folder] = {}
        for kind, name in _FILES:
            held = snapshot.resources.get(kind)
            if held or kind is _ALWAYS:
                same = old is not None and held is not None and old.snapshot.resources.get(kind) is held
                entries[name] = old.entries[name] if old and same else self._file(snapshot, name, held)
        if snapshot.secrets:
            entries[_SECRETS] = self._files.of_secrets(snapshot.secrets)
        return ProxyFolder(entries, snapshot=snapshot)

    def _new_files(self, old: Snapshot, new: Snapshot) -> Iterator[tuple[str, Blob]]:
        before = old.resources.values()
        for (kind, held), former in zip(new.resources.items(), before, strict=True):
            if held is not former:
                name = f"{kind.file}.json"
                yield name, self._file(new, name, held)

    def _file(self, snapshot: Snapshot, name: str, held: Mapping[str, Rendered] | None) -> Blob:
        return self._files.of_resources((snapshot.node.workload, name), held or _NOTHING)


_SECRETS: Final = f"{ResourceType.SECRET.file}.json"
_FILES: Final = sorted(((kind, f"{kind.file}.json") for kind in ResourceType), key=itemgetter(1))
_BEFORE_ID: Final = {name: b"100644 %b\0" % name.encode() for name in (*(name for _, name in _FILES), _SECRETS)}
_NOTHING: Final[Mapping[str, Rendered]] = {}


@cache  # what is installed does not change under a running process
def running_toolchain() -> Mapping[str, str]:
    """The versions that decide the bytes, as they are installed."""
    return {"meshwright": __version__} | {package: version(package) for package in _TOOLCHAIN}


def manifest_blob(source_tree: str) -> Blob:
    """Which toolchain made the bytes, and from what: with both the same, so is the digest."""
    manifest = {"schemaVersion": SCHEMA_VERSION, "sourceTree": source_tree, "toolchain": running_toolchain()}
    content = orjson.dumps(manifest, option=LAYOUT)
    return Blob(blob_id(content), fixed=content)


def _line(name: str, entry: Blob | Folder) -> bytes:
    return b"%b %b\0%b" % (b"100644" if isinstance(entry, Blob) else b"40000", name.encode(), entry.id)


def _in_order(entries: dict[str, Blob | Folder]) -> dict[str, Blob | Folder]:
    """Git compares bytes, and a folder as if its name ended in a slash."""
    return dict(sorted(entries.items(), key=lambda entry: entry[0].encode() + b"/" * isinstance(entry[1], Folder)))


def _differs_in_content_only(old: Snapshot, new: Snapshot) -> bool:
    """Both have the same files, and where a file holds nothing, neither has it."""
    same = len(old.resources) == len(new.resources) and all(map(is_, old.resources, new.resources))
    return same and old.secrets == new.secrets and all(old.resources.values()) and all(new.resources.values())


class _Placing:
    """Edits by the folders that they are in; of each folder its proxies are placed in one go."""

    def __init__(self) -> None:
        self.by_mesh: _Edits = {}
        self._by_workload: dict[tuple[str, str, str], _Edits] = {}

    def place(self, node: NodeId, edit: Snapshot | None) -> None:
        path = (node.mesh, node.zone, node.workload)
        edits = self._by_workload.get(path)
        if edits is None:
            edits = self._by_workload[path] = self._open(node)
        edits[escape_name(node.proxy)] = edit

    def _open(self, node: NodeId) -> _Edits:
        edits = self.by_mesh
        for name in (node.mesh, node.zone or NO_ZONE, node.workload):
            edits = cast("_Edits", edits.setdefault(escape_name(name), {}))  # only the fourth level holds snapshots
        return edits


def _folders(folder: Folder) -> Iterator[tuple[str, Folder]]:
    return ((name, entry) for name, entry in folder.entries.items() if isinstance(entry, Folder))


def _compare(old: Folder, new: Folder, changed: list[FolderChange], removed: list[NodeId]) -> None:
    """Neither is the folder of a proxy, so that there are no files in them."""
    for name in () if new.has_names_of(old) else sorted(old.entries.keys() - new.entries.keys()):
        removed.extend(proxy.snapshot.node for proxy in _proxies_below(cast("Folder", old.entries[name])))
    for name, folder in new.differing(old):
        former = old.entries.get(name)
        if not isinstance(folder, Folder) or (former and former.id == folder.id):
            continue
        if isinstance(folder, ProxyFolder):
            changed.append(FolderChange(folder, former if isinstance(former, ProxyFolder) else None))
        elif not isinstance(former, Folder):
            changed.extend(map(FolderChange, _proxies_below(folder)))
        else:
            _compare(former, folder, changed, removed)


def _proxies_below(folder: Folder) -> Iterator[ProxyFolder]:
    if isinstance(folder, ProxyFolder):
        yield folder
        return
    for _, below in _folders(folder):
        yield from _proxies_below(below)
