"""Two zones, each with a reconciler of its own, and the proxies by which one is left and the other is entered.

West has the 3.0 form, a Dataplane with a listener and a MeshZoneAddress; east leaves by a ZoneEgress of 2.x.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.e2e.applications import WebApplication, running_applications
from tests.e2e.conftest import require_envoy, require_peace
from tests.e2e.places import Place, claim_network, free_port
from tests.e2e.processes import Envoy, Serve, is_accepted
from tests.e2e.repository import Repository
from tests.e2e.shop import create_authority
from tests.e2e.traffic import Answer, calling, get

MESH = "shop"
_PROXIES = {"east": ("client", "api-east", ".ze-east"), "west": ("api-west", "zi-west")}
_HOSTS = {
    "client": 2, "to_api": 2, "to_everywhere": 2, "to_outside": 2, "to_tagged": 2,
    "api_east": 3, "app_east": 3, "egress": 4,
    "api_west": 5, "app_west": 5, "ingress": 6, "outside": 7, "nothing": 8,
}  # fmt: skip
_MESH = """\
type: Mesh
name: shop
mtls:
  enabledBackend: ca-1
  backends: [{name: ca-1, type: builtin, mode: STRICT}]
"""
_PERMISSIONS = """\
type: MeshTrafficPermission
mesh: shop
name: to-api
spec:
  targetRef: {kind: Dataplane, labels: {app: api}}
  rules: [{default: {allow: [{spiffeID: {type: Exact, value: "spiffe://shop/client"}}]}}]
---
type: MeshRetry
mesh: shop
name: never
spec:
  targetRef: {kind: Mesh}
  to: [{targetRef: {kind: Mesh}, default: {http: {numRetries: 0}}}]
"""
_TO_TAGGED = """\
type: MeshTrafficPermission
mesh: shop
name: to-tagged
spec:
  targetRef: {kind: MeshService, name: tagged}
  from: [{targetRef: {kind: MeshService, name: client}, default: {action: Allow}}]
"""
_EVERYTHING = """\
type: Dataplane
mesh: shop
name: client
labels: {{app: client, kuma.io/zone: east}}
networking:
  address: {client.host}
  inbound: [{{port: {client.port}, servicePort: {nothing.port}, tags: {{kuma.io/service: client}}}}]
  outbound:
    - {{address: {to_api.host}, port: {to_api.port}, backendRef: {{kind: MeshService, name: api, port: 80}}}}
    - address: {to_everywhere.host}
      port: {to_everywhere.port}
      backendRef: {{kind: MeshMultiZoneService, name: everywhere, port: 80}}
    - {{address: {to_outside.host}, port: {to_outside.port}, backendRef: {{kind: MeshExternalService, name: outside}}}}
    - {{address: {to_tagged.host}, port: {to_tagged.port}, tags: {{kuma.io/service: tagged}}}}
---
type: Dataplane
mesh: shop
name: api-west
labels: {{app: api, kuma.io/zone: west}}
networking:
  address: {api_west.host}
  inbound:
    - {{name: http, port: {api_west.port}, servicePort: {app_west.port}, protocol: http,
        tags: {{kuma.io/service: backend, kuma.io/protocol: http}}}}
---
type: MeshService
mesh: shop
name: api
labels: {{of: api}}
spec:
  selector: {{dataplaneLabels: {{matchLabels: {{app: api}}}}}}
  ports: [{{name: http, port: 80, targetPort: http, appProtocol: http}}]
---
type: MeshMultiZoneService
mesh: shop
name: everywhere
spec:
  selector: {{meshService: {{matchLabels: {{of: api}}}}}}
  ports: [{{name: http, port: 80, appProtocol: http}}]
---
type: MeshExternalService
mesh: shop
name: outside
spec:
  match: {{type: HostnameGenerator, port: 80, protocol: http}}
  endpoints: [{{address: {outside.host}, port: {outside.port}}}]
---
type: ExternalService
mesh: shop
name: tagged
tags: {{kuma.io/service: tagged, kuma.io/protocol: http}}
networking: {{address: "{outside.host}:{outside.port}"}}
---
type: ZoneEgress
name: ze-east
zone: east
networking: {{address: {egress.host}, port: {egress.port}}}
---
type: Dataplane
mesh: shop
name: zi-west
labels: {{kuma.io/zone: west}}
networking:
  address: {ingress.host}
  listeners: [{{type: ZoneIngress, address: {ingress.host}, port: {ingress.port}, name: door}}]
---
type: MeshZoneAddress
mesh: shop
name: west
labels: {{kuma.io/zone: west}}
spec: {{address: {ingress.host}, port: {ingress.port}}}
"""
_API_EAST = """\
type: Dataplane
mesh: shop
name: api-east
labels: {{app: api, kuma.io/zone: east}}
networking:
  address: {api_east.host}
  inbound:
    - {{name: http, port: {api_east.port}, servicePort: {app_east.port}, protocol: http, state: {state},
        tags: {{kuma.io/service: backend, kuma.io/protocol: http}}}}
