"""Generators that look at where a service comes from, as Kuma's own do: the same service has other labels elsewhere."""

import pytest

from compiler.diagnostics import Checked
from compiler.inspecting.chosen import show_hostnames
from compiler.mesh.members import MEMBERS
from compiler.mesh.routing import resolve_reference
from compiler.mesh.upstreams import destination_port
from compiler.pipeline import Compiled, Compiler, compile_tree
from compiler.resources.model import BackendReference, ResourceKey
from tests.trees import SCHEMAS, resolve_proxy, tree_of

_MESH = "type: Mesh\nname: default\nmeshServices: {mode: Exclusive}\n"


def _proxy(name: str, service: str, zone: str, number: int) -> str:
    label = f"labels: {{kuma.io/zone: {zone}}}\n" if zone else ""
    redirect = "  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}\n"
    return (
        f"type: Dataplane\nmesh: default\nname: {name}\n{label}networking:\n  address: 10.0.0.{number}\n"
        f"  inbound: [{{port: 80, tags: {{kuma.io/service: {service}, kuma.io/protocol: http}}}}]\n{redirect}"
    )


_PROXIES = [_proxy("web-e", "web", "east", 1), _proxy("db-w", "db", "west", 2), _proxy("api-w", "api", "west", 3)]


def _generator(name: str, kind: str, labels: str, template: str) -> str:
    spec = f"{{selector: {{{kind}: {{matchLabels: {{{labels}}}}}}}, template: '{template}'}}"
    return f"type: HostnameGenerator\nname: {name}\nspec: {spec}\n"


_LOCAL = _generator(
    "local-universal-mesh-service",
    "meshService",
    "kuma.io/origin: zone, kuma.io/env: universal",
    "{{ .DisplayName }}.svc.mesh.local",
)
_SYNCED = _generator(
    "synced-universal-mesh-service",
    "meshService",
    "kuma.io/origin: global, kuma.io/env: universal",
    "{{ .DisplayName }}.svc.{{ .Zone }}.mesh.local",
)


def _compile(*texts: str) -> Checked[Compiled]:
    files = {f"{number}.yaml": text for number, text in enumerate((_MESH, *_PROXIES, *texts))}
    compiled = compile_tree(tree_of(files), SCHEMAS)
    assert not compiled.failed, compiled.diagnostics
    return compiled


def _known(compiled: Checked[Compiled], name: str) -> set[str]:
    found = resolve_proxy(compiled.value.memo, ResourceKey("Dataplane", "default", name)).names
    return {one.name for one in found or ()}


def _told(*texts: str) -> list[str]:
    return [one.message for one in _compile(*texts).diagnostics if "no-effect" in one.code.word]


def test_a_service_has_a_short_name_in_its_zone_and_one_with_the_zone_elsewhere() -> None:
    """As `kumactl export` prints the generators of a zone and of the global control plane."""
    compiled = _compile(_LOCAL, _SYNCED)
    far = {"db.svc.west.mesh.local", "api.svc.west.mesh.local"}
    assert _known(compiled, "web-e") == {"web.svc.mesh.local", *far}
    assert _known(compiled, "db-w") == {"db.svc.mesh.local", "api.svc.mesh.local", "web.svc.east.mesh.local"}
    assert compiled.diagnostics == ()


def test_it_is_shown_with_the_zones_where_it_holds() -> None:
    compiled = _compile(_LOCAL, _SYNCED, "type: Zone\nname: east\n---\ntype: Zone\nname: west\n")
    items = show_hostnames(compiled.value.memo, ResourceKey("MeshService", "default", "db"))["items"]
    assert {one["hostname"]: [zone["name"] for zone in one["zones"]] for one in items} == {
        "db.svc.west.mesh.local": ["east"],
        "db.svc.mesh.local": ["west"],
    }


def test_what_is_in_no_zone_has_both() -> None:
    synced = _generator("synced", "meshService", "kuma.io/origin: global", "{{ .DisplayName }}.all.mesh")
    compiled = _compile(_LOCAL, synced, _proxy("one", "one", "", 9))
    assert {"one.svc.mesh.local", "one.all.mesh"} <= _known(compiled, "web-e")


