"""Documents to resources: every mistake found, each document judged once for as long as its blob is the same."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from compiler.diagnostics import Checked, Diagnostic, Severity, Subject, sort_diagnostics
from compiler.resources.check_dataplane import check_address, check_networking
from compiler.resources.check_mesh import check_dataplane_set, check_mesh, check_mesh_service
from compiler.resources.check_policy import check_policy
from compiler.resources.envelope import Envelope, normalise, read_envelope, type_of
from compiler.resources.expand import expand_instances
from compiler.resources.findings import (
    BAD_NAME,
    DUPLICATE_RESOURCE,
    UNKNOWN_MESH,
    UNKNOWN_TYPE,
    UNKNOWN_ZONE,
    Finding,
    join,
)
from compiler.resources.labels import check_labels, compute_labels
from compiler.resources.later import KUMA_TYPES, LEGACY_TYPES, later_field, later_type
from compiler.resources.model import SPECS, ZONE, DataplaneSet, Policy, Resource, ResourceKey
from compiler.resources.resource_set import Counts, Placement, ResourceSet, Source
from compiler.resources.schema import Schemas
from compiler.resources.suggest import did_you_mean, one_of
from compiler.resources.values import decode
from compiler.source.document import Document
from compiler.source.tree import SETTINGS_FILE

_LABEL_NAMES: Final = frozenset({"Mesh", "Zone", "MeshService"})
_LABEL: Final = re.compile("[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_LENGTH: Final = 63


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that a document means by itself, wherever its file is; `envelope` is None where it is not the mesh's."""

    envelope: Envelope | None = None
    resources: tuple[tuple[Resource, Placement], ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass
class VerdictCache:
    """Verdicts by blob and index, for one set of schemas."""

    verdicts: dict[tuple[str, int], Verdict] = field(default_factory=dict)

    def keep_only(self, documents: Iterable[Document]) -> None:
        """Forget the blobs that no document has any more."""
        wanted = {(document.blob, document.index) for document in documents}
        self.verdicts = {key: verdict for key, verdict in self.verdicts.items() if key in wanted}


def validate(
    documents: Sequence[Document], schemas: Schemas, cache: VerdictCache | None = None
) -> Checked[ResourceSet]:
    """Every resource whose document its schema accepts; one with other mistakes is there too, beside its findings."""
    kept = cache or VerdictCache()
    judged = [
        (document, _judge_once(document, schemas, kept)) for document in documents if document.file != SETTINGS_FILE
    ]
    diagnostics = [found for document, verdict in judged for found in _place(document, verdict)]
    placed = [
        (resource, Source(document, placement))
        for document, verdict in judged
        for resource, placement in verdict.resources
    ]
    diagnostics += _duplicates(placed)
    diagnostics += _unknown_meshes(judged)
    diagnostics += _unknown_zones(placed, judged)
    return Checked(_collect(placed, judged), sort_diagnostics(diagnostics))


def validate_document(document: Document, schemas: Schemas) -> Checked[tuple[Resource, ...] | None]:
    """One document by itself; None for YAML that is not the mesh's."""
    verdict = judge(document.value, schemas)
    resources = None if _is_foreign(verdict) else tuple(resource for resource, _ in verdict.resources)
    return Checked(resources, tuple(_place(document, verdict)))


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


def _collect(placed: Sequence[tuple[Resource, Source]], judged: Sequence[tuple[Document, Verdict]]) -> ResourceSet:
    """By key; of two documents for one resource the first counts."""
    first: dict[ResourceKey, tuple[Resource, Source]] = {}
    for resource, source in placed:
        first.setdefault(resource.key, (resource, source))
    ordered = sorted(first.items(), key=itemgetter(0))
    counts = Counts(
        files=len({document.file for document, _ in judged}),
        documents=len(judged),
        resources=len(ordered),
        ignored=sum(_is_foreign(verdict) for _, verdict in judged),
    )
    return ResourceSet(
        {key: resource for key, (resource, _) in ordered}, {key: source for key, (_, source) in ordered}, counts
    )


def _judge_once(document: Document, schemas: Schemas, cache: VerdictCache) -> Verdict:
    key = document.blob, document.index
    if key not in cache.verdicts:
        cache.verdicts[key] = judge(document.value, schemas)
    return cache.verdicts[key]


def _is_foreign(verdict: Verdict) -> bool:
    return verdict.envelope is None and not verdict.findings


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
    yield Resource(envelope.key, compute_labels(envelope, content), spec), Placement(envelope.prefix)
    if isinstance(spec, DataplaneSet):
        yield from expand_instances(envelope, spec)


def _place(document: Document, verdict: Verdict) -> Iterator[Diagnostic]:
    envelope = verdict.envelope
    subject = Subject(envelope.type, envelope.mesh, envelope.key.name) if envelope else None
    for found in verdict.findings:
        yield _diagnose(document, found, subject)


def _diagnose(document: Document, found: Finding, subject: Subject | None) -> Diagnostic:
    position = document.position(found.pointer, key=found.on_key)
    return Diagnostic(position, found.code, found.message, found.hint, subject, found.pointer, found.severity)


def _duplicates(placed: Sequence[tuple[Resource, Source]]) -> Iterator[Diagnostic]:
    """At the later of the two, naming the place of the first."""
    first: dict[ResourceKey, Source] = {}
    for resource, source in placed:
        earlier = first.setdefault(resource.key, source)
        if earlier is not source:
            key = resource.key
            message = f"{key.type} {key.name} is already defined at {earlier.position()}"
            yield Diagnostic(
                source.position(),
                DUPLICATE_RESOURCE,
                message,
                "keep one of the two",
                Subject(key.type, key.mesh, key.name),
                source.path(),
            )


def _unknown_meshes(judged: Sequence[tuple[Document, Verdict]]) -> Iterator[Diagnostic]:
    """A Mesh with mistakes counts as there, so that its mistake is not told once for each resource in it.

    Where there is no Mesh at all, a part of a repository is being looked at: a warning then.
    """
    envelopes = [(document, verdict.envelope) for document, verdict in judged if verdict.envelope]
    meshes = {envelope.name for _, envelope in envelopes if envelope.type == "Mesh"}
    for document, envelope in envelopes:
        if envelope.mesh and envelope.mesh not in meshes:
            hint = did_you_mean(envelope.mesh, meshes) or f"add a document of type Mesh with name: {envelope.mesh}"
            message, severity = f"there is no Mesh {envelope.mesh}", None if meshes else Severity.WARNING
            found = Finding(envelope.mesh_pointer, UNKNOWN_MESH, message, hint, severity=severity)
            yield _diagnose(document, found, Subject(envelope.type, envelope.mesh, envelope.key.name))


def _unknown_zones(
    placed: Sequence[tuple[Resource, Source]], judged: Sequence[tuple[Document, Verdict]]
) -> Iterator[Diagnostic]:
    """Only in a repository that has Zones at all."""
    zones = {verdict.envelope.name for _, verdict in judged if verdict.envelope and verdict.envelope.type == "Zone"}
    for resource, source in placed:
        zone = resource.zone
        if zones and zone and zone not in zones:
            pointer = _zone_pointer(source)
            hint = did_you_mean(zone, zones) or f"add a document of type Zone with name: {zone}"
            subject = Subject(resource.key.type, resource.key.mesh, resource.key.name)
            yield _diagnose(source.document, Finding(pointer, UNKNOWN_ZONE, f"there is no Zone {zone}", hint), subject)


def _zone_pointer(source: Source) -> str:
    if source.placement.elsewhere:
        return join(source.path(), "zone")
    return join("/metadata/labels" if "apiVersion" in source.document.value else "/labels", ZONE)
