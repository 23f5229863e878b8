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
from compiler.source.tree import SETTINGS_FILE, TOO_MANY_FILES, SourceTree

NOT_ACTED_ON: Final = ("guards", "rollout", "signatures", "requireDescent")
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


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bounds that a plan compares each proxy with; None where there is none."""

    bytes_per_proxy: int | None = None
    resources_per_proxy: int | None = None


@dataclass(frozen=True)
class Ownership:
    """Who owns what is written in files of these paths; `types` and `meshes` are all where they are empty."""

    paths: tuple[str, ...]
    owners: tuple[str, ...]
    types: tuple[str, ...] = ()
    meshes: tuple[str, ...] = ()

    def covers(self, path: str, kind: str, mesh: str) -> bool:
        """Whether the rule is about a resource of that type and mesh in that file."""
        wanted = (not self.types or kind in self.types) and (not self.meshes or mesh in self.meshes)
        return wanted and bool(self._paths.match(path))

    @cached_property
    def _paths(self) -> re.Pattern[str]:
        return _expression(self.paths)


@dataclass(frozen=True)
class Settings:
    """Typed settings; the defaults are those of a repository without the file."""

    toolchain: Toolchain = Toolchain()
    paths: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, Severity] = field(default_factory=dict)
    budgets: Budgets = Budgets()
    ownership: tuple[Ownership, ...] = ()

    def owners(self, path: str, kind: str, mesh: str) -> tuple[str, ...]:
        """Of a resource in a file: the last rule about it counts, as in CODEOWNERS; nobody where there is none."""
        rules = (rule.owners for rule in reversed(self.ownership) if rule.covers(path, kind, mesh))
        return next(rules, ())

    def covers(self, path: str) -> bool:
        """Whether a file is read: below `paths`, or anywhere where there are none, and not ignored."""
        if path == SETTINGS_FILE:
            return True
        return (not self.paths or bool(self._paths.match(path))) and not self._ignore.match(path)

    def reaches(self, path: str) -> bool:
        """Whether files that are read might stand at this path or below it."""
        return self.covers(path) or bool(self._ways.match(path) and not self._ignore.match(path))

    @cached_property
    def _ways(self) -> re.Pattern[str]:
        """The folders above `paths`: a link in the place of one hides what is below."""
        steps = [glob.rstrip("/").split("/") for glob in self.paths]
        above = ("/".join(each[:place]) for each in steps for place in range(1, len(each)))
        return re.compile("|".join(f"(?:{_translate_steps(glob)}\\Z)" for glob in above) or r"(?!)")

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


def leave_out(tree: Checked[SourceTree], schemas: Schemas | None = None) -> Checked[SourceTree]:
    """Without findings about what the settings leave out: a link where nothing is read misleads nobody."""
    if not tree.diagnostics:
        return tree
    settings = read_settings(tree.value, schemas or Schemas.load()).value
    kept = (one for one in tree.diagnostics if one.code == TOO_MANY_FILES or settings.reaches(one.position.file))
    return replace(tree, diagnostics=tuple(kept))


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
            yield _not_acted_on(name)
    if "compileSeconds" in value.get("budgets", {}):
        yield _not_acted_on("budgets", "compileSeconds")


def _not_acted_on(*steps: str) -> Finding:
    message = f"this release does not act on {'.'.join(steps)} yet"
    return Finding(join("", *steps), NO_EFFECT, message, "nothing is checked by it: do not rely on it", on_key=True)


def _surplus(documents: Sequence[Document]) -> Iterator[Finding]:
    if documents:
        message = f"{SETTINGS_FILE} holds {len(documents) + 1} documents, of which the first counts"
        yield Finding("", BAD_VALUE, message, "keep one document")


def _diagnose(document: Document, found: Finding) -> Diagnostic:
    position = document.position(found.pointer, key=found.on_key)
    return Diagnostic(position, found.code, found.message, found.hint, None, found.pointer, found.severity)


def _decode(value: Mapping[str, Any]) -> Settings:
    pins, budgets = value.get("toolchain", {}), value.get("budgets", {})
    return Settings(
        toolchain=Toolchain(pins.get("meshwright", ""), pins.get("xds-protos", ""), pins.get("protobuf", "")),
        paths=tuple(value.get("paths", ())),
        ignore=tuple(value.get("ignore", ())),
        severity={code: Severity(word) for code, word in sorted(value.get("severity", {}).items())},
        budgets=Budgets(budgets.get("bytesPerProxy"), budgets.get("resourcesPerProxy")),
        ownership=tuple(_decode_rule(rule) for rule in value.get("ownership", ())),
    )


def _decode_rule(rule: Mapping[str, Any]) -> Ownership:
    return Ownership(*(tuple(rule.get(name, ())) for name in ("paths", "owners", "types", "meshes")))


def _expression(globs: Sequence[str]) -> re.Pattern[str]:
    """`*` stays within a folder, `**` does not, `?` is one character; a folder's name stands for all that is in it."""
    return re.compile("|".join(f"(?:{_translate(glob)})" for glob in globs) or r"(?!)")


def _translate(glob: str) -> str:
    return _translate_steps(glob.rstrip("/")) + r"(?:/.*)?\Z"


def _translate_steps(glob: str) -> str:
    """Stars that follow each other count once, so that matching stays quick."""
    return "".join(_translate_part(part) for part in re.split(r"(\*\*+/?|\*|\?)", glob))


def _translate_part(part: str) -> str:
    if part.startswith("**"):
        return "(?:.*/)?" if part.endswith("/") else ".*"
    return {"*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
