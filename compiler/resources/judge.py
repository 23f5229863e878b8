"""What one document means by itself, and all that is wrong with it, whatever file it is in."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.resources.backends import declared_policies
from compiler.resources.checks import check_content
from compiler.resources.envelope import (
    SYSTEM_NAMESPACE,
    Envelope,
    normalise,
    read_envelope,
    secrets_of,
    type_of,
)
from compiler.resources.expand import expand_instances
from compiler.resources.findings import BAD_NAME, BAD_VALUE, SECRET_IN_GIT, UNKNOWN_TYPE, Finding, join
from compiler.resources.labels import check_labels, compute_labels
from compiler.resources.later import GONE_TYPES, LEGACY_TYPES, check_later
from compiler.resources.legacy.resources import Converted, convert_document
from compiler.resources.model import SPECS, ZONE, DataplaneSet, Mesh, Policy, Resource
from compiler.resources.remaining import find_remaining
from compiler.resources.resource_set import Placement
from compiler.resources.schema import Schemas
from compiler.resources.stray import find_stray
from compiler.resources.suggest import did_you_mean, one_of
from compiler.resources.values import decode
from compiler.resources.zone_tags import tag_proxy

_CONVERTED: Final = LEGACY_TYPES - SPECS.keys()
"""Types that are compiled as newer policies."""
_LABEL_NAMES: Final = frozenset({"Mesh", "Zone", "MeshService", "MeshExternalService", "MeshMultiZoneService"})
_LABEL: Final = re.compile("[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_LENGTH: Final = 63
_SYSTEM_TYPES: Final = frozenset(
    {"HostnameGenerator", "MeshExternalService", "MeshIdentity", "MeshOpenTelemetryBackend", "MeshTrust"}
)
_ENCRYPTED: Final = re.compile(r"ENC\[[^\]]+\]")
_KEEP_NAME: Final = "keep {type: Secret, mesh: …, name: …} alone; give the content to the server (serve --secrets)"
_LONG_NAMES: Final = frozenset({"MeshMultiZoneService"})
"""Kuma 2.14 warns of their length too."""


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

    def __reduce__(self) -> tuple[object, ...]:
        """What a set's instances are is worked out again by who receives it: that costs less than sending them."""
        if self.envelope is not None and self.envelope.type in _CONVERTED:
            return Verdict, (self.envelope, self.resources, self.findings)
        return _expand, (self.envelope, self.resources[:1], self.findings)


def _expand(
    envelope: Envelope | None, written: tuple[tuple[Resource, Placement], ...], findings: tuple[Finding, ...]
) -> Verdict:
    """With all that the one resource which was written stands for."""
    return Verdict(envelope, tuple(_with_instances(envelope, *written[0])) if envelope and written else (), findings)


def judge(value: Mapping[str, Any], schemas: Schemas) -> Verdict:
    """What a document means, whatever file it is in."""
    kind = type_of(value, schemas.known)
    if kind is None:
        return Verdict(None, (), (*_leaks(value), *find_stray(value, schemas.known)))
    if kind not in schemas.known:
        return Verdict(None, (), tuple(_unknown_type(kind, value, schemas)))
    normal = normalise(kind, value)
    envelope = read_envelope(kind, normal)
    accepted = schemas.accepts(kind, normal)
    content = envelope.content(normal) if accepted else {}
    findings = tuple(_check(envelope, content)) if accepted else _refusals(kind, normal, schemas)
    if kind in _CONVERTED:
        right = accepted and not any(finding.refuses for finding in findings)
        converted = convert_document(envelope, content) if right else Converted()
        return Verdict(envelope, converted.resources, (*findings, *converted.findings))
    return Verdict(envelope, tuple(_resources(envelope, content)) if accepted else (), findings)


def _refusals(kind: str, value: Mapping[str, Any], schemas: Schemas) -> tuple[Finding, ...]:
    """By the schema, and by what is beyond it as far as that can be said."""
    found = schemas.explain(kind, value)
    return *found, *find_remaining(kind, value, found, schemas, _check_whole(kind))


