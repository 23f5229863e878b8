"""`meshwright.yaml`, at the root of a mesh repository."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from compiler.diagnostics import Checked, Code, Diagnostic, Severity
from compiler.resources.findings import BAD_VALUE, NO_EFFECT, Finding, join
from compiler.resources.schema import Schemas
from compiler.source.document import Document
from compiler.source.parse import parse
from compiler.source.tree import SETTINGS_FILE, SourceTree

NOT_ACTED_ON: Final = ("budgets", "guards", "rollout", "ownership", "signatures", "requireDescent")
"""Accepted, so that a repository can be ready for them, and warned of."""


OTHER_TOOLCHAIN: Final = Code(
    "other-toolchain",
    Severity.ERROR,
    "a repository that is compiled with other versions",
    "`toolchain` in `meshwright.yaml` names the versions that decide the bytes of a snapshot. Other versions could "
    "give another digest for the same commit, so they do not compile it; what is served stays as it is.",
)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The versions that a repository is compiled with; empty where it does not say."""

    meshwright: str = ""
    xds_protos: str = ""
    protobuf: str = ""


@dataclass(frozen=True)
class Settings:
    """Typed settings; the defaults are those of a repository without the file."""

    toolchain: Toolchain = Toolchain()
    paths: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, Severity] = field(default_factory=dict)

    def covers(self, path: str) -> bool:
        """Whether a file is read: below `paths`, or anywhere where there are none, and not ignored."""
        if path == SETTINGS_FILE:
            return True
        return (not self.paths or bool(self._paths.match(path))) and not self._ignore.match(path)

    @cached_property
    def _paths(self) -> re.Pattern[str]:
        return _expression(self.paths)

    @cached_property
    def _ignore(self) -> re.Pattern[str]:
        return _expression(self.ignore)


def read_settings(
    tree: SourceTree, schemas: Schemas, running: Mapping[str, str] = MappingProxyType({})
) -> Checked[Settings]:
    """Defaults where the file is missing or wrong; a wrong one is an error, so nothing compiles with them then.

    `running` are the versions that compile, by the names that `toolchain` gives them.
    """
    place = bisect_left(tree.files, SETTINGS_FILE, key=attrgetter("path"))
    files = tuple(file for file in tree.files[place : place + 1] if file.path == SETTINGS_FILE)
    parsed = parse(replace(tree, files=files))
    if parsed.failed or not parsed.value:
        return Checked(Settings(), parsed.diagnostics)
    document = parsed.value[0]
    findings = _check(document.value, schemas, running)
    found = tuple(_diagnose(document, finding) for finding in (*findings, *_surplus(parsed.value[1:])))
    checked = Checked(Settings(), parsed.diagnostics + found)
    return checked if checked.failed else Checked(_decode(document.value), checked.diagnostics)


def _check(value: Mapping[str, Any], schemas: Schemas, running: Mapping[str, str]) -> Sequence[Finding]:
    if not schemas.accepts("settings", value):
        return schemas.explain("settings", value)
    return (*_bad_globs(value), *_other_toolchain(value, running), *_without_effect(value))


def _other_toolchain(value: Mapping[str, Any], running: Mapping[str, str]) -> Iterator[Finding]:
    for name, pinned in value.get("toolchain", {}).items():
        if running.get(name, pinned) != pinned:
            message = f"this repository is compiled with {name} {pinned}, and this is {running[name]}"
            yield Finding(
                join("", "toolchain", name), OTHER_TOOLCHAIN, message, "install that version, or move the pin"
            )


def _bad_globs(value: Mapping[str, Any]) -> Iterator[Finding]:
    for name in ("paths", "ignore"):
        for index, glob in enumerate(value.get(name, ())):
            if glob.startswith("/") or ".." in glob.split("/"):
                message = f"entry {index + 1} of {name} must be a path below this repository"
                yield Finding(
                    join("", name, index), BAD_VALUE, message, "write it without a leading slash and without .."
                )


def _without_effect(value: Mapping[str, Any]) -> Iterator[Finding]:
    for name in NOT_ACTED_ON:
        if name in value:
            message = f"this release does not act on {name} yet"
            yield Finding(
                join("", name), NO_EFFECT, message, "nothing is checked by it: do not rely on it", on_key=True
            )


def _surplus(documents: Sequence[Document]) -> Iterator[Finding]:
    if documents:
        message = f"{SETTINGS_FILE} holds {len(documents) + 1} documents, of which the first counts"
        yield Finding("", BAD_VALUE, message, "keep one document")


def _diagnose(document: Document, found: Finding) -> Diagnostic:
    position = document.position(found.pointer, key=found.on_key)
    return Diagnostic(position, found.code, found.message, found.hint, None, found.pointer, found.severity)


def _decode(value: Mapping[str, Any]) -> Settings:
    pins = value.get("toolchain", {})
    return Settings(
        toolchain=Toolchain(pins.get("meshwright", ""), pins.get("xds-protos", ""), pins.get("protobuf", "")),
        paths=tuple(value.get("paths", ())),
        ignore=tuple(value.get("ignore", ())),
        severity={code: Severity(word) for code, word in sorted(value.get("severity", {}).items())},
    )


def _expression(globs: Sequence[str]) -> re.Pattern[str]:
    """`*` stays within a folder, `**` does not, `?` is one character; a folder's name stands for all that is in it."""
    return re.compile("|".join(f"(?:{_translate(glob)})" for glob in globs) or r"(?!)")


def _translate(glob: str) -> str:
    """Stars that follow each other count once, so that matching stays quick."""
    parts = re.split(r"(\*\*+/?|\*|\?)", glob.rstrip("/"))
    return "".join(_translate_part(part) for part in parts) + r"(?:/.*)?\Z"


def _translate_part(part: str) -> str:
    if part.startswith("**"):
        return "(?:.*/)?" if part.endswith("/") else ".*"
    return {"*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
