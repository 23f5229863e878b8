"""A compiler that remembers, over histories of commits that often do not compile; and how little it does for each."""

from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.mesh.graph import RESOURCE
from compiler.pipeline import Compiled, Compiler
from compiler.resources.model import Policy, ResourceKey
from tests.histories import Files, histories, write_tree
from tests.trees import SCHEMAS, held, tree_of

MESH = "type: Mesh\nname: default\n"
SKIPPING = MESH + "skipCreatingInitialPolicies: ['*']\n"
BACKEND = """
type: Dataplane
mesh: default
name: backend-1
networking: {address: 10.0.0.1, inbound: [{port: 80, tags: {kuma.io/service: backend, kuma.io/protocol: http}}]}
"""
TO_NOBODY = """
type: MeshRetry
mesh: default
name: retry
spec: {to: [{targetRef: {kind: MeshService, name: bakend}, default: {http: {numRetries: 3}}}]}
"""


def outcome(compiled: Checked[Compiled]) -> object:
    """Everything but what it cost."""
    value = compiled.value
    digest = value.generation.digest if value.generation is not None else None
    resources = value.resources
    said = (compiled.diagnostics, value.settings, resources.counts)
    return digest, held(compiled), *said, list(resources.resources.items())


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
@given(states=histories(), listed=st.booleans(), thorough=st.booleans())
def test_every_commit_of_a_history_compiles_as_it_would_alone(
    states: list[Files], listed: bool, thorough: bool
) -> None:
    compiler = Compiler(SCHEMAS)
    for state in states:
        compiled = compiler.compile(write_tree(state, listed=listed), thorough=thorough)
        alone = Compiler(SCHEMAS).compile(write_tree(state, listed=False), thorough=thorough)
        assert outcome(compiled) == outcome(alone)


def test_a_proxy_that_changes_zone_or_workload_stays_in_the_generation() -> None:
    """It is called as before, and its folder is another."""
    compiler = Compiler(SCHEMAS)
    for labels in ("{}", "{kuma.io/zone: east}", "{kuma.io/zone: east, kuma.io/workload: other}", "{}"):
        tree = tree_of({"mesh.yaml": MESH, "backend.yaml": f"{BACKEND}labels: {labels}\n"})
        compiled, alone = compiler.compile(tree), Compiler(SCHEMAS).compile(tree)
        assert [name for name, _, _ in held(compiled)] == ["default.backend-1"]
        assert outcome(compiled) == outcome(alone)


TEMPLATE = "inbound: [{port: 80, tags: {kuma.io/service: many}}]"
SET = (
    f"type: DataplaneSet\nmesh: default\nname: many\nspec:\n  template: {{networking: {{{TEMPLATE}}}}}\n  instances:\n"
)
FIRST, SECOND = "  - {name: '1', address: 10.0.1.1}\n", "  - {name: '2', address: 10.0.1.2}\n"
EAST = FIRST.replace("}", ", zone: east}")
ALONE = f"type: Dataplane\nmesh: default\nname: many-1\nnetworking: {{address: 10.0.1.1, {TEMPLATE}}}\n"


def test_an_instance_that_stands_by_itself_for_a_while_is_one_proxy_throughout() -> None:
    """With the same bytes, whichever way it is written."""
    compiler = Compiler(SCHEMAS)
    both, alone = {"set.yaml": SET + FIRST + SECOND}, {"set.yaml": SET + SECOND, "first.yaml": ALONE}
    states = (both, alone, both, {"set.yaml": SET + EAST + SECOND}, alone, both)
    found = []
    for state in states:
        compiled = compile_all(compiler, {"mesh.yaml": MESH, **state})
        assert [name for name, _, _ in held(compiled)] == ["default.many-1", "default.many-2"]
        assert outcome(compiled) == outcome(compile_all(Compiler(SCHEMAS), {"mesh.yaml": MESH, **state}))
        found.append(held(compiled))
    assert found[0] == found[1] == found[2] == found[4] == found[5] != found[3]


