"""The newer policies that a legacy document stands for, as resources at the places where they are said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from compiler.resources.envelope import Envelope, read_envelope
from compiler.resources.findings import Finding
from compiler.resources.labels import compute_labels
from compiler.resources.legacy.convert import convert, write_documents
from compiler.resources.model import Layer, Policy, Resource
from compiler.resources.resource_set import Placement
from compiler.resources.values import decode


@dataclass(frozen=True, slots=True)
class Converted:
    """What takes part in compiling, and what the newer policies cannot say."""

    resources: tuple[tuple[Resource, Placement], ...] = ()
    findings: tuple[Finding, ...] = ()


def convert_document(envelope: Envelope, content: Mapping[str, Any]) -> Converted:
    """Of a document that its schema and its checks accepted."""
    conversion = convert(envelope, content)
    written = write_documents(envelope, conversion)
    return Converted(tuple(_read(one.value, one.placement) for one in written), conversion.findings)


def _read(value: Mapping[str, Any], placement: Placement) -> tuple[Resource, Placement]:
    """As if the document stood in the repository itself, but for its layer."""
    envelope = read_envelope(value["kind"] if "apiVersion" in value else value["type"], value)
    content = envelope.content(value)
    spec = replace(decode(Policy, content), layer=Layer.LEGACY)
    return Resource(envelope.key, compute_labels(envelope, content), spec), placement
