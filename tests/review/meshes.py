"""Small meshes, and what is compiled from them."""

from compiler.diagnostics import Checked
from compiler.pipeline import Compiler
from compiler.review.access.edge import Edge
from compiler.review.access.reaching import find_edges
from compiler.review.versions import Version, Versions
from compiler.snapshot.snapshot import Snapshot
from tests.trees import SCHEMAS, tree_of

PLAIN = 'type: Mesh\nname: shop\nskipCreatingInitialPolicies: ["*"]\n'
STRICT = PLAIN + "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}\n"
PERMISSIVE = STRICT.replace("builtin", "builtin, mode: PERMISSIVE")


def proxy(
    name: str, address: str, service: str = "", outbound: str = "", protocol: str = "http", more: str = ""
) -> str:
    """A Dataplane with one inbound at 8080, which calls these services."""
    calls = "".join(
        f"    - {{port: {10001 + at}, tags: {{kuma.io/service: {called}}}}}\n"
        for at, called in enumerate(outbound.split())
    )
    tags = f"kuma.io/service: {service or name}, kuma.io/protocol: {protocol}{more}"
    return (
        f"type: Dataplane\nmesh: shop\nname: {name}\nnetworking:\n  address: {address}\n"
        f"  inbound:\n    - {{port: 8080, tags: {{{tags}}}}}\n" + (f"  outbound:\n{calls}" if calls else "")
    )


def allow(name: str, service: str, *callers: str, action: str = "Allow") -> str:
    """A permission of 2.x, for callers of one service."""
    entries = "".join(
        f"    - {{targetRef: {{kind: MeshService, name: {caller}}}, default: {{action: {action}}}}}\n"
        for caller in callers
    )
    head = f"type: MeshTrafficPermission\nmesh: shop\nname: {name}\nspec:\n"
    return f"{head}  targetRef: {{kind: MeshService, name: {service}}}\n  from:\n{entries}"


SHOP = (
    proxy("web", "10.0.0.1", outbound="api"),
    proxy("guest", "10.0.0.2", outbound="api"),
    proxy("api-1", "10.0.0.3", "api"),
    proxy("api-2", "10.0.0.4", "api"),
)


def version_of(*texts: str, versions: Versions | None = None) -> Version:
    files = {f"{index:03}.yaml": text for index, text in enumerate(texts)}
    version = (versions or Versions(Compiler(SCHEMAS))).compile(Checked(tree_of(files)))
    assert version.generation is not None, version.diagnostics
    return version


def snapshots_of(*texts: str) -> dict[str, Snapshot]:
    return version_of(*texts).snapshots


def edges_of(*texts: str) -> frozenset[Edge]:
    return find_edges(snapshots_of(*texts))


def pairs(edges: frozenset[Edge]) -> set[tuple[str, str]]:
    """Without the mesh, which is always the same."""
    return {(edge.caller.removeprefix("shop/"), edge.service.removeprefix("shop/")) for edge in edges}
