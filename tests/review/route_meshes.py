"""Meshes with route tables of all sorts, and requests that meet their conditions or just miss them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

from compiler.pipeline import Compiler
from compiler.review.promises.routing.answer import Ask
from compiler.review.promises.routing.held import Fleet
from tests.trees import SCHEMAS, tree_of

Document = dict[str, Any]

MESH = """
type: Mesh
name: shop
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
skipCreatingInitialPolicies: ["*"]
---
type: Dataplane
mesh: shop
name: frontend
networking:
  address: 10.0.0.1
  inbound: [{port: 8080, tags: {kuma.io/service: frontend, kuma.io/protocol: http}}]
  outbound:
  - {port: 1001, tags: {kuma.io/service: backend}}
  - {port: 1002, tags: {kuma.io/service: ledger}}
  - {port: 1003, tags: {kuma.io/service: db}}
  - {port: 1004, tags: {kuma.io/service: mixed}}
---
type: Dataplane
mesh: shop
name: batch
networking:
  address: 10.0.0.9
  inbound: [{port: 8080, tags: {kuma.io/service: batch, kuma.io/protocol: http}}]
  outbound:
  - {port: 1001, tags: {kuma.io/service: backend}}
  - {port: 1003, tags: {kuma.io/service: db}}
---
type: Dataplane
mesh: shop
name: backend-1
labels: {app: backend}
networking:
  address: 10.0.0.2
  inbound: [{port: 9001, tags: {kuma.io/service: backend, kuma.io/protocol: http, version: v1}}]
---
type: Dataplane
mesh: shop
name: backend-2
labels: {app: backend}
networking:
  address: 10.0.0.3
  inbound: [{port: 9001, tags: {kuma.io/service: backend, kuma.io/protocol: http, version: v2}}]
---
type: Dataplane
mesh: shop
name: ledger
networking:
  address: 10.0.0.4
  inbound: [{port: 9001, tags: {kuma.io/service: ledger, kuma.io/protocol: grpc}}]
---
type: Dataplane
mesh: shop
name: db
networking:
  address: 10.0.0.5
  inbound: [{port: 9001, tags: {kuma.io/service: db}}]
---
type: Dataplane
mesh: shop
name: mixed-open
labels: {open: "yes"}
networking:
  address: 10.0.0.6
  inbound: [{port: 9001, tags: {kuma.io/service: mixed, kuma.io/protocol: http2}}]
---
type: Dataplane
mesh: shop
name: mixed-shut
networking:
  address: 10.0.0.7
  inbound: [{port: 9001, tags: {kuma.io/service: mixed, kuma.io/protocol: http2}}]
"""


def permission(name: str, target: Document, caller: str) -> Document:
    rule = {"default": {"allow": [{"spiffeID": {"type": "Exact", "value": f"spiffe://shop/{caller}"}}]}}
    return {
        "type": "MeshTrafficPermission",
        "mesh": "shop",
        "name": name,
        "spec": {"targetRef": target, "rules": [rule]},
    }


PERMISSIONS = (
    permission("backend", {"kind": "Dataplane", "labels": {"app": "backend"}}, "frontend"),
    permission("open", {"kind": "Dataplane", "labels": {"open": "yes"}}, "frontend"),
    permission("ledger", {"kind": "MeshService", "name": "ledger"}, "frontend"),
    permission("db", {"kind": "MeshService", "name": "db"}, "frontend"),
)


def documents(*more: Document) -> tuple[Document, ...]:
    return (*yaml.safe_load_all(MESH), *PERMISSIONS, *more)


def route(name: str, rules: Sequence[Document], service: str = "backend") -> Document:
    to = [{"targetRef": {"kind": "MeshService", "name": service}, "rules": list(rules)}]
    return {"type": "MeshHTTPRoute", "mesh": "shop", "name": name, "spec": {"targetRef": {"kind": "Mesh"}, "to": to}}


def conf(kind: str, name: str, default: Document, service: str = "backend") -> Document:
    to = [{"targetRef": {"kind": "MeshService", "name": service}, "default": default}]
    return {"type": kind, "mesh": "shop", "name": name, "spec": {"targetRef": {"kind": "Mesh"}, "to": to}}


def fleet_of(found: Sequence[Document], compiler: Compiler | None = None) -> Fleet:
    tree = tree_of({f"{index:03}.yaml": yaml.safe_dump(one) for index, one in enumerate(found)})
    compiled = (compiler or Compiler(SCHEMAS)).compile(tree)
    assert compiled.value.generation is not None, [(str(one.position), one.message) for one in compiled.diagnostics]
    return Fleet(compiled.value.generation.snapshots)


def ask(
    service: str = "backend",
    path: str = "/",
    *,
    caller: str = "frontend",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Ask:
    listener = f"kri_msvc_shop___{service}_"
    given = tuple((headers or {}).items())
    return Ask(f"shop.{caller}", listener, path=path, authority=service, headers=given, **more)


PODS = """
type: DataplaneSet
mesh: shop
name: pods
spec:
  registration: {cidrs: [10.9.0.0/16]}
  template:
    networking:
      inbound: [{port: 9001, tags: {kuma.io/service: pods, kuma.io/protocol: http}}]
