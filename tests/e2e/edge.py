"""A builtin gateway before two instances of an HTTP service and a TCP store; strangers call it by host name."""

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import trustme

from tests.e2e.applications import Applications, Store, WebApplication, running_applications
from tests.e2e.places import Place, claim_network, free_port
from tests.e2e.processes import Envoy, Serve
from tests.e2e.repository import Repository
from tests.e2e.shop import create_authority
from tests.e2e.traffic import get

MESH = "edgy"
_DOCUMENTS = """\
type: Mesh
name: edgy
mtls:
  enabledBackend: ca-1
  backends: [{{name: ca-1, type: builtin}}]
---
type: Dataplane
mesh: edgy
name: edge-1
networking:
  address: {http.host}
  gateway: {{type: BUILTIN, tags: {{kuma.io/service: edge}}}}
---
type: Dataplane
mesh: edgy
name: api-v1
labels: {{app: api, version: v1}}
networking:
  address: {api1.host}
  inbound: [{{port: {api1.port}, servicePort: {app1.port}, tags: {{kuma.io/service: api, kuma.io/protocol: http}}}}]
---
type: Dataplane
mesh: edgy
name: api-v2
labels: {{app: api, version: v2}}
networking:
  address: {api2.host}
  inbound: [{{port: {api2.port}, servicePort: {app2.port}, tags: {{kuma.io/service: api, kuma.io/protocol: http}}}}]
---
type: Dataplane
mesh: edgy
name: store
labels: {{app: store}}
networking:
  address: {store.host}
  inbound: [{{port: {store.port}, servicePort: {shelf.port}, tags: {{kuma.io/service: store, kuma.io/protocol: tcp}}}}]
---
type: MeshTrafficPermission
mesh: edgy
name: from-the-edge
spec:
  targetRef: {{kind: Mesh}}
  rules: [{{default: {{allow: [{{spiffeID: {{type: Exact, value: spiffe://edgy/edge}}}}]}}}}]
---
type: MeshGateway
mesh: edgy
name: edge
selectors: [{{match: {{kuma.io/service: edge}}}}]
conf:
  listeners:
    - {{port: {http.port}, protocol: HTTP, hostname: "*.shop.example", tags: {{door: web}}}}
    - {{port: {http.port}, protocol: HTTP, hostname: api.shop.example, tags: {{door: api}}}}
    - port: {https.port}
      protocol: HTTPS
      hostname: www.shop.example
      tls: {{mode: TERMINATE, certificates: [{{secret: shop-cert}}]}}
      tags: {{door: web}}
    - {{port: {tls.port}, protocol: TLS, hostname: store.shop.example, tls: {{mode: PASSTHROUGH}}, tags: {{to: store}}}}
---
type: Secret
mesh: edgy
name: shop-cert
---
type: MeshHTTPRoute
mesh: edgy
name: web
spec:
  targetRef: {{kind: MeshGateway, name: edge, tags: {{door: web}}}}
  to:
    - targetRef: {{kind: Mesh}}
      hostnames: [www.shop.example]
      rules:
        - matches: [{{path: {{type: PathPrefix, value: /v1}}}}]
          default:
            filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}]
            backendRefs: [{{kind: MeshService, name: api}}]
        - matches: [{{path: {{type: Exact, value: /old}}}}]
          default: {{filters: [{{type: RequestRedirect, requestRedirect: {{hostname: new.shop.example}}}}]}}
---
type: MeshGatewayRoute
mesh: edgy
name: api
selectors: [{{match: {{kuma.io/service: edge, door: api}}}}]
conf:
  http:
    rules:
      - matches: [{{path: {{match: PREFIX, value: /}}}}]
        backends: [{{destination: {{kuma.io/service: api}}}}]
---
type: MeshTCPRoute
mesh: edgy
name: store
spec:
  targetRef: {{kind: MeshGateway, name: edge, tags: {{to: store}}}}
  to:
    - targetRef: {{kind: Mesh}}
      rules: [{{default: {{backendRefs: [{{kind: MeshService, name: store}}]}}}}]
"""
_HOSTS = {"http": 2, "tls": 2, "https": 2, "api1": 3, "app1": 3, "api2": 4, "app2": 4, "store": 5, "shelf": 5}
"""The last number of each place's address."""
_PROXIES = ("edge-1", "api-v1", "api-v2", "store")
_MARK = """\
type: MeshHTTPRoute
mesh: edgy
name: mark
spec:
  targetRef: {kind: MeshGateway, name: edge, tags: {door: web}}
  to:
    - targetRef: {kind: Mesh}
      hostnames: [mark.shop.example]
      rules:
        - matches: [{path: {type: Exact, value: /}}]
          default: {filters: [{type: RequestRedirect, requestRedirect: {hostname: at-NUMBER}}]}
"""
_KINDS = (
    *("meshaccesslog", "meshcircuitbreaker", "meshfaultinjection", "meshhealthcheck", "meshhttproute"),
    *("meshloadbalancingstrategy", "meshmetric", "meshratelimit", "meshretry", "meshtimeout", "meshtrace"),
)
_RESTORED = "restored\n\n" + "\n".join(f"Allow-Removal: {kind}/9" for kind in _KINDS)
"""What the last policy of a kind takes with it is meant."""
_DEADLINE = 60.0


