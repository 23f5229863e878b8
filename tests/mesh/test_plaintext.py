"""Permissions that callers in plaintext are not asked for: told where TLS is made optional."""

import pytest

from compiler.pipeline import compile_tree
from tests.trees import SCHEMAS, tree_of

MESH = "type: Mesh\nname: default\nmtls: {enabledBackend: ca, backends: [{name: ca, type: builtin, mode: STRICT}]}\n"
PERMISSIVE = MESH.replace("STRICT", "PERMISSIVE")
API = """
type: Dataplane
mesh: default
name: api
labels: {app: api}
networking:
  address: 10.0.0.1
  inbound: [{port: 80, name: a, tags: {kuma.io/service: api}}, {port: 81, name: b, tags: {kuma.io/service: apis}}]
"""
PERMISSION = """
type: MeshTrafficPermission
mesh: default
name: p
spec: {targetRef: {kind: %s}, from: [{targetRef: {kind: Mesh}, default: {action: Allow}}]}
"""


def mode(name: str, conf: str, target: str = "{kind: Mesh}") -> str:
    return (
        f"type: MeshTLS\nmesh: default\nname: {name}\nspec: {{targetRef: {target}, rules: [{{default: {{{conf}}}}}]}}\n"
    )


OPEN, CLOSED = mode("open", "mode: Permissive"), mode("z", "mode: Strict", "{kind: Dataplane, labels: {app: api}}")
AT_A = mode("at-a", "mode: Permissive", "{kind: Dataplane, labels: {app: api}, sectionName: a}")
EVERYWHERE, AT_APIS = PERMISSION % "Mesh", PERMISSION % "MeshService, name: apis"


@pytest.mark.parametrize(
    ("documents", "paths"),
    [
        ((PERMISSIVE, EVERYWHERE), ["/mtls/backends/0/mode"]),
        ((PERMISSIVE,), []),
        ((MESH, EVERYWHERE), []),
        ((MESH, EVERYWHERE, OPEN), ["/spec/rules/0/default/mode"]),
        ((MESH, OPEN), []),
        ((MESH, EVERYWHERE, OPEN, CLOSED), []),
        ((PERMISSIVE, EVERYWHERE, CLOSED), []),
        ((PERMISSIVE, EVERYWHERE, OPEN), ["/spec/rules/0/default/mode"]),
        ((PERMISSIVE, EVERYWHERE, AT_A), ["/mtls/backends/0/mode", "/spec/rules/0/default/mode"]),
        ((PERMISSIVE, EVERYWHERE, mode("t", "tlsVersion: {min: TLS12}")), ["/mtls/backends/0/mode"]),
        ((MESH, AT_APIS, AT_A), []),
        ((MESH, AT_APIS, OPEN), ["/spec/rules/0/default/mode"]),
    ],
)
def test_a_permission_that_plaintext_gets_around_is_told_where_tls_is_made_optional(
    documents: tuple[str, ...], paths: list[str]
) -> None:
    found = compile_tree(tree_of({f"{n}.yaml": text for n, text in enumerate((API, *documents))}), SCHEMAS).diagnostics
    assert sorted(one.path for one in found if one.code.word == "open-in-plaintext") == paths