---
type: Dataplane
mesh: shop
name: caller
networking:
  address: 10.0.0.20
  inbound: [{port: 1, tags: {kuma.io/service: caller}}]
  outbound:
  - {port: 1001, tags: {kuma.io/service: pods}}
  - {port: 1002, backendRef: {kind: MeshService, name: orders, port: 80}}
  - {port: 1003, backendRef: {kind: MeshService, name: empty, port: 80}}
---
type: MeshService
mesh: shop
name: orders
spec:
  selector: {dataplaneTags: {kuma.io/service: ledger}}
  ports: [{port: 80, name: grpc, targetPort: 9001, appProtocol: grpc}]
---
type: MeshService
mesh: shop
name: empty
spec:
  selector: {dataplaneTags: {kuma.io/service: nobody}}
  ports: [{port: 80, appProtocol: http}]
"""
"""Proxies that register themselves, a service of another name than its workload's, and one without instances."""


def with_tls(mode: str | None, found: Sequence[Document]) -> tuple[Document, ...]:
    """The same with mutual TLS in another mode, None for none at all."""
    backend = {"name": "ca", "type": "builtin", "mode": mode}
    mtls = {"mtls": {"enabledBackend": "ca", "backends": [backend]}} if mode else {}
    return tuple(
        {key: value for key, value in one.items() if key != "mtls"} | mtls if one["type"] == "Mesh" else one
        for one in found
    )


# --- Any table ----------------------------------------------------------------------------------------------------

_PATHS = ("/", "/a", "/a/b", "/items", "/v1.5")
_WORDS = st.sampled_from(["one", "two", "on"])
_REGEXES = ("/a(/.*)?", "/[a-z]+", "/v[0-9]+\\.[0-9]", ".*s$")


@st.composite
def _conditions(draw: st.DrawFn) -> Document:
    kind = draw(st.sampled_from(["PathPrefix", "Exact", "RegularExpression", None]))
    found: Document = {}
    if kind is not None:
        values = st.sampled_from(_REGEXES if kind == "RegularExpression" else _PATHS)
        found["path"] = {"type": kind, "value": draw(values)}
    if draw(st.booleans()):
        found["method"] = draw(st.sampled_from(["GET", "POST"]))
    if draw(st.booleans()):
        found["headers"] = [draw(_header())]
    if draw(st.integers(0, 3)) == 0:
        kind = draw(st.sampled_from(["Exact", "RegularExpression"]))
        found["queryParams"] = [{"name": "q", "type": kind, "value": draw(st.sampled_from(["one", "o.*|1"]))}]
    return found


@st.composite
def _header(draw: st.DrawFn) -> Document:
    kind = draw(st.sampled_from(["Exact", "Prefix", "RegularExpression", "Present", "Absent"]))
    value = (
        {}
        if kind in {"Present", "Absent"}
        else {"value": draw(_WORDS if kind != "RegularExpression" else st.just("o.*"))}
    )
    return {"name": draw(st.sampled_from(["x-a", "x-b"])), "type": kind, **value}


