"""A legacy policy gives way to newer ones of its kind, place by place, and goes before what every Mesh has."""

from collections.abc import Mapping
from typing import Any

import pytest

from compiler.diagnostics import Checked, Diagnostic
from compiler.mesh.permission import admits
from compiler.mesh.proxy import Proxy
from compiler.mesh.value import Confs
from compiler.pipeline import Compiled, Compiler, compile_tree
from compiler.resources.model import ResourceKey
from compiler.source.tree import SourceTree
from tests.trees import SCHEMAS, resolve_proxy, tree_of

_MESH = "type: Mesh\nname: default\nmtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}\n"
_TRACED = "tracing: {backends: [{name: z, type: zipkin, conf: {url: 'http://10.0.0.9:9411/old'}}]}\n"
_LOGGED = "logging: {backends: [{name: f, type: file, conf: {path: /tmp/old}}]}\n"
_WEB, _ALL = "{kuma.io/service: web}", "{kuma.io/service: '*'}"


def _proxy(name: str, number: int, outbounds: str = "") -> str:
    inbound = f"inbound: [{{port: 80, tags: {{kuma.io/service: {name}, kuma.io/protocol: http}}}}]"
    called = f"  outbound: [{outbounds}]\n" if outbounds else ""
    head = f"type: Dataplane\nmesh: default\nname: {name}\nlabels: {{app: {name}}}\nnetworking:\n"
    return f"{head}  address: 10.0.0.{number}\n  {inbound}\n{called}"


_CALLED = ", ".join(f"{{port: {81 + n}, tags: {{kuma.io/service: {name}}}}}" for n, name in enumerate(("api", "db")))
_BASE = {
    "mesh": _MESH + _TRACED + _LOGGED,
    "web": _proxy("web", 1, _CALLED),
    "api": _proxy("api", 2),
    "db": _proxy("db", 3),
}


def _old(kind: str, sources: str, destinations: str, conf: str = "", name: str = "old") -> str:
    ends = f"sources: [{{match: {sources}}}]\ndestinations: [{{match: {destinations}}}]\n"
    return f"type: {kind}\nmesh: default\nname: {name}\n{ends}{conf}\n"


def _new(kind: str, spec: str, name: str = "new") -> str:
    return f"type: {kind}\nmesh: default\nname: {name}\nspec: {spec}\n"


def _app(name: str) -> str:
    return f"targetRef: {{kind: Dataplane, labels: {{app: {name}}}}}"


def _tree(files: Mapping[str, str]) -> SourceTree:
    return tree_of({f"{name}.yaml": text for name, text in {**_BASE, **files}.items()})


def _resolved(compiled: Checked[Compiled]) -> dict[str, Proxy]:
    """Of the tree that was compiled last."""
    keys = {name: ResourceKey("Dataplane", "default", name) for name in ("web", "api", "db")}
    return {name: resolve_proxy(compiled.value.memo, key) for name, key in keys.items()}


def _compile(files: Mapping[str, str]) -> tuple[dict[str, Proxy], list[Diagnostic]]:
    compiled = compile_tree(_tree(files), SCHEMAS)
    assert not [one for one in compiled.diagnostics if one.level == "error"], compiled.diagnostics
    return _resolved(compiled), [
        one for one in compiled.diagnostics if one.code.word == "no-effect" and one.position.file == "old.yaml"
    ]


def _who(confs: Confs, kind: str) -> set[str]:
    """The policies that a conf of the kind came from, without those that a Mesh has from the start."""
    names = (origin.policy.name for one in confs if one.policy == kind for origin in one.origins)
    return {name for name in names if not name.startswith("mesh-")}


def _called(proxy: Proxy, service: str) -> Any:
    return next(one for one in proxy.outbounds if one.destination is not None and service in one.destination.kri)


# --- Incoming -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "newer",
    [
        "from: [{targetRef: {kind: MeshSubset, tags: {kuma.io/service: db}}, default: {action: Allow}}]",
        "rules: [{default: {allow: [{spiffeID: {type: Exact, value: spiffe://default/db}}]}}]",
    ],
)
def test_nobody_is_let_in_by_an_old_permission_where_a_newer_one_is(newer: str) -> None:
    """Merged, the old one would open what the newer one closes: to migrate one service would close nothing."""
    old, new = _old("TrafficPermission", _ALL, _ALL), _new("MeshTrafficPermission", f"{{{_app('api')}, {newer}}}")
    proxies, told = _compile({"old": old, "new": new})
    there, elsewhere = (proxies[name].inbounds[0].permission for name in ("api", "db"))
    assert admits(there, {"spiffe://default/db", "kuma://kuma.io/service/db"})
    assert not admits(there, {"spiffe://default/web", "kuma://kuma.io/service/web"})
    assert admits(elsewhere, {"spiffe://default/web"})
    assert told == []


