"""Small meshes that meet themselves often, and edits of them, for properties of the whole compiler."""

import json
from collections.abc import Iterator, Mapping

from hypothesis import strategies as st

from tests import edited_gateways, edited_policies, edited_services, edited_telemetry, edited_zones
from tests.edited_legacy import LEGACY, TRACING
from tests.edited_policies import CALLERS, DESTINATIONS, IDS, ROUTES, TOPS, Document, entries, only
from tests.edited_zones import ZONES
from tests.moves import SINGLE, Repository, instances, moves
from tests.schematic import part

SERVICES = ("web", "api")
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
    min_size=1,
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
        tracing=st.none() | st.just(TRACING),
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
    port, spoken = st.sampled_from([9000, 9000, 9000 + number]), st.sampled_from(_PROTOCOLS)
    tagged = st.builds(lambda port, found: [{"port": port, "tags": found}], port, tags)
    named = st.builds(lambda port, protocol: [{"port": port, "name": "main", "protocol": protocol}], port, spoken)
    return tagged | named


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


def _labels() -> st.SearchStrategy[Mapping[str, str]]:
    return st.builds(
        lambda app, zone, workload: {
            "app": app,
            **({"kuma.io/zone": zone} if zone else {}),
            **({"kuma.io/workload": app} if workload else {}),
        },
        _services,
        st.sampled_from(ZONES),
        st.booleans(),
    )


def _sets(name: str) -> st.SearchStrategy[Document]:
    """Two whose proxies register themselves may be called alike, which is found late."""
    listed = st.lists(st.sampled_from("123").flatmap(instances), unique_by=lambda one: one["name"], min_size=1).map(
        lambda found: {"instances": found}
    )
    registered = st.just({"registration": {"cidrs": ["10.2.0.0/16"]}})
    template = only(inbound=_inbounds(9), outbound=_outbounds)
    return st.builds(
        lambda labels, networking, which: {
            "type": "DataplaneSet",
            "mesh": "default",
            "name": name,
            "labels": labels,
            "spec": {"template": {"networking": networking}, **which},
        },
        _labels(),
        template,
        listed | registered if name == "many" else registered,
    )


def _mesh_services(name: str) -> st.SearchStrategy[Document]:
    selector = _services.map(lambda app: {"dataplaneLabels": {"matchLabels": {"app": app}}}) | _services.map(
        lambda service: {"dataplaneTags": {"kuma.io/service": service}}
    )
    port = st.sampled_from([9000, 9000, 9001, 9009])
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


_LENIENT = ("bad-target", "unsupported-target", "callers-without-tags", "dangling-ref", "cross-mesh-plaintext",
            "unknown-mesh")  # fmt: skip
_SETTINGS = st.sampled_from(["warning", "error", "off"]).map(
    lambda level: {"schemaVersion": 1, "severity": dict.fromkeys(_LENIENT, level)}
)
_OTHERS = {
    "meshwright": _SETTINGS,
    "more": _sets("more"),
    SINGLE: _dataplanes(9).map(lambda one: {**one, "name": "many-1"}),
    **edited_services.SERVICES,
    **edited_zones.ZONED,
    **edited_gateways.BEFORE,
    **LEGACY,
}
DOCUMENTS: Mapping[str, st.SearchStrategy[Document]] = {
    "mesh": _meshes("default"),
    "mesh-other": _meshes("other"),
    **{f"zone-{name}": _zones(name) for name in ZONES if name},
    **{f"proxy-{number}": _dataplanes(number) for number in range(3)},
    "many": _sets("many"),
    **edited_gateways.gateways(_labels()),
    **{f"service-{name}": _mesh_services(name) for name in SERVICES},
    **_OTHERS,
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
    "service-web",
    "MeshTimeout-a",
    "MeshTrafficPermission-a",
)
"""Without these little would happen."""


_LATER = sorted(name for name in DOCUMENTS if name in _OTHERS or name.partition("-")[0] in edited_policies.SPECS)
"""Of these a repository has a few: they are so many that all of them at once would hide what one of them does."""


@st.composite
def repositories(draw: st.DrawFn) -> Repository:
    few = draw(st.lists(st.sampled_from(_LATER), max_size=6, unique=True))
    often = [name for name in DOCUMENTS if name not in {*_ALWAYS, *_LATER}]
    drawn: Repository = draw(
        st.fixed_dictionaries(
            {name: DOCUMENTS[name] for name in (*_ALWAYS, *few)}, optional={name: DOCUMENTS[name] for name in often}
        )
    )
    return drawn


def crowds() -> st.SearchStrategy[Repository]:
    """Few documents but proxies, and what tells proxies apart."""
    return st.fixed_dictionaries(
        {name: DOCUMENTS[name] for name in ("mesh", "proxy-0", "proxy-1", "many", "service-web", "particular")},
        optional={name: DOCUMENTS[name] for name in ("mesh-other", "zone-west", "of-zone", "more", "naming", "door")},
    )


@st.composite
def edits(draw: st.DrawFn, before: Repository) -> Repository:
    """One file added, changed or removed; or one document that stands elsewhere or is called otherwise."""
    kind = draw(st.sampled_from(["add", "change", "change", "remove", "move", "move", "move"]))
    if kind == "move":
        return draw(moves(before))
    names = sorted(before if kind in {"change", "remove"} and before else DOCUMENTS)
    name = draw(st.sampled_from(names) | st.sampled_from([name for name in names if "Mesh" in name] or names))
    if kind == "remove":
        return {other: document for other, document in before.items() if other != name}
    return {**before, name: draw(DOCUMENTS[name.removeprefix("moved/")])}


def differences(before: Repository, after: Repository) -> Iterator[str]:
    """What an edit did, for who reads of it."""
    yield from (f"{file} is gone" for file in before if file not in after)
    yield from (f"{file}: {json.dumps(one)}" for file, one in after.items() if one != before.get(file))


def arbitrary(kind: str) -> st.SearchStrategy[Document]:
    """Whatever the schema of a kind accepts."""
    return part(kind, "universal")
