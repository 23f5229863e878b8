"""Small meshes that meet themselves often, and edits of them, for properties of the whole compiler."""

from collections.abc import Mapping

from hypothesis import strategies as st

from tests import edited_policies, edited_services, edited_telemetry
from tests.edited_policies import CALLERS, DESTINATIONS, IDS, ROUTES, TOPS, Document, entries, only
from tests.schematic import part

Repository = Mapping[str, Document]
"""Documents by the name of their file."""

SERVICES = ("web", "api")
_ZONES = ("", "east", "west")
_PROTOCOLS = ("http", "grpc", "tcp")
_services = st.sampled_from(SERVICES)


_destinations = st.sampled_from(
    [
        *(("MeshService", name) for name in SERVICES * 2),
        ("MeshMultiZoneService", "everywhere"),
        ("MeshExternalService", "outside"),
    ]
)
_references = st.builds(
    lambda found, port: {"kind": found[0], "name": found[1], **({"port": port} if port else {})},
    _destinations,
    st.sampled_from([None, 80, 81]),
)
_outbounds = st.lists(
    st.builds(lambda name: {"tags": {"kuma.io/service": name}}, st.sampled_from([*SERVICES * 2, "beyond"]))
    | st.builds(lambda found: {"backendRef": {"kind": found[0], "name": found[1], "port": 80}}, _destinations)
    | st.just({"tags": {"kuma.io/service": "edge", "kuma.io/mesh": "other"}}),
    max_size=2,
).map(lambda found: [{"port": 1001 + index, **one} for index, one in enumerate(found)])
_transparent = only(
    redirectPortInbound=st.just(15006),
    redirectPortOutbound=st.just(15001),
    ipFamilyMode=st.just("IPv4"),
    reachableServices=st.none() | st.none() | st.lists(_services | st.just("edge"), max_size=2, unique=True),
    directAccessServices=st.none() | st.none() | st.sampled_from([["*"], ["web"]]),
    reachableBackends=st.none() | st.none() | st.builds(lambda refs: {"refs": refs}, st.lists(_references, max_size=2)),
)


def _meshes(name: str) -> st.SearchStrategy[Document]:
    mtls = st.sampled_from(["STRICT", "PERMISSIVE"]).map(
        lambda mode: {"enabledBackend": "ca", "backends": [{"name": "ca", "type": "builtin", "mode": mode}]}
    )
    return only(
        type=st.just("Mesh"),
        name=st.just(name),
        mtls=mtls | mtls | st.none(),
        meshServices=st.sampled_from(["Disabled", "Everywhere", "ReachableBackends", "Exclusive"]).map(
            lambda mode: {"mode": mode}
        ),
        routing=st.fixed_dictionaries(
            {
                "autoReachable": st.sampled_from([True, True, False]),
                "localityAwareLoadBalancing": st.booleans(),
                "zoneEgress": st.booleans(),
            }
        ),
        networking=st.booleans().map(lambda passed: {"outbound": {"passthrough": passed}}),
        metrics=st.none() | st.none() | edited_telemetry.METRICS,
        logging=st.none() | st.none() | edited_telemetry.LOGGING,
        skipCreatingInitialPolicies=st.sampled_from([[], ["*"], ["MeshTimeout"]]),
    )


def _zones(name: str) -> st.SearchStrategy[Document]:
    return st.booleans().map(lambda enabled: {"type": "Zone", "name": name, "enabled": enabled})


def _inbounds(number: int) -> st.SearchStrategy[list[Document]]:
    tags = st.builds(
        lambda service, protocol, version: {
            "kuma.io/service": service,
            "kuma.io/protocol": protocol,
            **({"version": version} if version else {}),
        },
        _services,
        st.sampled_from(_PROTOCOLS),
        st.sampled_from(["", "v1", "v2"]),
    )
    tagged = tags.map(lambda found: [{"port": 9000 + number, "tags": found}])
    spoken = st.sampled_from(_PROTOCOLS)
    return tagged | spoken.map(lambda protocol: [{"port": 9000 + number, "name": "main", "protocol": protocol}])


def _dataplanes(number: int) -> st.SearchStrategy[Document]:
    sidecar = only(
        address=st.sampled_from([f"10.0.0.{number + 1}", f"10.0.1.{number + 1}"]),
        inbound=_inbounds(number),
        outbound=_outbounds,
        transparentProxying=_transparent | _transparent | st.none(),
        admin=st.none() | st.just({"port": 9901}),
    )
    gateway = only(
        address=st.just(f"10.0.0.{number + 1}"),
        gateway=_services.map(lambda name: {"type": "DELEGATED", "tags": {"kuma.io/service": name}}),
        outbound=_outbounds,
    )
    return only(
        type=st.just("Dataplane"),
        mesh=st.sampled_from(["default", "default", "default", "other"]),
        name=st.just(f"proxy-{number}"),
        labels=_labels(),
        networking=sidecar | sidecar | gateway,
        metrics=st.none() | st.none() | edited_telemetry.OWN_METRICS,
    )


