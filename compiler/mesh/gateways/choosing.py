"""Which MeshGateway a builtin gateway's proxies take requests by (kuma-policies §4.1)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast

from compiler.memo import Memo, Query
from compiler.mesh.graph import CARRIERS, KEYS, RESOURCE, read_proxy
from compiler.mesh.match import BUILTIN_GATEWAY, is_builtin_gateway
from compiler.mesh.shape import Shape, shape_of
from compiler.resources.model import Dataplane, MeshGateway, Resource
from compiler.resources.specs.spec import TagSelector

_ANY: Final = "*"


def specificity(selectors: Iterable[TagSelector], tags: Mapping[str, str]) -> int | None:
    """How many tags the closest selector asks for; None where none of them fits."""
    fitting = [len(one.match) for one in selectors if _fits(one.match, tags)]
    return max(fitting, default=None)


def _fits(wanted: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    return all(key in tags and value in (_ANY, tags[key]) for key, value in wanted.items())


def choose_gateway(gateways: Iterable[Resource], proxy: Resource) -> Resource | None:
    """The one that asks for the most tags of the proxy; among equals the first by name, where Kuma asks which is older.

    None for a proxy that is no builtin gateway.
    """
    written = cast(Dataplane, proxy.spec).networking.gateway
    if written is None or not is_builtin_gateway(proxy):
        return None
    found = [(one, specificity(cast(MeshGateway, one.spec).selectors, written.tags)) for one in gateways]
    fitting = [(-count, one.key, one) for one, count in found if count is not None]
    return min(fitting, key=lambda entry: entry[:2])[2] if fitting else None


def taking(memo: Memo, mesh: str) -> Iterator[tuple[Resource, Resource]]:
    """Each builtin gateway's MeshGateway and its proxy."""
    for key in sorted(memo.read(CARRIERS, (mesh, BUILTIN_GATEWAY))):
        proxy = read_proxy(memo, key)
        gateway = memo.ask(GATEWAY, shape_of(proxy)) if proxy is not None else None
        if proxy is not None and gateway is not None:
            yield gateway, proxy


def _gateway(memo: Memo, shape: Shape) -> Resource | None:
    proxy = shape.resource
    if not is_builtin_gateway(proxy):
        return None
    known = (memo.read(RESOURCE, key) for key in sorted(memo.read(KEYS, ("MeshGateway", proxy.key.mesh))))
    return choose_gateway((one for one in known if one is not None), proxy)


GATEWAY: Final[Query[Shape, Resource | None]] = Query("gateway", _gateway)
