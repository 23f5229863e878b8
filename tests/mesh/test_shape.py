"""Replicas share a shape, and a shape decides all that its proxies would by themselves."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from compiler.envoy.resources import ResourceType
from compiler.mesh import shape as shapes
from compiler.mesh.holes import fill, hole
from compiler.mesh.shape import REPLICA, Replica, version_of
from compiler.pipeline import Compiler
from tests.edits import repositories
from tests.test_properties import compile_files, outcome
from tests.trees import SCHEMAS, compile_texts

slow = settings(deadline=None, suppress_health_check=list(HealthCheck))


def dataplane(name: str, address: str, *, labels: str = "app: web", inbound: str = "", outbound: str = "") -> str:
    return f"""
type: Dataplane
mesh: default
name: {name}
labels: {{{labels}, kuma.io/workload: web}}
networking:
  address: {address}
  inbound: [{{port: 80, name: main, protocol: http{inbound}}}]
  outbound: [{outbound}]
"""


def timeout(target: str, labels: str = "") -> str:
    return f"""
type: MeshTimeout
mesh: default
name: timeout
labels: {{{labels}}}
spec:
  targetRef: {target}
  to: [{{targetRef: {{kind: Mesh}}, default: {{idleTimeout: 7s}}}}]
"""


def replicas(*texts: str) -> Mapping[str, Replica]:
    compiler = Compiler(SCHEMAS)
    checked = compile_texts("type: Mesh\nname: default\n", *texts, compiler=compiler)
    assert not checked.failed, checked.diagnostics
    keys = [key for key in checked.value.resources.resources if key.type == "Dataplane"]
    return {key.name: found for key in keys if (found := compiler.memo.ask(REPLICA, key)) is not None}


def share(*texts: str) -> bool:
    return len({found.shape for found in replicas(*texts).values()}) == 1


FIRST, SECOND = dataplane("one", "10.0.0.1"), dataplane("two", "10.0.0.2")


def test_a_name_and_an_address_are_a_replicas_own() -> None:
    found = replicas(FIRST, SECOND)
    assert found["one"].shape == found["two"].shape
    assert [one.addresses for one in found.values()] == [("10.0.0.1",), ("10.0.0.2",)]


def test_a_label_that_nothing_asks_about_tells_nobody_apart() -> None:
    assert share(FIRST, dataplane("two", "10.0.0.2", labels="app: web, pod: two"))
    assert share(FIRST, dataplane("two", "10.0.0.2", labels="app: web, kuma.io/zone: east"))


@pytest.mark.parametrize(
    "policy",
    [
        timeout("{kind: Dataplane, labels: {pod: two}}"),
        timeout("{kind: Dataplane, name: two}"),
        timeout("{kind: Dataplane, labels: {kuma.io/display-name: two}}"),
        timeout("{kind: Dataplane, labels: {app: web, pod: two}}"),
        timeout("{kind: Mesh}", "kuma.io/origin: zone, kuma.io/zone: east"),
        timeout("{kind: Dataplane, labels: {kuma.io/zone: east}}"),
    ],
)
def test_what_a_policy_asks_for_tells_them_apart(policy: str) -> None:
    second = dataplane("two", "10.0.0.2", labels="app: web, pod: two, kuma.io/zone: east, kuma.io/origin: zone")
    assert not share(FIRST, second, policy)


NAMING = {
    "MeshTrace": "{default: {backends: [{type: Zipkin, zipkin: {url: 'http://z:9411/spans'}}]}}",
    "MeshMetric": "{default: {backends: [{type: Prometheus, prometheus: {}}]}}",
    "MeshAccessLog": "{to: [{targetRef: {kind: Mesh}, default: {backends: [{type: File, file: {path: /l, "
    "format: {type: Plain, plain: '%KUMA_ZONE% %KUMA_SOURCE_SERVICE%'}}}]}}]}",
}
"""Policies by which proxies say who they are."""


def naming(kind: str) -> str:
    return f"type: {kind}\nmesh: default\nname: naming\nspec: {NAMING[kind]}\n"


@pytest.mark.parametrize("kind", NAMING)
def test_a_zone_that_is_only_named_tells_nobody_apart(kind: str) -> None:
    east, west = (
        dataplane(name, f"10.0.0.{number}", labels=f"app: web, kuma.io/zone: {name}")
        for number, name in enumerate(("east", "west"), 1)
    )
    assert share(east, west, naming(kind))
    assert not share(east, FIRST, naming(kind))


def test_each_zone_and_each_workload_is_called_by_its_own_name() -> None:
    service = """
