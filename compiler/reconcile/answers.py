"""What the worker answers from the last good compile, for the pages that show one proxy."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final

import msgspec
import orjson

from compiler.diagnostics import Position
from compiler.envoy.resources import ResourceType
from compiler.mesh.graph import is_proxy
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Confs, Proxy
from compiler.mesh.resolve import PROXY
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
        "origins": partial(find_origins, compiler),
    }


def show_config(compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """All resources of one proxy, by file and name; secrets by name only. Raises LookupError."""
    snapshot = _find_snapshot(compiled, arguments)
    shown: dict[str, object] = {
        kind.file: {name: orjson.loads(resource.json) for name, resource in sorted(held.items())}
        for kind, held in snapshot.resources.items()
    }
    return {**shown, "secrets": [secret.name for secret in snapshot.secrets]}


def show_rules(compiler: Compiler, compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """The merged confs of one proxy, with the place that each comes from. Raises LookupError."""
    proxy = compiler.memo.ask(PROXY, _find_key(compiled.resources, str(_find_snapshot(compiled, arguments).node)))
    if proxy is None:
        raise LookupError(f"{arguments.get('name')!r} is no proxy of the commit that was compiled last")
    resources = compiled.resources
    return {
        "inbounds": [
            {"name": one.section, "port": one.port, "rules": _rules(one.confs, resources)} for one in proxy.inbounds
        ],
        "outbounds": list(_outbounds(proxy, resources)),
        "upstreams": [
            {"destination": one.destination.kri, "rules": _rules(one.confs, resources)} for one in proxy.upstreams
        ],
    }


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


def _outbounds(proxy: Proxy, resources: ResourceSet) -> Iterator[Mapping[str, object]]:
    for one in proxy.outbounds:
        routes = [{"name": route.name, "rules": _rules(route.confs, resources)} for route in one.routes]
        yield {"name": one.name, "port": one.port, "rules": _rules(one.confs, resources), "routes": routes}


def _rules(confs: Confs, resources: ResourceSet) -> list[Mapping[str, object]]:
    """A policy that says nothing here is left out."""
    return [
        {"type": one.policy, "conf": _plain(one.conf), "origins": _origins(one.origins, resources)}
        for one in confs
        if one.origins
    ]


def _origins(origins: Iterable[Origin], resources: ResourceSet) -> list[Mapping[str, object]]:
    return [{"kri": origin.kri, **_place(origin, resources)} for origin in origins]


def _place(origin: Origin, resources: ResourceSet) -> Mapping[str, object]:
    """A policy that Kuma's defaults brought along is written nowhere."""
    source = resources.sources.get(origin.policy)
    return _at(source.position(origin.pointer)) if source is not None else {}


def _at(position: Position) -> Mapping[str, object]:
    return {"file": position.file, "line": position.line, "column": position.column}


def _plain(conf: object) -> object:
    return msgspec.to_builtins(conf, enc_hook=str)


def _find_snapshot(compiled: Compiled, arguments: Mapping[str, object]) -> Snapshot:
    node = f"{arguments.get('mesh')}.{arguments.get('name')}"
    snapshots = compiled.generation.snapshots if compiled.generation else {}
    if node not in snapshots:
        raise LookupError(f"no dataplane {arguments.get('name')!r} in mesh {arguments.get('mesh')!r}")
    return snapshots[node]


def _find_key(resources: ResourceSet, node: str) -> ResourceKey:
    """The Dataplane or DataplaneSet behind a node id. Raises LookupError."""
    mesh, _, name = node.partition(".")
    for kind in ("Dataplane", "DataplaneSet"):
        key = ResourceKey(kind, mesh, name)
        resource = resources.resources.get(key)
        if resource is not None and is_proxy(resource):
            return key
    raise LookupError(f"no dataplane {name!r} in mesh {mesh!r}")
