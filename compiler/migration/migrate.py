"""A repository as it would be written today: which files change, what stays as it is and why, and what differs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from compiler.diagnostics import Diagnostic, Position
from compiler.formatting.canonical import Formatter
from compiler.migration.meeting import list_met
from compiler.migration.names import list_renamed
from compiler.migration.newer import Renewal, renew
from compiler.migration.passages import Passages, cut
from compiler.migration.surroundings import Known, Said, survey
from compiler.migration.writing import write_yaml
from compiler.resources.checks import check_content
from compiler.resources.envelope import normalise, read_envelope, type_of
from compiler.resources.findings import Finding
from compiler.resources.later import LEGACY_TYPES
from compiler.resources.legacy.convert import convert, write_documents
from compiler.resources.schema import Schemas
from compiler.resources.settings import Settings
from compiler.source.document import Document
from compiler.source.parse import parse_source
from compiler.source.tree import SETTINGS_FILE, SourceFile, SourceTree, blob_id


@dataclass(frozen=True, slots=True)
class Remark:
    """Something of a document that a person must know, at its place."""

    position: Position
    message: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file whose text is another one now; `documents` of it were written anew."""

    path: str
    before: str
    after: str
    documents: int


@dataclass(frozen=True, slots=True)
class Migration:
    """`kept` are documents, or parts of them, that stay in the older dialect; `differing` mean something else now."""

    changes: tuple[FileChange, ...] = ()
    kept: tuple[Remark, ...] = ()
    differing: tuple[Remark, ...] = ()
    unread: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """A document of the mesh that its schema accepts; `said` is None of any other."""

    document: Document
    said: Said | None
    refused: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Draft:
    """A document of a newer policy that a document of the repository is or becomes; `locate` leads back to it."""

    value: Mapping[str, Any]
    said: Said
    locate: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Drafted:
    """What a document is in newer words, before they are renewed; `converted` tells whether these are others."""

    read: _Read
    drafts: tuple[_Draft, ...] = ()
    converted: bool = False
    kept: tuple[Remark, ...] = ()
    differing: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rewritten:
    """What takes a document's place; None where it stays."""

    read: _Read
    documents: tuple[Mapping[str, Any], ...] | None = None
    kept: tuple[Remark, ...] = ()


def migrate(tree: SourceTree, settings: Settings, schemas: Schemas) -> Migration:
    """Of every file that the repository's settings cover."""
    parsed = {
        file.path: (file, parse_source(tree, file).under(file.path, file.blob))
        for file in tree.files
        if file.path != SETTINGS_FILE and settings.covers(file.path)
    }
    read = [found for _, one in parsed.values() for each in one.value if (found := _read(each, schemas)) is not None]
    known = survey([one.said for one in read if one.said is not None])
    drafted = [_draft(one, known) for one in read]
    known = survey([draft.said for one in drafted for draft in one.drafts])
    rewritten = [_rewrite(one, known) for one in drafted]
    formatter = Formatter(schemas.known)
    placed = [
        _place(parsed[path][0], tree, list(each), formatter)
        for path, each in groupby(rewritten, lambda one: one.read.document.file)
    ]
    migration = Migration(
        tuple(change for change, _ in placed if change is not None),
        tuple(remark for _, kept in placed for remark in kept),
        tuple(remark for one in drafted for remark in one.differing),
        tuple(finding for _, one in parsed.values() for finding in one.diagnostics if one.failed),
    )
    return _with_names(migration, tree, schemas) if any(map(_gives_names, drafted)) else migration


def _gives_names(one: _Drafted) -> bool:
    return one.converted and any(draft.said.envelope.type == "HostnameGenerator" for draft in one.drafts)


def _with_names(migration: Migration, tree: SourceTree, schemas: Schemas) -> Migration:
    """What becomes of names only the whole repository tells, read as it is and as it would be."""
    renamed = list_renamed(tree, migrated_tree(tree, migration), schemas)
    remarks = [*migration.differing, *(Remark(position, message) for position, message in renamed)]
    return replace(migration, differing=tuple(sorted(remarks, key=lambda one: one.position)))


def migrated_tree(tree: SourceTree, migration: Migration) -> SourceTree:
    """The repository with the changes, without writing them."""
    written = {change.path: change.after.encode() for change in migration.changes}

    def read(file: SourceFile) -> bytes:
        return written[file.path] if file.path in written else tree.read(file)

    files = tuple(
        replace(file, blob=blob_id(written[file.path]), size=len(written[file.path])) if file.path in written else file
        for file in tree.files
    )
    return SourceTree(files, "", None, read, tree.prefix)


def _read(document: Document, schemas: Schemas) -> _Read | None:
    """None for YAML that is not the mesh's."""
    kind = type_of(document.value, schemas.known)
    if kind is None:
        return None
    normal = normalise(kind, document.value)
    if kind not in schemas.known:
        return _Read(document, None)
    if not schemas.accepts(kind, normal):
        return _Read(document, None, schemas.explain(kind, normal))
    envelope = read_envelope(kind, normal)
    content = envelope.content(normal)
    refused = tuple(found for found in check_content(kind, content, envelope.prefix) if found.refuses)
    return _Read(document, None if refused else Said(envelope, content), refused)


