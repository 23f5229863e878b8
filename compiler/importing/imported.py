"""An export as files of a repository, with all that was left out and why."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compiler.diagnostics import Checked
from compiler.formatting.canonical import Formatter
from compiler.importing.cleaning import clean, find_origins
from compiler.importing.layout import Layout
from compiler.importing.leaks import without_leaks
from compiler.importing.placing import Typed, place
from compiler.importing.secrets import Withheld, bare, withhold
from compiler.importing.sets import collapse
from compiler.importing.stream import Exported, Sort, read_stream
from compiler.importing.writing import LARGEST_FILE, size_of, write_documents
from compiler.resources.envelope import read_envelope
from compiler.resources.model import ResourceKey
from compiler.resources.schema import Schemas


@dataclass(frozen=True, slots=True)
class Wanted:
    """How somebody wants an export to be laid out."""

    layout: Layout = Layout.RESOURCE
    sets: bool = False


@dataclass(frozen=True)
class Imported:
    """`files` are documents by path, not yet text: what a repository has elsewhere is still taken out of them.

    `runtime` and `foreign` count documents by type; `twice` are resources of which a later document said something
    else; `unsafe` are those left out whole, for a secret stands where none can be referred to; `large` those that no
    file of a repository holds.
    """

    files: Mapping[str, Sequence[Typed]]
    withheld: tuple[Withheld, ...]
    runtime: Mapping[str, int]
    foreign: Mapping[str, int]
    twice: tuple[ResourceKey, ...]
    unsafe: tuple[ResourceKey, ...]
    large: tuple[ResourceKey, ...] = ()

    @property
    def resources(self) -> int:
        return sum(map(len, self.files.values()))


def import_stream(name: str, content: bytes, wanted: Wanted, schemas: Schemas) -> Checked[Imported | None]:
    """None with findings where the stream cannot be read to its end: half an export is no mesh."""
    read = read_stream(name, content, schemas.known)
    if read.failed:
        return Checked(None, read.diagnostics)
    secrets = [withhold(one) for one in read.value if one.sort is Sort.SECRET]
    resources = [one for one in read.value if one.sort is Sort.RESOURCE]
    origins = find_origins(resources)
    bared = [(one, without_leaks(one, bare(one, clean(one, origins)), schemas)) for one in resources]
    inner = [withheld for _, result in bared for withheld in result.withheld]
    whole = [(one.type, result.value) for one, result in bared if result.value is not None]
    references = _references((*secrets, *inner), schemas.known)
    found, twice = _once((*whole, *references))
    large = [typed for typed in found if size_of(typed[1]) > LARGEST_FILE]
    found = [typed for typed in found if typed not in large]
    imported = Imported(
        _by_file(found, wanted, schemas),
        tuple(dict.fromkeys((*secrets, *inner))),
        _count(read.value, Sort.RUNTIME),
        _count(read.value, Sort.FOREIGN),
        twice,
        tuple(read_envelope(one.type, one.value).key for one, result in bared if result.value is None),
        tuple(read_envelope(*typed).key for typed in large),
    )
    return Checked(imported, read.diagnostics)


def write_files(files: Mapping[str, Sequence[Typed]], schemas: Schemas) -> Mapping[str, str]:
    """Each file's canonical text."""
    formatter = Formatter(schemas.known)
    return {path: write_documents([value for _, value in typed], formatter) for path, typed in files.items() if typed}


def _references(secrets: Iterable[Withheld], known: frozenset[str]) -> Iterator[Typed]:
    """Documents that say that there is such a secret; one of a type without a schema is only named."""
    return ((one.type, one.document) for one in dict.fromkeys(secrets) if one.type in known and one.name)


def _once(values: Iterable[Typed]) -> tuple[list[Typed], tuple[ResourceKey, ...]]:
    """The first document of each resource, and those of which there are different ones."""
    first: dict[ResourceKey, Typed] = {}
    twice: dict[ResourceKey, None] = {}
    for kind, value in values:
        key = read_envelope(kind, value).key
        if key not in first:
            first[key] = (kind, value)
        elif _plain(first[key][1]) != _plain(value):
            twice[key] = None
    return list(first.values()), tuple(twice)


def _by_file(values: Sequence[Typed], wanted: Wanted, schemas: Schemas) -> Mapping[str, Sequence[Typed]]:
    if not wanted.sets:
        return place(values, wanted.layout)
    proxies = collapse([value for kind, value in values if kind == "Dataplane"], schemas)
    rest = [(kind, value) for kind, value in values if kind != "Dataplane"]
    made = [(str(value.get("type", "Dataplane")), value) for value in proxies]
    return place([*rest, *made], wanted.layout)


def _count(found: Iterable[Exported], sort: Sort) -> Mapping[str, int]:
    return dict(sorted(Counter(one.type or "without a type" for one in found if one.sort is sort).items()))


def _plain(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)
