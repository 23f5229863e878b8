"""Calls from mesh to mesh by a gateway: four meshes, of which one has MeshIdentities; who gets in, and who does not.

Redirection by the kernel is stood in for: a patch has a proxy read where a connection was going from its first line.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compiler.dataplane.bootstrap import UnixSocket
from compiler.dataplane.dns.names import Names, read_names
from compiler.dataplane.dns.server import SOCKET
from compiler.dataplane.http_client import Question, ask
from compiler.identity.authority import Authority, create_authority, load_authority
from compiler.identity.leaf import issue_leaf
from tests.e2e.applications import WebApplication, running_applications
from tests.e2e.conftest import by_version, require_envoy, require_peace
from tests.e2e.places import Place, claim_network, free_port
from tests.e2e.processes import Envoy, Serve, meshwright
from tests.e2e.repository import Repository
from tests.e2e.traffic import PATIENCE, ask_plainly, get, is_tls_refusal

_MESHES = """\
type: Mesh
name: inner
mtls: {enabledBackend: ca-1, backends: [{name: ca-1, type: builtin}]}
---
type: Mesh
name: outer
mtls: {enabledBackend: ca-1, backends: [{name: ca-1, type: builtin}]}
---
type: Mesh
name: newer
---
type: MeshIdentity
mesh: newer
name: main
spec:
  selector: {dataplane: {matchLabels: {}}}
  provider: {type: Bundled, bundled: {autogenerate: {enabled: true}}}
"""
_LATE = "type: Mesh\nname: late\n"
_CERTIFIED = f"{_LATE}mtls: {{enabledBackend: ca-1, backends: [{{name: ca-1, type: builtin}}]}}\n"
_INNER = """\
type: Dataplane
mesh: inner
name: edge
networking: {{address: {inner.host}, gateway: {{type: BUILTIN, tags: {{kuma.io/service: edge}}}}}}
---
type: Dataplane
mesh: inner
name: api
networking:
  address: {api.host}
  inbound: [{{port: {api.port}, servicePort: {app.port}, tags: {{kuma.io/service: api, kuma.io/protocol: http}}}}]
