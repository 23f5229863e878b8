"""Whether a proxy's resources fit together: every name that one of them says is there, and nothing else is.

Envoy acknowledges a route to a cluster that does not exist and drops its traffic later; an override for a filter that
the chain lacks it ignores in silence. A resource's links depend on the resource alone, so they are read once however
many proxies share it, and a proxy's check is set arithmetic over them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, NamedTuple

from google.protobuf.message import Message

from compiler.envoy.packing import visit
from compiler.envoy.resources import EnvoyResources, ResourceType
from compiler.snapshot.cluster_names import CLUSTER_FIELDS, cluster_names


class Reference(NamedTuple):
    """A resource by its type and name."""

    type: ResourceType
    name: str

    def __str__(self) -> str:
        return f"{_SINGULAR[self.type]} {self.name!r}"


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """What does not fit: `owner` is the resource in which to look, `message` a sentence about it."""

    owner: Reference
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Manager:
    """A place where a route configuration meets the filters that its overrides are for."""

    route: str
    filters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Slot:
    """What a listener takes by ECDS under a name: one of these types only."""

    extension: str
    type_urls: frozenset[str]


@dataclass(frozen=True, slots=True)
class Links:
    """All that a check needs to know of one resource."""

    references: frozenset[Reference] = frozenset()
    slots: frozenset[Slot] = frozenset()
    managers: frozenset[Manager] = frozenset()
    overrides: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    type_url: str = ""
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Collected:
    references: set[Reference] = field(default_factory=set)
    slots: set[Slot] = field(default_factory=set)
    managers: set[Manager] = field(default_factory=set)
    overrides: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    problems: list[tuple[str, str]] = field(default_factory=list)


_SINGULAR = {
    ResourceType.CLUSTER: "cluster",
    ResourceType.ENDPOINT: "load assignment",
    ResourceType.SECRET: "secret",
    ResourceType.EXTENSION: "extension",
    ResourceType.LISTENER: "listener",
    ResourceType.ROUTE: "route configuration",
}
_SUBSCRIBED = (ResourceType.ENDPOINT, ResourceType.ROUTE, ResourceType.EXTENSION, ResourceType.SECRET)


def references_of(kind: ResourceType, message: Message) -> frozenset[Reference]:
    """Every resource that this one names, through nested Anys."""
    return links_of(kind, _inner_name(kind, message), message).references


def links_of(kind: ResourceType, name: str, message: Message) -> Links:
    """What one resource, delivered under `name`, says of others; a pure function, worth remembering."""
    collected = _Collected()
    inner = _inner_name(kind, message)
    if inner != name:
        collected.problems.append(("name", f"is delivered as {name!r} but calls itself {inner!r}"))
    for path, found in visit(message, _WANTED):
        _READERS[found.DESCRIPTOR.full_name](found, path, collected)
    return Links(
        references=frozenset(collected.references),
        slots=frozenset(collected.slots),
        managers=frozenset(collected.managers),
        overrides=frozenset(collected.overrides),
        addresses=frozenset(collected.addresses),
        type_url=message.typed_config.type_url if kind is ResourceType.EXTENSION else "",  # type: ignore[attr-defined]  # a TypedExtensionConfig
        problems=tuple(collected.problems),
    )


def check_references(resources: EnvoyResources, outside: frozenset[str] = frozenset()) -> tuple[Inconsistency, ...]:
    """What does not fit in one proxy; `outside` names the clusters that its bootstrap brings."""
    links = {
        Reference(kind, name): links_of(kind, name, message)
        for kind, messages in resources.messages.items()
        for name, message in messages.items()
    }
    return check_links(links, resources.secrets, outside)


def check_links(
    links: Mapping[Reference, Links], secrets: Iterable[str], outside: frozenset[str] = frozenset()
) -> tuple[Inconsistency, ...]:
    """The same over links that are already there, by owner."""
    found = [
        *(Inconsistency(owner, *problem) for owner, each in links.items() for problem in each.problems),
        *_dangling_and_orphans(links, secrets, outside),
        *_wrong_types(links),
        *_lost_overrides(links),
        *_shared_addresses(links),
    ]
    return tuple(sorted(found, key=lambda each: (each.owner.type.file, each.owner.name, each.rule, each.message)))


def _dangling_and_orphans(
    links: Mapping[Reference, Links], secrets: Iterable[str], outside: frozenset[str]
) -> Iterator[Inconsistency]:
    present = {*links, *(Reference(ResourceType.SECRET, name) for name in secrets)}
    named = frozenset[Reference]().union(*(each.references for each in links.values()))
    missing = named - present - {Reference(ResourceType.CLUSTER, name) for name in outside}
    for owner, each in links.items() if missing else ():
        for reference in each.references & missing:
            yield Inconsistency(owner, "dangling", f"names the {reference}, which this proxy does not have")
    for orphan in present - named:
        if orphan.type in _SUBSCRIBED:
            yield Inconsistency(orphan, "orphan", "is named by no other resource of this proxy")


def _wrong_types(links: Mapping[Reference, Links]) -> Iterator[Inconsistency]:
    """Envoy acknowledges the listener and then answers 500 through such a slot."""
    for owner, each in links.items():
        for slot in each.slots:
            extension = links.get(Reference(ResourceType.EXTENSION, slot.extension))
            if extension is not None and extension.type_url not in slot.type_urls:
                wanted = " or ".join(sorted(slot.type_urls))
                sentence = f"takes a {wanted} as {slot.extension!r}, which is a {extension.type_url}"
                yield Inconsistency(owner, "extension_type", sentence)


def _lost_overrides(links: Mapping[Reference, Links]) -> Iterator[Inconsistency]:
    for owner, each in links.items():
        for manager in each.managers:
            route = Reference(ResourceType.ROUTE, manager.route)
            overrides = links[route].overrides if route in links else frozenset()
            for name in overrides - manager.filters:
                yield Inconsistency(route, "override", f"overrides the filter {name!r}, which {owner} does not have")


def _shared_addresses(links: Mapping[Reference, Links]) -> Iterator[Inconsistency]:
    owners: dict[str, list[Reference]] = {}
    for owner, each in links.items():
        for address in each.addresses:
            owners.setdefault(address, []).append(owner)
    for address, sharing in owners.items():
        for owner in sharing if len(sharing) > 1 else ():
            others = ", ".join(sorted(repr(other.name) for other in sharing if other != owner))
            yield Inconsistency(owner, "address", f"listens on {address}, as {others} does")


def _inner_name(kind: ResourceType, message: Any) -> str:
    return str(message.cluster_name if kind is ResourceType.ENDPOINT else message.name)


def listener_addresses(listener: Any) -> frozenset[str]:
    """Where a listener takes connections, in a form in which equal places are equal."""
    addresses = (listener.address, *(additional.address for additional in listener.additional_addresses))
    return frozenset(written for address in addresses if (written := _written(address)))


def _read_listener(listener: Any, _: str, into: _Collected) -> None:
    into.addresses.update(listener_addresses(listener))
    _refuse_doubles([chain.name for chain in listener.filter_chains if chain.name], "filter chains", into)
    _refuse_doubles([each.name for each in listener.listener_filters], "listener filters", into)


def _written(address: Any) -> str:
    """Empty where two listeners may share it: port 0 is a port of each one's own, an internal listener has none."""
    if address.HasField("pipe"):
        return str(address.pipe.path)
    socket = address.socket_address
    if not socket.port_value:
        return ""
    try:
        host = str(ip_address(socket.address))
    except ValueError:
        host = socket.address
    protocol = "udp" if socket.protocol == socket.UDP else "tcp"
    return f"{protocol}://[{host}]:{socket.port_value}" if ":" in host else f"{protocol}://{host}:{socket.port_value}"