type: MeshService
mesh: default
name: called
spec: {selector: {dataplaneLabels: {matchLabels: {app: web}}}, ports: [{port: 80, targetPort: 80, appProtocol: http}]}
"""
    calls = "{address: 127.0.0.1, port: 99, backendRef: {kind: MeshService, name: called, port: 80}}"
    proxies = [
        dataplane(
            f"{name}-{zone}", f"10.0.0.{number}", labels=f"app: web, kuma.io/zone: {zone}", outbound=calls
        ).replace("workload: web", f"workload: {name}")
        for number, (name, zone) in enumerate([("web", "east"), ("web", "west"), ("other", "east")], 1)
    ]
    compiled = compile_texts("type: Mesh\nname: default\n", service, *proxies, *map(naming, NAMING)).value
    assert compiled.generation is not None
    for node, snapshot in compiled.generation.snapshots.items():
        name, _, zone = node.removeprefix("default.").partition("-")
        listeners = b"".join(one.json for one in snapshot.resources[ResourceType.LISTENER].values()).decode()
        assert f"{zone} {name}\\n" in listeners
        assert all(f'\\"{label}\\":\\"{name}\\"' in listeners for label in ("kuma_workload", "kuma_io_service"))
        assert not any(other in listeners for other in {"east", "west", "other"} - {zone, name})
    assert compiled.counters["outbound listeners"] == 1
    assert compiled.counters["support resources"] == len(NAMING)


def test_a_proxy_that_names_its_own_service_is_no_replica() -> None:
    nameless = [text.replace(", kuma.io/workload: web", "") for text in (FIRST, SECOND)]
    assert not share(*nameless)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "241.7.7.7"])  # nothing binds it
def test_an_address_with_a_meaning_of_its_own_is_part_of_the_shape(address: str) -> None:
    assert not share(FIRST, dataplane("two", "10.0.0.2", inbound=f", address: {address}"))


def test_an_address_that_an_outbound_listens_on_is_part_of_the_shape() -> None:
    calls = "{address: 10.0.0.2, port: 99, backendRef: {kind: MeshService, name: web, port: 80}}"
    found = replicas(FIRST, dataplane("two", "10.0.0.2", outbound=calls))
    assert found["two"].addresses == ()


def test_a_length_of_time_in_a_dataplane_tells_them_apart() -> None:
    probes = [f", serviceProbe: {{interval: {interval}, tcp: {{}}}}" for interval in ("5s", "5s", "6s")]
    one, same, other = (
        replicas(dataplane(name, "10.0.0.1", inbound=probe))[name] for name, probe in zip("abc", probes, strict=True)
    )
    assert one.shape == same.shape != other.shape


def test_two_spellings_of_one_address_stay_as_they_are_written() -> None:
    found = replicas(dataplane("one", "'fd00::1'", inbound=", address: 'fd00:0::1', serviceAddress: 10.9.9.9"))
    assert found["one"].addresses == ("fd00::1", "10.9.9.9")


def test_the_version_of_an_address_is_known_without_it() -> None:
    assert [version_of(text) for text in ("10.0.0.1", "fd00::1", "127.0.0.1", "::1", "a.host")] == [4, 6, 0, 0, 0]
    assert [version_of(hole(0, version)) for version in (4, 6)] == [4, 6]


def test_an_inbound_address_in_a_message_is_the_replicas_again() -> None:
    text = f"{hole(0, 4)}:80 and {hole(11, 6)}"
    assert fill(text, [f"10.0.0.{place}" for place in range(11)] + ["fd00::1"]) == "10.0.0.0:80 and fd00::1"


@settings(slow, max_examples=60)
@given(state=repositories())
def test_sharing_has_no_meaning(state: Mapping[str, Any]) -> None:
    files = {name: [document] for name, document in state.items()}
    shared = outcome(compile_files(files))
    with pytest.MonkeyPatch.context() as alone:
        alone.setattr(shapes, "_is_particular", lambda *_: True)
        alone.setattr(shapes, "_own_addresses", lambda *_: {})
        assert outcome(compile_files(files)) == shared
