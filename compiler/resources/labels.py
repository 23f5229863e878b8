"""The labels that Kuma computes for a resource (kuma-core §1.4), and what it asks of those that are given."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.resources.envelope import GLOBAL_TYPES, Envelope
from compiler.resources.findings import BAD_LABEL, EXCLUSIVE_FIELDS, Finding, join
from compiler.resources.model import DISPLAY_NAME, ENVIRONMENT, MESH, NAMESPACE, ORIGIN, ROLE, SPECS, WORKLOAD, ZONE
from compiler.resources.suggest import did_you_mean

ROLES: Final = ("system", "producer", "consumer", "workload-owner")
_LISTENER: Final = "kuma.io/listener-"
_PRODUCED: Final = frozenset({"MeshService", "MeshHTTPRoute"})
_SERVICE_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def compute_labels(envelope: Envelope, content: Mapping[str, Any]) -> Mapping[str, str]:
    """Those given and those computed, by name; a computed one never replaces a given one, but for a policy's role."""
    computed = dict(envelope.labels) | {DISPLAY_NAME: envelope.labels.get(DISPLAY_NAME, envelope.name)}
    if envelope.type not in GLOBAL_TYPES:
        computed[MESH] = envelope.mesh
        computed.setdefault(ENVIRONMENT, "kubernetes" if envelope.kubernetes else "universal")
    if envelope.namespace:
        computed.setdefault(NAMESPACE, envelope.namespace)
    if envelope.type not in SPECS:
        computed[ROLE] = _role(envelope, content)
    if envelope.type == "Dataplane":
        computed |= {f"{_LISTENER}{kind}": "enabled" for kind in _zone_listeners(content)}
    zone = tagged_zone(tags for _, tags in _tag_sets(envelope, content)) if ZONE not in computed else ""
    if zone:
        computed[ZONE] = zone
    return dict(sorted(computed.items()))


def _zone_listeners(content: Mapping[str, Any]) -> Iterator[str]:
    """By which a policy selects zone proxies."""
    for listener in (content.get("networking") or {}).get("listeners") or ():
        yield str(listener["type"]).lower()


