"""The value that a plan is: what a change does to which proxy, and why. Every output is drawn from it alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from compiler.diagnostics import Diagnostic, Severity, Subject
from compiler.review.access.edge import AccessDiff


class Kind(StrEnum):
    """How a thing differs; deletions are looked at first."""

    REMOVED = "removed"
    CHANGED = "changed"
    ADDED = "added"


class Weight(StrEnum):
    """How much a risk asks of a reviewer."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Revision:
    """One side of the comparison. `name` is what was asked for; `commit` is None for a working tree with edits."""

    name: str
    commit: str | None
    digest: str
    """`sha1:…`, the tree id of the snapshots, as `compile` prints it; empty where there is nothing (no commit yet)."""
    compiler: str = ""
    """The version that compiled it, where that is not the running one."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A document that differs between the two sides, and led to a change; where, and who wrote it last."""

    kind: Kind
    subject: Subject
    file: str
    line: int
    commit: str | None = None
    author: str | None = None
    side: str = "head"
    """`head`, or `base` for what was removed: the side in which file and line are looked up."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of an Envoy resource; `path` is a JSON pointer in its canonical JSON. Absent is None with that kind."""

    kind: Kind
    path: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """An Envoy resource that differs. `type` is the name of its file (`listeners`, `routes`, `clusters`, `endpoints`,
    `extensions`, `secrets`), or `nodes` where a proxy moves to another zone or workload. Of an added or removed one
    `fields` is empty and `before`/`after` is the whole; of a proxy that comes or goes both are left out.
    """

    kind: Kind
    type: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    patch: tuple[Mapping[str, Any], ...] = ()
    """JSON Patch (RFC 6902) from the one to the other; empty for added and removed ones."""
    before: Any = None
    after: Any = None
    alike: tuple[str, ...] = ()
    """Other resources of the type that change in just this way, each in some of the proxies; sorted."""


@dataclass(frozen=True, slots=True)
class Risk:
    """Something that a change does which a reviewer should know. `code` has a page in docs/risks/."""

    code: str
    weight: Weight
    message: str


@dataclass(frozen=True, slots=True)
class Group:
    """One change, made to each of these proxies alike; what differs only by a proxy's own address is alike.

    `proxies` are node ids (`mesh.name`), sorted; `kind` is that of the proxies: added, removed, or changed ones. A
    proxy that two edits change stands in a group of each. Contents are those of the first proxy that has them.
    Services are `mesh/workload`.
    """

    kind: Kind
    title: str
    proxies: tuple[str, ...]
    services: tuple[str, ...]
    zones: tuple[str, ...]
    changes: tuple[ResourceChange, ...]
    risks: tuple[Risk, ...] = ()
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many of something are concerned, of how many there are (of both sides together)."""

    touched: int
    total: int


@dataclass(frozen=True, slots=True)
class Blast:
    """The radius of a change: proxies, the services (workloads) that they are, zones and meshes."""

    proxies: Count
    services: Count
    zones: Count
    meshes: Count
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Size:
    """What one side's snapshots come to; `resources` by the name of their file; `largest` is the greatest proxy."""

    proxies: int
    bytes: int
    resources: Mapping[str, int] = field(default_factory=dict)
    largest: str = ""
    largest_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Groups are sorted: removed, then changed by the weight of their risks, then added."""

    base: Revision
    head: Revision
    blast: Blast
    groups: tuple[Group, ...]
    access: AccessDiff
    before: Size
    after: Size
    documents: tuple[Cause, ...] = ()
    """Every document that differs, those included that change no proxy."""
    findings: tuple[Diagnostic, ...] = ()
    """Of the head's compile; with an error among them there are no groups."""

    standing: tuple[Diagnostic, ...] = ()
    """Those of them that are warnings and were found in the base too, on whatever line."""
    base_findings: tuple[Diagnostic, ...] = ()
    """Errors of the base, which then cannot be compared with."""
    prefix: str = ""
    """The folder of the mesh in its repository, to which files are relative; empty for the repository's root."""

    @property
    def failed(self) -> bool:
        """Whether the head does not compile: that is the change's own mistake, unlike a base that does not."""
        return any(finding.level is Severity.ERROR for finding in self.findings)

    @property
    def compared(self) -> bool:
        """Whether both sides compile; else nothing is known of what the one changes of the other."""
        return not self.failed and not self.base_findings

    def place(self, file: str) -> str:
        """A file as the repository names it, which is what a forge wants to know."""
        return f"{self.prefix}/{file}" if self.prefix else file

    @property
    def risks(self) -> tuple[Risk, ...]:
        """Those of all groups, each once, the weightiest first."""
        order = tuple(Weight)
        found = dict.fromkeys(risk for group in self.groups for risk in group.risks)
        return tuple(sorted(found, key=lambda risk: (order.index(risk.weight), risk.code, risk.message)))