def _edges() -> st.SearchStrategy[Document]:
    """A builtin gateway, which other meshes may call by a MeshGateway."""
    return only(
        type=st.just("Dataplane"),
        mesh=st.sampled_from(["other", "other", "default"]),
        name=st.just("edge"),
        labels=_labels(),
        networking=only(
            address=st.just("10.3.0.1"), gateway=st.just({"type": "BUILTIN", "tags": {"kuma.io/service": "edge"}})
        ),
    )


def _gateways() -> st.SearchStrategy[Document]:
    listener = st.builds(
        lambda port, crosses: {
            "port": port,
            "protocol": "HTTP",
            "hostname": f"at-{port}.internal",
            **({"crossMesh": True} if crosses else {}),
        },
        st.sampled_from([8080, 8081]),
        st.sampled_from([True, True, False]),
    )
    listeners = st.lists(listener, min_size=1, max_size=2, unique_by=lambda one: one["port"])
    return st.builds(
        lambda mesh, found: {
            "type": "MeshGateway",
            "mesh": mesh,
            "name": "inner",
            "selectors": [{"match": {"kuma.io/service": "edge"}}],
            "conf": {"listeners": found},
        },
        st.sampled_from(["other", "other", "default"]),
        listeners,
    )


def _labels() -> st.SearchStrategy[Mapping[str, str]]:
    return st.builds(
        lambda app, zone, workload: {
            "app": app,
            **({"kuma.io/zone": zone} if zone else {}),
            **({"kuma.io/workload": app} if workload else {}),
        },
        _services,
        st.sampled_from(_ZONES),
        st.booleans(),
    )


def _sets() -> st.SearchStrategy[Document]:
    instances = st.lists(st.integers(1, 3), unique=True, min_size=1).map(
        lambda numbers: {"instances": [{"name": f"many-{one}", "address": f"10.1.0.{one}"} for one in numbers]}
    )
    registered = st.just({"registration": {"cidrs": ["10.2.0.0/16"]}})
    template = only(inbound=_inbounds(9), outbound=_outbounds)
    return st.builds(
        lambda labels, networking, which: {
            "type": "DataplaneSet",
            "mesh": "default",
            "name": "many",
            "labels": labels,
            "spec": {"template": {"networking": networking}, **which},
        },
        _labels(),
        template,
        instances | registered,
    )


def _mesh_services(name: str) -> st.SearchStrategy[Document]:
    selector = _services.map(lambda app: {"dataplaneLabels": {"matchLabels": {"app": app}}}) | _services.map(
        lambda service: {"dataplaneTags": {"kuma.io/service": service}}
    )
    port = st.sampled_from([9000, 9001, 9009])
    ports = st.builds(
        lambda first, second, spoken: [
            {"port": 80, "name": "first", "targetPort": first, "appProtocol": spoken},
            {"port": 81, "targetPort": second},
        ],
        port | st.just("main"),
        port,
        st.sampled_from(_PROTOCOLS),
    )
    return st.builds(
        lambda selector, ports: {
            "type": "MeshService",
            "mesh": "default",
            "name": name,
            "spec": {"selector": selector, "ports": ports},
        },
        selector,
        ports,
    )


_TIMEOUTS = [{"connectionTimeout": "2s"}, {"idleTimeout": "3s"}, {"http": {"requestTimeout": "4s"}}]
_RETRIES = [{"http": {"numRetries": 2}}, {"tcp": {"maxConnectAttempt": 2}}, {"grpc": {"retryOn": ["Canceled"]}}]
_LIMITS = [{"connectionLimits": {"maxRequests": 2}}, {"outlierDetection": {"detectors": {"totalFailures": {}}}}]
_PREFIXES = [{"path": {"type": "PathPrefix", "value": value}} for value in ("/", "/v1")]
_MATCHES = [*_PREFIXES, {"method": "GET"}]


def _rules() -> st.SearchStrategy[list[Document]]:
    matches = st.lists(st.sampled_from(_MATCHES), min_size=1, max_size=1)
    backends = st.lists(_references, min_size=1, max_size=2).map(lambda found: {"backendRefs": found})
    inline = st.sampled_from([{"timeout": {"requestTimeout": one}} for one in ("1s", "2s")])
    return st.lists(st.fixed_dictionaries({"matches": matches, "default": inline | backends}), max_size=2)


