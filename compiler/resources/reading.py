"""Trees to resources, in proportion to the files in which a tree differs from the one before it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from compiler.diagnostics import Checked, Diagnostic, sort_diagnostics
from compiler.resources.definitions import Definitions
from compiler.resources.judge import Verdict, judge
from compiler.resources.legacy.overlaps import Overlaps
from compiler.resources.mentions import Mentions, mentions_of_meshes, mentions_of_zones
from compiler.resources.model import ResourceKey
from compiler.resources.page import Definition, Page, make_page
from compiler.resources.resource_set import Counts, ResourceSet
from compiler.resources.schema import Schemas
from compiler.resources.settings import Settings
from compiler.source.blobs import BlobCache
from compiler.source.document import Passage
from compiler.source.parse import name_file, parse_source
from compiler.source.places import Places
from compiler.source.tree import SETTINGS_FILE, SourceFile, SourceTree, differing_files

MANY: Final = 1000
"""Files of which it is worth the copies between processes to read them on every core (docs/decisions/0014)."""

Known = tuple[str, "Meaning"]
Work = Callable[[Sequence[SourceFile]], list[Known]]
Share = Callable[[Work, Sequence[SourceFile]], Iterable[list[Known]]]
"""Has the files worked on in shares."""

_NOTHING = SourceTree((), "", None, lambda _: b"")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a blob means, whatever its path; what its documents say is not kept beside what they mean."""

    verdicts: tuple[tuple[int, Verdict], ...]
    findings: tuple[Diagnostic, ...]
    places: Places

    def under(self, path: str, blob: str) -> Page:
        """The same as read from one file."""
        documents = ((Passage(path, blob, index, self.places), verdict) for index, verdict in self.verdicts)
        return make_page(path, blob, documents, name_file(path, self.findings))


@dataclass
class Pages:
    """The pages of a tree, and what follows from all of them together; the order in which they came is no matter."""

    pages: dict[str, Page] = field(default_factory=dict)
    definitions: Definitions = field(default_factory=Definitions)
    _mentions: tuple[Mentions, Mentions] = field(default_factory=lambda: (mentions_of_meshes(), mentions_of_zones()))
    _overlaps: Overlaps = field(default_factory=Overlaps)
    _found: dict[str, tuple[Diagnostic, ...]] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def update(self, paths: Iterable[str], come: Sequence[Page]) -> Iterable[ResourceKey]:
        """Take pages away, then put others in; the keys of all resources that stood or stand on one of them."""
        gone = [self.pages.pop(path) for path in paths]
        self.pages |= {page.path: page for page in come}
        for page in gone:
            self._found.pop(page.path, None)
            self._counts.subtract(_count(page))
        for page in come:
            self._counts.update(_count(page))
        self._found |= {page.path: page.found for page in come if page.found}
        for mentions in self._mentions:
            mentions.update(gone, come, self.pages)
        self._overlaps.update(gone, come)
        return self.definitions.update(_definitions(gone), _definitions(come))

    def collect(self) -> Checked[ResourceSet]:
        """Every resource whose document its schema accepts; one with other mistakes is there too."""
        defined = self.definitions
        counts = Counts(resources=len(defined.resources), **self._counts)
        between = (each.found for each in (defined, self._overlaps, *self._mentions))
        found = chain(*self._found.values(), *between)
        resources = ResourceSet(defined.resources, defined.sources, counts, defined.kinds)
        return Checked(resources, sort_diagnostics(found))


@dataclass
class Reading:
    """What was read of one tree after another; every result is what an empty reading would give.

    `blobs` remembers what a blob means, for files that move and commits that are taken back. `changed` are the
    resources that may mean something else, or stand somewhere else, since whoever acts on it cleared it last.
    `computed` counts the documents that were parsed and the verdicts that were made; `share` is given many files.
    """

    schemas: Schemas
    share: Share = lambda work, files: [work(files)]
    blobs: BlobCache[Meaning] = field(default_factory=BlobCache)
    changed: dict[ResourceKey, None] = field(default_factory=dict)
    computed: Counter[str] = field(default_factory=Counter)
    _pages: Pages = field(default_factory=Pages)
    _tree: SourceTree = _NOTHING
    _selection: tuple[Sequence[str], Sequence[str]] = ((), ())

    def read(self, tree: SourceTree, settings: Settings) -> Checked[ResourceSet]:
        """The resources of a tree; where a file cannot be read, which is raised, nothing was changed."""
        gone, come = self._compare(tree, settings)
        meanings = self._read_ahead(tree, come) if len(come) >= MANY else {}
        pages = [self._meaning(tree, file, meanings).under(file.path, file.blob) for file in come]
        self.changed |= dict.fromkeys(self._pages.update(gone, pages))
        self._tree, self._selection = tree, (settings.paths, settings.ignore)
        return self._pages.collect()

    @property
    def pages(self) -> Sequence[Page]:
        """Those of the tree that was read last."""
        return tuple(self._pages.pages.values())

    def resume(self, pages: Sequence[Page], tree: SourceTree, settings: Settings) -> None:
        """As if that tree had been read, whose pages these are."""
        self._pages = Pages()
        self._pages.update((), pages)
        self._tree, self._selection = tree, (settings.paths, settings.ignore)

    def _compare(self, tree: SourceTree, settings: Settings) -> tuple[Sequence[str], Sequence[SourceFile]]:
        """The paths of pages that are no more as they were, and the files to be read."""
        alike = self._selection == (settings.paths, settings.ignore)
        old, new = differing_files(self._tree, tree) if alike else (self._tree.files, tree.files)
        wanted = {file.path: file for file in new if file.path != SETTINGS_FILE and settings.covers(file.path)}
        known = {file.path: page.blob for file in old if (page := self._pages.pages.get(file.path)) is not None}
        gone = [path for path, blob in known.items() if path not in wanted or wanted[path].blob != blob]
        return gone, [file for path, file in wanted.items() if known.get(path) != file.blob]

    def _read_ahead(self, tree: SourceTree, files: Sequence[SourceFile]) -> Mapping[str, Meaning]:
        """By blob."""
        once = {file.blob: file for file in files}

        def work(share: Sequence[SourceFile]) -> list[Known]:
            return [(file.blob, self._judge(tree, file)) for file in share]

        return {blob: meaning for share in self.share(work, tuple(once.values())) for blob, meaning in share}

    def _meaning(self, tree: SourceTree, file: SourceFile, ahead: Mapping[str, Meaning]) -> Meaning:
        found = self.blobs.find(file.blob)
        if found is None:
            found = ahead.get(file.blob) or self._judge(tree, file)
            self.computed["documents parsed"] += len(found.verdicts)
            self.computed["verdicts computed"] += len(found.verdicts)
            self.blobs.keep(file.blob, file.size, found)
        return found

    def _judge(self, tree: SourceTree, file: SourceFile) -> Meaning:
        parsed = parse_source(tree, file)
        verdicts = tuple((index, judge(value, self.schemas)) for index, value in parsed.documents)
        return Meaning(verdicts, parsed.diagnostics, parsed.places)


def _count(page: Page) -> Mapping[str, int]:
    return {"files": int(bool(page.documents)), "documents": len(page.documents), "ignored": page.ignored}


def _definitions(pages: Iterable[Page]) -> Iterator[Definition]:
    return (definition for page in pages for definition in page.definitions)
