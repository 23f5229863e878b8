"""Source trees out of texts, for tests that compile."""

from collections.abc import Mapping

from compiler.diagnostics import Checked
from compiler.memo import Memo
from compiler.mesh.proxy import Proxy
from compiler.mesh.resolve import PROXY
from compiler.mesh.shape import REPLICA
from compiler.pipeline import Compiled, Compiler
from compiler.resources.model import ResourceKey
from compiler.resources.schema import Schemas
from compiler.source.tree import SourceFile, SourceTree, blob_id

SCHEMAS = Schemas.load()


def tree_of(files: Mapping[str, str]) -> SourceTree:
    contents = {path: text.encode() for path, text in files.items()}
    listed = tuple(SourceFile(path, blob_id(content), len(content)) for path, content in sorted(contents.items()))
    return SourceTree(listed, "0" * 40, None, lambda file: contents[file.path])


def compile_texts(*texts: str, compiler: Compiler | None = None) -> Checked[Compiled]:
    """Each text a file of its own, of one document or several."""
    files = {f"{index:03}.yaml": text for index, text in enumerate(texts)}
    return (compiler or Compiler(SCHEMAS)).compile(tree_of(files))


def codes(checked: Checked[Compiled]) -> list[str]:
    return [finding.code.word for finding in checked.diagnostics]


def resolve_proxy(memo: Memo, key: ResourceKey) -> Proxy:
    """What the replicas of a Dataplane's shape must do."""
    replica = memo.ask(REPLICA, key)
    assert replica is not None
    return memo.ask(PROXY, replica.shape)


def held(compiled: Checked[Compiled]) -> list[tuple[str, str, list[str]]]:
    """What the generation says that each proxy holds: its folder, and the versions of its resources."""
    generation = compiled.value.generation
    snapshots = sorted(generation.snapshots.items()) if generation is not None else ()
    return [
        (name, one.node.path, [each.version for named in one.resources.values() for each in named.values()])
        for name, one in snapshots
    ]