_requests = st.builds(lambda one, match: {**one, "http": [match]}, IDS, st.sampled_from(_MATCHES[1:]))
_SPECS: Mapping[str, st.SearchStrategy[Document]] = {
    "MeshTimeout": only(targetRef=TOPS, to=entries(DESTINATIONS | ROUTES, _TIMEOUTS))
    | only(targetRef=TOPS, **{"from": entries(st.just({"kind": "Mesh"}), _TIMEOUTS)})
    | only(rules=IDS.map(lambda one: [{"matches": [one], "default": {"http": {"requestTimeout": "9s"}}}])),
    "MeshRetry": only(targetRef=TOPS, to=entries(DESTINATIONS | ROUTES, _RETRIES)),
    "MeshCircuitBreaker": only(targetRef=TOPS, to=entries(DESTINATIONS, _LIMITS)),
    "MeshHTTPRoute": only(
        targetRef=TOPS,
        to=st.lists(
            st.fixed_dictionaries(
                {"targetRef": _services.map(lambda name: {"kind": "MeshService", "name": name}), "rules": _rules()}
            ),
            min_size=1,
            max_size=1,
        ),
    ),
    "MeshTrafficPermission": only(
        targetRef=TOPS, **{"from": entries(CALLERS, [{"action": "Allow"}, {"action": "Deny"}])}
    )
    | only(rules=st.lists(IDS | _requests, min_size=1, max_size=2).map(lambda ids: [{"default": {"allow": ids}}])),
    **edited_policies.SPECS,
}
_POLICY_NAMES = {"MeshHTTPRoute": ("route", "other-route")}


def _policies(kind: str, name: str) -> st.SearchStrategy[Document]:
    return st.builds(
        lambda spec, labels: {"type": kind, "mesh": "default", "name": name, "labels": labels, "spec": spec},
        _SPECS[kind],
        st.sampled_from([{}, {}, {"kuma.io/effect": "shadow"}]),
    )


DOCUMENTS: Mapping[str, st.SearchStrategy[Document]] = {
    "mesh": _meshes("default"),
    "mesh-other": _meshes("other"),
    **{f"zone-{name}": _zones(name) for name in _ZONES if name},
    **{f"proxy-{number}": _dataplanes(number) for number in range(3)},
    "many": _sets(),
    "edge": _edges(),
    "gateway": _gateways(),
    **{f"service-{name}": _mesh_services(name) for name in SERVICES},
    **edited_services.SERVICES,
    "logged": edited_telemetry.LEGACY_LOGS,
    **{f"{kind}-{name}": _policies(kind, name) for kind in _SPECS for name in _POLICY_NAMES.get(kind, ("a", "b"))},
}
"""What may stand in each file."""


_ALWAYS = (
    "mesh",
    "mesh-other",
    "zone-west",
    "proxy-0",
    "proxy-1",
    "proxy-2",
    "MeshTimeout-a",
    "MeshTrafficPermission-a",
)
"""Without these little would happen."""


_LATER = sorted(
    name for name in DOCUMENTS if name in edited_services.SERVICES or name.partition("-")[0] in edited_policies.SPECS
)
"""Of these a repository has a few: they are so many that all of them at once would hide what one of them does."""


@st.composite
def repositories(draw: st.DrawFn) -> Repository:
    few = draw(st.lists(st.sampled_from(_LATER), max_size=5, unique=True))
    often = [name for name in DOCUMENTS if name not in {*_ALWAYS, *_LATER}]
    drawn: Repository = draw(
        st.fixed_dictionaries(
            {name: DOCUMENTS[name] for name in (*_ALWAYS, *few)}, optional={name: DOCUMENTS[name] for name in often}
        )
    )
    return drawn


@st.composite
def edits(draw: st.DrawFn, before: Repository) -> Repository:
    """One file added or changed, removed, called something else, or the name inside it changed."""
    kind = draw(st.sampled_from(["add", "change", "change", "change", "remove", "move", "rename"]))
    names = sorted(DOCUMENTS if kind == "add" else before)
    name = draw(st.sampled_from(names) | st.sampled_from([name for name in names if "Mesh" in name] or names))
    if kind in {"add", "change"}:
        return {**before, name: draw(DOCUMENTS[name.removeprefix("moved/")])}
    rest = {other: document for other, document in before.items() if other != name}
    if kind == "remove":
        return rest
    if kind == "move":
        return {**rest, f"moved/{name.removeprefix('moved/')}": before[name]}
    return {**rest, name: {**before[name], "name": f"{before[name]['name']}-new"}}


def arbitrary(kind: str) -> st.SearchStrategy[Document]:
    """Whatever the schema of a kind accepts."""
    return part(kind, "universal")