def _check_whole(kind: str) -> Callable[[Mapping[str, Any]], Iterator[Finding]]:
    def check(value: Mapping[str, Any]) -> Iterator[Finding]:
        envelope = read_envelope(kind, value)
        return _check(envelope, envelope.content(value))

    return check


def _leaks(value: Mapping[str, Any]) -> Iterator[Finding]:
    """Kubernetes' Secrets are not the mesh's documents, but what these hold is; a text that SOPS made hides it."""
    for pointer, secret in secrets_of(value):
        for field in ("data", "stringData"):
            if _holds_content(secret.get(field)):
                message = "the content of a secret of the mesh does not belong in Git"
                yield Finding(join(pointer, field), SECRET_IN_GIT, message, _KEEP_NAME, on_key=True)


def _holds_content(written: object) -> bool:
    """Whatever is written counts, however wrong it is."""
    if not isinstance(written, dict):
        return bool(written)
    return any(value and not (isinstance(value, str) and _ENCRYPTED.fullmatch(value)) for value in written.values())


def _unknown_type(kind: str, value: Mapping[str, Any], schemas: Schemas) -> Iterator[Finding]:
    pointer = "/kind" if "apiVersion" in value else "/type"
    near = f"write a {GONE_TYPES[kind]} instead" if kind in GONE_TYPES else did_you_mean(kind, schemas.types)
    hint = near or f"the types are {one_of(schemas.types)}"
    yield Finding(pointer, UNKNOWN_TYPE, f"unknown type {kind[:64]!r}" if kind else "the resource has no kind", hint)


def _check(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a document that its schema accepted."""
    yield from _check_name(envelope)
    yield from _check_namespace(envelope)
    yield from check_labels(envelope, content)
    yield from check_content(envelope.type, content, envelope.prefix)
    yield from check_later(envelope.type, content, envelope.prefix)


def _check_name(envelope: Envelope) -> Iterator[Finding]:
    """Kuma 2.14 refuses such a name by its length and warns of its characters; Kuma 3.0 refuses both."""
    if envelope.type not in _LABEL_NAMES or _LABEL.fullmatch(envelope.name):
        return
    if len(envelope.name) > _LABEL_LENGTH:
        message = f"the name of a {envelope.type} has {_LABEL_LENGTH} characters at most, not {len(envelope.name)}"
        severity = Severity.WARNING if envelope.type in _LONG_NAMES else None
        yield Finding(envelope.name_pointer, BAD_NAME, message, severity=severity)
    else:
        message = f"the name of a {envelope.type} should be a letter followed by letters, digits and -"
        yield Finding(envelope.name_pointer, BAD_NAME, message, "Kuma 3.0 refuses it", severity=Severity.WARNING)


def _check_namespace(envelope: Envelope) -> Iterator[Finding]:
    """What is about a whole mesh stands with the control plane (kuma-core §1.6), whose namespace may have any name."""
    if envelope.type in _SYSTEM_TYPES and envelope.is_of_users:
        message = f"a {envelope.type} belongs to the system's namespace: Kuma refuses it in any other"
        hint = f"move it to {SYSTEM_NAMESPACE}"
        yield Finding("/metadata/namespace", BAD_VALUE, message, hint, severity=Severity.WARNING)


def _resources(envelope: Envelope, content: Mapping[str, Any]) -> Iterator[tuple[Resource, Placement]]:
    spec, labels = decode(SPECS.get(envelope.type, Policy), content), compute_labels(envelope, content)
    resource = Resource(envelope.key, labels, tag_proxy(spec, labels.get(ZONE, "")))
    return _with_instances(envelope, resource, Placement(envelope.prefix, labels=envelope.labels_pointer))


def _with_instances(
    envelope: Envelope, resource: Resource, placement: Placement
) -> Iterator[tuple[Resource, Placement]]:
    yield resource, placement
    if isinstance(resource.spec, Mesh):
        yield from declared_policies(envelope, resource.spec)
    if isinstance(resource.spec, DataplaneSet):
        yield from expand_instances(envelope, resource.spec)
