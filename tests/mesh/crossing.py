"""Meshes of which one has a gateway that the others call."""

from compiler.diagnostics import Checked
from compiler.envoy.resources import ResourceType
from compiler.mesh.calls import Outbound
from compiler.mesh.proxy import Proxy
from compiler.pipeline import Compiled, Compiler
from compiler.resources.model import ResourceKey
from compiler.snapshot.snapshot import Snapshot
from tests.trees import compile_texts, resolve_proxy

BACKEND = "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}"
REDIRECTED = "transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001%s}"
INNER = "port: 8080, protocol: HTTP, hostname: a.internal, crossMesh: true"
OTHER = "port: 8081, protocol: HTTP, hostname: other.internal, crossMesh: true, tags: {door: other}"


def mesh(name: str, more: str = BACKEND) -> str:
    return f"type: Mesh\nname: {name}\nskipCreatingInitialPolicies: ['*']\n{more}\n"


def edge(mesh: str = "a", name: str = "edge-1", address: str = "10.0.0.1", zone: str = "") -> str:
    labels = f"labels: {{kuma.io/zone: {zone}}}\n" if zone else ""
    tags = "{kuma.io/service: edge}"
    networking = f"networking: {{address: {address}, gateway: {{type: BUILTIN, tags: {tags}}}}}\n"
    return f"type: Dataplane\nmesh: {mesh}\nname: {name}\n{labels}{networking}"


def gateway(*listeners: str, mesh: str = "a", name: str = "inner", service: str = "edge") -> str:
    written = ", ".join(f"{{{one}}}" for one in listeners)
    head = f"type: MeshGateway\nmesh: {mesh}\nname: {name}\nselectors: [{{match: {{kuma.io/service: {service}}}}}]\n"
    return f"{head}conf: {{listeners: [{written}]}}\n"


def proxy(mesh: str, name: str, networking: str = REDIRECTED % "", address: str = "10.1.0.1", labels: str = "") -> str:
    tags = f"{{kuma.io/service: {name.partition('-')[0]}, kuma.io/protocol: http}}"
    written = f"address: {address}, inbound: [{{port: 80, tags: {tags}}}], {networking}"
    return f"type: Dataplane\nmesh: {mesh}\nname: {name}\nlabels: {{{labels}}}\nnetworking: {{{written}}}\n"


def tagged(tags: str, port: int = 9090) -> str:
    return f"outbound: [{{port: {port}, tags: {{{tags}}}}}]"


TO_EDGE = tagged("kuma.io/service: edge, kuma.io/mesh: a")
BASE = (mesh("a"), mesh("b"), edge(), gateway(INNER))
WEB = proxy("b", "web-1")


def compiled(*texts: str, compiler: Compiler | None = None) -> Checked[Compiled]:
    found = compile_texts(*texts, compiler=compiler)
    assert not found.failed, found.diagnostics
    return found


def resolved(found: Checked[Compiled], name: str = "web-1", mesh: str = "b") -> Proxy:
    return resolve_proxy(found.value.memo, ResourceKey("Dataplane", mesh, name))


def abroad(proxy: Proxy) -> list[Outbound]:
    return [one for one in proxy.outbounds if one.destination.mesh != proxy.mesh]


def called(found: Checked[Compiled], name: str = "web-1", mesh: str = "b") -> list[str]:
    """By mesh, gateway and listener."""
    keys = (one.destination for one in abroad(resolved(found, name, mesh)))
    return [f"{one.mesh}/{one.service.name}/{one.section}" for one in keys]


def findings(*texts: str) -> list[tuple[str, str]]:
    return [(one.code.word, one.path) for one in compile_texts(*texts).diagnostics]


def endpoints(snapshot: Snapshot) -> str:
    """What a snapshot says of where the gateway's proxies are."""
    found = snapshot.resources[ResourceType.ENDPOINT]
    return "".join(one.json.decode() for name, one in found.items() if name.startswith("kri_mgw_"))


IDENTITY = """
type: MeshIdentity
mesh: a
name: main
spec:
  selector: {dataplane: {matchLabels: {}}}
  spiffeID: {trustDomain: a.example, path: '/{{ .Mesh }}'}
  provider: %s
"""
BUNDLED = "{type: Bundled, bundled: {autogenerate: {enabled: true}}}"
SPIRE = "{type: Spire, spire: {}}"
TRUST = "type: MeshTrust\nmesh: %s\nname: t\nspec: {trustDomain: %s, caBundles: [{type: Pem, pem: {value: %s}}]}\n"
SECOND = edge("a", "second-1", "10.0.0.9").replace("service: edge", "service: second")
SECONDS = gateway(OTHER, name="second", service="second")
INGRESS = (
    "type: ZoneIngress\nname: west\nzone: west\n"
    "networking: {address: 10.9.0.1, port: 10001, advertisedAddress: 192.0.2.1, advertisedPort: 10002}\n"
)


def timeout(mesh: str, seconds: int, top: str = "{kind: Mesh}") -> str:
    return (
        f"type: MeshTimeout\nmesh: {mesh}\nname: t\n"
        f"spec: {{targetRef: {top}, to: [{{targetRef: {{kind: Mesh}}, default: {{connectionTimeout: {seconds}s}}}}]}}\n"
    )
