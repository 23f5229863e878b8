"""A small mesh, everything in it on addresses of its own: a client and a guest call an HTTP service and a TCP store."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from compiler.dataplane.bootstrap import AdsProtocol
from tests.e2e.applications import Applications, Store, WebApplication, running_applications
from tests.e2e.places import Place, claim_network, free_port
from tests.e2e.processes import Envoy, Serve, Status, meshwright
from tests.e2e.repository import Commit, Repository
from tests.e2e.traffic import PATIENCE

MESH = "shop"
_DRAINING = ("listener_manager.total_filter_chains_draining", "listener_manager.total_listeners_draining")
_BREATH = 0.03
"""Seconds in which what an Envoy has ACKed reaches its own worker threads."""

_MESH = """\
type: Mesh
name: shop
mtls:
  enabledBackend: ca-1
  backends:
    - {name: ca-1, type: builtin, mode: STRICT}
"""

_PROXIES = """\
type: Dataplane
mesh: shop
name: api-v1
labels: {{app: api}}
networking:
  address: {api1.host}
  inbound:
    - port: {api1.port}
      servicePort: {app1.port}
      tags: {{kuma.io/service: api, kuma.io/protocol: http, version: v1}}
---
type: Dataplane
mesh: shop
name: api-v2
labels: {{app: api}}
networking:
  address: {api2.host}
  inbound:
    - port: {api2.port}
      servicePort: {app2.port}
      tags: {{kuma.io/service: api, kuma.io/protocol: http, version: v2}}
---
type: Dataplane
mesh: shop
name: store
labels: {{app: store}}
networking:
  address: {store.host}
  inbound:
    - {{port: {store.port}, servicePort: {shelf.port}, tags: {{kuma.io/service: store, kuma.io/protocol: tcp}}}}
---
type: Dataplane
mesh: shop
name: client
labels: {{app: client}}
networking:
  address: {client_api.host}
  inbound:
    - {{port: {client.port}, servicePort: {nothing.port}, tags: {{kuma.io/service: client, kuma.io/protocol: http}}}}
  outbound:
    - {{address: {client_api.host}, port: {client_api.port}, tags: {{kuma.io/service: api}}}}
    - {{address: {client_store.host}, port: {client_store.port}, tags: {{kuma.io/service: store}}}}
---
type: Dataplane
mesh: shop
name: guest
labels: {{app: guest}}
networking:
  address: {guest_api.host}
  inbound:
    - {{port: {guest.port}, servicePort: {nothing.port}, tags: {{kuma.io/service: guest, kuma.io/protocol: http}}}}
  outbound:
    - {{address: {guest_api.host}, port: {guest_api.port}, tags: {{kuma.io/service: api}}}}
    - {{address: {guest_store.host}, port: {guest_store.port}, tags: {{kuma.io/service: store}}}}
"""
_HOSTS = {
    "api1": 2, "app1": 2, "api2": 3, "app2": 3, "store": 4, "shelf": 4,
    "client": 5, "client_api": 5, "client_store": 5, "guest": 6, "guest_api": 6, "guest_store": 6, "nothing": 7,
}  # fmt: skip
"""The last number of each place's address."""

PERMISSIONS = """\
type: MeshTrafficPermission
mesh: shop
name: to-api
spec:
  targetRef: {kind: Dataplane, labels: {app: api}}
  rules:
    - default:
        allow:
          - spiffeID: {type: Exact, value: spiffe://shop/client}
---
type: MeshTrafficPermission
mesh: shop
name: to-store
spec:
  targetRef: {kind: MeshService, name: store}
  from:
    - targetRef: {kind: MeshService, name: client}
      default: {action: Allow}
"""


_KINDS = (
    *("meshaccesslog", "meshcircuitbreaker", "meshhttproute", "meshmetric", "meshopentelemetrybackend"),
    *("meshexternalservice", "meshidentity", "secret"),
    *("meshtimeout", "meshtrace", "meshopa", "meshglobalratelimit", "meshratelimit", "meshfaultinjection"),
    *("meshhealthcheck", "meshtcproute", "meshloadbalancingstrategy", "meshtls", "meshproxypatch"),
)
_ACKNOWLEDGED = "\n".join(f"Allow-Removal: {kind}/9" for kind in _KINDS)
"""What the last policy of a kind takes with it is meant."""
EVERYTHING = "matches: [{path: {type: PathPrefix, value: /}}]"


def permissions(*callers: str) -> str:
    """Who may call the api; the client may call the store."""
    one = "          - spiffeID: {type: Exact, value: spiffe://shop/%s}\n"
    return PERMISSIONS.replace(one % "client", "".join(one % caller for caller in callers))


def to_api(kind: str, name: str, conf: str) -> str:
    """A policy for calls of the api; `conf` is YAML in one line."""
    head = f"type: {kind}\nmesh: shop\nname: {name}\nspec:\n  targetRef: {{kind: Mesh}}\n  to:\n"
    return f"{head}    - targetRef: {{kind: MeshService, name: api}}\n      {conf}\n"


