"""Two trees into a plan: what the one changes for which proxy of the other, why, and what to look at."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from compiler import __version__
from compiler.diagnostics import Checked, Diagnostic, Severity
from compiler.review.access.edge import AccessDiff
from compiler.review.changes.access import compare_access
from compiler.review.changes.baseline import Baseline, open_baseline
from compiler.review.changes.causes import find_causes
from compiler.review.changes.commits import Change
from compiler.review.changes.compare import Comparison, compare
from compiler.review.changes.documents import Document, find_documents
from compiler.review.changes.groups import Grouped, group, service_of, zone_of
from compiler.review.changes.risks import Evidence, find_risks
from compiler.review.changes.sizes import Scales
from compiler.review.kept.folder import Kept
from compiler.review.plan import Blast, Cause, Count, Group, Kind, Plan, Revision, Weight
from compiler.review.versions import Version, Versions
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.source.tree import SourceTree

__all__ = ["NO_TREE", "compare_versions", "make_plan", "make_upgrade_plan"]

NO_TREE: Final = Checked(SourceTree((), "", None, lambda _: b""))
"""What is compared with where there is nothing yet: everything is added then."""

_MAX_AUTHORS: Final = 100
"""Who wrote a line costs a walk through history; a plan of more documents than these has no authors for the rest."""
_KINDS: Final = (Kind.REMOVED, Kind.CHANGED, Kind.ADDED)


def make_plan(
    versions: Versions,
    base: Checked[SourceTree],
    head: Checked[SourceTree],
    base_name: str,
    head_name: str,
    repository: Path | None = None,
    kept: Kept | None = None,
) -> Plan:
    """`repository` is the folder that both were read from, for authors of lines; None leaves them out.

    `kept` are bases of earlier plans, which decide the time that it takes and nothing else.
    """
    with open_baseline(versions, base, kept) as before:
        return compare_versions(versions, before, versions.compile(head), (base_name, head_name), repository)


def make_upgrade_plan(versions: Versions, tree: Checked[SourceTree], other: Mapping[str, Snapshot], name: str) -> Plan:
    """What this release changes of a commit that another one, of that name, compiled to these snapshots."""
    after = versions.compile(tree)
    digest = GenerationTree.build(other.values()).digest
    before = replace(after, generation=Generation(tree.value.commit, tree.value.tree, digest, other), diagnostics=())
    made = compare_versions(versions, Baseline(before), after, (name, f"meshwright {__version__}"), None)
    return replace(made, base=replace(made.base, compiler=name), head=replace(made.head, compiler=__version__))


def compare_versions(
    versions: Versions, base: Baseline, after: Version, names: tuple[str, str], repository: Path | None
) -> Plan:
    """`after` is what `versions` compiled last; `names` are those of base and head."""
    before, scales = base.version, Scales()
    empty = Plan(
        base=_revision(names[0], before),
        head=_revision(names[1], after),
        blast=_blast(compare({}, {}), ()),
        groups=(),
        access=AccessDiff(),
        before=scales.weigh({}),
        after=scales.weigh(after.snapshots),
        findings=after.diagnostics,
        standing=tuple(_find_standing(before, after)),
        base_findings=tuple(one for one in before.diagnostics if one.level is Severity.ERROR),
        prefix=after.tree.prefix,
    )
    return _fill(empty, versions, (base, after), repository, scales) if empty.compared else empty


def _find_standing(before: Version, after: Version) -> Iterator[Diagnostic]:
    """Warnings that the change did not bring; where one of several alike goes, the others are still there."""
    there = Counter(map(_without_line, before.diagnostics))
    for finding in after.diagnostics:
        alike = _without_line(finding)
        if finding.level is not Severity.ERROR and there[alike]:
            there[alike] -= 1
            yield finding


def _without_line(finding: Diagnostic) -> tuple[object, ...]:
    return finding.code.word, finding.position.file, finding.subject, finding.path, finding.message, finding.level


def _fill(
    plan: Plan, versions: Versions, sides: tuple[Baseline, Version], repository: Path | None, scales: Scales
) -> Plan:
    base, after = sides
    before = base.version
    documents = find_documents(before, after)
    comparison = compare(before.snapshots, after.snapshots)
    grouped = group(comparison, find_causes(versions, before, after, documents, comparison))
    access = compare_access(comparison, base)
    change = Change(repository, plan.base.commit, after.tree) if repository is not None else None
    causes = _with_commits(documents, change, {place for one in grouped for place in one.behind})
    risks = find_risks(grouped, Evidence(before, after, documents, access, scales, base.known))
    groups = [
        replace(one.group, risks=found, causes=tuple(causes[place] for place in sorted(one.behind)))
        for one, found in zip(grouped, risks, strict=True)
    ]
    return replace(
        plan,
        blast=_blast(comparison, grouped),
        groups=tuple(sorted(groups, key=_order)),
        access=access,
        before=scales.weigh(comparison.before),
        documents=causes,
    )


def _revision(name: str, version: Version) -> Revision:
    digest = version.generation.digest if version.generation is not None and version.tree.tree else ""
    return Revision(name, version.tree.commit, digest)


def _order(one: Group) -> tuple[int, int]:
    """The sort is stable, so that what weighs the same stays as it was."""
    weights = [tuple(Weight).index(risk.weight) for risk in one.risks]
    return _KINDS.index(one.kind), min(weights, default=len(Weight)) if one.kind is Kind.CHANGED else 0


def _with_commits(documents: Sequence[Document], change: Change | None, wanted: Iterable[int]) -> tuple[Cause, ...]:
    """Of documents that led to something."""
    causes = [one.cause for one in documents]
    for place in sorted(wanted)[:_MAX_AUTHORS] if change is not None else ():
        found = change.find(causes[place]) if change is not None else None
        if found is not None:
            causes[place] = replace(causes[place], commit=found[0], author=found[1])
    return tuple(causes)


def _blast(comparison: Comparison, grouped: Sequence[Grouped]) -> Blast:
    everything = {**comparison.before, **comparison.after}
    touched = {name for one in grouped for name in one.group.proxies}

    def count(of: Callable[[Snapshot], str]) -> Count:
        return Count(len({of(everything[name]) for name in touched}), len({of(one) for one in everything.values()}))

    return Blast(
        proxies=Count(len(touched), len(everything)),
        services=count(service_of),
        zones=count(zone_of),
        meshes=count(lambda snapshot: snapshot.node.mesh),
        added=len(comparison.added),
        removed=len(comparison.removed),
    )
