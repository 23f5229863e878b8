"""The YAML of a workload, one function for each kind of file; edits write the same files with other values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import dedent, indent
from typing import Final

from benchmarks.fleet import ZONES, Fleet, Replica, Service, name_service
from benchmarks.tiers import Trimming

MESH: Final = "default"
NOBODY: Final = "spiffe://default/nobody"
"""Whom a service permits that nobody calls: a permission must name someone."""


def write_mesh(fleet: Fleet) -> str:
    """Trimming comes from the permissions, where the shape asks for it and not everyone may call everyone.

    A list of services is for those of 2.x, which stand in the place of MeshServices.
    """
    automatic = fleet.shape.trimming == "automatic" and fleet.shape.graph != "full"
    mode = "Disabled" if fleet.shape.trimming == "services" else "Exclusive"
    return dedent(f"""\
        type: Mesh
        name: {MESH}
        mtls:
          enabledBackend: builtin
          backends:
          - name: builtin
            type: builtin
        meshServices:
          mode: {mode}
        routing:
          localityAwareLoadBalancing: true
          autoReachable: {str(automatic).lower()}
        skipCreatingInitialPolicies: ["*"]
        """)


def write_zones() -> str:
    return "---\n".join(f"type: Zone\nname: {zone}\nenabled: true\n" for zone in ZONES)


def write_mesh_timeout(request_seconds: int = 15) -> str:
    """What the edit of a mesh-wide timeout changes: every outbound of every proxy."""
    conf = f"""\
        connectionTimeout: 5s
        idleTimeout: 1h
        http: {{requestTimeout: {request_seconds}s, streamIdleTimeout: 30m}}
        """
    return _policy("MeshTimeout", "mesh-timeout-to-all", _to("kind: Mesh", conf))


def write_mesh_policies() -> Iterator[tuple[str, str]]:
    """The mesh-wide policies beside that timeout, by file name: eight with it."""
    yield "timeout-all", _policy("MeshTimeout", "mesh-timeout-all", _INBOUND_TIMEOUT)
    yield "timeout-sidecars", _policy("MeshTimeout", "mesh-timeout-sidecars", _HEADERS_TIMEOUT, _SIDECARS)
    yield "retry-all", _policy("MeshRetry", "mesh-retry-all", _to("kind: Mesh", _RETRY))
    yield "limits-all", _policy("MeshCircuitBreaker", "mesh-limits-all", _to("kind: Mesh", _LIMITS))
    yield "ejection-all", _policy("MeshCircuitBreaker", "mesh-ejection-all", _to("kind: Mesh", _EJECTION))
    yield "inbound-limits-all", _policy("MeshCircuitBreaker", "mesh-inbound-limits-all", _INBOUND_LIMITS)
    yield "deny-retired", _policy("MeshTrafficPermission", "mesh-deny-retired", _DENY_RETIRED)


def write_service(service: Service, *, reordered: bool = False) -> str:
    """`reordered` says the same with its parts in another order."""
    ports = f"- {{name: main, port: 80, targetPort: 8080, appProtocol: {service.protocol}}}\n"
    if service.two_ports:
        ports += "- {name: admin, port: 9000, targetPort: 9000, appProtocol: http}\n"
    selector = f"selector:\n  dataplaneLabels:\n    matchLabels: {{kuma.io/workload: {service.name}}}\n"
    ports = f"ports:\n{ports}"
    spec = ports + selector if reordered else selector + ports
    return f"type: MeshService\nmesh: {MESH}\nname: {service.name}\n{_labels(service)}spec:\n{indent(spec, '  ')}"


def write_dataplane_set(
    service: Service, replicas: Sequence[Replica] | None = None, trimming: Trimming = "automatic"
) -> str:
    """With these replicas instead of the service's own, where they are given."""
    instances = "".join(
        f"  - {{name: '{replica.name}', address: {replica.address}, zone: {replica.zone}}}\n"
        for replica in (service.replicas if replicas is None else replicas)
    )
    networking = indent(_networking(service, trimming), "    ")
    return (
        f"type: DataplaneSet\nmesh: {MESH}\nname: {service.name}\n{_labels(service)}"
        f"spec:\n  template:\n{networking}  instances:\n{instances}"
    )


