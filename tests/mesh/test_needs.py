"""What asks for something else is judged by what policies say together, wherever it holds."""

import pytest

from compiler.mesh.checks.between import FINDINGS
from compiler.pipeline import Compiler, compile_tree
from tests.trees import SCHEMAS, tree_of

MESH = "type: Mesh\nname: default\n"
FIELD = "outlierDetection/detectors/localOriginFailures"
ASKS = "detectors: {localOriginFailures: {consecutive: 5}}"
SPLIT = "splitExternalAndLocalErrors: true"
SPLITS = f"{SPLIT}, detectors: {{totalFailures: {{}}}}"
JOINS = SPLITS.replace("true", "false")


def proxy(name: str, number: int) -> str:
    return (
        f"type: Dataplane\nmesh: default\nname: {name}\nlabels: {{app: {name}}}\nnetworking:\n"
        f"  address: 10.0.0.{number}\n"
        f"  inbound: [{{port: 80, tags: {{kuma.io/service: {name}, kuma.io/protocol: http}}}}]\n"
    )


def breaker(name: str, detection: str, app: str = "", side: str = "to", about: str = "{kind: Mesh}") -> str:
    target = f"{{kind: Dataplane, labels: {{app: {app}}}}}" if app else "{kind: Mesh}"
    item = f"{{targetRef: {about}, default: {{outlierDetection: {{{detection}}}}}}}"
    if side == "rules":
        item = item.replace(f"targetRef: {about}, ", "")
    return f"type: MeshCircuitBreaker\nmesh: default\nname: {name}\nspec:\n  targetRef: {target}\n  {side}: [{item}]\n"


PROXIES = {"mesh.yaml": MESH, "web.yaml": proxy("web", 1), "api.yaml": proxy("api", 2)}


@pytest.mark.parametrize("side", ["to", "rules"])
@pytest.mark.parametrize(
    ("policies", "told"),
    [
        ([("a", ASKS)], ["a"]),
        ([("a", f"{ASKS}, {SPLIT}")], []),
        ([("a", f"{ASKS}, disabled: true")], []),
        ([("a", ASKS), ("b", SPLITS)], []),
        ([("a", ASKS), ("b", SPLITS, "web")], []),
        ([("a", ASKS, "api"), ("b", SPLITS, "web")], ["a"]),
        ([("a", f"{ASKS}, {SPLIT}"), ("b", JOINS, "web")], []),
        ([("a", f"{ASKS}, {SPLIT}", "web"), ("b", JOINS, "web")], []),
        ([("b", f"{ASKS}, {SPLIT}", "web"), ("a", JOINS, "web")], ["b"]),
    ],
)
def test_a_detector_is_without_effect_where_no_policy_that_holds_with_it_lets_it_have_one(
    side: str, policies: list[tuple[str, ...]], told: list[str]
) -> None:
    written = {f"{one[0]}.yaml": breaker(*one, side=side) for one in policies}
    found = compile_tree(tree_of({**PROXIES, **written}), SCHEMAS).diagnostics
    assert not any(one.code.word == "missing-field" for one in found)
    assert [(one.position.file, one.path) for one in found if one.code.word == "no-effect"] == [
        (f"{name}.yaml", f"/spec/{side}/0/default/{FIELD}") for name in told
    ]


def test_what_is_about_one_destination_is_judged_by_what_holds_there() -> None:
    about_api, about_web = (f"{{kind: MeshService, name: {name}}}" for name in ("api", "web"))
    for about, told in ((about_api, 0), (about_web, 1)):
        files = {"a.yaml": breaker("a", ASKS, about=about_api), "b.yaml": breaker("b", SPLITS, about=about)}
        found = compile_tree(tree_of({**PROXIES, **files}), SCHEMAS).diagnostics
        assert len([one for one in found if one.path.endswith(FIELD)]) == told


def test_another_policy_that_comes_and_goes_is_noticed() -> None:
    compiler = Compiler(SCHEMAS)
    base = {**PROXIES, "a.yaml": breaker("a", ASKS)}
    for files in (base, {**base, "b.yaml": breaker("b", SPLITS, "web")}, base):
        warm, cold = compiler.compile(tree_of(files)), compile_tree(tree_of(files), SCHEMAS)
        assert warm.diagnostics == cold.diagnostics
        assert any(one.path.endswith(FIELD) for one in warm.diagnostics) == (files is base)


TRACE = """
type: MeshTrace
mesh: default
name: spans
spec:
  default: {sampling: {overall: 80}, backends: [{type: Zipkin, zipkin: {url: 'http://zipkin.example:9411/spans'}}]}
"""


@pytest.mark.parametrize(
    "policy", [TRACE, breaker("a", f"{ASKS}, {SPLIT}"), breaker("a", f"{ASKS}, {SPLIT}", "", "rules")]
)
def test_what_has_its_need_leans_on_few_proxies(policy: str) -> None:
    """An edit of any other does not have it looked at again, however large the mesh is."""

    def sources(proxies: int) -> int:
        compiler = Compiler(SCHEMAS)
        written = {f"p{number}.yaml": proxy(f"p{number}", number) for number in range(1, proxies)}
        compiled = compiler.compile(tree_of({"mesh.yaml": MESH, "policy.yaml": policy, **written}))
        assert compiled.diagnostics == ()
        (key,) = (key for key in compiled.value.resources.resources if key.type in ("MeshTrace", "MeshCircuitBreaker"))
        return len(compiler.memo.sources(FINDINGS, key))

    assert sources(20) == sources(40)
