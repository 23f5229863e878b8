"""The layout of a proxy: where it listens, what it can call and by which names, and who it is.

The shape is that of Kuma's `_layout` (kuma-core §9.2); `address` and `hostnames` are ours.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from compiler.inspecting.shown import Json, written_proxy
from compiler.memo import Memo
from compiler.mesh.calls import Outbound
from compiler.mesh.holes import fill
from compiler.mesh.identity import certified
from compiler.mesh.proxy import Proxy
from compiler.mesh.resolve import PROXY
from compiler.mesh.services import SERVICE_RESOURCE, service_ports
from compiler.mesh.shape import REPLICA, Replica
from compiler.resources.model import Resource, ResourceKey


def show_layout(memo: Memo, key: ResourceKey) -> Json:
    """What a proxy really has: where calls are not redirected to it, only what it names. KeyError for no proxy."""
    resource = written_proxy(memo, key)
    replica = memo.ask(REPLICA, key)
    if replica is None:
        raise KeyError(key)
    proxy = memo.ask(PROXY, replica.shape)
    identity = certified(memo, resource) if key.mesh else None
    return {
        "kri": resource.kri(),
        "labels": dict(resource.labels),
        **({"spiffeId": identity.uri} if identity is not None else {}),
        "inbounds": list(_inbounds(resource, proxy, replica)),
        "outbounds": list(_outbounds(memo, proxy)),
        "listeners": list(_listeners(proxy, replica)),
    }


def _inbounds(resource: Resource, proxy: Proxy, replica: Replica) -> Iterator[Json]:
    for one in proxy.inbounds:
        yield {
            "kri": resource.kri(one.section),
            "port": one.port,
            "protocol": one.protocol,
            "address": fill(one.address, replica.addresses),
            "proxyResourceName": one.name,
        }


def _outbounds(memo: Memo, proxy: Proxy) -> Iterator[Json]:
    """One for each destination, at all of its addresses; the port is the service's, whatever it is called by here."""
    calls: dict[str, list[Outbound]] = defaultdict(list)
    for call in proxy.outbounds:
        calls[call.destination.kri].append(call)
    names = _names(proxy)
    for kri, there in sorted(calls.items()):
        first = there[0]
        addresses = dict.fromkeys(one.address for one in there)
        yield {
            "kri": kri,
            "port": _port(memo, first),
            "protocol": first.destination.protocol,
            "addresses": [f"{one.address}:{one.port}" for one in there],
            "hostnames": [name for address in addresses for name in names.get(address, ())],
            "proxyResourceName": first.destination.name,
        }


def _port(memo: Memo, call: Outbound) -> int:
    """A whole service of 2.x has no port of its own."""
    service = memo.ask(SERVICE_RESOURCE, call.destination.service)
    ports = service_ports(service) if service is not None else ()
    return next((one.port for one in ports if one.section == call.destination.section), call.port)


def _names(proxy: Proxy) -> Mapping[str, Sequence[str]]:
    """Host names by the address that each stands for."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in proxy.names or ():
        found[record.address].append(record.name)
    return found


def _listeners(proxy: Proxy, replica: Replica) -> Iterator[Json]:
    """Those of a zone proxy, which lead on what is encrypted, and of a builtin gateway."""
    for gate in proxy.gates:
        address = fill(gate.address, replica.addresses)
        yield {"port": gate.port, "protocol": "tls", "address": address, "proxyResourceName": gate.name}
    for one in proxy.gateway:
        address = fill(one.address, replica.addresses)
        protocol = one.protocol.lower()
        yield {"port": one.port, "protocol": protocol, "address": address, "proxyResourceName": one.name}