def _tag_sets(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Of a Dataplane or of what a DataplaneSet says of all of its own, each with its place."""
    inner = {"Dataplane": "", "DataplaneSet": "template"}.get(envelope.type)
    if inner is None:
        return
    proxy = content.get(inner) or {} if inner else content
    networking, at = proxy.get("networking") or {}, join(envelope.prefix, *([inner] if inner else []), "networking")
    yield join(at, "gateway", "tags"), (networking.get("gateway") or {}).get("tags") or {}
    for index, inbound in enumerate(networking.get("inbound") or ()):
        yield join(at, "inbound", index, "tags"), inbound.get("tags") or {}


def tagged_zone(tag_sets: Iterable[Mapping[str, str]]) -> str:
    """In Kuma 2.x proxies say their zone by a tag; empty where none is said, or more than one."""
    zones = {zone for tags in tag_sets if (zone := tags.get(ZONE))}
    return next(iter(zones)) if len(zones) == 1 else ""


def check_labels(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[Finding]:
    """The labels with a meaning must agree with their resource; their syntax is the schema's."""
    labels, at = envelope.labels, envelope.labels_pointer
    if not envelope.kubernetes and labels.get(MESH, envelope.mesh) != envelope.mesh:
        yield Finding(
            join(at, MESH),
            BAD_LABEL,
            f"{MESH} differs from the resource's mesh",
            f"take the label out: it is {envelope.mesh}",
        )
    if labels.get(ORIGIN, "zone") not in ("zone", "global"):
        yield Finding(join(at, ORIGIN), BAD_LABEL, f"{ORIGIN} must be zone or global")
    if envelope.type in ("Dataplane", "DataplaneSet"):
        refused = envelope.type == "Dataplane" and not envelope.kubernetes
        yield from _check_workload(labels, at, None if refused else Severity.WARNING)
    yield from _check_zone(envelope, content)
    for index, instance in enumerate(content.get("instances", ()) if envelope.type == "DataplaneSet" else ()):
        place = join(envelope.prefix, "instances", index, "labels")
        yield from _check_workload(instance.get("labels", {}), place, Severity.WARNING)
    if envelope.type not in SPECS:
        yield from _check_role(envelope, content)


def _check_zone(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[Finding]:
    """The label counts; where there is none, a tag that all inbounds agree on."""
    tagged = [(join(at, ZONE), tags[ZONE]) for at, tags in _tag_sets(envelope, content) if tags.get(ZONE)]
    label = envelope.labels.get(ZONE) or (tagged[0][1] if tagged else "")
    for at, zone in tagged:
        if zone != label:
            message = f"the proxy stands in zone {label!r}" if ZONE in envelope.labels else "the proxy has two zones"
            yield Finding(at, BAD_LABEL, message, f"the label {ZONE} says it", severity=Severity.WARNING)


def _check_workload(labels: Mapping[str, str], pointer: str, severity: Severity | None) -> Iterator[Finding]:
    """A service is made of it, which goes by that name (kuma-core §2.5)."""
    name = labels.get(WORKLOAD)
    if name and not _SERVICE_NAME.fullmatch(name):
        message = f"{WORKLOAD} should be a letter followed by letters, digits and -, 63 characters at most"
        hint = "in lower case: a service goes by this name"
        yield Finding(join(pointer, WORKLOAD), BAD_LABEL, message, hint, severity=severity)


def _check_role(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[Finding]:
    given, at = envelope.labels.get(ROLE), join(envelope.labels_pointer, ROLE)
    if not envelope.kubernetes and given is not None:
        if given not in ROLES:
            yield Finding(at, BAD_LABEL, f"{ROLE} must be one of {', '.join(ROLES)}", did_you_mean(given, ROLES))
        elif given != "system" and NAMESPACE not in envelope.labels:
            message = f"a Universal policy's role is system, not {given}"
            yield Finding(at, BAD_LABEL, message, "take the label out", severity=Severity.WARNING)
    if _has_role(envelope) and content.get("to") and content.get("from"):
        message = "a policy of a namespace is about calls from its workloads or about calls to them, not about both"
        yield Finding(join(envelope.prefix, "from"), EXCLUSIVE_FIELDS, message, "make two policies of it", on_key=True)
    if _is_mixed(envelope, content):
        message = "some entries of to are services of this namespace and some are not"
        yield Finding(
            join(envelope.prefix, "to"), BAD_LABEL, message, "split the policy: a producer's and a consumer's"
        )


def _role(envelope: Envelope, content: Mapping[str, Any]) -> str:
    """kuma-core §4.4, the 2.14 form; a Universal document may carry the role that it was synced with."""
    if not envelope.kubernetes:
        given = envelope.labels.get(ROLE, "system")
        return given if given in ROLES else "system"
    if envelope.is_of_system:
        return "system"
    produced = _produced(envelope, content)
    if not produced:
        return "workload-owner"
    return "producer" if all(produced) else "consumer"


def _is_mixed(envelope: Envelope, content: Mapping[str, Any]) -> bool:
    produced = _produced(envelope, content) if _has_role(envelope) else ()
    return any(produced) and not all(produced)


def _has_role(envelope: Envelope) -> bool:
    """Whether its namespace gives it one other than the system's."""
    return envelope.kubernetes and not envelope.is_of_system


def _produced(envelope: Envelope, content: Mapping[str, Any]) -> Sequence[bool]:
    """For each entry of `to`, whether it names a service or route of the policy's own namespace."""
    targets = [item.get("targetRef", {}) for item in content.get("to") or ()]
    return [
        target.get("kind") in _PRODUCED
        and bool(target.get("name"))
        and target.get("namespace", envelope.namespace) == envelope.namespace
        for target in targets
    ]
