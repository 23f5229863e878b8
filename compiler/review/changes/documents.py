"""The documents that differ between two versions, each with the line at which it begins to."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import msgspec

from compiler.diagnostics import Position, Subject
from compiler.resources.model import Resource, ResourceKey
from compiler.resources.resource_set import Source
from compiler.review.fields import compare_json
from compiler.review.plan import Cause, Kind
from compiler.review.versions import Version
from compiler.source.parse import parse_source
from compiler.source.tree import SourceTree

__all__ = ["Document", "Place", "find_documents"]

_SET: Final = "DataplaneSet"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The index-th document (from 0, empty ones counted) of a file."""

    file: str
    index: int


@dataclass(frozen=True)
class Document:
    """A document that differs, with where it stood and stands; `keys` are the resources of it that do."""

    cause: Cause
    keys: frozenset[ResourceKey]
    before: Place | None
    after: Place | None

    @property
    def types(self) -> frozenset[str]:
        return frozenset(key.type for key in self.keys)


@dataclass(frozen=True)
class _Difference:
    """A resource that differs, on each side where it is."""

    key: ResourceKey
    before: Resource | None
    after: Resource | None

    @property
    def kind(self) -> Kind:
        if self.before is None:
            return Kind.ADDED
        return Kind.REMOVED if self.after is None else Kind.CHANGED


def find_documents(base: Version, head: Version) -> tuple[Document, ...]:
    """Sorted by file and line. A document that says the same in other words, or elsewhere, does not differ."""
    names = _Names(base, head)
    by_subject: dict[Subject, list[_Difference]] = {}
    for one in _differing(base.resources.resources, head.resources.resources):
        by_subject.setdefault(names.subject(one), []).append(one)
    found = [_document(base, head, names, subject, some) for subject, some in by_subject.items()]
    return tuple(sorted(found, key=lambda one: (one.cause.file, one.cause.line, one.cause.subject.name)))


def _differing(before: Mapping[ResourceKey, Resource], after: Mapping[ResourceKey, Resource]) -> Iterator[_Difference]:
    """Equal where no proxy could tell the difference; what nobody touched is the very same object."""
    for key, resource in after.items():
        was = before.get(key)
        if was is not resource and was != resource:
            yield _Difference(key, was, resource)
    for key in before.keys() - after.keys():
        yield _Difference(key, before[key], None)


def _document(
    base: Version, head: Version, names: "_Names", subject: Subject, differences: list[_Difference]
) -> Document:
    before, after = (names.find(version, subject, differences) for version in (base, head))
    kind = Kind.CHANGED if before and after else Kind.ADDED if after else Kind.REMOVED
    side, place = min((_place(base, head, one) for one in differences), key=lambda found: (found[0] == "base", found))
    cause = Cause(kind, subject, place.file, place.line, side=side)
    return Document(cause, frozenset(one.key for one in differences), before, after)


def _place(base: Version, head: Version, difference: _Difference) -> tuple[str, Position]:
    """The side, and where a resource begins to differ in it."""
    if difference.after is None:
        return "base", base.resources.position(difference.key)
    source = head.resources.sources[difference.key]
    if difference.before is None:
        return "head", source.position()
    return "head", min(_places(source, difference.before, difference.after), default=source.position())


def _places(source: Source, before: Resource, after: Resource) -> Iterator[Position]:
    """Of every field of the spec that differs; of the labels where these do."""
    for edit in compare_json(_plain_spec(before), _plain_spec(after)):
        yield source.position(edit.change.path)
    if before.labels != after.labels:
        yield source.position() if source.placement.elsewhere else source.passage.position(source.placement.labels)


def _plain_spec(resource: Resource) -> Any:
    return msgspec.json.decode(msgspec.json.encode(resource.spec, enc_hook=str))


class _Names:
    """What a document is called: a DataplaneSet with instances became Dataplanes, so its own name is read again."""

    def __init__(self, base: Version, head: Version) -> None:
        self._base, self._head = base, head
        self._read: dict[tuple[bool, str], Mapping[int, str]] = {}

    def subject(self, difference: _Difference) -> Subject:
        key = difference.key
        version = self._base if difference.after is None else self._head
        source = version.resources.sources[key]
        if not source.placement.elsewhere:
            return Subject(key.type, key.mesh, key.name)
        names = self._in_file(version, source.passage.file)
        return Subject(_SET, key.mesh, names.get(source.passage.index, key.name))

    def find(self, version: Version, subject: Subject, differences: Sequence[_Difference]) -> Place | None:
        """Where a document is in a version; a set that only gained or lost instances in the file of the other one."""
        sources = version.resources.sources
        passages = [sources[one.key].passage for one in differences if one.key in sources]
        if passages:
            return Place(passages[0].file, passages[0].index)
        if subject.type != _SET:
            return None
        other = self._base if version is self._head else self._head
        file = other.resources.sources[differences[0].key].passage.file
        found = self._in_file(version, file).items()
        return next((Place(file, index) for index, name in found if name == subject.name), None)

    def _in_file(self, version: Version, file: str) -> Mapping[int, str]:
        """The names of a file's sets, by the index of their document; none where the settings leave the file out."""
        known = version is self._head, file
        if known not in self._read:
            self._read[known] = dict(_sets_in(version.tree, file)) if version.settings.covers(file) else {}
        return self._read[known]


def _sets_in(tree: SourceTree, path: str) -> Iterator[tuple[int, str]]:
    place = bisect_left(tree.files, path, key=attrgetter("path"))
    for file in tree.files[place : place + 1]:
        if file.path == path:
            for index, value in parse_source(tree, file).documents:
                metadata = value.get("metadata")
                name = metadata.get("name") if isinstance(metadata, dict) else value.get("name")
                if _SET in (value.get("type"), value.get("kind")):
                    yield index, str(name)
