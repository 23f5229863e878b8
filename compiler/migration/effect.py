"""Whether what is compiled stays the same, proxy by proxy."""

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.diagnostics import Checked
from compiler.pipeline import Compiled, Compiler
from compiler.resources.schema import Schemas
from compiler.snapshot.digest import GenerationTree
from compiler.source.tree import SourceTree


@dataclass(frozen=True, slots=True)
class Effect:
    """The proxies whose snapshots are others afterwards; `errors` is why nothing could be compared."""

    differing: tuple[str, ...] = ()
    errors: str = ""


def compare(before: SourceTree, after: SourceTree, schemas: Schemas) -> Effect:
    """Both compiled from nothing, so that neither can lean on the other."""
    old, new = (Compiler(schemas).compile(tree) for tree in (before, after))
    for name, checked in (("now", old), ("after it", new)):
        if checked.value.generation is None:
            first = next((found for found in checked.diagnostics if found.level == "error"), None)
            return Effect(
                errors=f"{name} the repository does not compile"
                + (f": {first.position}: {first.message}" if first else "")
            )
    one, other = _snapshots(old), _snapshots(new)
    return Effect(tuple(sorted(node for node in {*one, *other} if one.get(node) != other.get(node))))


def _snapshots(checked: Checked[Compiled]) -> Mapping[str, str]:
    """The digest of each proxy's snapshot."""
    generation = checked.value.generation
    snapshots = generation.snapshots.items() if generation is not None else ()
    return {node: GenerationTree.build([snapshot]).digest for node, snapshot in snapshots}
