"""What the worker answers from the last good compile, for the pages that show one proxy."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from compiler.diagnostics import Position
from compiler.envoy.resources import ResourceType
from compiler.inspecting import chosen, layout, proxies, rules
from compiler.memo import Memo
from compiler.mesh.graph import is_proxy
from compiler.mesh.order import Origin
from compiler.pipeline import Compiler
from compiler.reconcile.loop import Question
from compiler.reconcile.ports import Compiled
from compiler.resources.model import ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.take import causes_of

_KINDS: Final = {kind.type_url: kind for kind in ResourceType}


def list_questions(compiler: Compiler) -> Mapping[str, Question]:
    """The compiler is asked what it remembers of the commit that it compiled last."""
    return {
        "config": show_config,
        "rules": partial(show_rules, compiler),
        "gateway_rules": partial(show_gateway_rules, compiler),
        "layout": partial(show_layout, compiler),
        "policies": partial(show_policies, compiler),
        "chosen": partial(show_chosen, compiler),
        "hostnames": partial(show_hostnames, compiler),
        "origins": partial(find_origins, compiler),
    }


def show_config(compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """All resources of one proxy, in the shape of Kuma's `_config`; secrets by name only. Raises LookupError."""
    return proxies.show_config(_find_snapshot(compiled, arguments))


def show_rules(compiler: Compiler, compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """The merged confs of one proxy, in the shape of Kuma's `_rules`. Raises LookupError."""
    key = _find_key(compiled.resources, str(_find_snapshot(compiled, arguments).node))
    return rules.show_rules(compiler.memo, key, compiled.resources.sources)


def show_gateway_rules(compiler: Compiler, compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """The merged confs of the proxies that a MeshGateway selects. Raises LookupError."""
    key = ResourceKey("MeshGateway", str(arguments.get("mesh")), str(arguments.get("name")))
    return rules.show_gateway_rules(compiler.memo, key, compiled.resources.sources)


def show_layout(compiler: Compiler, compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """Where one proxy listens and what it calls, in the shape of Kuma's `_layout`. Raises LookupError."""
    key = _find_key(compiled.resources, str(_find_snapshot(compiled, arguments).node))
    return layout.show_layout(compiler.memo, key)


def show_policies(compiler: Compiler, compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """The policies that select one proxy. Raises LookupError."""
    key = _find_key(compiled.resources, str(_find_snapshot(compiled, arguments).node))
    return proxies.show_policies(compiler.memo, key, compiled.resources.sources)


def show_chosen(compiler: Compiler, _: Compiled, arguments: Mapping[str, object]) -> object:
    """The proxies that a policy selects or that offer a service, as Kuma lists them. Raises LookupError."""
    return chosen.show_chosen(compiler.memo, _find_collected(compiler.memo, arguments))


def show_hostnames(compiler: Compiler, _: Compiled, arguments: Mapping[str, object]) -> object:
    """By which names a service is called, as Kuma lists them. Raises LookupError."""
    return chosen.show_hostnames(compiler.memo, _find_collected(compiler.memo, arguments))


def find_origins(compiler: Compiler, compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """For each `[node, type URL, name]` where the policy behind it was written, and then others and its Dataplane."""
    wanted = arguments.get("resources")
    return [_origin(compiler, compiled.resources, *map(str, one)) for one in wanted] if isinstance(wanted, list) else []


def _origin(compiler: Compiler, resources: ResourceSet, node: str, type_url: str, name: str) -> Mapping[str, object]:
    try:
        key = _find_key(resources, node)
        causes = causes_of(compiler.memo, key, _KINDS[type_url], name)
    except LookupError:
        return {}
    written = [_place(origin, resources) for origin in causes if origin.policy in resources.sources]
    first, *others = [*written, _at(resources.sources[key].position())]
    return {**first, "others": [other for other in others if other != first]}


def _place(origin: Origin, resources: ResourceSet) -> Mapping[str, object]:
    """A policy that Kuma's defaults brought along is written nowhere."""
    source = resources.sources.get(origin.policy)
    return _at(source.position(origin.pointer)) if source is not None else {}


def _at(position: Position) -> Mapping[str, object]:
    return {"file": position.file, "line": position.line, "column": position.column}


def _find_snapshot(compiled: Compiled, arguments: Mapping[str, object]) -> Snapshot:
    node = f"{arguments.get('mesh')}.{arguments.get('name')}"
    snapshots = compiled.generation.snapshots if compiled.generation else {}
    if node not in snapshots:
        raise LookupError(f"no dataplane {arguments.get('name')!r} in mesh {arguments.get('mesh')!r}")
    return snapshots[node]


def _find_collected(memo: Memo, arguments: Mapping[str, object]) -> ResourceKey:
    """By what Kuma's paths call its type. Raises LookupError."""
    mesh, name, wanted = (str(arguments.get(one)) for one in ("mesh", "name", "collection"))
    named = [key for key in (*chosen.list_policies(memo, mesh), *chosen.list_services(memo, mesh)) if key.name == name]
    found = next((key for key in named if chosen.collection(key.type) == wanted), None)
    if found is None:
        raise LookupError(f"no {name!r} among the {wanted} of mesh {mesh!r}")
    return found


def _find_key(resources: ResourceSet, node: str) -> ResourceKey:
    """The Dataplane, DataplaneSet or zone proxy behind a node id. Raises LookupError."""
    mesh, _, name = node.partition(".")
    for kind in ("Dataplane", "DataplaneSet", "ZoneIngress", "ZoneEgress"):
        key = ResourceKey(kind, mesh, name)
        resource = resources.resources.get(key)
        if resource is not None and is_proxy(resource):
            return key
    raise LookupError(f"no dataplane {name!r} in mesh {mesh!r}")
