"""Who has a certificate and who has none, where zones are entered and left by proxies."""

import pytest

from compiler.pipeline import Compiler, compile_tree
from tests.mesh.test_zones import (
    DIRECT,
    EAST,
    EGRESS,
    ENTERED,
    INGRESS,
    MESH,
    OUTSIDE,
    PLAIN,
    PORT,
    WEB,
    WEST,
    WHOLE,
    compiled,
    names,
    seen,
    told,
    zone_address,
)
from tests.trees import SCHEMAS, tree_of


def certified(document: str) -> str:
    return document.replace("labels: {", "labels: {kuma.io/workload: some, ")


IDENTITY = """\
type: MeshIdentity
mesh: default
name: some
spec:
  selector: {dataplane: {matchLabels: {kuma.io/workload: some}}}
  provider:
    type: Bundled
    bundled: {autogenerate: {enabled: true}, insecureAllowSelfSigned: true, meshTrustCreation: Enabled}
"""
DOOR = """\
type: Dataplane
mesh: default
name: door
labels: {kuma.io/zone: west}
networking: {address: 10.2.0.9, listeners: [{type: ZoneIngress, port: 10001}]}
"""
CERTIFIED = (PLAIN, IDENTITY, certified(WEB), certified(EAST), certified(WEST))


@pytest.mark.parametrize(
    ("node", "doors"), [(".zi", (INGRESS,)), ("default.door", (DOOR, zone_address(30001)))], ids=["2.x", "3.0"]
)
def test_an_ingress_without_a_certificate_of_its_own_passes_on_what_has_one(node: str, doors: tuple[str, ...]) -> None:
    assert seen(PORT, *CERTIFIED, *doors)[-1] == (1, "west", ENTERED, 1)
    assert names(node, *CERTIFIED, *doors) == ["sni.msvc.default.api.8080", "sni.service.default.api"]
    assert told(*CERTIFIED, *doors) == []


def test_a_caller_without_a_certificate_is_sent_to_no_zone_proxy() -> None:
    """Neither an ingress nor an egress takes plaintext; a zone without an ingress is called as it always is."""
    uncertified = (PLAIN, IDENTITY, WEB, certified(EAST), certified(WEST))
    near = (0, "east", ("10.1.0.2", 8080), 1)
    leaving = f"{PLAIN}routing: {{zoneEgress: true}}\n"
    by_egress = (EGRESS, IDENTITY.replace("some", "zone-egress"))
    assert seen(PORT, *uncertified, INGRESS) == [near]
    assert seen(WHOLE, *uncertified, INGRESS) == [near]
    assert seen(PORT, leaving, *uncertified[1:], *by_egress) == [near, (0, "west", DIRECT, 1)]
    assert seen(PORT, leaving, *CERTIFIED[1:], *by_egress) == [(1, "_egress", ("10.1.0.8", 10002), 1), near]
    assert seen(PORT, *uncertified) == [near, (0, "west", DIRECT, 1)]


def test_a_caller_that_is_given_a_certificate_is_sent_to_other_zones_from_then_on() -> None:
    rest = {f"{place}.yaml": text for place, text in enumerate((PLAIN, IDENTITY, *CERTIFIED[3:], INGRESS))}
    compiler = Compiler(SCHEMAS)
    for caller in (WEB, certified(WEB), WEB):
        tree = tree_of({**rest, "web.yaml": caller})
        warm, cold = compiler.compile(tree), compile_tree(tree, SCHEMAS)
        assert warm.value.generation == cold.value.generation


def unused(*documents: str) -> list[str]:
    found = compiled(*documents).diagnostics
    return [f"{one.subject.name}: {one.message}" for one in found if one.code.word == "zone-proxy-unused"]


@pytest.mark.parametrize("door", [INGRESS, zone_address(30001)], ids=["ZoneIngress", "MeshZoneAddress"])
def test_what_an_ingress_cannot_pass_on_is_told_where_other_zones_are_led_to_it(door: str) -> None:
    where = "zi" if door == INGRESS else "west"
    uncertified = (PLAIN, IDENTITY, certified(WEB), certified(EAST), WEST)
    message = "proxies of 'api' in mesh 'default' have no certificate: other zones cannot call them"
    assert unused(*uncertified, door) == [f"{where}: {message}"]
    assert seen(PORT, *uncertified, door) == [(0, "east", ("10.1.0.2", 8080), 1)]
    assert unused(PLAIN, IDENTITY, certified(WEST), WEST.replace("api", "db"), door) == []


def test_of_several_meshes_each_without_tls_is_told_of_if_it_stands_in_several_zones() -> None:
    other = PLAIN.replace("default", "other")
    moved = tuple(one.replace("mesh: default", "mesh: other") for one in (EAST, WEST))
    message = "zi: mesh 'other' has no mutual TLS: its proxies in zone 'west' cannot be called from other zones"
    assert unused(MESH, WEB, EAST, WEST, INGRESS, other, *moved) == [message]
    assert unused(MESH, WEB, EAST, WEST, INGRESS, other, moved[1]) == []
    assert unused(MESH, WEB, EAST, WEST, INGRESS, other, *moved, "{type: Zone, name: west, enabled: false}") == []


def test_an_egress_without_a_certificate_is_told_of_where_calls_would_go_by_it() -> None:
    leaving = DOOR.replace("ZoneIngress", "ZoneEgress").replace("west", "east")
    message = "it has no certificate, so nobody is led to it: calls leave the zone directly"
    assert unused(*CERTIFIED, EGRESS) == []
    assert unused(*CERTIFIED, EGRESS, OUTSIDE) == [f"ze: in mesh 'default' {message}"]
    assert unused(*CERTIFIED, EGRESS, OUTSIDE, IDENTITY.replace("some", "zone-egress")) == []
    assert unused(*CERTIFIED, leaving) == [f"door: {message}"]
    assert unused(*CERTIFIED, certified(leaving)) == []