def _read_chain(chain: Any, path: str, into: _Collected) -> None:
    _refuse_doubles([each.name for each in chain.filters], f"filters in {path}", into)


def _read_manager(manager: Any, path: str, into: _Collected) -> None:
    names = [each.name for each in manager.http_filters]
    _refuse_doubles(names, f"HTTP filters in {path}", into)
    if manager.HasField("rds"):
        into.references.add(Reference(ResourceType.ROUTE, manager.rds.route_config_name))
        into.managers.add(Manager(manager.rds.route_config_name, frozenset(names)))
    elif manager.HasField("route_config"):
        for name in sorted(_overrides(manager.route_config) - set(names)):
            into.problems.append(("override", f"overrides the filter {name!r}, which {path} does not have"))


def _overrides(configuration: Message) -> set[str]:
    return {name for _, owner in visit(configuration, _OVERRIDING) for name in owner.typed_per_filter_config}  # type: ignore[attr-defined]  # all of them have it


def _refuse_doubles(names: list[str], what: str, into: _Collected) -> None:
    into.problems += [
        ("unique", f"has {count} {what} called {name!r}") for name, count in Counter(names).items() if count > 1
    ]


def _read_slot(owner: Any, _: str, into: _Collected) -> None:
    if owner.HasField("config_discovery"):
        into.references.add(Reference(ResourceType.EXTENSION, owner.name))
        into.slots.add(Slot(owner.name, frozenset(owner.config_discovery.type_urls)))


def _read_cluster(cluster: Any, _: str, into: _Collected) -> None:
    if cluster.type == cluster.EDS and not cluster.HasField("cluster_type"):
        into.references.add(Reference(ResourceType.ENDPOINT, cluster.eds_cluster_config.service_name or cluster.name))


def _read_secret(secret: Any, _: str, into: _Collected) -> None:
    """Without a source it is one of the bootstrap's."""
    if secret.HasField("sds_config"):
        into.references.add(Reference(ResourceType.SECRET, secret.name))


def _read_overrides(owner: Any, _: str, into: _Collected) -> None:
    into.overrides.update(owner.typed_per_filter_config)


def _read_cluster_names(owner: Message, _: str, into: _Collected) -> None:
    into.references.update(Reference(ResourceType.CLUSTER, name) for name in cluster_names(owner))


def _read_weight(weight: Message, path: str, into: _Collected) -> None:
    _read_cluster_names(weight, path, into)
    _read_overrides(weight, path, into)


_ROUTE = "envoy.config.route.v3"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3"
_WEIGHT = f"{_ROUTE}.WeightedCluster.ClusterWeight"
_OVERRIDING = frozenset((f"{_ROUTE}.RouteConfiguration", f"{_ROUTE}.VirtualHost", f"{_ROUTE}.Route", _WEIGHT))
_READERS: dict[str, Callable[[Any, str, _Collected], None]] = {
    **dict.fromkeys(CLUSTER_FIELDS, _read_cluster_names),
    **dict.fromkeys(_OVERRIDING, _read_overrides),
    _WEIGHT: _read_weight,
    "envoy.config.listener.v3.Listener": _read_listener,
    "envoy.config.listener.v3.FilterChain": _read_chain,
    "envoy.config.listener.v3.Filter": _read_slot,
    "envoy.config.listener.v3.ListenerFilter": _read_slot,
    f"{_MANAGER}.HttpFilter": _read_slot,
    f"{_MANAGER}.HttpConnectionManager": _read_manager,
    "envoy.config.cluster.v3.Cluster": _read_cluster,
    "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig": _read_secret,
}
_WANTED = frozenset(_READERS)
