"""The labels that Kuma computes for a resource (kuma-core §1.4), and what it asks of those that are given."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.resources.envelope import GLOBAL_TYPES, SYSTEM_NAMESPACE, Envelope
from compiler.resources.findings import BAD_LABEL, Finding, join
from compiler.resources.model import DISPLAY_NAME, ENVIRONMENT, MESH, NAMESPACE, ORIGIN, ROLE, SPECS
from compiler.resources.suggest import did_you_mean

ROLES: Final = ("system", "producer", "consumer", "workload-owner")
_PRODUCED: Final = frozenset({"MeshService", "MeshHTTPRoute"})


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
    return dict(sorted(computed.items()))


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
    if envelope.type not in SPECS:
        yield from _check_role(envelope, content)


def _check_role(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[Finding]:
    given, at = envelope.labels.get(ROLE), join(envelope.labels_pointer, ROLE)
    if not envelope.kubernetes and given is not None:
        if given not in ROLES:
            yield Finding(at, BAD_LABEL, f"{ROLE} must be one of {', '.join(ROLES)}", did_you_mean(given, ROLES))
        elif given != "system" and NAMESPACE not in envelope.labels:
            message = f"a Universal policy's role is system, not {given}"
            yield Finding(at, BAD_LABEL, message, "take the label out", severity=Severity.WARNING)
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
    if envelope.namespace == SYSTEM_NAMESPACE:
        return "system"
    produced = _produced(envelope, content)
    if not produced:
        return "workload-owner"
    return "producer" if all(produced) else "consumer"


def _is_mixed(envelope: Envelope, content: Mapping[str, Any]) -> bool:
    if not envelope.kubernetes or envelope.namespace == SYSTEM_NAMESPACE:
        return False
    produced = _produced(envelope, content)
    return any(produced) and not all(produced)


def _produced(envelope: Envelope, content: Mapping[str, Any]) -> Sequence[bool]:
    """For each entry of `to`, whether it names a service or route of the policy's own namespace."""
    targets = [item.get("targetRef", {}) for item in content.get("to") or ()]
    return [
        target.get("kind") in _PRODUCED
        and bool(target.get("name"))
        and target.get("namespace", envelope.namespace) == envelope.namespace
        for target in targets
    ]
