"""Endpoints that lead through zone proxies are explained by the documents of those, and of what is behind them."""

from collections.abc import Mapping

from tests.review.explaining.test_explain import ask, chain

MESH = """
type: Mesh
name: default
skipCreatingInitialPolicies: ["*"]
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
"""
WEB = """
type: Dataplane
mesh: default
name: web
labels: {kuma.io/zone: east}
networking:
  address: 10.0.1.1
  inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound: [{port: 10001, tags: {kuma.io/service: api}}]
"""
API = """
type: Dataplane
mesh: default
name: api
labels: {kuma.io/zone: west}
networking:
  address: 10.0.2.1
  inbound: [{port: 8080, tags: {kuma.io/service: api, kuma.io/protocol: http}}]
"""
INGRESS = """
type: ZoneIngress
name: ingress
zone: west
networking: {address: 10.9.9.9, port: 10001, advertisedAddress: 192.0.2.7, advertisedPort: 30001}
"""
ADDRESS = """
type: MeshZoneAddress
mesh: default
name: west
labels: {kuma.io/zone: west}
spec: {address: 192.0.2.77, port: 30007}
"""
EGRESS = "type: ZoneEgress\nname: egress-{zone}\nzone: {zone}\nnetworking: {{address: 10.8.8.{last}, port: 10002}}\n"
FILES = {"mesh.yaml": MESH, "web.yaml": WEB, "api.yaml": API, "ingress.yaml": INGRESS}
SOCKET = "endpoints/api/endpoints/0/lbEndpoints/0/endpoint/address/socketAddress"


def names(field: str, files: Mapping[str, str]) -> list[tuple[str, object]]:
    return [(name, value) for _, name, value in chain(ask(field, files))]


def test_an_address_in_another_zone_is_the_ingress_s_and_beneath_it_the_proxy_s_own() -> None:
    found = ask(f"{SOCKET}/address", FILES)
    assert [(step.place.resource.name, step.place.pointer, step.value.value) for step in found.chain] == [
        ("api", "/networking/address", "10.0.2.1"),
        ("ingress", "/networking/advertisedAddress", "192.0.2.7"),
    ]
    assert names(f"{SOCKET}/portValue", FILES) == [("api", 8080), ("ingress", 30001)]


def test_the_proxies_behind_an_ingress_are_why_it_is_listed() -> None:
    assert [place.resource.name for place in ask(f"{SOCKET}/address", FILES).grounds] == ["web", "api"]


def test_what_stands_in_for_an_ingress_overrides_it() -> None:
    files = {**FILES, "address.yaml": ADDRESS}
    assert names(f"{SOCKET}/address", files)[1:] == [("ingress", "192.0.2.7"), ("west", "192.0.2.77")]


def test_an_address_on_the_way_out_is_the_egress_s_and_beneath_it_the_ingress_s() -> None:
    egresses = "---\n".join(EGRESS.format(zone=zone, last=last) for last, zone in enumerate(("east", "west"), 1))
    files = {**FILES, "mesh.yaml": MESH + "routing: {zoneEgress: true}\n", "egress.yaml": egresses}
    found = names(f"{SOCKET}/address", files)
    assert [name for name, _ in found] == ["api", "ingress", "default", "egress-east"]
    assert found[-1] == ("egress-east", "10.8.8.1")
