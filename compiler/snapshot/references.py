"""Whether a proxy's resources fit together: every name that one of them says is there, and nothing else is.

Envoy acknowledges a route to a cluster that does not exist and drops its traffic later; an override for a filter that
the chain lacks it ignores in silence. A resource's links depend on the resource alone, so they are read once however
many proxies share it, and a proxy's check is set arithmetic over them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from compiler.envoy.resources import EnvoyResources, ResourceType
from compiler.snapshot.findings import Path, Reading, write_path
from compiler.snapshot.links import Address, Bound, Manager, Objection, Override, Reference, Slot, listener_addresses
from compiler.snapshot.reading import read

__all__ = [
    "ADDRESS",
    "Inconsistency",
    "Links",
    "Manager",
    "Reference",
    "Slot",
    "check_links",
    "check_references",
    "links_of",
    "listener_addresses",
    "references_of",
]


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """What does not fit: `owner` is the resource in which to look, `message` a sentence about it."""

    owner: Reference
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Links:
    """All that a check needs to know of one resource."""

    references: frozenset[Reference] = frozenset()
    slots: frozenset[Slot] = frozenset()
    managers: frozenset[Manager] = frozenset()
    overrides: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    bound: frozenset[Bound] = frozenset()
    type_url: str = ""
    problems: tuple[tuple[str, str], ...] = ()


_NONE = Links()
ADDRESS = "address"
"""The rule that no two listeners are on one address."""
ORPHAN = "orphan"
"""The rule that what Envoy subscribes to is named by something."""
_SUBSCRIBED = (ResourceType.ENDPOINT, ResourceType.ROUTE, ResourceType.EXTENSION, ResourceType.SECRET)


def references_of(kind: ResourceType, message: Message) -> frozenset[Reference]:
    """Every resource that this one names, through nested Anys."""
    return links_of(kind, _inner_name(kind, message), message).references


def links_of(kind: ResourceType, name: str, message: Message, reading: Reading | None = None) -> Links:
    """What one resource, delivered under `name`, says of others; a pure function, worth remembering.

    `reading` is what `read` gives for the message, where the caller has it.
    """
    reading = reading or read(message)
    problems = tuple([_sentence(path, objection) for path, objection in reading.objections])
    inner = _inner_name(kind, message)
    if inner != name:
        problems = (("name", f"is delivered as {name!r} but calls itself {inner!r}"), *problems)
    type_url = message.typed_config.type_url if kind is ResourceType.EXTENSION else ""  # type: ignore[attr-defined]  # a TypedExtensionConfig
    if not (reading.mentions or type_url or problems):
        return _NONE
    return Links(
        references=frozenset([one for one in reading.mentions if isinstance(one, Reference)]),
        slots=frozenset([one for one in reading.mentions if isinstance(one, Slot)]),
        managers=frozenset([one for one in reading.mentions if isinstance(one, Manager)]),
        overrides=frozenset([one.filter for one in reading.mentions if isinstance(one, Override)]),
        addresses=frozenset([one.written for one in reading.mentions if isinstance(one, Address)]),
        bound=frozenset([one for one in reading.mentions if isinstance(one, Bound)]),
        type_url=type_url,
        problems=problems,
    )


def _sentence(path: Path, objection: Objection) -> tuple[str, str]:
    if objection.after is None:
        return objection.rule, objection.before
    return objection.rule, f"{objection.before}{write_path(path)}{objection.after}"


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
        *_shared_ports(links),
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
        if orphan.type in _SUBSCRIBED and not _is_agents(orphan):
            yield Inconsistency(orphan, ORPHAN, "is named by no other resource of this proxy")


def _is_agents(reference: Reference) -> bool:
    """What an agent of SPIRE knows is called by a SPIFFE id, and comes from there."""
    return reference.type is ResourceType.SECRET and "://" in reference.name


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
            for name in links.get(route, _NONE).overrides - manager.filters:
                yield Inconsistency(route, "override", f"overrides the filter {name!r}, which {owner} does not have")


def _shared_addresses(links: Mapping[Reference, Links]) -> Iterator[Inconsistency]:
    owners: dict[str, list[Reference]] = {}
    for owner, each in links.items():
        for address in each.addresses:
            owners.setdefault(address, []).append(owner)
    for address, sharing in owners.items():
        for owner in sharing if len(sharing) > 1 else ():
            others = ", ".join(sorted(repr(other.name) for other in sharing if other != owner))
            yield Inconsistency(owner, ADDRESS, f"listens on {address}, as {others} does")


def _shared_ports(links: Mapping[Reference, Links]) -> Iterator[Inconsistency]:
    """A listener on every address leaves its port to no other, unless both of them share it.

    Tried with Envoy 1.40: the second one is refused ("cannot listen() errno=98"), whichever it is. Where both have
    `enable_reuse_port`, and where one does not bind, it takes both, and the nearer address has the connections.
    """
    everywhere: dict[tuple[str, int], list[tuple[Reference, Bound]]] = {}
    for owner, each in links.items():
        for wide in each.bound:
            if wide.everywhere:
                everywhere.setdefault((wide.protocol, wide.port), []).append((owner, wide))
    for owner, each in links.items() if everywhere else ():
        for bound in each.bound:
            for other, wide in everywhere.get((bound.protocol, bound.port), ()):
                if other != owner and _collide(bound, wide):
                    sentence = (
                        f"listens on {bound.protocol} port {bound.port}, which {other.name!r} has on every address"
                    )
                    yield Inconsistency(owner, ADDRESS, sentence)


def _collide(one: Bound, wide: Bound) -> bool:
    """Of two with one address it has been said already."""
    if one.shares and wide.shares:
        return False
    return one.address != wide.address and not set(one.versions).isdisjoint(wide.versions)


def _inner_name(kind: ResourceType, message: Any) -> str:
    return str(message.cluster_name if kind is ResourceType.ENDPOINT else message.name)
