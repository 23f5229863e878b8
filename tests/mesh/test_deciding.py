"""What another kind decides alone is told of where it decides everywhere, and nowhere else."""

import pytest

from compiler.mesh.checks.between import FINDINGS
from compiler.pipeline import Compiler
from tests.trees import SCHEMAS, compile_texts

MESH = '{type: Mesh, name: default, skipCreatingInitialPolicies: ["*"]}'


def proxy(name: str, number: int, protocol: str = "http") -> str:
    tags = f"{{kuma.io/service: {name}, kuma.io/protocol: {protocol}}}"
    networking = f"{{address: 10.0.0.{number}, inbound: [{{port: 80, tags: {tags}}}]}}"
    return f"{{type: Dataplane, mesh: default, name: {name}, labels: {{app: {name}}}, networking: {networking}}}"


WEB, API, DB = proxy("web", 1), proxy("api", 2), proxy("db", 3, "tcp")
ALL, TO_API, TO_WEB = "{kind: Mesh}", "{kind: MeshService, name: api}", "{kind: MeshService, name: web}"


def policy(kind: str, about: str, said: str, app: str = "", name: str = "it") -> str:
    top = f"targetRef: {{kind: Dataplane, labels: {{app: {app}}}}}, " if app else ""
    spec = f"{{{top}to: [{{targetRef: {about}, {said}}}]}}"
    return f"{{type: {kind}, mesh: default, name: {name}, spec: {spec}}}"


def check(said: str, about: str = ALL, app: str = "") -> str:
    return policy("MeshHealthCheck", about, f"default: {{http: {{}}, {said}}}", app)


def breaker(about: str = ALL, app: str = "", name: str = "limits", detection: str = "healthyPanicThreshold: 9") -> str:
    said = f"default: {{outlierDetection: {{{detection}, detectors: {{totalFailures: {{}}}}}}}}"
    return policy("MeshCircuitBreaker", about, said, app, name)


def strategy(said: str) -> str:
    return policy("MeshLoadBalancingStrategy", ALL, f"default: {{{said}}}", name="near")


def told(*texts: str, compiler: Compiler | None = None) -> list[tuple[str, str]]:
    """Where, and by which policy."""
    found = compile_texts(MESH, WEB, API, *texts, compiler=compiler).diagnostics
    return [(one.path, one.message.split("'")[1]) for one in found if one.code.word == "no-effect"]


THRESHOLD, PANIC = "healthyPanicThreshold: 40", "failTrafficOnPanic: true"
AT = "/spec/to/0/default"


@pytest.mark.parametrize(
    ("breakers", "by"),
    [
        ([breaker()], ["limits"]),
        ([breaker(TO_API)], []),
        ([breaker(TO_API), breaker(TO_WEB, name="other")], ["limits"]),
        ([breaker(app="web")], []),
        ([breaker(detection="disabled: true, healthyPanicThreshold: 9")], []),
        ([breaker(), breaker(TO_WEB, name="off", detection="disabled: true")], []),
        ([breaker(detection="interval: 3s")], []),
        ([breaker(detection="interval: 3s", name="more"), breaker(TO_API, "web"), breaker(name="wide")], ["wide"]),
    ],
)
def test_a_threshold_is_told_of_where_breakers_decide_it_everywhere(breakers: list[str], by: list[str]) -> None:
    path = f"{AT}/healthyPanicThreshold"
    assert [one for one in told(check(THRESHOLD), *breakers) if one[0] == path] == [(path, name) for name in by]


def test_what_is_about_one_destination_or_for_one_caller_is_judged_there() -> None:
    path = f"{AT}/healthyPanicThreshold"
    assert told(check(THRESHOLD, TO_API), breaker(TO_API)) == [(path, "limits")]
    assert told(check(THRESHOLD, app="web"), breaker(app="web")) == [(path, "limits")]
    assert told(check(THRESHOLD, app="web"), breaker(app="api")) == []


@pytest.mark.parametrize(
    ("said", "finds"),
    [
        ("localityAwareness: {localZone: {}}", True),
        ("localityAwareness: {localZone: {}, disabled: true}", False),
        ("localityAwareness: {crossZone: {}}", False),
        ("loadBalancer: {type: RingHash}", True),
        ("loadBalancer: {type: Random}", False),
    ],
)
def test_no_traffic_fails_on_panic_by_weights_or_by_hashes(said: str, finds: bool) -> None:
    assert told(check(PANIC), strategy(said)) == ([(f"{AT}/failTrafficOnPanic", "near")] if finds else [])


def test_traffic_that_is_not_to_fail_does_not() -> None:
    assert told(check("failTrafficOnPanic: false"), strategy("loadBalancer: {type: Maglev}")) == []


TO_DB = "{kind: MeshService, name: db}"
RULE = "rules: [{default: {backendRefs: [{kind: MeshService, name: web}]}}]"
REQUESTS = "rules: [{matches: [{path: {type: PathPrefix, value: /a}}], default: {}}]"


@pytest.mark.parametrize(
    ("connections", "requests", "finds"),
    [
        ((TO_API, RULE), (TO_API, REQUESTS), ["/spec/to/0/rules/0"]),
        ((TO_DB, RULE), (TO_DB, REQUESTS), ["/spec/to/0/rules/0"]),
        ((TO_API, "rules: []"), (TO_API, REQUESTS), ["/spec/to/0"]),
        ((TO_API, RULE), (TO_WEB, REQUESTS), []),
        ((TO_API, RULE), (TO_API, REQUESTS, "web"), []),
        ((TO_API, RULE, "web"), (TO_API, REQUESTS, "web"), ["/spec/to/0/rules/0"]),
    ],
)
def test_a_route_of_connections_is_hidden_by_one_of_requests_for_all_of_its_callers(
    connections: tuple[str, ...], requests: tuple[str, ...], finds: list[str]
) -> None:
    by_http = policy("MeshHTTPRoute", *requests, name="http")
    found = told(DB, policy("MeshTCPRoute", *connections), by_http)
    assert found == [(path, "http") for path in finds]


def test_who_decides_comes_and_goes_and_that_is_noticed() -> None:
    compiler, mine = Compiler(SCHEMAS), check(THRESHOLD)
    spared = [breaker(), breaker(TO_WEB, name="off", detection="disabled: true")]
    for others in ([], [breaker()], [breaker(TO_API)], spared, []):
        assert told(mine, *others, compiler=compiler) == told(mine, *others)


def test_where_nobody_decides_few_proxies_are_looked_at() -> None:
    """An edit of any other does not have it looked at again, however large the mesh is."""

    def sources(proxies: int) -> int:
        compiler = Compiler(SCHEMAS)
        more = [proxy(f"p{number}", number) for number in range(10, proxies)]
        compiled = compile_texts(MESH, WEB, API, *more, check(THRESHOLD), breaker(TO_WEB), compiler=compiler)
        assert compiled.diagnostics == ()
        (key,) = (key for key in compiled.value.resources.resources if key.type == "MeshHealthCheck")
        return len(compiler.memo.sources(FINDINGS, key))

    assert sources(30) == sources(60)