_CHANGES = (
    None,
    {"type": "ReplaceFullPath", "replaceFullPath": "/whole"},
    {"type": "ReplaceRegexMatch", "replaceRegexMatch": {"pattern": "^/([^/]*)(.*)$", "substitution": r"/\2\1\\"}},
    {"type": "ReplaceRegexMatch", "replaceRegexMatch": {"pattern": "[a-c]", "substitution": r"\0\0"}},
)
_CHANGES_OF_PREFIXES = (
    *_CHANGES,
    {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"},
    {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"},
)
_HOSTS = (
    {"hostname": "other.example"},
    {"hostnameFromPath": {"pattern": "^/([a-z]*).*$", "substitution": r"\1.example"}},
)


@st.composite
def _filters(draw: st.DrawFn, *, prefixed: bool) -> list[Document]:
    found: list[Document] = []
    if draw(st.booleans()):
        value = draw(st.sampled_from(["set", "100%%", "%REQ(x-b)%/%REQ(:path)%", "%REQ(x-none)%"]))
        change = {
            "set": [{"name": "x-a", "value": value}],
            "add": [{"name": "x-b", "value": "more"}],
            "remove": ["x-c"],
        }
        kept = draw(st.sets(st.sampled_from(sorted(change)), min_size=1))
        field = draw(st.sampled_from(["Request", "Response"]))
        modifier = {name: change[name] for name in sorted(kept)}
        found.append({"type": f"{field}HeaderModifier", f"{field.lower()}HeaderModifier": modifier})
    path = draw(st.sampled_from(_CHANGES_OF_PREFIXES if prefixed else _CHANGES))
    match draw(st.sampled_from(["", "", "URLRewrite", "RequestRedirect"])):
        case "URLRewrite":
            host = draw(st.sampled_from(_HOSTS)) if draw(st.booleans()) or path is None else {}
            found.append({"type": "URLRewrite", "urlRewrite": host | ({"path": path} if path else {})})
        case "RequestRedirect":
            port = {"port": draw(st.sampled_from([80, 443, 8443]))} if draw(st.booleans()) else {}
            scheme = {"scheme": "https"} if draw(st.booleans()) else {}
            redirect = {
                "hostname": "other.example",
                "statusCode": draw(st.sampled_from([301, 302, 307])),
                **port,
                **scheme,
            }
            found.append({"type": "RequestRedirect", "requestRedirect": redirect | ({"path": path} if path else {})})
        case _:
            pass
    return found


_BACKENDS = (
    {"kind": "MeshServiceSubset", "name": "backend", "tags": {"version": "v1"}},
    {"kind": "MeshServiceSubset", "name": "backend", "tags": {"version": "v2"}},
    {"kind": "MeshService", "name": "ledger"},
    {"kind": "MeshService", "name": "nobody"},
)


@st.composite
def _rule(draw: st.DrawFn) -> Document:
    default: Document = {}
    matches = draw(st.lists(_conditions(), min_size=1, max_size=2))
    prefixed = all(one.get("path", {}).get("type") == "PathPrefix" for one in matches)
    if filters := draw(_filters(prefixed=prefixed)):
        default["filters"] = filters
    chosen = draw(st.lists(st.sampled_from(_BACKENDS), max_size=3, unique_by=str))
    if chosen and not any(one["type"] == "RequestRedirect" for one in filters):
        default["backendRefs"] = [{**one, "weight": draw(st.integers(0, 3))} for one in chosen]
    return {"matches": matches, "default": default}


@st.composite
def meshes(draw: st.DrawFn) -> tuple[Document, ...]:
    """Routes to the backend, sometimes of two policies, with timeouts and retries for some."""
    routes = [
        route(f"r{index}", draw(st.lists(_rule(), min_size=1, max_size=3))) for index in range(draw(st.integers(1, 2)))
    ]
    timeouts = [conf("MeshTimeout", "t", {"http": {"requestTimeout": draw(st.sampled_from(["0s", "3s", "250ms"]))}})]
    words = st.lists(
        st.sampled_from(["5xx", "Reset", "503", "HttpMethodGet", "ConnectFailure"]), max_size=2, unique=True
    )
    retries = [conf("MeshRetry", "r", {"http": {"numRetries": draw(st.integers(1, 3)), "retryOn": draw(words)}})]
    return documents(*routes, *draw(st.sampled_from([(), timeouts, retries, timeouts + retries])))


def requests() -> Iterator[Ask]:
    """From every corner of what the tables above tell apart."""
    for path in (*_PATHS, "/a/", "/ab", "/itemsize", "/a/../items?q=one", "/%61/b", "/v1x5", "/a//b?q=1&q=one", "/?q"):
        for headers in ({}, {"x-a": "one", "x-c": "gone"}, {"x-b": "only", "x-a": "two"}):
            for method in ("GET", "POST"):
                yield ask(path=path, method=method, headers=headers, answer_headers=(("x-b", "own"), ("x-c", "c")))
    yield ask(path="/a", method="HEAD", answer_status=404, counts_retries=True)
    yield ask(path="/", counts_retries=True)
    yield ask(path="/a", method="POST", counts_retries=True)
    yield ask(caller="batch")
    yield ask("ledger", counts_retries=True)
    yield ask("mixed")
    yield ask("db")
    yield ask("db", caller="batch")
