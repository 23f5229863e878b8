"""Where an inbound has policies with `rules`, the `from` of others is passed over, and that is said."""

from collections.abc import Callable

import pytest

from compiler.diagnostics import Diagnostic
from compiler.pipeline import Compiler, compile_tree
from tests.trees import SCHEMAS, tree_of

BACKENDS = "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}"
MESH = f"type: Mesh\nname: default\n{BACKENDS}\n"
ALL, SIDECARS = "{kind: Mesh}", "{kind: Mesh, proxyTypes: [Sidecar]}"
API = "{kind: Dataplane, labels: {app: api}}"
API_ADMIN = "{kind: Dataplane, labels: {app: api}, sectionName: admin}"
SOME = "matches: [{spiffeID: {type: Exact, value: spiffe://default/web}}], "
FAULT = "{http: [{abort: {httpStatus: 500, percentage: 1}}]}"
LIMIT = "{local: {http: {requestRate: {num: 1, interval: 1s}}}}"


def proxy(name: str, number: int) -> str:
    inbounds = "".join(
        f"  - {{port: {port}, name: {section}, tags: {{kuma.io/service: {name}, kuma.io/protocol: http, v: v1}}}}\n"
        for port, section in ((80, "main"), (81, "admin"))
    )
    head = f"type: Dataplane\nmesh: default\nname: {name}\nlabels: {{app: {name}}}\nnetworking:\n"
    return f"{head}  address: 10.0.0.{number}\n  inbound:\n{inbounds}"


def policy(kind: str, name: str, top: str, *parts: str) -> str:
    body = "".join(f"  {part}\n" for part in parts)
    return f"type: {kind}\nmesh: default\nname: {name}\nspec:\n  targetRef: {top}\n{body}"


def faults(name: str, top: str, side: str) -> str:
    entry = f"from: [{{targetRef: {{kind: MeshSubset, tags: {{v: v1}}}}, default: {FAULT}}}]"
    return policy("MeshFaultInjection", name, top, entry if side == "from" else f"rules: [{{{SOME}default: {FAULT}}}]")


def permission(name: str, top: str, side: str) -> str:
    allow = "{allow: [{spiffeID: {type: Exact, value: spiffe://default/web}}]}"
    entry = f"from: [{{targetRef: {ALL}, default: {{action: Allow}}}}]"
    return policy("MeshTrafficPermission", name, top, entry if side == "from" else f"rules: [{{default: {allow}}}]")


Make = Callable[[str, str, str], str]
BASE = {"mesh.yaml": MESH, "web.yaml": proxy("web", 1), "api.yaml": proxy("api", 2)}
LEGACY = """
type: {kind}
mesh: default
name: old
sources: [{{match: {{kuma.io/service: web, v: v1}}}}]
destinations: [{{match: {{kuma.io/service: api, kuma.io/protocol: http}}}}]
{conf}
"""


def told(files: dict[str, str]) -> list[Diagnostic]:
    found = compile_tree(tree_of({**BASE, **files}), SCHEMAS).diagnostics
    return [one for one in found if one.code.word == "no-effect"]


@pytest.mark.parametrize("make", [faults, permission])
@pytest.mark.parametrize(
    ("tops", "named"),
    [
        ({"a": (API, "from"), "b": (API, "rules")}, {"a": "b"}),
        ({"a": (API, "from"), "b": (SIDECARS, "rules")}, {"a": "b"}),
        ({"a": (SIDECARS, "from"), "b": (SIDECARS, "rules")}, {"a": "b"}),
        ({"a": (API, "from"), "b": (SIDECARS, "rules"), "c": (API, "rules")}, {"a": "c"}),
        ({"a": (API_ADMIN, "from"), "b": (API_ADMIN, "rules")}, {"a": "b"}),
        ({"a": (API, "from"), "d": (API, "from"), "b": (API, "rules")}, {"a": "b", "d": "b"}),
        ({"a": (SIDECARS, "from"), "b": (API, "rules")}, {}),
        ({"a": (API, "from"), "b": (API_ADMIN, "rules")}, {}),
        ({"a": (API, "from"), "d": (SIDECARS, "from")}, {}),
        ({"a": (API, "rules"), "b": (SIDECARS, "rules")}, {}),
        ({"a": ("{kind: Dataplane, labels: {app: web}}", "from"), "b": (API, "rules")}, {}),
    ],
)
def test_from_is_without_effect_where_rules_decide_at_every_inbound(
    make: Make, tops: dict[str, tuple[str, str]], named: dict[str, str]
) -> None:
    found = told({f"{name}.yaml": make(name, top, side) for name, (top, side) in tops.items()})
    assert [(one.position.file, one.path) for one in found] == [(f"{name}.yaml", "/spec/from") for name in named]
    kind = "MeshFaultInjection" if make is faults else "MeshTrafficPermission"
    assert all(f"such as those of {kind} {named[one.position.file[0]]!r}," in one.message for one in found)