def test_a_proxy_that_moves_in_a_commit_that_fails_late_leaves_what_was_published() -> None:
    """Its folder is that of the last generation, not that of a commit which made none."""
    spec = f"spec: {{template: {{networking: {{{TEMPLATE}}}}}, registration: {{cidrs: [10.2.0.0/16]}}}}\n"
    clashing = "---\n".join(f"type: DataplaneSet\nmesh: default\nname: {name}\n{spec}" for name in ("a", "b"))
    compiler = Compiler(SCHEMAS)
    found = []
    for zone, others in (("east", ""), ("west", clashing), ("north", "")):
        backend = f"{BACKEND}labels: {{kuma.io/zone: {zone}}}\n"
        compiled = compile_all(compiler, {"mesh.yaml": MESH, "backend.yaml": backend, "others.yaml": others})
        found.append([path for _, path, _ in held(compiled)])
    assert found == [["meshes/default/east/backend/backend-1"], [], ["meshes/default/north/backend/backend-1"]]
    assert [proxy.snapshot.node.path for proxy in compiled.value.files.proxies()] == found[-1]


def test_proxies_that_exchange_their_names_are_each_what_the_other_was() -> None:
    compiler = Compiler(SCHEMAS)
    one, other = BACKEND, BACKEND.replace("10.0.0.1", "10.0.0.2").replace("service: backend", "service: guest")
    for first, second in (("a", "b"), ("b", "a"), ("a", "b")):
        state = {
            "mesh.yaml": MESH,
            "one.yaml": one.replace("backend-1", first),
            "other.yaml": other.replace("backend-1", second),
        }
        compiled = compile_all(compiler, state)
        folders = {name: path.split("/")[-2] for name, path, _ in held(compiled)}
        assert folders == {f"default.{first}": "backend", f"default.{second}": "guest"}
        assert outcome(compiled) == outcome(compile_all(Compiler(SCHEMAS), state))


def compile_all(compiler: Compiler, *states: dict[str, str]) -> Checked[Compiled]:
    for state in states:
        compiled = compiler.compile(tree_of(state))
    return compiled


def lines(compiled: Checked[Compiled]) -> list[tuple[str, str]]:
    return [(found.code.word, str(found.position)) for found in compiled.diagnostics]


def test_a_finding_between_documents_moves_with_its_document() -> None:
    files = {"a.yaml": MESH, "b.yaml": BACKEND, "c.yaml": TO_NOBODY}
    compiler = Compiler(SCHEMAS)
    assert lines(compile_all(compiler, files)) == [("dangling-ref", "c.yaml:5:25")]
    moved = compile_all(compiler, {**files, "c.yaml": "# a word\n" + TO_NOBODY})
    assert lines(moved) == [("dangling-ref", "c.yaml:6:25")]
    assert moved.value.counters["findings"] == 0


def test_what_changed_in_a_commit_that_failed_is_loaded_with_the_next_one() -> None:
    files = {"a.yaml": MESH, "b.yaml": BACKEND, "c.yaml": TO_NOBODY}
    compiler = Compiler(SCHEMAS)
    compile_all(compiler, files)
    renamed = {**files, "b.yaml": BACKEND.replace("service: backend", "service: bakend")}
    assert compile_all(compiler, {**renamed, "d.yaml": "a: ["}).failed
    assert lines(compile_all(compiler, renamed)) == []


def test_a_comment_costs_its_file() -> None:
    files = {f"{number}.yaml": BACKEND.replace("backend-1", f"backend-{number}") for number in range(20)}
    compiler = Compiler(SCHEMAS)
    compile_all(compiler, {**files, "mesh.yaml": MESH})
    counters = compile_all(compiler, {**files, "mesh.yaml": MESH, "7.yaml": "# words" + files["7.yaml"]}).value.counters
    assert {name: count for name, count in counters.items() if count} == {"documents parsed": 1, "verdicts computed": 1}


def test_an_initial_policy_gives_way_to_one_of_its_name_and_comes_back_after() -> None:
    entry = "{targetRef: {kind: Mesh}, default: {idleTimeout: 1s}}"
    spec = f"spec: {{to: [{entry}, {entry}]}}\n"
    written = "type: MeshTimeout\nmesh: default\nname: mesh-timeout-all-default\n" + spec
    key = ResourceKey("MeshTimeout", "default", "mesh-timeout-all-default")
    files = {"a.yaml": MESH, "b.yaml": BACKEND}
    compiler = Compiler(SCHEMAS)

    def entries() -> int:
        policy = compiler.memo.read(RESOURCE, key)
        return len(cast(Policy, policy.spec).to) if policy is not None else -1

    found = []
    skipping, none = {**files, "a.yaml": SKIPPING}, {"b.yaml": BACKEND}
    for state in (files, {**files, "c.yaml": written}, files, skipping, none, files):
        compile_all(compiler, state)
        found.append(entries())
    assert found == [1, 2, 1, -1, -1, 1]