---
type: MeshTrafficPermission
mesh: inner
name: from-the-edge
spec:
  targetRef: {{kind: Mesh}}
  rules: [{{default: {{allow: [{{spiffeID: {{type: Exact, value: spiffe://inner/edge}}}}]}}}}]
---
type: MeshHTTPRoute
mesh: inner
name: to-api
spec:
  targetRef: {{kind: MeshGateway, name: door}}
  to:
    - targetRef: {{kind: Mesh}}
      rules:
        - matches: [{{path: {{type: PathPrefix, value: /}}}}]
          default: {{backendRefs: [{{kind: MeshService, name: api}}]}}
"""
_DOOR = """\
type: MeshGateway
mesh: inner
name: door
selectors: [{match: {kuma.io/service: edge}}]
conf: {listeners: [%s]}
"""
_NEWER = """\
type: Dataplane
mesh: newer
name: edge
labels: {{kuma.io/workload: edge, kuma.io/zone: west}}
networking: {{address: {newer.host}, gateway: {{type: BUILTIN, tags: {{kuma.io/service: edge}}}}}}
---
type: Dataplane
mesh: newer
name: guest
labels: {{kuma.io/workload: guest}}
networking:
  address: {guest.host}
  inbound: [{{port: {guest.port}, servicePort: {nothing.port}, tags: {{kuma.io/service: guest}}}}]
  outbound: [{{address: {guest.host}, port: {guest_out.port}, tags: {{kuma.io/service: edge, kuma.io/mesh: inner}}}}]
---
type: MeshGateway
mesh: newer
name: door
selectors: [{{match: {{kuma.io/service: edge}}}}]
conf: {{listeners: [{{port: {newer.port}, protocol: HTTP, hostname: newer.internal, crossMesh: true}}]}}
---
type: MeshHTTPRoute
mesh: newer
name: elsewhere
spec:
  targetRef: {{kind: MeshGateway, name: door}}
  to:
    - targetRef: {{kind: Mesh}}
      rules:
        - matches: [{{path: {{type: PathPrefix, value: /}}}}]
          default: {{filters: [{{type: RequestRedirect, requestRedirect: {{hostname: elsewhere}}}}]}}
"""
_INGRESS = """\
type: ZoneIngress
name: west
zone: west
networking:
  address: {ingress.host}
  port: {ingress.port}
  advertisedAddress: {ingress.host}
  advertisedPort: {ingress.port}
"""
_OUTER = """\
type: Dataplane
mesh: outer
name: client
networking:
  address: {client.host}
  inbound: [{{port: {client.port}, servicePort: {nothing.port}, tags: {{kuma.io/service: client}}}}]
  outbound:
    - {{address: {client.host}, port: {to_inner.port}, tags: {{kuma.io/service: edge, kuma.io/mesh: inner}}}}
    - {{address: {client.host}, port: {to_newer.port}, tags: {{kuma.io/service: edge, kuma.io/mesh: newer}}}}
---
type: Dataplane
mesh: outer
name: web
labels: {{app: web}}
networking:
  address: {web.host}
  inbound: [{{port: {web.port}, servicePort: {nothing.port}, tags: {{kuma.io/service: web}}}}]
  transparentProxying:
    redirectPortInbound: {web_in.port}
    redirectPortOutbound: {web_out.port}
    ipFamilyMode: IPv4
---
type: MeshProxyPatch
mesh: outer
name: stand-in-for-the-kernel
spec:
  targetRef: {{kind: Dataplane, labels: {{app: web}}}}
  default:
    appendModifications:
      - listener:
          operation: Patch
          match: {{name: self_transparentproxy_passthrough_outbound_ipv4}}
          jsonPatches:
            - op: replace
              path: /listenerFilters/0
              value:
                name: envoy.filters.listener.proxy_protocol
                typedConfig:
                  "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol
"""
_HOSTS = {
    "inner": 2, "api": 3, "app": 3, "newer": 4, "guest": 5, "guest_out": 5, "client": 6, "to_inner": 6, "to_newer": 6,
    "web": 7, "web_in": 7, "web_out": 7, "nothing": 8, "ingress": 9,
}  # fmt: skip
"""The last number of each place's address."""
_PROXIES = ("inner.edge", "inner.api", "newer.edge", "newer.guest", "outer.client", "outer.web", ".west")
_MODIFIED = "listener_manager.listener_modified"


@dataclass
class Meshes:
    """All of them, as they run; `authorities` certify proxies of those that have a backend."""

    repository: Repository
    serve: Serve
    places: dict[str, Place]
    authorities: dict[str, Authority]
    envoys: dict[str, Envoy]
    folder: Path

    def applied(self, **files: str) -> None:
        """A commit, once every proxy has ACKed it and lives by it."""
        commit = self.repository.commit("a change", {f"{name}.yaml": text for name, text in files.items()})
        self.serve.accepted(commit.id, len(self.envoys), 60)
        for envoy in self.envoys.values():
            envoy.wait_live()

    def door(self, *hostnames: str) -> str:
        """The gateway of the inner mesh, with a listener for each name."""
        port = self.places["inner"].port
        written = (f"{{port: {port}, protocol: HTTP, hostname: {name}, crossMesh: true}}" for name in hostnames)
        return _DOOR % ", ".join(written)

    def names(self) -> Names:
        """What `dataplane run` beside the redirected proxy answers names by."""
        place = UnixSocket(self.envoys["outer.web"].folder / SOCKET)
        return read_names(asyncio.run(ask(place, Question("/dns"))).body)

    def shake_hands(self, authority: Authority, uri: str) -> str:
        """What the inner gateway says to a request of somebody with this id, whom an authority certifies."""
        leaf = issue_leaf(authority, node="somebody", uris=(uri,), now=datetime.now(UTC))
        file = self.folder / "pair.pem"
        file.write_bytes(leaf.chain + leaf.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(file)
        place = self.places["inner"]
        plain = socket.create_connection((place.host, place.port), timeout=PATIENCE)
        try:
            with context.wrap_socket(plain) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nhost: inner.internal\r\nconnection: close\r\n\r\n")
                return connection.recv(4096).decode("latin-1")
        except OSError:
            return ""


@pytest.fixture(scope="module", params=by_version("crossing"))
def meshes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshes]:
    binary, folder = require_envoy(request.param), tmp_path_factory.mktemp("crossing")
    with ExitStack() as stack:
        network = stack.enter_context(claim_network())
        places = {name: Place(f"{network}.{host}", free_port()) for name, host in _HOSTS.items()}
        files = {name: _create_authority(folder, name) for name in ("inner", "outer", "late", "newer")}
        more = tuple(text for name in ("outer", "late", "newer") for text in ("--ca", f"file:{files[name]}"))
        base = {
            "meshes.yaml": _MESHES,
            "late.yaml": _LATE,
            **{f"{name}.yaml": text.format(**places) for name, text in _DOCUMENTS.items()},
        }
        serve = Serve(folder / "repository", folder, files["inner"], more=more)
        found = Meshes(
            Repository.create(folder / "repository", base),
            serve,
            places,
            {name: load_authority(f"file:{file}") for name, file in files.items()},
            {one: Envoy(binary, folder / one, *one.split("."), server=serve.xds) for one in _PROXIES},
            folder,
        )
        found.repository.commit("the door", {"door.yaml": found.door("inner.internal")})
        applications = stack.enter_context(running_applications())
        applications.listen(places["app"], WebApplication("api").serve)
        stack.callback(serve.kill)
        serve.start()
        for envoy in found.envoys.values():
            stack.callback(envoy.stop)
            envoy.start()
        found.applied()
        yield found
        require_peace(serve)


_DOCUMENTS = {"inner": _INNER, "newer": _NEWER, "outer": _OUTER, "ingress": _INGRESS}


def _create_authority(folder: Path, mesh: str) -> Path:
    file = folder / f"{mesh}.pem"
    identity = ("--identity", "main") if mesh == "newer" else ()
    done = meshwright("ca", "create", mesh, *identity, "--out", str(file))
    assert done.returncode == 0, done.stderr
    return file


def test_a_redirected_proxy_calls_a_listener_of_another_mesh_by_its_host_name(meshes: Meshes) -> None:
    (address,) = meshes.names().find("inner.internal") or ()
    assert str(address).startswith("240.")
    said = _get_redirected(meshes, str(address), meshes.places["inner"].port, "inner.internal")
    assert said.startswith("HTTP/1.1 200 OK")
    assert "served-by: api" in said
    assert "URI=spiffe://inner/edge" in said
    (newer,) = meshes.names().find("newer.internal") or ()
    said = _get_redirected(meshes, str(newer), meshes.places["newer"].port, "newer.internal")
    assert "location: http://elsewhere/" in said


def _get_redirected(meshes: Meshes, address: str, port: int, host: str) -> str:
    """A request on a connection that the workload opened to this address."""
    place = meshes.places["web_out"]
    with socket.create_connection((place.host, place.port), timeout=PATIENCE) as connection:
        connection.sendall(f"PROXY TCP4 127.0.0.1 {address} 40000 {port}\r\n".encode())
        connection.sendall(f"GET / HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def test_an_outbound_with_the_tag_of_the_mesh_leads_there(meshes: Meshes) -> None:
    """From one mesh with a backend to another, from MeshIdentities to a backend, and the other way round."""
    for place in ("to_inner", "guest_out"):
        caller = Place(meshes.places["client" if place == "to_inner" else "guest"].host, meshes.places[place].port)
        answer = get(caller, "/there", host="inner.internal")
        assert (answer.status, answer.application, answer.body["path"]) == (200, "api", "/there")
        assert get(caller, host="other.internal").status == 404
    caller = Place(meshes.places["client"].host, meshes.places["to_newer"].port)
    assert get(caller, host="newer.internal").headers["location"] == "http://elsewhere/"


def test_a_gateway_of_another_zone_is_called_by_its_ingress_which_opens_nothing(meshes: Meshes) -> None:
    caller = Place(meshes.places["client"].host, meshes.places["to_newer"].port)
    assert get(caller, host="newer.internal").status == 302
    assert _passed(meshes) > 0
    clusters = meshes.envoys["outer.client"].admin("/clusters")
    assert f"::{meshes.places['ingress']}::" in clusters
    assert f"::{meshes.places['newer']}::" not in clusters


def _passed(meshes: Meshes) -> int:
    """Connections for the gateway that came in by the ingress."""
    lines = meshes.envoys[".west"].admin("/stats?filter=tcp.kri_mgw_.*downstream_cx_total").splitlines()
    return sum(int(line.rpartition(" ")[2]) for line in lines)


def test_who_shows_no_certificate_of_a_mesh_is_refused(meshes: Meshes) -> None:
    now = datetime.now(UTC)
    stranger = create_authority("outer", "ca-1", now=now)
    assert meshes.shake_hands(meshes.authorities["outer"], "spiffe://outer/client").startswith("HTTP/1.1 200")
    assert meshes.shake_hands(meshes.authorities["inner"], "spiffe://inner/api").startswith("HTTP/1.1 200")
    assert is_tls_refusal(ask_plainly(meshes.places["inner"]))
    assert is_tls_refusal(meshes.shake_hands(stranger, "spiffe://outer/client"))
    assert is_tls_refusal(meshes.shake_hands(meshes.authorities["outer"], "spiffe://inner/api"))
    assert is_tls_refusal(meshes.shake_hands(meshes.authorities["late"], "spiffe://late/client"))


def test_a_mesh_that_gets_certificates_is_let_in_and_no_connection_is_closed_for_it(meshes: Meshes) -> None:
    edge = meshes.envoys["inner.edge"]
    before = edge.stats(_MODIFIED)
    meshes.applied(late=_CERTIFIED)
    _until(lambda: meshes.shake_hands(meshes.authorities["late"], "spiffe://late/client").startswith("HTTP/1.1 200"))
    assert edge.stats(_MODIFIED) == before
    meshes.applied(late=_LATE)
    _until(lambda: is_tls_refusal(meshes.shake_hands(meshes.authorities["late"], "spiffe://late/client")))
    assert edge.stats(_MODIFIED) == before


def test_a_listener_that_comes_and_goes_is_called_and_forgotten_elsewhere(meshes: Meshes) -> None:
    meshes.applied(door=meshes.door("inner.internal", "second.internal"))
    (address,) = meshes.names().find("second.internal") or ()
    port = meshes.places["inner"].port
    assert _get_redirected(meshes, str(address), port, "second.internal").startswith("HTTP/1.1 200")
    meshes.applied(door=meshes.door("inner.internal"))
    assert meshes.names().find("second.internal") is None
    assert get(Place(meshes.places["client"].host, meshes.places["to_inner"].port), host="inner.internal").status == 200


def _until(holds: Callable[[], bool]) -> None:
    """What an Envoy has ACKed reaches its own worker threads a moment later."""
    deadline = datetime.now(UTC).timestamp() + PATIENCE
    while not holds():
        assert datetime.now(UTC).timestamp() < deadline, "nothing changes"
