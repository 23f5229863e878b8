"""What a compile says, whatever is wrong."""

from compiler.diagnostics import Checked
from compiler.pipeline import Compiled, Compiler
from tests.trees import SCHEMAS, tree_of

MESH = "{type: Mesh, name: default}"
BACKEND = """
type: Dataplane
mesh: default
name: backend-1
networking: {address: 10.0.0.1, inbound: [{port: 80, tags: {kuma.io/service: backend}}]}
"""
TO_NOBODY = """
type: MeshRetry
mesh: default
name: retry
spec: {to: [{targetRef: {kind: MeshService, name: bakend}, default: {http: {numRetries: 3}}}]}
"""
MISSPELT = """
type: MeshTimeout
mesh: default
name: slow
spec: {to: [{targetRef: {kind: Mesh}, default: {conectionTimeout: 1s}}]}
"""
SELECTED_BY_NOBODY = """
type: MeshTimeout
mesh: default
name: idle
spec: {targetRef: {kind: Dataplane, labels: {app: x}}, to: [{targetRef: {kind: Mesh}, default: {idleTimeout: 1s}}]}
"""


def check(*texts: str, thorough: bool = True) -> Checked[Compiled]:
    files = {f"{index}.yaml": text for index, text in enumerate(texts)}
    return Compiler(SCHEMAS).compile(tree_of(files), thorough=thorough)


def codes(checked: Checked[Compiled]) -> list[str]:
    return [finding.code.word for finding in checked.diagnostics]


def test_a_mistake_in_a_policy_does_not_hide_what_is_wrong_between_the_others() -> None:
    checked = check(MESH, BACKEND, TO_NOBODY, MISSPELT, SELECTED_BY_NOBODY)
    assert codes(checked) == ["dangling-ref", "unknown-field", "selects-nothing"]
    assert checked.value.generation is None


def test_what_is_wrong_between_documents_is_told_without_a_look_at_who_may_call_whom() -> None:
    compiler = Compiler(SCHEMAS)
    mesh = MESH[:-1] + ", routing: {autoReachable: true}, mtls: {enabledBackend: ca, backends: [%s]}}"
    tree = tree_of({"mesh.yaml": mesh % "{name: ca, type: builtin}", "backend.yaml": BACKEND, "retry.yaml": TO_NOBODY})
    resources, _ = compiler.read(tree).value
    assert [one.code.word for one in compiler.graph(resources, resources.resources)] == ["dangling-ref"]
    assert "callers" not in compiler.memo.computed
    compiler.index()
    assert compiler.memo.computed["callers"] == 1


def test_a_reference_is_not_called_dangling_while_what_it_is_to_may_be_unreadable() -> None:
    assert codes(check(MESH, BACKEND.replace("inbound", "inbund"), TO_NOBODY)) == ["unknown-field"]
    assert codes(check(MESH, BACKEND, TO_NOBODY, "a: [1,")) == ["yaml-syntax"]


def test_a_daemon_that_only_wants_to_know_whether_it_compiles_is_told_the_first_kind() -> None:
    assert codes(check(MESH, BACKEND, TO_NOBODY, MISSPELT, thorough=False)) == ["unknown-field"]