def _draft(read: _Read, known: Known) -> _Drafted:
    """A legacy policy that no newer one can say in full stays, with all that stands in the way."""
    said = read.said
    if said is None:
        return _Drafted(read, kept=_remarks(read, read.refused))
    if said.envelope.type not in LEGACY_TYPES:
        return _Drafted(read, (_Draft(read.document.value, said, _itself),))
    conversion = convert(said.envelope, said.content, known.of(said.envelope.mesh))
    refused = [*(found for found in conversion.findings if found.refuses), *conversion.unwritten]
    if refused:
        return _Drafted(read, (_Draft(read.document.value, said, _itself),), kept=_remarks(read, refused))
    drafts = tuple(
        _Draft(one.value, _said(one.type, one.value, said.title), one.placement.locate)
        for one in write_documents(said.envelope, conversion)
    )
    met = (why for one in drafts for why in list_met(one.said.envelope, one.said.content, known))
    differing = (*_remarks(read, conversion.findings), *(_remark(read, "", why) for why in dict.fromkeys(met)))
    return _Drafted(read, drafts, converted=True, differing=differing)


def _itself(pointer: str) -> str:
    return f"/spec{pointer}"


def _said(kind: str, value: Mapping[str, Any], former: str) -> Said:
    envelope = read_envelope(kind, value)
    return Said(envelope, envelope.content(value), former)


def _remarks(read: _Read, findings: Iterable[Finding]) -> tuple[Remark, ...]:
    """Each at the place that `validate` gives it."""
    return tuple(Remark(read.document.position(one.pointer, key=one.on_key), one.message) for one in findings)


def _rewrite(one: _Drafted, known: Known) -> _Rewritten:
    """Newer words in their newest form."""
    renewals = [
        (draft, renew(draft.said, known)) for draft in one.drafts if draft.said.envelope.type not in LEGACY_TYPES
    ]
    kept = tuple(
        _remark(one.read, _locate(draft, pointer), reason)
        for draft, renewal in renewals
        for pointer, reason in renewal.kept
    )
    documents = tuple(each for draft, renewal in renewals for each in _renewed(draft, renewal))
    changed = one.converted or any(renewal.specs for _, renewal in renewals)
    return _Rewritten(one.read, documents if changed else None, (*one.kept, *kept))


def _locate(draft: _Draft, pointer: str) -> str:
    """What is said of a spec is said in the document that it came from."""
    return draft.locate(pointer.removeprefix("/spec")) if pointer.startswith("/spec") else pointer


def _renewed(draft: _Draft, renewal: Renewal) -> Iterator[Mapping[str, Any]]:
    if not renewal.specs:
        yield draft.value
    for suffix, spec in renewal.specs.items():
        yield _renamed(draft.value, suffix, spec)


def _renamed(value: Mapping[str, Any], suffix: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    renewed = {**value, "spec": spec}
    if suffix and "metadata" in value:
        metadata: Mapping[str, Any] = value["metadata"]
        return {**renewed, "metadata": {**metadata, "name": f"{metadata['name']}{suffix}"}}
    return {**renewed, "name": f"{value['name']}{suffix}"} if suffix else renewed


def _remark(read: _Read, pointer: str, message: str) -> Remark:
    return Remark(read.document.position(pointer), message)


def _place(
    file: SourceFile, tree: SourceTree, documents: Sequence[_Rewritten], formatter: Formatter
) -> tuple[FileChange | None, tuple[Remark, ...]]:
    """The file with its documents replaced, where each can be found in its text."""
    kept = tuple(remark for one in documents for remark in one.kept)
    wanted = [one for one in documents if one.documents is not None]
    if not wanted:
        return None, kept
    text = tree.read(file).decode()
    written = _write_file(file.path, text, wanted, formatter)
    if written is None:
        message = "the documents of this file are written in a way in which one of them cannot be replaced"
        return None, (*kept, *(_remark(one.read, "", message) for one in wanted))
    return FileChange(file.path, text, written, len(wanted)), kept


def _write_file(path: str, text: str, wanted: Sequence[_Rewritten], formatter: Formatter) -> str | None:
    if path.endswith(".json"):
        return _write_json(path, wanted, formatter)
    passages = cut(text)
    if passages is None or not all(_is_found(passages, one) for one in wanted):
        return None
    changes = {one.read.document.index: tuple(_texts(one)) for one in wanted}
    return passages.with_changes(changes, lambda part: _canonical(path, part, formatter))


def _write_json(path: str, wanted: Sequence[_Rewritten], formatter: Formatter) -> str | None:
    """A JSON file has one document."""
    documents = [each for one in wanted for each in one.documents or ()]
    return _canonical(path, json.dumps(documents[0], ensure_ascii=False), formatter) if len(documents) == 1 else None


def _canonical(path: str, text: str, formatter: Formatter) -> str:
    """As it is where `fmt` would leave it alone."""
    formatted = formatter.format(path, text.encode()).value
    return text if formatted is None else formatted.text


def _is_found(passages: Passages, one: _Rewritten) -> bool:
    return passages.holds(one.read.document.index, one.read.document.value)


def _texts(one: _Rewritten) -> Iterator[str]:
    return (write_yaml(each) for each in one.documents or ())
