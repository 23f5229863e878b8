"""The documents of an export: a stream of YAML, lists of `kumactl get` and `kubectl get` taken apart."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from compiler.diagnostics import Checked, Position
from compiler.resources.envelope import type_of
from compiler.source.document import Document
from compiler.source.parse import Limits, parse_file

LARGEST: Final = Limits(max_bytes=256 * 1024 * 1024, max_nodes=20_000_000)
"""An export is one stream of everything, so it may be larger than a file of a repository; it is read once."""

_RUNTIME: Final = re.compile(r"[A-Za-z]+(?:Insight|Overview)|Config")
_KUBERNETES_SECRETS: Final[Mapping[str, str]] = {
    "system.kuma.io/secret": "Secret",
    "system.kuma.io/global-secret": "GlobalSecret",
}


class Sort(StrEnum):
    """What is done with a document."""

    RESOURCE = "resource"
    SECRET = "secret"  # noqa: S105  # a word, not a password
    RUNTIME = "runtime"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Exported:
    """One resource of the stream; `position` is where it stands there."""

    sort: Sort
    type: str
    value: Mapping[str, Any]
    position: Position

    @property
    def kubernetes(self) -> bool:
        return "apiVersion" in self.value


def read_stream(name: str, content: bytes, known: frozenset[str]) -> Checked[tuple[Exported, ...]]:
    """Every resource in the order of the stream; findings, and nothing, where the stream cannot be read to its end."""
    parsed = parse_file(name, "", content, LARGEST)
    if parsed.failed:
        return Checked((), parsed.diagnostics)
    found = tuple(one for document in parsed.value for one in _take_apart(document, known))
    return Checked(found, parsed.diagnostics)


def _take_apart(document: Document, known: frozenset[str]) -> Iterator[Exported]:
    """What stands in a list and is no resource is counted too."""
    items = document.value.get("items")
    if not isinstance(items, list) or not _is_list(document.value):
        yield _sort(document.value, document.position(), known)
        return
    for index, item in enumerate(items):
        yield _sort(item if isinstance(item, dict) else {}, document.position(f"/items/{index}"), known)


def _is_list(value: Mapping[str, Any]) -> bool:
    """`kubectl` prints a List or a MeshTimeoutList, `kumactl` items beside their number."""
    return str(value.get("kind", "")).endswith("List") or ("type" not in value and "kind" not in value)


def _sort(value: Mapping[str, Any], position: Position, known: frozenset[str]) -> Exported:
    claimed = str(value.get("kind" if "apiVersion" in value else "type", ""))
    if kind := _secret_kind(value, claimed):
        return Exported(Sort.SECRET, kind, value, position)
    if _RUNTIME.fullmatch(claimed) and claimed not in known:
        return Exported(Sort.RUNTIME, claimed, value, position)
    kind = type_of(value, known)
    return Exported(Sort.FOREIGN if kind is None else Sort.RESOURCE, kind or claimed, value, position)


def _secret_kind(value: Mapping[str, Any], claimed: str) -> str | None:
    if value.get("apiVersion") == "v1" and claimed == "Secret":
        return _KUBERNETES_SECRETS.get(str(value.get("type")))
    ours = "apiVersion" not in value or str(value["apiVersion"]).startswith("kuma.io/")
    return claimed if ours and claimed in ("Secret", "GlobalSecret") else None