def test_names_of_two_zones_do_not_meet_where_each_is_local() -> None:
    """`orders` of either zone is `orders.svc.mesh.local` there."""
    services = "".join(
        f"---\ntype: MeshService\nmesh: default\nname: orders-{zone}\n"
        f"labels: {{kuma.io/zone: {zone}, kuma.io/display-name: orders}}\n"
        f"spec: {{selector: {{dataplaneTags: {{kuma.io/service: {service}}}}}, ports: [{{port: 80}}]}}\n"
        for zone, service in (("east", "web"), ("west", "db"))
    )
    found = [one.code.word for one in _compile(_LOCAL, _SYNCED, services).diagnostics]
    assert "hostname-collision" not in found
    everywhere = _generator("all", "meshService", "", "{{ .DisplayName }}.all.mesh")
    files = {"m.yaml": _MESH, "s.yaml": services, "g.yaml": everywhere, "l.yaml": _LOCAL}
    checked = compile_tree(tree_of({**files, **{f"{n}.yaml": text for n, text in enumerate(_PROXIES)}}), SCHEMAS)
    assert [one.message for one in checked.diagnostics if one.code.word == "hostname-collision"] == [
        "orders.all.mesh would stand for MeshService 'orders-east' and MeshService 'orders-west'"
    ]


@pytest.mark.parametrize(
    ("labels", "means"),
    [
        ("kuma.io/display-name: db, kuma.io/zone: west", True),
        ("kuma.io/display-name: db, kuma.io/env: universal", True),
        ("kuma.io/display-name: db, kuma.io/zone: east", False),
    ],
)
def test_a_service_that_nobody_wrote_has_the_labels_that_kuma_gives_it(labels: str, *, means: bool) -> None:
    wanted = dict(pair.split(": ") for pair in labels.split(", "))
    reference = BackendReference(kind="MeshService", labels=wanted, port=80)
    found = resolve_reference(_compile().value.memo, reference, "default", "")
    assert [one.service.name for one in found] == (["db"] if means else [])


_ROUTE = """
type: MeshHTTPRoute
mesh: default
name: by-zone
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: web}
    rules:
    - matches: [{path: {type: PathPrefix, value: /}}]
      default: {backendRefs: [{kind: MeshService, labels: {kuma.io/display-name: db, kuma.io/zone: ZONE}, port: 80}]}
"""


@pytest.mark.parametrize(("zone", "taken"), [("east", {"db-e"}), ("west", {"db-w"}), ("north", None)])
def test_requests_are_sent_to_the_proxies_of_one_zone(zone: str, taken: set[str] | None) -> None:
    """Of a service in several zones, as between MeshServices that each zone's control plane makes."""
    compiled = _compile(_proxy("db-e", "db", "east", 7), _ROUTE.replace("ZONE", zone))
    codes = {one.code.word for one in compiled.diagnostics}
    proxy = resolve_proxy(compiled.value.memo, ResourceKey("Dataplane", "default", "web-e"))
    sent = [
        {one.dataplane.name for one in compiled.value.memo.ask(MEMBERS, destination_port(backend.destination))}
        for call in proxy.outbounds
        for route in call.routes
        for backend in route.backends
        if backend.destination is not None and route.origins
    ]
    assert ("dangling-ref" in codes) == (taken is None)
    assert sent == ([taken] if taken is not None else [])


def test_one_that_is_about_nothing_is_named() -> None:
    nobody = _generator("mine", "meshService", "team: nobody", "{{ .DisplayName }}.x")
    assert _told(nobody) == ["no service of any mesh has these labels"]
    outside = _generator("mine", "meshExternalService", "team: nobody", "{{ .DisplayName }}.x")
    assert _told(outside) == []  # there is nothing yet that it could be about
    assert _told(nobody.replace("name: mine", "name: synced-kube-mesh-service")) == []


def test_a_name_without_its_zone_is_said() -> None:
    """Of a service in two zones: each of them would have a name."""
    told = _told(_SYNCED.replace("kuma.io/origin: global, ", ""), _proxy("db-e", "db", "east", 7))
    assert told == [
        "it gives no name for MeshService 'db': a label is missing, or the text is no host name",
    ]


def test_a_generator_that_comes_and_goes_leaves_nothing_behind() -> None:
    compiler, files = Compiler(SCHEMAS), {f"{n}.yaml": text for n, text in enumerate((_MESH, *_PROXIES))}
    key = ResourceKey("Dataplane", "default", "web-e")
    seen = []
    for more in ({"g.yaml": _LOCAL}, {}, {"g.yaml": _LOCAL, "h.yaml": _SYNCED}, {"g.yaml": _LOCAL}):
        got = resolve_proxy(compiler.compile(tree_of({**files, **more})).value.memo, key)
        assert got == resolve_proxy(compile_tree(tree_of({**files, **more}), SCHEMAS).value.memo, key)
        seen.append(got.names)
    assert seen[0] == seen[3]
    assert seen[1] is None
