"""The side that a change is compared with: compiled now, or kept by an earlier plan of a change of the same commit."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from compiler.diagnostics import Checked
from compiler.forks import send
from compiler.mesh.graph import is_proxy
from compiler.pipeline import Compiler
from compiler.review.access.known import Known
from compiler.review.access.reaching import Access, find_access
from compiler.review.kept.folder import FEWEST, Kept
from compiler.review.versions import Version, Versions
from compiler.source.tree import SourceTree

__all__ = ["Baseline", "open_baseline"]


@dataclass(frozen=True)
class Baseline:
    """A version, and what was read of it; `found` is who may call whom where somebody else found it, else None."""

    version: Version
    known: Known = field(default_factory=Known)
    found: Callable[[], Access | None] = lambda: None

    def access(self) -> Access:
        """Who may call whom."""
        found = self.found()
        return found if found is not None else find_access(self.version.snapshots, self.known)


@contextmanager
def open_baseline(versions: Versions, tree: Checked[SourceTree], kept: Kept | None) -> Iterator[Baseline]:
    """What `versions` compiles next costs what differs from it.

    It is the same whether it was kept or not. What was not is looked at, and kept, while the change is compiled.
    """
    is_new = versions.is_new
    found = kept.find(tree.value, versions.compiler) if kept is not None and is_new else None
    if found is not None:
        versions.compiler = found.compiler
        yield Baseline(versions.compile(tree), found=lambda: found.access)
        return
    version = versions.compile(tree)
    if not version.snapshots or _count_proxies(version) < (kept.fewest if kept is not None else FEWEST):
        yield Baseline(version)
        return

    with send(lambda: find_access(version.snapshots)) as errand:
        before = Baseline(version, found=errand.result)
        with _keeping(versions.compiler, before, kept) if kept is not None and is_new else nullcontext():
            yield before


def _keeping(compiler: Compiler, base: Baseline, kept: Kept) -> AbstractContextManager[object]:
    """A child of its own writes what is known now."""
    return send(lambda: kept.keep(base.version.tree, compiler, base.access))


def _count_proxies(version: Version) -> int:
    """Those of all zones: for one of them the documents of the others are read and judged too."""
    return sum(map(is_proxy, version.resources.resources.values()))
