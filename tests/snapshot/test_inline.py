from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from compiler.envoy.packing import unpack
from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import render
from compiler.snapshot.inline import inline, inline_all, validate_with_envoy

from .sidecar import HTTP_OUTBOUND, IDENTITY, INBOUND, TCP_ROUTE, sidecar
from .verdicts import ENVOY, needs_envoy


@needs_envoy
def test_envoy_accepts_a_whole_sidecar_and_twenty_in_one_bootstrap() -> None:
    assert ENVOY is not None

    assert validate_with_envoy(inline(sidecar()), ENVOY) is None
    assert validate_with_envoy(inline_all({f"proxy-{number}": sidecar() for number in range(20)}), ENVOY) is None


@needs_envoy
def test_envoy_sees_into_what_came_by_rds_and_by_ecds() -> None:
    assert ENVOY is not None
    by_rds, by_ecds = sidecar(), sidecar()
    route: Any = by_rds.messages[ResourceType.ROUTE][INBOUND]
    route.virtual_hosts[0].routes[0].route.cluster = "nowhere"
    extension: Any = by_ecds.messages[ResourceType.EXTENSION][TCP_ROUTE]
    extension.typed_config.value = b""

    assert "unknown cluster 'nowhere'" in (validate_with_envoy(inline(by_rds), ENVOY) or "")
    assert "constraint validation failed" in (validate_with_envoy(inline(by_ecds), ENVOY) or "")


@needs_envoy
def test_one_bad_proxy_among_many_is_found() -> None:
    assert ENVOY is not None
    bad = sidecar()
    route: Any = bad.messages[ResourceType.ROUTE][HTTP_OUTBOUND]
    route.validate_clusters.value = True
    route.virtual_hosts[0].routes[0].route.weighted_clusters.clusters[0].name = "nowhere"

    objection = validate_with_envoy(inline_all({"good": sidecar(), "bad": bad}), ENVOY)
    assert "unknown weighted cluster 'bad/nowhere'" in (objection or "")


def test_nothing_is_left_to_be_discovered() -> None:
    written = render(ResourceType.CLUSTER, "all", inline(sidecar())).json

    assert b'"ads"' not in written
    assert b'"rds"' not in written
    assert b'"configDiscovery"' not in written
    assert b'"EDS"' not in written


def test_folding_leaves_the_served_messages_alone() -> None:
    resources, untouched = sidecar(), sidecar()
    inline_all({"a": resources, "b": resources})

    assert resources == untouched


def test_an_eds_cluster_becomes_static_with_its_endpoints() -> None:
    clusters = {each.name: each for each in inline(sidecar()).static_resources.clusters}

    assert clusters["redis"].type == Cluster.STATIC
    assert len(clusters["redis"].load_assignment.endpoints) == 1
    assert not clusters["redis"].HasField("eds_cluster_config")


def test_names_are_told_apart_by_proxy_and_follow_every_mention() -> None:
    static = inline_all({"a": sidecar(), "b": sidecar()}).static_resources
    tcp = next(each for each in static.listeners if each.name.startswith("b/redis"))
    proxy: Any = unpack(tcp.filter_chains[0].filters[0].typed_config)

    assert proxy.cluster == "b/redis"
    assert {each.name for each in static.secrets} >= {f"a/{IDENTITY}", f"b/{IDENTITY}"}
    addresses = [str(each.address) for each in static.listeners]
    assert len(set(addresses)) == len(addresses) == 6


def test_secrets_are_made_up_by_what_they_are_used_for() -> None:
    secrets = {each.name: each.WhichOneof("type") for each in inline(sidecar()).static_resources.secrets}

    assert secrets == {"self_identity": "tls_certificate", "self_ca": "validation_context"}