def test_old_faults_give_way_to_newer_ones_of_either_form() -> None:
    abort = "{http: [{abort: {httpStatus: 501, percentage: 1}}]}"
    to = "{kuma.io/service: '*', kuma.io/protocol: http}"
    old = _old("FaultInjection", _WEB, to, "conf: {abort: {httpStatus: 500, percentage: 1}}")
    for part in (f"rules: [{{default: {abort}}}]", f"from: [{{targetRef: {{kind: Mesh}}, default: {abort}}}]"):
        proxies, told = _compile({"old": old, "new": _new("MeshFaultInjection", f"{{{_app('api')}, {part}}}")})
        there, elsewhere = (proxies[name].inbounds[0] for name in ("api", "db"))
        assert {origin.policy.name for one in there.confs for origin in one.origins if "Fault" in one.policy} == {"new"}
        faults = [rule for rule in elsewhere.source_rules if _who(rule.confs, "MeshFaultInjection") == {"old"}]
        assert faults or _who(elsewhere.confs, "MeshFaultInjection") == {"old"}
        assert told == []


def test_an_old_limit_gives_way() -> None:
    old = _old("RateLimit", _WEB, _ALL, "conf: {http: {requests: 5, interval: 1m}}")
    rules = "rules: [{default: {local: {http: {requestRate: {num: 9, interval: 1m}}}}}]"
    proxies, told = _compile({"old": old, "new": _new("MeshRateLimit", f"{{{_app('api')}, {rules}}}")})
    there, elsewhere = (proxies[name].inbounds[0] for name in ("api", "db"))
    assert _who(there.confs, "MeshRateLimit") == {"new"}
    assert not there.source_rules
    assert [_who(rule.confs, "MeshRateLimit") for rule in elsewhere.source_rules] == [{"old"}]
    assert told == []


# --- Outgoing -----------------------------------------------------------------------------------------------------

_OUTGOING = {
    "MeshTimeout": ("Timeout", "conf: {connectTimeout: 3s}", "connectionTimeout: 4s"),
    "MeshRetry": ("Retry", "conf: {http: {numRetries: 3}}", "http: {numRetries: 4}"),
    "MeshCircuitBreaker": (
        "CircuitBreaker",
        "conf: {thresholds: {maxConnections: 3}}",
        "connectionLimits: {maxConnections: 4}",
    ),
    "MeshHealthCheck": (
        "HealthCheck",
        "conf: {interval: 3s, timeout: 1s, unhealthyThreshold: 2, healthyThreshold: 1}",
        "interval: 4s, tcp: {}",
    ),
    "MeshAccessLog": ("TrafficLog", "conf: {backend: f}", "backends: [{type: File, file: {path: /tmp/new}}]"),
}


@pytest.mark.parametrize("kind", sorted(_OUTGOING))
def test_calls_to_one_service_are_those_of_the_newer_policy(kind: str) -> None:
    legacy, conf, default = _OUTGOING[kind]
    to = f"to: [{{targetRef: {{kind: MeshService, name: api}}, default: {{{default}}}}}]"
    new = _new(kind, f"{{targetRef: {{kind: Mesh}}, {to}}}")
    proxies, told = _compile({"old": _old(legacy, _ALL, _ALL, conf), "new": new})
    assert _who(_called(proxies["web"], "api").confs, kind) == {"new"}
    assert _who(_called(proxies["web"], "db").confs, kind) == {"old"}
    assert told == []


@pytest.mark.parametrize("kind", sorted(_OUTGOING))
def test_a_newer_policy_for_all_calls_beats_an_old_one_for_one_service(kind: str) -> None:
    legacy, conf, default = _OUTGOING[kind]
    to = f"to: [{{targetRef: {{kind: Mesh}}, default: {{{default}}}}}]"
    old = _old(legacy, _WEB, "{kuma.io/service: api}", conf)
    proxies, told = _compile({"old": old, "new": _new(kind, f"{{targetRef: {{kind: Mesh}}, {to}}}")})
    assert _who(_called(proxies["web"], "api").confs, kind) == {"new"}
    [found] = told
    assert f"such as {kind} 'new'" in found.message
    assert found.path == "/destinations/0/match"


def test_elsewhere_an_old_policy_holds() -> None:
    to = "to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 4s}}]"
    old = _old("Timeout", _ALL, _ALL, "conf: {connectTimeout: 3s}")
    proxies, told = _compile({"old": old, "new": _new("MeshTimeout", f"{{{_app('db')}, {to}}}")})
    assert _who(_called(proxies["web"], "api").confs, "MeshTimeout") == {"old"}
    assert told == []


@pytest.mark.parametrize("name", ["a", "zzz"])
def test_an_old_policy_goes_before_what_every_mesh_has(name: str) -> None:
    """Whatever their names: somebody wrote it."""
    old = _old("Timeout", _ALL, _ALL, "conf: {connectTimeout: 3s}", name)
    proxies, _ = _compile({"old": old})
    (conf,) = (one.conf for one in _called(proxies["web"], "api").confs if one.policy == "MeshTimeout")
    assert str(conf.connection_timeout) == "3s"