def test_policies_of_other_kinds_have_no_say() -> None:
    assert told({"a.yaml": faults("a", API, "from"), "b.yaml": permission("b", API, "rules")}) == []


@pytest.mark.parametrize("kind", ["MeshRateLimit", "MeshTimeout", "MeshAccessLog", "MeshCircuitBreaker", "MeshTLS"])
def test_where_from_and_rules_are_merged_nothing_is_passed_over(kind: str) -> None:
    conf = {
        "MeshRateLimit": LIMIT,
        "MeshTimeout": "{http: {requestTimeout: 1s}}",
        "MeshAccessLog": "{backends: [{type: File, file: {path: /dev/stdout}}]}",
        "MeshCircuitBreaker": "{connectionLimits: {maxConnections: 1}}",
        "MeshTLS": "{mode: Strict}",
    }[kind]
    before = policy(kind, "a", API, f"from: [{{targetRef: {ALL}, default: {conf}}}]")
    assert told({"a.yaml": before, "b.yaml": policy(kind, "b", API, f"rules: [{{default: {conf}}}]")}) == []


def test_a_shadow_neither_decides_nor_is_passed_over() -> None:
    shadow = "labels: {kuma.io/effect: shadow}\nspec:"
    rules, sources = faults("b", API, "rules"), faults("a", API, "from")
    assert told({"a.yaml": sources, "b.yaml": rules.replace("spec:", shadow)}) == []
    assert told({"a.yaml": sources.replace("spec:", shadow), "b.yaml": rules}) == []


@pytest.mark.parametrize(
    ("kind", "conf", "other"),
    [
        ("FaultInjection", "conf: {abort: {percentage: 10, httpStatus: 500}}", faults),
        ("TrafficPermission", "", permission),
    ],
)
def test_a_legacy_policy_gives_way_to_either_form(kind: str, conf: str, other: Make) -> None:
    """It is said where the legacy one is (tests/mesh/test_layers.py), and not of the newer one's `from`."""
    old = LEGACY.format(kind=kind, conf=conf)
    for side in ("from", "rules"):
        (found,) = told({"old.yaml": old, "b.yaml": other("b", API, side)})
        assert (found.position.file, found.path, found.position.line) == ("old.yaml", "/destinations/0/match", 6)


def test_an_egress_that_judges_callers_keeps_from() -> None:
    outside = "type: MeshExternalService\nmesh: default\nname: far\nlabels: {kuma.io/origin: zone}\nspec:\n"
    outside += "  match: {type: HostnameGenerator, port: 443, protocol: tcp}\n"
    outside += "  endpoints: [{address: a.b, port: 443}]\n"
    egress = "type: ZoneEgress\nname: out\nzone: east\nnetworking: {address: 10.0.0.9, port: 10002}\n"
    both = {"a.yaml": permission("a", ALL, "from"), "b.yaml": permission("b", ALL, "rules"), "out.yaml": egress}
    assert len(told(both)) == 1
    assert told({**both, "far.yaml": outside}) == []


def test_where_an_external_service_of_2_is_selected_too_nothing_is_said() -> None:
    """Its callers are judged by an egress."""
    sources = permission("a", "{kind: MeshSubset, tags: {v: v1}}", "from")
    mesh = f"{MESH}routing: {{zoneEgress: true}}"
    both = {"a.yaml": sources, "b.yaml": permission("b", ALL, "rules"), "mesh.yaml": mesh}
    outside = "type: ExternalService\nmesh: default\nname: far\ntags: {kuma.io/service: far, v: v1}\n"
    assert len(told(both)) == 1
    assert told({**both, "far.yaml": f"{outside}networking: {{address: 'a.b:443'}}\n"}) == []


def test_a_policy_with_rules_that_comes_and_goes_is_noticed() -> None:
    compiler = Compiler(SCHEMAS)
    base = {**BASE, "a.yaml": faults("a", API, "from")}
    more = {**base, "api-2.yaml": proxy("api", 3).replace("name: api\n", "name: api-2\n")}
    with_rules = {**more, "b.yaml": faults("b", SIDECARS, "rules")}
    for files, expected in ((base, 0), (with_rules, 1), (more, 0), (with_rules, 1), (base, 0)):
        warm, cold = compiler.compile(tree_of(files)), compile_tree(tree_of(files), SCHEMAS)
        assert warm.diagnostics == cold.diagnostics
        assert len([one for one in warm.diagnostics if one.path == "/spec/from"]) == expected
