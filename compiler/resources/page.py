"""One file of a tree as it was read: what each of its documents means by itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic, Subject
from compiler.resources.envelope import Envelope
from compiler.resources.findings import Finding
from compiler.resources.judge import Verdict
from compiler.resources.model import Resource
from compiler.resources.resource_set import Source
from compiler.source.document import Passage

Definition = tuple[Resource, Source]
"""A resource, and one place that defines it."""


@dataclass(frozen=True, slots=True)
class Page:
    """A file's documents and the resources that they define, both in order; `found` is wrong inside the file."""

    path: str
    blob: str
    documents: tuple[tuple[Passage, Verdict], ...]
    definitions: tuple[Definition, ...]
    found: tuple[Diagnostic, ...]

    @property
    def envelopes(self) -> Iterator[tuple[Passage, Envelope]]:
        """Of the documents that are about something of the mesh's."""
        return ((passage, verdict.envelope) for passage, verdict in self.documents if verdict.envelope)

    @property
    def ignored(self) -> int:
        """How many documents are not the mesh's."""
        return sum(verdict.is_foreign for _, verdict in self.documents)


def make_page(
    path: str, blob: str, documents: Iterable[tuple[Passage, Verdict]], findings: Iterable[Diagnostic] = ()
) -> Page:
    """A page from verdicts that may be another file's too, and what its reading found."""
    judged = tuple(documents)
    definitions = tuple(
        (resource, Source(passage, placement, number))
        for passage, verdict in judged
        for number, (resource, placement) in enumerate(verdict.resources)
    )
    found = (finding for passage, verdict in judged for finding in place_findings(passage, verdict))
    return Page(path, blob, judged, definitions, (*findings, *found))


def place_findings(passage: Passage, verdict: Verdict) -> Iterator[Diagnostic]:
    """What is wrong with a document, where it stands."""
    subject = name_subject(verdict.envelope) if verdict.envelope else None
    return (diagnose(passage, finding, subject) for finding in verdict.findings)


def diagnose(passage: Passage, found: Finding, subject: Subject | None) -> Diagnostic:
    """A finding at its place in a file."""
    position = passage.position(found.pointer, key=found.on_key)
    path = passage.spell(found.pointer)
    return Diagnostic(position, found.code, found.message, found.hint, subject, path, found.severity)


def name_subject(envelope: Envelope) -> Subject:
    """How a diagnostic names what a document is about."""
    return Subject(envelope.type, envelope.mesh, envelope.key.name)