def write_dataplane(service: Service, replica: Replica, trimming: Trimming = "automatic") -> str:
    """The same proxy as the set's instance, by itself."""
    head = f"networking:\n  address: {replica.address}\n"
    networking = _networking(service, trimming).replace("networking:\n", head, 1)
    return (
        f"type: Dataplane\nmesh: {MESH}\nname: {service.name}-{replica.name}\n"
        f"{_labels(service)}  kuma.io/zone: {replica.zone}\n{networking}"
    )


def write_permission(fleet: Fleet, service: Service, *, denied: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """Exactly the callers that the graph gives it; `denied` and `more` are SPIFFE ids beside them."""
    callers = [_spiffe(fleet.services[caller]) for caller in service.callers]
    allow = _matches("allow", [*callers, *more] or [NOBODY]) if fleet.shape.graph != "full" else _EVERYONE
    rules = f"rules:\n- default:\n{indent(_matches('deny', denied) + allow, '    ')}"
    return _policy("MeshTrafficPermission", service.name, rules, _app(service))


def write_inbound_timeout(service: Service, request_seconds: int = 20) -> str:
    """For the requests that a service takes."""
    rules = f"rules:\n- default:\n    http: {{requestTimeout: {request_seconds}s}}\n"
    return _policy("MeshTimeout", service.name, rules, _app(service))


def write_outbound_timeout(service: Service, target: Service, request_seconds: int = 10) -> str:
    """For the requests that one service sends to one other."""
    conf = f"http: {{requestTimeout: {request_seconds}s}}\n"
    return _policy("MeshTimeout", f"{service.name}-to", _to(_named(target), conf), _app(service))


def write_retry(service: Service, attempts: int = 3) -> str:
    """For everyone who calls the service."""
    protocol = "grpc" if service.protocol == "grpc" else "http"
    pause = "{baseInterval: 25ms, maxInterval: 250ms}"
    conf = f"{protocol}: {{numRetries: {attempts}, perTryTimeout: 2s, backOff: {pause}}}\n"
    if service.protocol == "tcp":
        conf = f"tcp: {{maxConnectAttempt: {attempts}}}\n"
    return _policy("MeshRetry", service.name, _to(_named(service), conf))


def write_route(service: Service, target: Service, canary: Service) -> str:
    """Two rules for what one service sends to another; the second sends a tenth elsewhere."""
    rules = dedent(f"""\
        - matches:
          - path: {{type: PathPrefix, value: /v1}}
          default:
            filters:
            - type: RequestHeaderModifier
              requestHeaderModifier:
                set: [{{name: x-lane, value: stable}}]
        - matches:
          - path: {{type: PathPrefix, value: /v2}}
            headers: [{{name: x-canary, value: "yes"}}]
          default:
            backendRefs:
            - {{kind: MeshService, name: {target.name}, port: 80, weight: 90}}
            - {{kind: MeshService, name: {canary.name}, port: 80, weight: 10}}
        """)
    to = f"to:\n- targetRef: {{{_named(target)}}}\n  rules:\n{indent(rules, '  ')}"
    return _policy("MeshHTTPRoute", f"{service.name}-to", to, _app(service))


def write_rate_limit(service: Service, requests: int = 1000) -> str:
    """For the requests or connections that a service takes."""
    kind, rate = ("tcp", "connectionRate") if service.protocol == "tcp" else ("http", "requestRate")
    rules = f"rules:\n- default: {{local: {{{kind}: {{{rate}: {{num: {requests}, interval: 1s}}}}}}}}\n"
    return _policy("MeshRateLimit", service.name, rules, _app(service))


def write_fault(service: Service) -> str:
    """For a thousandth of the requests that a service takes."""
    rules = 'rules:\n- default: {http: [{delay: {value: 50ms, percentage: "0.1"}}]}\n'
    return _policy("MeshFaultInjection", service.name, rules, _app(service))


def write_health_check(service: Service) -> str:
    """By everyone who calls the service; slow, for a mesh of a thousand callers."""
    check = {"tcp": "tcp: {}", "grpc": "grpc: {}"}.get(service.protocol, "http: {path: /ready}")
    return _policy("MeshHealthCheck", service.name, _to(_named(service), f"interval: 1m\n{check}\n"))


def write_load_balancing(service: Service) -> str:
    """For everyone who calls the service: by requests, and in their own zone first."""
    return _policy(
        "MeshLoadBalancingStrategy", service.name, _to(_named(service), "loadBalancer: {type: LeastRequest}\n")
    )


def write_proxy_patch(service: Service) -> str:
    """Of every cluster that its proxies call."""
    patch = "{op: add, path: /perConnectionBufferLimitBytes, value: 65536}"
    block = f"cluster: {{operation: Patch, match: {{origin: outbound}}, jsonPatches: [{patch}]}}"
    spec = f"default:\n  appendModifications:\n  - {block}\n"
    return _policy("MeshProxyPatch", service.name, spec, _app(service))


OTHERS: Final[Mapping[str, Callable[[Service], str]]] = {
    "rate-limit": write_rate_limit,
    "fault": write_fault,
    "health-check": write_health_check,
    "load-balancing": write_load_balancing,
    "proxy-patch": write_proxy_patch,
}
"""Writers of the policies that few services have, by file name."""


def _policy(kind: str, name: str, spec: str, target: str = "Mesh") -> str:
    head = f"type: {kind}\nmesh: {MESH}\nname: {name}\nspec:\n"
    return f"{head}  targetRef: {{kind: {target}}}\n{indent(dedent(spec), '  ')}"


def _to(target: str, conf: str) -> str:
    return f"to:\n- targetRef: {{{target}}}\n  default:\n{indent(dedent(conf), '    ')}"


def _networking(service: Service, trimming: Trimming) -> str:
    """`protocol` is the field of Kuma 3; the proxy's name comes from its workload label, so no tags are needed."""
    inbounds = f"  - {{name: main, port: 8080, protocol: {service.protocol}}}\n"
    if service.two_ports:
        inbounds += "  - {name: admin, port: 9000, protocol: http}\n"
    listed = _reachable(service, trimming)
    redirection = f"  transparentProxying: {{redirectPortInbound: 15006, redirectPortOutbound: 15001{listed}}}\n"
    return f"networking:\n  inbound:\n{inbounds}{redirection}"


def _reachable(service: Service, trimming: Trimming) -> str:
    """Exactly what the graph lets it call."""
    if trimming == "services":
        return f", reachableServices: [{', '.join(map(name_service, service.calls))}]"
    if trimming != "listed":
        return ""
    refs = ", ".join(f"{{kind: MeshService, name: {name_service(target)}}}" for target in service.calls)
    return f", reachableBackends: {{refs: [{refs}]}}"


def _labels(service: Service) -> str:
    return f"labels:\n  app: {service.name}\n  kuma.io/workload: {service.name}\n  team: {service.team}\n"


def _app(service: Service) -> str:
    return f"Dataplane, labels: {{app: {service.name}}}"


def _named(service: Service) -> str:
    return f"kind: MeshService, name: {service.name}"


def _spiffe(service: Service) -> str:
    return f"spiffe://{MESH}/{service.name}"


def _matches(verdict: str, callers: Sequence[str]) -> str:
    entries = "".join(f"- spiffeID: {{type: Exact, value: {caller}}}\n" for caller in callers)
    return f"{verdict}:\n{entries}" if entries else ""


_EVERYONE: Final = f"allow:\n- spiffeID: {{type: Prefix, value: spiffe://{MESH}/}}\n"
_INBOUND_TIMEOUT: Final = """\
    rules:
    - default:
        connectionTimeout: 10s
        idleTimeout: 2h
        http: {requestTimeout: 0s, streamIdleTimeout: 1h, maxStreamDuration: 0s}
    """
_SIDECARS: Final = "Mesh, proxyTypes: [Sidecar]"
_HEADERS_TIMEOUT: Final = "rules:\n- default:\n    idleTimeout: 90m\n    http: {requestHeadersTimeout: 10s}\n"
_RETRY: Final = """\
    tcp: {maxConnectAttempt: 5}
    http: {numRetries: 5, perTryTimeout: 16s, backOff: {baseInterval: 25ms, maxInterval: 250ms}}
    grpc: {numRetries: 5, perTryTimeout: 16s, backOff: {baseInterval: 25ms, maxInterval: 250ms}}
    """
_LIMITS: Final = (
    "connectionLimits: {maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3}\n"
)
_EJECTION: Final = """\
    outlierDetection:
      interval: 10s
      baseEjectionTime: 30s
      maxEjectionPercent: 50
      detectors:
        gatewayFailures: {consecutive: 5}
    """
_INBOUND_LIMITS: Final = "rules:\n- default:\n    connectionLimits: {maxConnections: 4096}\n"
_DENY_RETIRED: Final = (
    f"rules:\n- default:\n    deny:\n    - spiffeID: {{type: Exact, value: spiffe://{MESH}/retired}}\n"
)
