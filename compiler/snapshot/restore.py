"""A generation read back from the store: what is served when the serving image is lost."""

from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered, parse, render
from compiler.snapshot.digest import GenerationTree, parse_secrets, unescape_name
from compiler.snapshot.failures import StoreDamaged
from compiler.snapshot.publication import Published
from compiler.snapshot.repository import BareRepository
from compiler.snapshot.snapshot import Generation, NodeId, SecretName, Snapshot

__all__ = ["parse_snapshot", "restore_generation"]

_Held = Mapping[str, Rendered] | tuple[SecretName, ...]
_Known = dict[tuple[ResourceType, bytes], Rendered]
_MEMBER: Final = b'\n  "'
"""Canonical JSON begins a member of the outermost object like this, and nothing else."""
_KINDS: Final = {f"{kind.file}.json": kind for kind in ResourceType}
_SECRETS: Final = f"{ResourceType.SECRET.file}.json"


def restore_generation(repository: BareRepository, published: Published) -> Generation:
    """The generation of a commit, held to its digest; equal files are read once and shared.

    Raises `StoreDamaged` when what is read does not give the digest that was published.
    """
    files = repository.list_files(f"{published.commit}:meshes")
    held = _read_files(repository, {(file.id, file.path[-1]) for file in files})
    folders: dict[tuple[str, ...], dict[str, _Held]] = {}
    for file in files:
        folders.setdefault(file.path[:-1], {})[file.path[-1]] = held[file.id, file.path[-1]]
    snapshots = [_snapshot(NodeId(*map(unescape_name, path)), folder) for path, folder in folders.items()]
    if GenerationTree.build(snapshots).digest != published.digest:
        raise StoreDamaged(f"what is read back from {published.commit} is not {published.digest}")
    by_node = {str(snapshot.node): snapshot for snapshot in snapshots}
    return Generation(published.source.commit, published.source.tree, published.digest, by_node)


def parse_snapshot(path: str, files: Mapping[str, bytes]) -> Snapshot:
    """The snapshot that the files of one folder hold; `path` is the folder's, from `meshes/` on."""
    node = NodeId(*map(unescape_name, path.split("/")[1:]))
    known: _Known = {}
    return _snapshot(node, {name: _parse_file(name, content, known) for name, content in files.items()})


def _read_files(repository: BareRepository, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], _Held]:
    """By blob id and name."""
    names: dict[str, list[str]] = {}
    for blob, name in files:
        names.setdefault(blob, []).append(name)
    known: _Known = {}
    return {
        (found.id, name): _parse_file(name, found.content, known)
        for found in repository.read_objects(names)
        for name in names[found.id]
    }


def _snapshot(node: NodeId, folder: Mapping[str, _Held]) -> Snapshot:
    resources = {_KINDS[name]: held for name, held in folder.items() if not isinstance(held, tuple) and held}
    secrets = folder.get(_SECRETS, ())
    return Snapshot(node, resources, secrets if isinstance(secrets, tuple) else ())


def _parse_file(name: str, content: bytes, known: _Known) -> _Held:
    if name not in _KINDS:
        raise StoreDamaged(f"a snapshot has no file {name!r}")
    if name == _SECRETS:
        return parse_secrets(content)
    members = content.removesuffix(b"\n}\n").split(_MEMBER)[1:]
    resources = (_parse_member(_KINDS[name], member.removesuffix(b","), known) for member in members)
    return {resource.name: resource for resource in resources}


def _parse_member(kind: ResourceType, member: bytes, known: _Known) -> Rendered:
    """A name and its resource; the text alone tells whether it was met before."""
    found = known.get((kind, member))
    if found is None:
        ((name, plain),) = orjson.loads(b'{"' + member + b"}").items()
        found = known[kind, member] = render(kind, name, parse(orjson.dumps(plain), kind))
    return found