"""


@dataclass
class Zones:
    """What runs in both of them."""

    repository: Repository
    places: dict[str, Place]
    serves: dict[str, Serve]
    envoys: dict[str, Envoy]
    west: WebApplication
    outside: WebApplication

    def applied(self, **files: str) -> None:
        """A commit, once the proxies of both zones have ACKed it."""
        commit = self.repository.commit("a change", {f"{name}.yaml": text for name, text in files.items()})
        for zone, serve in self.serves.items():
            serve.until(lambda found, zone=zone: is_accepted(found, commit.id, len(_PROXIES[zone])))  # type: ignore[misc]  # bound at once
        time.sleep(0.05)

    def east(self, state: str) -> str:
        return _API_EAST.format(**self.places, state=state)


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zones]:
    binary, folder = require_envoy("1.40"), tmp_path_factory.mktemp("zones")
    with ExitStack() as stack:
        network = stack.enter_context(claim_network())
        places = {name: Place(f"{network}.{host}", free_port()) for name, host in _HOSTS.items()}
        base = {"mesh.yaml": _MESH, "permissions.yaml": _PERMISSIONS, "all.yaml": _EVERYTHING.format(**places)}
        base["east.yaml"] = _API_EAST.format(**places, state="Ready")
        repository = Repository.create(folder / "repository", base)
        authority = create_authority(MESH, folder)
        applications = stack.enter_context(running_applications())
        east, west, outside = (WebApplication(name) for name in ("east", "west", "outside"))
        for place, application in (("app_east", east), ("app_west", west), ("outside", outside)):
            applications.listen(places[place], application.serve)
        serves = {zone: Serve(repository.path, folder / zone, authority, zone) for zone in _PROXIES}
        envoys: dict[str, Envoy] = {}
        for zone, serve in serves.items():
            stack.callback(serve.kill)
            serve.start()
            for name in _PROXIES[zone]:
                mesh, _, own = name.rpartition(".") if name.startswith(".") else (MESH, "", name)
                envoys[own] = Envoy(binary, folder / zone / own, mesh, own, serve.xds)
                stack.callback(envoys[own].stop)
                envoys[own].start()
        found = Zones(repository, places, serves, envoys, west, outside)
        found.applied(mesh=_MESH)
        for envoy in envoys.values():
            envoy.wait_live()
        yield found
        for serve in serves.values():
            require_peace(serve)


def test_calls_stay_in_their_zone_and_leave_it_when_nobody_is_left_there(zones: Zones) -> None:
    for place in ("to_api", "to_everywhere"):
        assert {get(zones.places[place]).application for _ in range(5)} == {"east"}
    before = _passed(zones)
    zones.applied(east=zones.east("NotReady"))
    for place in ("to_api", "to_everywhere"):
        answer = get(zones.places[place])
        assert (answer.status, answer.application) == (200, "west")
        assert "URI=spiffe://shop/client" in _caller(answer)
    assert _passed(zones) >= before + 2
    zones.applied(east=zones.east("Ready"))
    assert get(zones.places["to_api"]).application == "east"


def test_a_caller_that_the_other_zone_does_not_admit_is_refused_there(zones: Zones) -> None:
    zones.applied(east=zones.east("NotReady"), permissions=_PERMISSIONS.replace("shop/client", "shop/somebody"))
    assert get(zones.places["to_api"]).status == 403
    zones.applied(east=zones.east("Ready"), permissions=_PERMISSIONS)
    assert get(zones.places["to_api"]).status == 200


def test_calls_to_the_outside_go_by_the_egress_and_tell_nobody_who_made_them(zones: Zones) -> None:
    answer = get(zones.places["to_outside"], path="/there")
    assert (answer.status, answer.application) == (200, "outside")
    assert "x-forwarded-client-cert" not in answer.body["headers"]
    counter = "http.kri_extsvc_shop___outside_80.downstream_rq_2xx"
    assert zones.envoys["ze-east"].stats(counter)[counter] == 1
    with calling(zones.places["to_outside"]) as caller:
        zones.applied(mesh=f"{_MESH}routing: {{defaultForbidMeshExternalServiceAccess: true}}\n")
        caller.until(lambda found: found.status == 403)
        zones.applied(mesh=_MESH)
        caller.until(lambda found: found.status == 200)


def test_an_external_service_of_2_is_called_by_the_egress_which_asks_for_a_permission(zones: Zones) -> None:
    counter = "http.kri_msvc_shop___tagged_.downstream_rq_total"
    assert get(zones.places["to_tagged"]).application == "outside"
    assert zones.envoys["ze-east"].stats(counter).get(counter, 0) == 0
    with calling(zones.places["to_tagged"]) as caller:
        zones.applied(mesh=f"{_MESH}routing: {{zoneEgress: true}}\n")
        caller.until(lambda found: found.status == 403)
        zones.applied(permissions=f"{_PERMISSIONS}---\n{_TO_TAGGED}")
        answer = caller.until(lambda found: found.status == 200)
    assert answer.application == "outside"
    assert "x-forwarded-client-cert" not in answer.body["headers"]
    assert zones.envoys["ze-east"].stats(counter)[counter] >= 1
    zones.applied(mesh=_MESH, permissions=_PERMISSIONS)


def test_the_egress_passes_calls_to_other_zones_on_where_the_mesh_wants_it(zones: Zones) -> None:
    zones.applied(mesh=f"{_MESH}routing: {{zoneEgress: true}}\n", east=zones.east("NotReady"))
    zones.envoys["ze-east"].wait_live()
    answer = get(zones.places["to_api"])
    assert (answer.status, answer.application) == (200, "west")
    assert "URI=spiffe://shop/client" in _caller(answer)
    counter = "tcp.kri_msvc_shop___api_http.downstream_cx_total"
    assert zones.envoys["ze-east"].stats(counter)[counter] >= 1
    zones.applied(mesh=_MESH, east=zones.east("Ready"))


def _passed(zones: Zones) -> int:
    """Connections that came in by west's ingress."""
    names = (
        "tcp.kri_msvc_shop___api_http.downstream_cx_total",
        "tcp.kri_mzsvc_shop___everywhere_http.downstream_cx_total",
    )
    return sum(zones.envoys["zi-west"].stats(*names).values())


def _caller(answer: Answer) -> str:
    """Whom the application was told by its own proxy, which asked for a certificate."""
    return str(answer.body["headers"].get("x-forwarded-client-cert", ""))
