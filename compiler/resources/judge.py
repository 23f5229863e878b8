"""What one document means by itself, and all that is wrong with it, whatever file it is in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.resources.check_dataplane import check_address, check_networking
from compiler.resources.check_mesh import check_dataplane_set, check_mesh, check_mesh_service
from compiler.resources.check_policy import check_policy
from compiler.resources.envelope import Envelope, normalise, read_envelope, type_of
from compiler.resources.expand import expand_instances
from compiler.resources.findings import BAD_NAME, UNKNOWN_TYPE, Finding, join
from compiler.resources.labels import check_labels, compute_labels
from compiler.resources.later import KUMA_TYPES, LEGACY_TYPES, later_field, later_type
from compiler.resources.model import SPECS, DataplaneSet, Policy, Resource
from compiler.resources.resource_set import Placement
from compiler.resources.schema import Schemas
from compiler.resources.suggest import did_you_mean, one_of
from compiler.resources.values import decode

_LABEL_NAMES: Final = frozenset({"Mesh", "Zone", "MeshService"})
_LABEL: Final = re.compile("[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_LENGTH: Final = 63


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that a document means by itself, wherever its file is; `envelope` is None where it is not the mesh's."""

    envelope: Envelope | None = None
    resources: tuple[tuple[Resource, Placement], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_foreign(self) -> bool:
        """YAML that is not the mesh's, and does not look as if it wanted to be."""
        return self.envelope is None and not self.findings


def judge(value: Mapping[str, Any], schemas: Schemas) -> Verdict:
    """What a document means, whatever file it is in."""
    kind = type_of(value, frozenset(schemas.types))
    if kind is None:
        return Verdict()
    if kind not in schemas.types:
        return Verdict(None, (), tuple(_unknown_type(kind, value, schemas)))
    normal = normalise(kind, value)
    envelope = read_envelope(kind, normal)
    if not schemas.accepts(kind, normal):
        return Verdict(envelope, (), schemas.explain(kind, normal))
    content = envelope.content(normal)
    findings = (*_check_name(envelope), *check_labels(envelope, content), *_check_content(envelope, content))
    return Verdict(envelope, tuple(_resources(envelope, content)), findings)


def _unknown_type(kind: str, value: Mapping[str, Any], schemas: Schemas) -> Iterator[Finding]:
    pointer = "/kind" if "apiVersion" in value else "/type"
    if kind in KUMA_TYPES or kind in LEGACY_TYPES:
        yield later_type(kind, pointer)
        if kind == "GlobalSecret":
            yield from (leak for name in value if (leak := later_field("Secret", join("", name))))
        return
    hint = did_you_mean(kind, schemas.types) or f"the types are {one_of(schemas.types)}"
    yield Finding(pointer, UNKNOWN_TYPE, f"unknown type {kind[:64]!r}" if kind else "the resource has no kind", hint)


def _check_name(envelope: Envelope) -> Iterator[Finding]:
    """Kuma 2.14 refuses such a name by its length and warns of its characters; Kuma 3.0 refuses both."""
    if envelope.type not in _LABEL_NAMES or _LABEL.fullmatch(envelope.name):
        return
    if len(envelope.name) > _LABEL_LENGTH:
        message = f"the name of a {envelope.type} has {_LABEL_LENGTH} characters at most, not {len(envelope.name)}"
        yield Finding(envelope.name_pointer, BAD_NAME, message)
    else:
        message = f"the name of a {envelope.type} should be a letter followed by letters, digits and -"
        yield Finding(envelope.name_pointer, BAD_NAME, message, "Kuma 3.0 refuses it", severity=Severity.WARNING)


def _check_content(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[Finding]:
    prefix = envelope.prefix
    match envelope.type:
        case "Mesh":
            yield from check_mesh(content, prefix)
        case "Dataplane":
            yield from check_networking(content["networking"], join(prefix, "networking"))
        case "DataplaneSet":
            yield from check_dataplane_set(content, prefix)
            yield from check_networking(content["template"]["networking"], join(prefix, "template", "networking"))
            for index, instance in enumerate(content.get("instances", ())):
                yield from check_address(instance["address"], join(prefix, "instances", index, "address"))
        case "MeshService":
            yield from check_mesh_service(content, prefix)
        case kind if kind not in SPECS:
            yield from check_policy(kind, content, prefix)
        case _:
            pass


def _resources(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[tuple[Resource, Placement]]:
    spec = decode(SPECS.get(envelope.type, Policy), content)
    yield (
        Resource(envelope.key, compute_labels(envelope, content), spec),
        Placement(envelope.prefix, labels=envelope.labels_pointer),
    )
    if isinstance(spec, DataplaneSet):
        yield from expand_instances(envelope, spec)
