"""Documents for edits (`tests/edits.py`) that are neither proxies nor policies: services, names, zones, identities."""

from collections.abc import Mapping

from hypothesis import strategies as st

from tests.certificates import AUTHORITY
from tests.edited_policies import Document, only

_protocols = st.sampled_from(["http", "grpc", "tcp"])
_zones = st.sampled_from([{}, {"kuma.io/zone": "east"}, {"kuma.io/zone": "west"}])


def _of_mesh(kind: str, name: str, spec: st.SearchStrategy[Document]) -> st.SearchStrategy[Document]:
    return st.builds(
        lambda written, labels: {"type": kind, "mesh": "default", "name": name, "labels": labels, "spec": written},
        spec,
        _zones if kind == "MeshExternalService" else st.just({}),
    )


_outside = only(
    match=_protocols.map(lambda spoken: {"type": "HostnameGenerator", "port": 80, "protocol": spoken}),
    endpoints=st.sampled_from([[{"address": "api.example.com", "port": 443}], [{"address": "192.0.2.1", "port": 80}]]),
    tls=st.sampled_from([None, {"enabled": True}, {"enabled": True, "verification": {"mode": "SkipCA"}}]),
)
_everywhere = only(
    selector=st.sampled_from(["web", "api"]).map(
        lambda name: {"meshService": {"matchLabels": {"kuma.io/display-name": name}}}
    ),
    ports=st.sampled_from(
        [[{"port": 80, "name": "first", "appProtocol": "http"}], [{"port": 80}, {"port": 81, "appProtocol": "tcp"}]]
    ),
)
_tagged = st.builds(
    lambda service, spoken, address: {
        "type": "ExternalService",
        "mesh": "default",
        "name": "tagged",
        "tags": {"kuma.io/service": service, "kuma.io/protocol": spoken},
        "networking": {"address": address},
    },
    st.sampled_from(["beyond", "beyond", "web"]),
    _protocols,
    st.sampled_from(["httpbin.example.com:443", "192.0.2.9:80"]),
)
_named = st.builds(
    lambda selector, template: {
        "type": "HostnameGenerator",
        "name": "names",
        "spec": {"selector": {selector: {"matchLabels": {}}}, "template": template},
    },
    st.sampled_from(["meshService", "meshExternalService", "meshMultiZoneService"]),
    st.sampled_from(["{{ .DisplayName }}.{{ .Mesh }}.shop", "{{ .Name }}.shop"]),
)
_virtual = st.builds(
    lambda host, selected: {
        "type": "VirtualOutbound",
        "mesh": "default",
        "name": "by-tags",
        "selectors": [{"match": {"kuma.io/service": selected}}],
        "conf": {
            "host": host,
            "port": "8080",
            "parameters": [{"name": "s", "tagKey": "kuma.io/service"}, {"name": "v", "tagKey": "version"}],
        },
    },
    st.sampled_from(["{{.v}}.{{.s}}.shop", "{{.s}}.mesh"]),
    st.sampled_from(["*", "*", "web"]),
)


def _zone_proxy(kind: str, name: str, port: int) -> st.SearchStrategy[Document]:
    return st.builds(
        lambda zone, address: {
            "type": kind,
            "name": name,
            "zone": zone,
            "networking": {"address": address, "port": port, **(_advertised(address) if kind == "ZoneIngress" else {})},
        },
        st.sampled_from(["east", "west"]),
        st.sampled_from(["10.5.0.1", "10.5.0.2"]),
    )


def _advertised(address: str) -> Document:
    return {"advertisedAddress": address.replace("10.5", "198.51"), "advertisedPort": 30001}


SERVICES: Mapping[str, st.SearchStrategy[Document]] = {
    "outside": _of_mesh("MeshExternalService", "outside", _outside),
    "everywhere": _of_mesh("MeshMultiZoneService", "everywhere", _everywhere),
    "tagged": _tagged,
    "virtual": _virtual,
    "names": _named,
    "otel": _of_mesh(
        "MeshOpenTelemetryBackend",
        "otel",
        only(
            endpoint=st.sampled_from(["otel", "otel.obs"]).map(lambda one: {"address": one}),
            env=st.sampled_from([{"mode": mode} for mode in ("Disabled", "Required")]),
        ),
    ),
    "identity": _of_mesh(
        "MeshIdentity",
        "main",
        st.sampled_from([{}, {"app": "web"}]).map(
            lambda labels: {
                "selector": {"dataplane": {"matchLabels": labels}},
                "spiffeID": {"trustDomain": "default.east.mesh.local", "path": "/mesh/{{ .Mesh }}"},
                "provider": {"type": "Bundled", "bundled": {"autogenerate": {"enabled": True}}},
            }
        ),
    ),
    "trust": _of_mesh(
        "MeshTrust",
        "main",
        st.sampled_from(["default.east.mesh.local", "other.mesh.local"]).map(
            lambda domain: {"trustDomain": domain, "caBundles": [{"type": "Pem", "pem": {"value": AUTHORITY}}]}
        ),
    ),
    "ingress": _zone_proxy("ZoneIngress", "zi-1", 10001),
    "egress": _zone_proxy("ZoneEgress", "ze-1", 10002),
    "zone-address": _of_mesh(
        "MeshZoneAddress",
        "east-1",
        st.sampled_from([30001, 30002]).map(lambda port: {"address": "203.0.113.4", "port": port}),
    ),
}
"""By the name of their file."""
