"""The configuration of a service of rate limits, made of snapshots."""

from pathlib import Path
from typing import Any

import yaml

from compiler.cli.writing import write_generation
from compiler.snapshot.rate_limits import RateLimits, collect_rate_limits
from tests.policies.harness import compile_documents, plain_mesh


def limit(name: str, conf: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    backend = {"rateLimitService": {"url": "http://10.9.9.9:8081"}}
    item = {"targetRef": {"kind": "Mesh"}, "default": {"backend": backend, **conf}}
    return {
        "type": "MeshGlobalRateLimit",
        "mesh": "default",
        "name": name,
        "spec": {"targetRef": target, "from": [item]},
    }


def rate(num: int, interval: str) -> dict[str, Any]:
    return {"requestRate": {"num": num, "interval": interval}}


def collected(*policies: dict[str, Any]) -> RateLimits:
    compiled = compile_documents((*plain_mesh("tags"), *policies))
    assert compiled.value.generation is not None
    return collect_rate_limits(compiled.value.generation.snapshots.values())


def replica(name: str, address: str, version: str) -> dict[str, Any]:
    tags = {"kuma.io/service": "cart", "kuma.io/protocol": "http", "version": version}
    networking = {"address": address, "inbound": [{"port": 80, "name": "http", "tags": tags}]}
    return {"type": "Dataplane", "mesh": "default", "name": name, "networking": networking}


def test_without_a_policy_there_is_nothing_to_count() -> None:
    assert collected() == RateLimits({})


def test_every_inbound_of_every_service_has_its_own_entry() -> None:
    by_header = {"kind": "OnHeader", "name": "x-tenant", "limits": [{"value": "acme", **rate(5, "1h")}]}
    found = collected(
        limit("backend", {"http": {**rate(100, "1s"), "ratelimitOnRequest": [by_header]}}, {"kind": "Mesh"}),
        limit("grpc", {"mode": "Shadow", "http": rate(7, "24h")}, {"kind": "MeshService", "name": "backend-grpc"}),
    )
    everywhere = {
        "rate_limit": {"unit": "second", "requests_per_unit": 100},
        "descriptors": [{"key": "x-tenant", "value": "acme", "rate_limit": {"unit": "hour", "requests_per_unit": 5}}],
    }
    assert found.conflicts == ()
    services = found.domains["default"]["descriptors"]
    assert [(one["key"], one["value"]) for one in services] == [
        ("kuma.io/service", "backend"),
        ("kuma.io/service", "frontend"),
    ]
    assert services[1]["descriptors"] == [{"key": "inbound", "value": "http", **everywhere}]
    counted = {one["value"]: one for one in services[0]["descriptors"]}
    assert counted.keys() == {"grpc", "http", "http2"}
    assert counted["http2"] == {"key": "inbound", "value": "http2", **everywhere}
    assert counted["grpc"]["rate_limit"] == {"unit": "day", "requests_per_unit": 7}
    assert counted["grpc"]["shadow_mode"] is True


def test_where_replicas_disagree_the_lowest_rate_counts_and_it_is_told() -> None:
    found = collected(
        replica("cart-1", "10.7.0.1", "v1"),
        replica("cart-2", "10.7.0.2", "v2"),
        limit("slow", {"http": rate(120, "1m")}, {"kind": "MeshSubset", "tags": {"version": "v1"}}),
        limit("fast", {"http": rate(3, "1s")}, {"kind": "MeshSubset", "tags": {"version": "v2"}}),
    )
    cart = next(one for one in found.domains["default"]["descriptors"] if one["value"] == "cart")
    assert cart["descriptors"][0]["rate_limit"] == {"unit": "minute", "requests_per_unit": 120}
    assert [text for text in found.conflicts if "cart" in text] == [
        "default: kuma.io/service=cart, inbound=http has 2 different limits, of which the lowest counts"
    ]


def test_a_limit_that_only_counts_gives_way_to_one_that_refuses() -> None:
    found = collected(
        replica("cart-1", "10.7.0.1", "v1"),
        replica("cart-2", "10.7.0.2", "v2"),
        limit("counts", {"mode": "Shadow", "http": rate(1, "1s")}, {"kind": "MeshSubset", "tags": {"version": "v1"}}),
        limit("refuses", {"http": rate(3, "1s")}, {"kind": "MeshSubset", "tags": {"version": "v2"}}),
    )
    cart = next(one for one in found.domains["default"]["descriptors"] if one["value"] == "cart")
    assert cart["descriptors"][0]["rate_limit"]["requests_per_unit"] == 3
    assert "shadow_mode" not in cart["descriptors"][0]


def test_compiled_output_has_a_file_for_each_domain(tmp_path: Path) -> None:
    compiled = compile_documents((*plain_mesh("tags"), limit("all", {"http": rate(9, "1m")}, {"kind": "Mesh"})))
    assert compiled.value.generation is not None
    write_generation(compiled.value.generation, tmp_path / "out")
    found = collect_rate_limits(compiled.value.generation.snapshots.values())
    assert [path.name for path in (tmp_path / "out" / "ratelimits").iterdir()] == ["default.yaml"]
    assert yaml.safe_load((tmp_path / "out" / "ratelimits" / "default.yaml").read_text()) == found.domains["default"]
