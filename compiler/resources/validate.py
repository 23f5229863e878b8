"""Documents that somebody has at hand to resources, with every mistake found."""

from collections.abc import Sequence
from itertools import groupby

from compiler.diagnostics import Checked
from compiler.resources.judge import judge
from compiler.resources.model import Resource
from compiler.resources.page import make_page, place_findings
from compiler.resources.reading import Pages
from compiler.resources.resource_set import ResourceSet
from compiler.resources.schema import Schemas
from compiler.source.document import Document
from compiler.source.tree import SETTINGS_FILE


def validate(documents: Sequence[Document], schemas: Schemas) -> Checked[ResourceSet]:
    """Every resource whose document its schema accepts; one with other mistakes is there too, beside its findings."""
    ordered = sorted(documents, key=lambda document: (document.file, document.blob, document.index))
    pages = [
        make_page(path, blob, [(document, judge(document.value, schemas)) for document in found])
        for (path, blob), found in groupby(ordered, lambda document: (document.file, document.blob))
        if path != SETTINGS_FILE
    ]
    all_pages = Pages()
    all_pages.update((), pages)
    return all_pages.collect()


def validate_document(document: Document, schemas: Schemas) -> Checked[tuple[Resource, ...] | None]:
    """One document by itself; None for YAML that is not the mesh's."""
    verdict = judge(document.value, schemas)
    resources = None if verdict.is_foreign else tuple(resource for resource, _ in verdict.resources)
    return Checked(resources, tuple(place_findings(document, verdict)))
