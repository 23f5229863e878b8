"""Host names that are gone, or others, once a HostnameGenerator stands where a VirtualOutbound stood."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from compiler.diagnostics import Position
from compiler.memo import Memo
from compiler.mesh.checks.virtual_outbounds import GIVEN
from compiler.mesh.graph import mesh_spec
from compiler.mesh.rules import SERVICE_TAG
from compiler.mesh.services import MESH_SERVICE, SERVICE_RESOURCE
from compiler.mesh.virtual_outbounds import CALLED, VIRTUAL_OUTBOUND
from compiler.pipeline import Compiler
from compiler.resources.model import SERVICE, ResourceKey, VirtualOutbound
from compiler.resources.resource_set import ResourceSet
from compiler.resources.schema import Schemas
from compiler.source.tree import SourceTree

_BY_PORTS: Final = "Exclusive"
_BY_TAGS: Final = "Disabled"
_WHERE_LISTED: Final = "ReachableBackends"
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class _Named:
    """A repository, and by mesh what the names of services lead to that no VirtualOutbound gives."""

    resources: ResourceSet
    memo: Memo
    given: Mapping[str, Mapping[str, ResourceKey]]


def list_renamed(before: SourceTree, after: SourceTree, schemas: Schemas) -> Iterator[tuple[Position, str]]:
    """At the VirtualOutbounds that are no more; names are made of what the documents of the repository offer."""
    old, new = (_read_names(tree, schemas) for tree in (before, after))
    gone = [one.key for one in old.resources.of_type(VIRTUAL_OUTBOUND) if one.key not in new.resources.resources]
    for key in gone:
        message = _renamed(key, old, new)
        if message:
            yield old.resources.position(key, "/conf/host"), message
    if gone and not any(old.resources.of_type("HostnameGenerator")):
        usual = sorted({name for mesh, given in old.given.items() for name in given.keys() - new.given.get(mesh, {})})
        said = "services have names by themselves only while there is no HostnameGenerator"
        yield from [(old.resources.position(gone[0]), f"{said}: {_gone(usual)}")] if usual else ()


def _read_names(tree: SourceTree, schemas: Schemas) -> _Named:
    compiler = Compiler(schemas)
    resources, _ = compiler.read(tree).value
    compiler.tabulate(resources, resources.resources)
    meshes = sorted({key.mesh for key in resources.resources if key.mesh})
    return _Named(resources, compiler.memo, {mesh: compiler.memo.ask(GIVEN, mesh) for mesh in meshes})


def _renamed(key: ResourceKey, old: _Named, new: _Named) -> str:
    """Empty where every name stays; where nothing is called by its tags there was none."""
    mode = mesh_spec(old.memo, key.mesh).mesh_services.mode
    if mode == _BY_PORTS:
        return ""
    made = [one for one in old.memo.ask(CALLED, key.mesh).names if one.origin == key]
    left = new.given.get(key.mesh, {})
    lost = {one.host: one.called.service.name for one in made if one.host not in left}
    if mode == _BY_TAGS and (lost or not made):
        said = f"meshServices.mode of mesh {key.mesh!r} is {_BY_TAGS}, and no MeshService has a name there"
        return f"{said}: {_gone(sorted(lost)) if lost else 'none is left'}; set it to Everywhere before"
    if not made:
        return _of_nothing(key, old)
    given = _new_names(key.mesh, old, new)
    parts = list(_changes({host: _names_of(tag, given) for host, tag in sorted(lost.items())}))
    if mode == _WHERE_LISTED:
        parts.append(f"with meshServices.mode {mode} they are for proxies with reachableBackends alone")
    return f"names are those of MeshServices, no more of tags: {'; '.join(parts)}" if parts else ""


def _changes(now: Mapping[str, Sequence[str]]) -> Iterator[str]:
    renamed = [f"{host} is {_several(names)} then" for host, names in now.items() if names]
    gone = [host for host, names in now.items() if not names]
    yield from [_several(renamed)] if renamed else ()
    yield from [_gone(gone)] if gone else ()


def _of_nothing(key: ResourceKey, old: _Named) -> str:
    """The names are of what is known elsewhere: only Kubernetes has tags that are no names of MeshServices."""
    conf = cast(VirtualOutbound, old.resources.resources[key].spec).conf
    if not any(one.tag == SERVICE for one in conf.parameters):
        return ""
    return (
        "names are made of a MeshService's name and no more of the tag kuma.io/service: "
        "on Kubernetes kv_demo_svc_80 is kv then; no document says which services there are"
    )


def _new_names(mesh: str, old: _Named, new: _Named) -> Mapping[tuple[str, str], Sequence[str]]:
    """By what a MeshService is called: its name alone, and on Kubernetes its name and namespace."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, key in sorted(new.given.get(mesh, {}).items()):
        service = new.memo.ask(SERVICE_RESOURCE, key) if key.type == MESH_SERVICE else None
        if service is not None and name not in old.given[mesh]:
            for called in {(key.name, ""), (service.name, service.namespace)}:
                found.setdefault(called, []).append(name)
    return found


def _names_of(tag: str, given: Mapping[tuple[str, str], Sequence[str]]) -> Sequence[str]:
    """What the service is called that has this tag; on Kubernetes it is made of its name, namespace and port."""
    parsed = SERVICE_TAG.fullmatch(tag)
    return given.get((tag, "")) or (given.get((parsed[1], parsed[2]), ()) if parsed is not None else ())


def _gone(names: Sequence[str]) -> str:
    return f"{_several(names)} {'is' if len(names) == 1 else 'are'} gone"


def _several(names: Sequence[str]) -> str:
    if len(names) <= _SHOWN:
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{', '.join(names[:_SHOWN])} and {len(names) - _SHOWN} more"
