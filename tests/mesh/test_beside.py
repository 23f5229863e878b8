"""Whom a proxy calls by address, and where it answers who asks for it."""

import json

from compiler.diagnostics import Diagnostic
from compiler.envoy.resources import ResourceType
from tests.trees import compile_texts

MESH = "type: Mesh\nname: default\nskipCreatingInitialPolicies: ['*']"
PROXY = """
type: Dataplane
mesh: default
name: {name}
labels: {{kuma.io/zone: {zone}}}
networking:
  address: {address}
  inbound: [{{port: 80, state: {state}, tags: {{kuma.io/service: {service}}}}}]
  transparentProxying: {{reachableServices: [], directAccessServices: [{direct}]}}
"""
SET = """
type: DataplaneSet
mesh: default
name: moving
spec:
  registration: {cidrs: [10.9.0.0/16]}
  template:
    networking:
      admin: {port: 9901}
      inbound: [{port: 80, tags: {kuma.io/service: moving}}]
      transparentProxying: {reachableServices: []}
    probes: {port: 9000, endpoints: [{inboundPort: 80, inboundPath: /a, path: /80/a}]}
"""
ZONES = "\n---\n".join(f"type: Zone\nname: {name}" for name in ("east", "west"))


def proxy(
    name: str, address: str, direct: str = "", service: str = "api", zone: str = "east", state: str = "Ready"
) -> str:
    return PROXY.format(name=name, address=address, direct=direct, service=service, zone=zone, state=state)


def direct_listeners(*texts: str, name: str = "caller") -> set[str]:
    generation = compile_texts(*_with_mesh(texts)).value.generation
    assert generation is not None
    listeners = generation.snapshots[f"default.{name}"].resources[ResourceType.LISTENER]
    return {one.removeprefix("direct_access_") for one in listeners if one.startswith("direct_access_")}


def found(*texts: str) -> list[tuple[str, str]]:
    found: tuple[Diagnostic, ...] = compile_texts(*_with_mesh(texts)).diagnostics
    return [(one.code.word, one.path) for one in found]


def _with_mesh(texts: tuple[str, ...]) -> tuple[str, ...]:
    return (ZONES, *texts) if SECURED in texts else (MESH, ZONES, *texts)


def test_every_address_of_the_named_services_is_called_but_those_at_which_the_proxy_listens() -> None:
    others = (proxy("one", "10.0.0.2"), proxy("two", "10.0.0.3"), proxy("other", "10.0.0.4", service="other"))
    assert direct_listeners(proxy("caller", "10.0.0.1", "api"), *others) == {"10.0.0.2:80", "10.0.0.3:80"}
    assert direct_listeners(proxy("caller", "10.0.0.1", '"*"'), *others) == {
        "10.0.0.2:80",
        "10.0.0.3:80",
        "10.0.0.4:80",
    }


def test_neither_what_is_in_another_zone_nor_what_is_not_ready_is_called_directly() -> None:
    others = (proxy("one", "10.0.0.2", zone="west"), proxy("two", "10.0.0.3", state="NotReady"))
    assert direct_listeners(proxy("caller", "10.0.0.1", "api"), *others) == set()


SECURED = """
type: Mesh
name: default
skipCreatingInitialPolicies: ['*']
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
"""
METRICS = """
type: MeshMetric
mesh: default
name: metrics
spec: {default: {backends: [{type: Prometheus, prometheus: {port: 5670, tls: {mode: %s}}}]}}
"""


def test_metrics_by_mutual_tls_are_called_directly_but_the_callers_own() -> None:
    others = (SECURED, proxy("one", "10.0.0.2"), proxy("far", "10.0.0.3", zone="west"))
    mutual = METRICS % "ActiveMTLSBackend"
    scraped = {"10.0.0.2:5670"}
    assert direct_listeners(proxy("caller", "10.0.0.1", "dataplane-metrics"), *others, mutual) == scraped
    assert direct_listeners(proxy("caller", "10.0.0.1", '"*"'), *others, mutual) == {"10.0.0.2:80", *scraped}
    assert direct_listeners(proxy("caller", "10.0.0.1", "api"), *others, mutual) == {"10.0.0.2:80"}
    assert direct_listeners(proxy("caller", "10.0.0.1", '"*"'), *others, METRICS % "Disabled") == {"10.0.0.2:80"}


def test_metrics_that_nobody_serves_by_mutual_tls_are_not_called_directly() -> None:
    at = "/networking/transparentProxying/directAccessServices/0"
    caller = proxy("caller", "10.0.0.1", "dataplane-metrics")
    assert found(caller) == [("dangling-ref", at)]
    assert found(caller, SECURED, METRICS % "Disabled") == [("no-effect", at)]
    assert found(caller, SECURED, METRICS % "ActiveMTLSBackend") == []
    told = found(caller, METRICS % "ActiveMTLSBackend")
    assert told == [("no-effect", at), ("no-effect", "/spec/default/backends/0/prometheus/tls/mode")]


def test_what_cannot_be_called_directly_is_told_of() -> None:
    at = "/networking/transparentProxying/directAccessServices"
    assert found(proxy("caller", "10.0.0.1", "nobody, moving"), SET) == [
        ("dangling-ref", f"{at}/0"),
        ("no-effect", f"{at}/1"),
        ("not-supported-yet", "/spec/registration"),
    ]


def test_proxies_that_register_themselves_answer_on_every_address() -> None:
    generation = compile_texts(MESH, SET).value.generation
    assert generation is not None
    [snapshot] = generation.snapshots.values()
    listeners = snapshot.resources[ResourceType.LISTENER]
    for name, port in (("system_envoy_admin", 9901), ("system_virtual_probes", 9000)):
        message = json.loads(listeners[name].json)
        assert message["address"]["socketAddress"] == {"address": "0.0.0.0", "portValue": port}
        assert message["bindToPort"] is False
