"""What the other documents of a repository say that a conversion must know."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from compiler.resources.envelope import Envelope
from compiler.resources.legacy.conversion import Surroundings
from compiler.resources.legacy.convert import TARGETS
from compiler.resources.model import PROTOCOL, SERVICE

_PROXIES: Final = frozenset({"Dataplane", "DataplaneSet"})
_BECOME: Final = frozenset(kind for kinds in TARGETS.values() for kind in kinds)


@dataclass(frozen=True, slots=True)
class Said:
    """A document of the mesh, normalised: who it is about, and what it says; `former` is what it was, if another."""

    envelope: Envelope
    content: Mapping[str, Any]
    former: str = ""

    @property
    def title(self) -> str:
        """As its author knows it."""
        return self.former or f"{self.envelope.type} {self.envelope.name}"


class Hindrance(NamedTuple):
    """A permission beside which none of its mesh can become rules, and why."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Proxy:
    """A Dataplane, as far as targetRefs go: its labels, and the tags of each of its inbounds, or of a gateway."""

    mesh: str
    labels: Mapping[str, str]
    tags: tuple[Mapping[str, str], ...]
    inbounds: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """By mesh what a conversion must know, and every proxy.

    `skipping` are the kinds of policies that a mesh has none of from the start, `written` the names of those newer
    ones, by mesh and type, that somebody wrote. `hindrances` are there where permissions have to stay `from`.
    """

    surroundings: Mapping[str, Surroundings] = field(default_factory=dict)
    proxies: tuple[Proxy, ...] = ()
    hindrances: Mapping[str, Sequence[Hindrance]] = field(default_factory=dict)
    skipping: Mapping[str, Sequence[str]] = field(default_factory=dict)
    written: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    def of(self, mesh: str) -> Surroundings:
        """Of a mesh that no document describes, nothing; its logging and tracing then are empty, not unknown."""
        return self.surroundings.get(mesh, Surroundings(logging={}, tracing={}))


def survey(documents: Sequence[Said]) -> Known:
    """All documents of the repository."""
    proxies = tuple(proxy for one in documents if one.envelope.type in _PROXIES for proxy in _proxies(one))
    meshes = {one.envelope.name: one.content for one in documents if one.envelope.type == "Mesh"}
    names = {*meshes, *(proxy.mesh for proxy in proxies)}
    surroundings = {
        name: Surroundings(
            logging=meshes.get(name, {}).get("logging") or {},
            tracing=meshes.get(name, {}).get("tracing") or {},
            protocols=_protocols(proxy for proxy in proxies if proxy.mesh == name),
        )
        for name in names
    }
    skipping = {name: content.get("skipCreatingInitialPolicies") or () for name, content in meshes.items()}
    return Known(surroundings, proxies, _hindrances(documents), skipping, _written(documents))


def _written(documents: Iterable[Said]) -> Mapping[tuple[str, str], Sequence[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for envelope in (one.envelope for one in documents):
        if envelope.type in _BECOME:
            found.setdefault((envelope.mesh, envelope.type), []).append(envelope.name)
    return {group: sorted(names) for group, names in found.items()}


def _proxies(one: Said) -> Iterator[Proxy]:
    envelope = one.envelope
    if envelope.type == "Dataplane":
        yield _proxy(envelope.mesh, envelope.labels, one.content["networking"])
        return
    networking = one.content["template"]["networking"]
    yield _proxy(envelope.mesh, envelope.labels, networking)
    for instance in one.content.get("instances", ()):
        yield _proxy(envelope.mesh, {**envelope.labels, **instance.get("labels", {})}, networking)


def _proxy(mesh: str, labels: Mapping[str, str], networking: Mapping[str, Any]) -> Proxy:
    gateway = networking.get("gateway")
    if gateway is not None:
        return Proxy(mesh, labels, (gateway.get("tags", {}),), inbounds=False)
    return Proxy(mesh, labels, tuple(inbound.get("tags", {}) for inbound in networking.get("inbound", ())))


def _protocols(proxies: Iterable[Proxy]) -> Mapping[str, str]:
    """Of the services all of whose inbounds agree."""
    spoken: dict[str, set[str]] = {}
    for proxy in proxies:
        for tags in proxy.tags:
            spoken.setdefault(tags.get(SERVICE, ""), set()).add(tags.get(PROTOCOL, "tcp"))
    return {service: next(iter(protocols)) for service, protocols in spoken.items() if len(protocols) == 1}


def _hindrances(documents: Iterable[Said]) -> Mapping[str, Sequence[Hindrance]]:
    found: dict[str, list[Hindrance]] = {}
    for one in documents:
        reason = _why_not_rules(one)
        if reason is not None:
            found.setdefault(one.envelope.mesh, []).append(Hindrance(one.title, reason))
    return found


def _why_not_rules(one: Said) -> str | None:
    """None where it only allows, and only whom a certificate shows, so that all such permissions may add up."""
    kind, spec = one.envelope.type, one.content
    if kind == "TrafficPermission":
        return f"{one.title} stays and is from, which is passed over where there are rules"
    if kind != "MeshTrafficPermission":
        return None
    if "rules" in spec:
        return f"from is passed over where there are rules, as {one.title} has: as rules it would hold beside them"
    entries = spec.get("from", ())
    said = next((entry["default"]["action"] for entry in entries if entry["default"]["action"] != "Allow"), None)
    if said is not None:
        refuses = "refuses whom it does not name" if one.former else f"says {said}"
        return f"of from the more specific policy decides, and rules add up: {one.title} {refuses}"
    hidden = next((target for target in (entry["targetRef"] for entry in entries) if shown(target) is None), None)
    if hidden is None:
        return None
    asked = [*sorted({*hidden.get("tags", {})} - {SERVICE}), *(["proxyTypes"] if "proxyTypes" in hidden else ())]
    means = f"by {', '.join(asked)}" if asked else f"as a {hidden['kind']}"
    return f"rules tell callers by their certificates, and {one.title} tells them {means}, which none shows"


def shown(target: Mapping[str, Any]) -> str | None:
    """The service that a source names, empty for everybody, None where it asks for more than a certificate shows."""
    match target:
        case {"kind": "Mesh"} if len(target) == 1:
            return ""
        case {"kind": "MeshService", "name": str(name)} if len(target) == 2:  # kind and name
            return name
        case {"kind": "MeshSubset", "tags": {**tags}} if len(target) == 2 and set(tags) == {SERVICE}:
            return str(tags[SERVICE])
        case _:
            return None