def test_what_a_mesh_has_from_the_start_is_a_newer_policy_once_it_is_written() -> None:
    """As `kumactl export` prints it; Kuma 2.14 has it beat the old ones, too."""
    written = "to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 5s}}]"
    old = _old("Timeout", _ALL, _ALL, "conf: {connectTimeout: 3s}")
    new = _new("MeshTimeout", f"{{targetRef: {{kind: Mesh}}, {written}}}", "mesh-timeout-all-default")
    proxies, told = _compile({"old": old, "new": new})
    (conf,) = (one.conf for one in _called(proxies["web"], "api").confs if one.policy == "MeshTimeout")
    assert str(conf.connection_timeout) == "5s"
    assert len(told) == 1


def test_an_old_route_gives_way() -> None:
    db = "destination: {kuma.io/service: db}"
    sent = f"conf: {{http: [{{match: {{path: {{prefix: /}}}}, {db}}}], {db}}}"
    rule = "{matches: [{path: {type: PathPrefix, value: /v2}}], default: {}}"
    to = f"to: [{{targetRef: {{kind: MeshService, name: api}}, rules: [{rule}]}}]"
    new = _new("MeshHTTPRoute", f"{{targetRef: {{kind: Mesh}}, {to}}}")
    old = _old("TrafficRoute", _WEB, "{kuma.io/service: api}", sent)
    before, _ = _compile({"old": old})
    assert {one.policy.name for route in _called(before["web"], "api").routes for one in route.origins} == {"old"}
    proxies, told = _compile({"old": old, "new": new})
    assert {one.policy.name for route in _called(proxies["web"], "api").routes for one in route.origins} == {"new"}
    assert told


# --- All of a proxy -----------------------------------------------------------------------------------------------


def test_an_old_trace_gives_way() -> None:
    old = f"type: TrafficTrace\nmesh: default\nname: old\nselectors: [{{match: {_ALL}}}]\nconf: {{backend: z}}\n"
    backend = "default: {backends: [{type: Zipkin, zipkin: {url: 'http://10.0.0.9:9411/new'}}]}"
    proxies, told = _compile({"old": old, "new": _new("MeshTrace", f"{{{_app('api')}, {backend}}}")})
    assert _who(proxies["api"].inbounds[0].confs, "MeshTrace") == {"new"}
    assert _who(proxies["db"].inbounds[0].confs, "MeshTrace") == {"old"}
    assert told == []
    egress = "type: ZoneEgress\nname: out\nzone: east\nnetworking: {address: 10.0.0.9, port: 10002}\n"
    everywhere = _new("MeshTrace", f"{{targetRef: {{kind: Mesh}}, {backend}}}")
    _, told = _compile({"old": old, "new": everywhere, "out": egress})
    assert [one.path for one in told] == ["/selectors/0/match"]


def test_changes_of_a_proxy_add_up_the_old_ones_first() -> None:
    """Of one cluster both may be meant, and neither says what the other does."""
    change = "{cluster: {operation: %s, match: {origin: inbound}, value: 'connectTimeout: %ds'}}"
    old = "type: ProxyTemplate\nmesh: default\nname: old\nselectors: [{match: {kuma.io/service: api}}]\n"
    old += f"conf: {{imports: [default-proxy], modifications: [{change % ('patch', 3)}]}}\n"
    new = _new("MeshProxyPatch", f"{{{{kind}}, default: {{appendModifications: [{change % ('Patch', 4)}]}}}}")
    new = new.replace("{kind}", "targetRef: {kind: Mesh}")
    proxies, told = _compile({"old": old, "new": new})
    (conf,) = (one.conf for one in proxies["api"].confs if one.policy == "MeshProxyPatch")
    assert [one.origin.policy.name for one in conf.modifications] == ["old", "new"]
    assert told == []


# --- One edit after the other -------------------------------------------------------------------------------------


def test_what_gave_way_is_back_once_the_newer_policy_is_gone() -> None:
    slow = _old("Timeout", _ALL, _ALL, "conf: {connectTimeout: 3s}", "slow")
    old = {"old": _old("TrafficPermission", _ALL, _ALL), "slow": slow}
    web = "{spiffeID: {type: Exact, value: spiffe://default/web}}"
    shut = f"{{{_app('api')}, rules: [{{default: {{deny: [{web}]}}}}]}}"
    fast = "{targetRef: {kind: Mesh}, to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 4s}}]}"
    new = {"new": _new("MeshTrafficPermission", shut), "fast": _new("MeshTimeout", fast, "fast")}
    compiler = Compiler(SCHEMAS)
    found = [_resolved(compiler.compile(_tree({**old, **more}))) for more in ({}, new, {}, new)]
    alone = [_resolved(compile_tree(_tree({**old, **more}), SCHEMAS)) for more in ({}, new)]
    assert found == [*alone, *alone]
    assert alone[0] != alone[1]
