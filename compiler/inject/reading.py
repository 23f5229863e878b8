"""Manifest files to documents: foreign files are told from broken manifests, and templates from both."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from compiler.diagnostics import Code, Diagnostic, Position, Severity
from compiler.inject.manifests import is_kubernetes
from compiler.inject.patches import is_patch
from compiler.resources.findings import Finding
from compiler.source.document import Document
from compiler.source.parse import Limits, parse_blob
from compiler.source.scalars import BAD_SCALAR, NOT_FINITE, NUMBER_OUT_OF_RANGE
from compiler.source.text import HIDDEN_CHARACTER, MIXED_SCRIPT, NOT_NFC

HELM_TEMPLATE: Final = Code(
    "helm-template",
    Severity.ERROR,
    "a file is a template of manifests, not manifests",
    "What stands between `{{` and `}}` is filled in by Helm, or another tool, and only then is it known which pods "
    "there are. Inject what it makes: `helm template … | meshwright inject -`, or as its post-renderer.",
)
LIMITS: Final = Limits(max_bytes=8 * 1024 * 1024, max_nodes=1_000_000, max_findings=10_000)
"""Bundles of CRDs are large, and stand among manifests."""

_ABOUT_TEXT: Final = frozenset({HIDDEN_CHARACTER, MIXED_SCRIPT, NOT_NFC, BAD_SCALAR, NOT_FINITE, NUMBER_OUT_OF_RANGE})
"""What mesh documents are held to, and a ConfigMap's texts are not."""
_MANIFEST: Final = re.compile(rb"^(?:\xff\xfe|\xfe\xff)?[-\s]*[\"']?apiVersion[\"']?\s*:", re.MULTILINE)
_TEMPLATE: Final = re.compile(rb"\{\{")


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file as it was read; `path` is what findings call it."""

    path: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """A file's documents; those of a file that holds no manifests do not count."""

    file: ManifestFile
    documents: tuple[Document, ...]
    findings: tuple[Diagnostic, ...]
    is_manifest: bool


def read_page(file: ManifestFile) -> Page:
    """A file that cannot be read and does not look like manifests, in UTF-16 neither, is somebody else's."""
    parsed = parse_blob(file.content, LIMITS).under(file.path, "")
    findings = tuple(each for each in parsed.diagnostics if each.code not in _ABOUT_TEXT)
    documents = parsed.value
    is_manifest = any(is_kubernetes(each.value) or is_patch(each.value) for each in documents)
    if not findings:
        return Page(file, documents if is_manifest else (), (), is_manifest)
    if not is_manifest and not _MANIFEST.search(file.content[: LIMITS.max_bytes].replace(b"\0", b"")):
        return Page(file, (), (), is_manifest=False)
    if place := _TEMPLATE.search(file.content):
        findings = (_helm(file, place.start()),)
    return Page(file, documents, findings, is_manifest=True)


def _helm(file: ManifestFile, place: int) -> Diagnostic:
    line = file.content.count(b"\n", 0, place) + 1
    column = place - file.content.rfind(b"\n", 0, place)
    return Diagnostic(
        Position(file.path, line, column),
        HELM_TEMPLATE,
        "the file is a template, so nobody knows yet what it says",
        "render it first: helm template … | meshwright inject -",
    )


def diagnose(document: Document, findings: Iterable[Finding]) -> list[Diagnostic]:
    """Each at its place in the file."""
    return [
        Diagnostic(
            document.position(found.pointer, key=found.on_key),
            found.code,
            found.message,
            found.hint,
            None,
            found.pointer,
            found.severity,
        )
        for found in findings
    ]