@dataclass
class Edge:
    """As it runs; `authority` signed the certificates that strangers see: the gateway's and the store's."""

    repository: Repository
    serve: Serve
    places: Mapping[str, Place]
    base: Mapping[str, str]
    api: tuple[WebApplication, WebApplication]
    shelf: Store
    authority: trustme.CA
    envoys: Sequence[Envoy]
    marks: Iterator[int]

    def applied(self, **files: str) -> None:
        """A commit, once every proxy has ACKed it and strangers see it.

        What a worker thread of Envoy was told before, it has done: each commit changes the routes of the same port,
        and one request has gone by the new ones.
        """
        number = str(next(self.marks))
        files["mark"] = _MARK.replace("NUMBER", number)
        self.repository.commit("a change", {f"{name}.yaml": text for name, text in files.items()})
        self._live()
        deadline = time.monotonic() + _DEADLINE
        while get(self.places["http"], host="mark.shop.example").headers.get("location") != f"http://at-{number}/":
            assert time.monotonic() < deadline, "strangers see what was before"
            time.sleep(0.02)

    def reset(self) -> None:
        """As it was in the beginning, at every proxy."""
        self.repository.restore(self.base, _RESTORED)
        self._live()
        for application in (*self.api, self.shelf):
            application.seen.clear()

    def asked(self, path: str) -> int:
        """How often the service saw a request for a path."""
        return sum(application.paths().count(path) for application in self.api)

    def _live(self) -> None:
        self.serve.accepted(self.repository.head(), len(self.envoys), _DEADLINE)
        for envoy in self.envoys:
            envoy.wait_live()


@contextmanager
def open_edge(folder: Path, envoy: Path) -> Iterator[Edge]:
    with ExitStack() as stack:
        network = stack.enter_context(claim_network())
        places = {name: Place(f"{network}.{host}", free_port()) for name, host in _HOSTS.items()}
        base = {"mesh.yaml": _DOCUMENTS.format(**places)}
        serve = Serve(folder / "repository", folder, create_authority(MESH, folder), secrets=folder / "secrets")
        edge = Edge(
            repository=Repository.create(folder / "repository", base),
            serve=serve,
            places=places,
            base=base,
            api=(WebApplication("api-v1"), WebApplication("api-v2")),
            shelf=Store("store"),
            authority=trustme.CA(),
            envoys=[Envoy(envoy, folder / name, MESH, name, serve.xds) for name in _PROXIES],
            marks=count(),
        )
        _write_certificate(edge.authority, folder / "secrets" / MESH / "shop-cert")
        _listen(edge, stack.enter_context(running_applications()))
        stack.callback(serve.kill)
        serve.start()
        for one in edge.envoys:
            stack.callback(one.stop)
            one.start()
        edge.reset()
        yield edge


def _listen(edge: Edge, applications: Applications) -> None:
    for number, application in enumerate(edge.api, 1):
        applications.listen(edge.places[f"app{number}"], application.serve)
    applications.listen(edge.places["shelf"], edge.shelf.serve, _certified(edge.authority))


def _write_certificate(authority: trustme.CA, file: Path) -> None:
    """As Kuma wants it: the certificate, those that signed it, and its key in one Secret."""
    file.parent.mkdir(parents=True)
    issued = authority.issue_cert("www.shop.example")
    file.touch(mode=0o600)
    file.write_bytes(b"".join((*(one.bytes() for one in issued.cert_chain_pems), issued.private_key_pem.bytes())))


def _certified(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("store.shop.example").configure_cert(context)
    return context