def retries(number: int, reason: str) -> str:
    """In the beginning there are none: a failure that is tried again is not seen by a test."""
    conf = f"numRetries: {number}, retryOn: [{reason}], backOff: {{baseInterval: 10ms, maxInterval: 20ms}}"
    return to_api("MeshRetry", "retries", f"default: {{http: {{{conf}}}}}")


def weights(first: int, second: int) -> str:
    """How calls of the api are split between its versions."""
    return split(v1=first, v2=second)


def split(**versions: int) -> str:
    """A version that has no weight has a cluster nevertheless; one that is not named has none."""
    backends = ", ".join(
        f"{{kind: MeshServiceSubset, name: api, tags: {{version: {version}}}, weight: {weight}}}"
        for version, weight in versions.items()
    )
    return to_api("MeshHTTPRoute", "versions", f"rules: [{{{EVERYTHING}, default: {{backendRefs: [{backends}]}}}}]")


@dataclass
class Shop:
    """Everything of one shop, as it runs."""

    repository: Repository
    serve: Serve
    places: Mapping[str, Place]
    base: Mapping[str, str]
    api: tuple[WebApplication, WebApplication]
    shelf: Store
    envoys: dict[str, Envoy] = field(default_factory=dict)

    def commit(self, **files: str) -> Commit:
        """Files by their names without ending; they go on being there."""
        return self.repository.commit("a change", {f"{name}.yaml": text for name, text in files.items()})

    def applied(self, **files: str) -> Commit:
        """A commit, once every proxy has ACKed it and lives by it."""
        commit = self.commit(**files)
        self.serve.accepted(commit.id, len(self.envoys))
        for envoy in self.envoys.values():
            envoy.wait_live()
        time.sleep(_BREATH)
        return commit

    def drained(self) -> None:
        """Once nothing speaks to a listener of before any more: callers keep connections for a while."""
        deadline = time.monotonic() + PATIENCE
        while any(sum(envoy.stats(*_DRAINING).values()) for envoy in self.envoys.values()):
            assert time.monotonic() < deadline, "it drains for ever"
            time.sleep(0.05)

    def reset(self) -> None:
        """As it was in the beginning, at every proxy."""
        self.repository.restore(self.base, f"restored\n\n{_ACKNOWLEDGED}")
        self.accepted()
        for application in (*self.api, self.shelf):
            application.seen.clear()

    def accepted(self) -> Status:
        return self.serve.accepted(self.repository.head(), len(self.envoys))

    def start_envoys(self, binary: Path, folder: Path, protocol: AdsProtocol = AdsProtocol.DELTA) -> None:
        for name in ("api-v1", "api-v2", "store", "client", "guest"):
            self.envoys[name] = Envoy(binary, folder / name, MESH, name, self.serve.xds, protocol)
            self.envoys[name].start()
        self.accepted()
        for envoy in self.envoys.values():
            envoy.wait_live()


def make_places(network: str) -> dict[str, Place]:
    """Each on an address of a network of 256, on a port that is free just now."""
    return {name: Place(f"{network}.{host}", free_port()) for name, host in _HOSTS.items()}


def base_files(places: Mapping[str, Place]) -> dict[str, str]:
    """The repository in the beginning."""
    return {
        "mesh.yaml": _MESH,
        "proxies.yaml": _PROXIES.format(**places),
        "permissions.yaml": PERMISSIONS,
        "retries.yaml": retries(0, "Reset"),
    }


def permissive() -> str:
    return _MESH.replace("STRICT", "PERMISSIVE")


def create_authority(mesh: str, folder: Path) -> Path:
    file = folder / f"{mesh}.pem"
    done = meshwright("ca", "create", mesh, "--out", str(file))
    assert done.returncode == 0, done.stderr
    return file


@contextmanager
def open_shop(folder: Path, more: tuple[str, ...] = ()) -> Iterator[Shop]:
    """A reconciler that serves, with `more` flags, and applications; Envoys are the test's to start."""
    with ExitStack() as stack:
        network = stack.enter_context(claim_network())
        places = make_places(network)
        base = base_files(places)
        shop = Shop(
            repository=Repository.create(folder / "repository", base),
            serve=Serve(folder / "repository", folder, create_authority(MESH, folder), more=more),
            places=places,
            base=base,
            api=(WebApplication("api-v1"), WebApplication("api-v2")),
            shelf=Store("store"),
        )
        listen(shop, stack.enter_context(running_applications()))
        stack.callback(lambda: [envoy.stop() for envoy in shop.envoys.values()])
        stack.callback(shop.serve.kill)
        shop.serve.start()
        yield shop


def listen(shop: Shop, applications: Applications) -> None:
    applications.listen(shop.places["app1"], shop.api[0].serve)
    applications.listen(shop.places["app2"], shop.api[1].serve)
    applications.listen(shop.places["shelf"], shop.shelf.serve)
