"""Builtin gateways for edits (`tests/edits.py`), what stands before them, and where they send requests."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.edited_policies import Document, only

_meshes = st.sampled_from(["other", "other", "default"])
_doors = st.sampled_from([{}, {}, {"door": "web"}, {"door": "old"}])
_CERTIFIED: Document = {"mode": "TERMINATE", "certificates": [{"secret": "cert"}]}
_services = st.sampled_from(["web", "api"])
_MATCHES = [{"path": {"type": "PathPrefix", "value": value}} for value in ("/", "/v1")]


def _edges(labels: st.SearchStrategy[Document]) -> st.SearchStrategy[Document]:
    """Which other meshes may call by a MeshGateway."""
    return only(
        type=st.just("Dataplane"),
        mesh=_meshes,
        name=st.just("edge"),
        labels=labels,
        networking=st.just(
            {"address": "10.3.0.1", "gateway": {"type": "BUILTIN", "tags": {"kuma.io/service": "edge"}}}
        ),
    )


_spoken: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(
        lambda port, crosses: {
            "port": port,
            "protocol": "HTTP",
            "hostname": f"at-{port}.internal",
            **({"crossMesh": True} if crosses else {}),
        },
        st.sampled_from([8080, 8081]),
        st.sampled_from([True, True, False]),
    ),
    st.just({"port": 8443, "protocol": "HTTPS", "hostname": "*.shop.example", "tls": _CERTIFIED}),
    st.just({"port": 9443, "protocol": "TLS", "hostname": "db.shop.example", "tls": {"mode": "PASSTHROUGH"}}),
    st.just({"port": 5432, "protocol": "TCP", "resources": {"connectionLimit": 100}}),
)
_listeners = st.builds(lambda one, tags: {**one, **({"tags": tags} if tags else {})}, _spoken, _doors)
_gateways = st.builds(
    lambda mesh, found: {
        "type": "MeshGateway",
        "mesh": mesh,
        "name": "inner",
        "selectors": [{"match": {"kuma.io/service": "edge"}}],
        "conf": {"listeners": found},
    },
    _meshes,
    st.lists(_listeners, min_size=1, max_size=3, unique_by=lambda one: one["port"]),
)


def _inner(tags: Document) -> Document:
    return {"kind": "MeshGateway", "name": "inner", **({"tags": tags} if tags else {})}


def _about(kind: str, name: str, to: st.SearchStrategy[Document]) -> st.SearchStrategy[Document]:
    return st.builds(
        lambda mesh, tags, item: {
            "type": kind,
            "mesh": mesh,
            "name": name,
            "spec": {"targetRef": _inner(tags), "to": [{"targetRef": {"kind": "Mesh"}, **item}]},
        },
        _meshes,
        _doors,
        to,
    )


_http = st.builds(
    lambda service, match, hosts: {
        **({"hostnames": hosts} if hosts else {}),
        "rules": [{"matches": [match], "default": {"backendRefs": [{"kind": "MeshService", "name": service}]}}],
    },
    _services,
    st.sampled_from(_MATCHES),
    st.sampled_from([[], ["at-8080.internal"]]),
)
_tcp = _services.map(lambda name: {"rules": [{"default": {"backendRefs": [{"kind": "MeshService", "name": name}]}}]})
_slow = st.sampled_from([{"default": {"connectionTimeout": "6s"}}, {"default": {"idleTimeout": "7s"}}])
_older = st.builds(
    lambda mesh, tags, service, path: {
        "type": "MeshGatewayRoute",
        "mesh": mesh,
        "name": "older",
        "selectors": [{"match": {"kuma.io/service": "edge", **tags}}],
        "conf": {
            "http": {
                "rules": [
                    {
                        "matches": [{"path": {"match": "PREFIX", "value": path}}],
                        "backends": [{"destination": {"kuma.io/service": service}}],
                    }
                ]
            }
        },
    },
    _meshes,
    _doors,
    _services,
    st.sampled_from(["/", "/old"]),
)
_secrets = _meshes.map(lambda mesh: {"type": "Secret", "mesh": mesh, "name": "cert"})


def _kubernetes(kind: str, spec: st.SearchStrategy[Document], **metadata: object) -> st.SearchStrategy[Document]:
    head = {"apiVersion": "kuma.io/v1alpha1", "kind": kind, "metadata": {"name": "edge", **metadata}}
    return spec.map(lambda written: {**head, "spec": written})


def gateways(labels: st.SearchStrategy[Document]) -> Mapping[str, st.SearchStrategy[Document]]:
    """By the name of their file; `labels` are those of proxies."""
    return {"edge": _edges(labels), "gateway": _gateways, "cert": _secrets}


BEFORE: Mapping[str, st.SearchStrategy[Document]] = {
    "edge-route": _about("MeshHTTPRoute", "edge-route", _http),
    "edge-tcp-route": _about("MeshTCPRoute", "edge-tcp-route", _tcp),
    "edge-timeout": _about("MeshTimeout", "edge-timeout", _slow),
    "edge-older-route": _older,
    "edge-instance": _kubernetes(
        "MeshGatewayInstance",
        st.sampled_from([{"tags": {"tier": "edge"}}, {"replicas": 2}]),
        namespace="shop",
        labels={"kuma.io/mesh": "default"},
    ),
    "edge-config": _kubernetes("MeshGatewayConfig", st.sampled_from([{"replicas": 1}, {"replicas": 2}])),
}
"""Routes and policies about a gateway, by the name of their file."""
