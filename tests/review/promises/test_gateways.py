"""Route tests of a builtin gateway: both engines say of strangers' requests what a gateway does with them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from compiler.cli.exits import FINE, FOUND, UNREADABLE
from compiler.cli.main import run
from compiler.review.promises.routing.answer import Answer, Ask, CannotTell
from compiler.review.promises.routing.engine import PythonEngine
from compiler.review.promises.routing.held import Fleet
from tests.review.promises.test_on_envoy import differing, needs_envoy
from tests.review.route_meshes import documents, fleet_of, permission

EDGE = """
type: Dataplane
mesh: shop
name: edge-1
networking: {address: 10.0.0.30, gateway: {type: BUILTIN, tags: {kuma.io/service: edge}}}
---
type: MeshGateway
mesh: shop
name: edge
selectors: [{match: {kuma.io/service: edge}}]
conf:
  listeners:
  - {port: 80, protocol: HTTP, hostname: "*.shop.example", tags: {door: web}}
  - {port: 80, protocol: HTTP, hostname: api.shop.example, tags: {door: api}}
  - port: 443
    protocol: HTTPS
    hostname: www.shop.example
    tls: {mode: TERMINATE, certificates: [{secret: cert}]}
    tags: {door: web}
  - port: 443
    protocol: HTTPS
    hostname: "*.shop.example"
    tls: {mode: TERMINATE, certificates: [{secret: cert}]}
    tags: {door: api}
  - {port: 5432, protocol: TCP, tags: {door: db}}
  - {port: 5433, protocol: TLS, hostname: db.shop.example, tls: {mode: PASSTHROUGH}, tags: {door: db}}
---
{type: Secret, mesh: shop, name: cert}
---
type: MeshHTTPRoute
mesh: shop
name: web
spec:
  targetRef: {kind: MeshGateway, name: edge, tags: {door: web}}
  to:
  - targetRef: {kind: Mesh}
    hostnames: [www.shop.example]
    rules:
    - matches: [{path: {type: PathPrefix, value: /v1}}]
      default:
        filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
        backendRefs:
        - {kind: MeshServiceSubset, name: backend, tags: {version: v1}, weight: 3}
        - {kind: MeshService, name: ledger, weight: 1}
    - matches: [{path: {type: Exact, value: /old}}]
      default: {filters: [{type: RequestRedirect, requestRedirect: {hostname: new.shop.example}}]}
    - matches: [{path: {type: Exact, value: /moved}}]
      default:
        filters:
        - {type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /new}}}
    - matches: [{path: {type: Exact, value: /secure}}]
      default: {filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}
    - matches: [{path: {type: Exact, value: /nowhere}}]
      default: {backendRefs: [{kind: MeshService, name: nobody}]}
---
type: MeshGatewayRoute
mesh: shop
name: api
selectors: [{match: {kuma.io/service: edge, door: api}}]
conf:
  http:
    rules:
    - matches: [{path: {match: PREFIX, value: /}}]
      backends: [{destination: {kuma.io/service: backend}}]
---
type: MeshTCPRoute
mesh: shop
name: db
spec:
  targetRef: {kind: MeshGateway, name: edge, tags: {door: db}}
  to: [{targetRef: {kind: Mesh}, rules: [{default: {backendRefs: [{kind: MeshService, name: db}]}}]}]
---
type: MeshRateLimit
mesh: shop
name: few
spec:
  targetRef: {kind: MeshGateway, name: edge}
  to: [{targetRef: {kind: Mesh}, default: {local: {http: {requestRate: {num: 1, interval: 1h}}}}}]
---
type: MeshTimeout
mesh: shop
name: short
spec:
  targetRef: {kind: MeshGateway, name: edge, tags: {door: api}}
  to: [{targetRef: {kind: Mesh}, default: {http: {requestTimeout: 3s}}}]
---
type: MeshRetry
mesh: shop
name: often
spec:
  targetRef: {kind: MeshGateway, name: edge, tags: {door: web}}
  to: [{targetRef: {kind: Mesh}, default: {http: {numRetries: 2, retryOn: [5xx]}}}]
"""
TARGET = "targetRef: {kind: Dataplane, labels: {app: backend}}"
LIMIT = "MeshRateLimit rules: [{default: {local: {http: {requestRate: {num: 1, interval: 1h}}}}}]"
FAULT = "MeshFaultInjection rules: [{default: {http: [{abort: {httpStatus: 418, percentage: 100}}]}}]"
AGENT = "MeshOPA default: {appendPolicies: [{rego: {inlineString: 'package shop'}}]}"
HTTP, TLS = "edge:HTTP:80:*", "edge:HTTPS:443"


BACKEND, DB = {"kind": "Dataplane", "labels": {"app": "backend"}}, {"kind": "MeshService", "name": "db"}
PERMITTED = permission("edge-backend", BACKEND, "edge"), permission("edge-db", DB, "edge")
TESTS = """
tests:
- name: a stranger's cart is at the backend
  from: edge
  request: {to: "10.0.0.30:443", host: www.shop.example, path: /v1/cart}
  expect: {split: [{service: backend, tags: {version: v1}, weight: 3}, {service: ledger, status: 403, weight: 1}]}
- name: the api has no prefix, and little time
  from: edge-1
  request: {to: "10.0.0.30:80", host: api.shop.example, path: /v1/cart}
  expect: {service: backend, status: 200, path: /v1/cart, timeout: 3s, identity: spiffe://shop/edge}
- name: other hosts lead nowhere
  from: edge
  request: {to: "10.0.0.30:80", host: b.shop.example}
  expect: {status: 404}
- name: by TLS other hosts are refused
  from: edge
  request: {to: "10.0.0.30:443", host: b.example}
  expect: {denied: true}
- name: rows are read
  from: edge
  request: {to: "10.0.0.30:5432"}
  expect: {service: db, denied: false}
"""


def fleet() -> Fleet:
    return fleet_of(documents(*yaml.safe_load_all(EDGE), *PERMITTED))


def repository(folder: Path, tests: str) -> str:
    for index, document in enumerate(documents(*PERMITTED)):
        (folder / f"{index:02}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (folder / "edge.yaml").write_text(EDGE)
    (folder / "tests").mkdir()
    (folder / "tests" / "edge.yaml").write_text(tests)
    return str(folder)


def one(to: str, expect: str, host: str = "www.shop.example", path: str = "/v1") -> str:
    request = f"{{to: '{to}', host: {host}, path: {path}}}"
    return f"tests: [{{name: it, from: edge, request: {request}, expect: {expect}}}]"


def ask(host: str, path: str = "/", door: str = HTTP, headers: Mapping[str, str] | None = None, **more: Any) -> Ask:
    given = tuple((headers or {}).items())
    return Ask("shop.edge-1", door, path=path, authority=host, headers=given, **more)


def requests() -> tuple[Ask, ...]:
    paths = ("/", "/v1", "/v1/cart?q=1", "/v2", "/old", "/old?a=b", "/moved", "/nowhere", "/x/../v1//a", "/V1")
    hosts = ("www.shop.example", "WWW.shop.example:80", "api.shop.example", "b.shop.example", "shop.example", "1.2.3.4")
    found = [ask(host, path, headers={"x-kuma-tags": "&a=b&", "x-a": "b"}) for host in hosts for path in paths]
    found += [ask("www.shop.example", path, f"{TLS}:www.shop.example") for path in paths]
    found += [ask("www.shop.example:443", path, f"{TLS}:www.shop.example") for path in ("/old", "/moved")]
    found += [ask(f"www.shop.example{port}", "/secure") for port in ("", ":80", ":443", ":8080")]
    found += [ask("c.shop.example", path, f"{TLS}:*.shop.example") for path in paths]
    found += [ask("www.shop.example", "/v1", counts_retries=True), ask("api.shop.example", counts_retries=True)]
    found += [ask("api.shop.example", headers={"a_b": "c"}), ask("api.shop.example", "/a%2Fb")]
    return (*found, ask("", door="edge:TCP:5432:*"), ask("", door="edge:TLS:5433:db.shop.example"))


def answers(one: Ask) -> list[Answer]:
    found = PythonEngine(fleet()).answer([one])[0]
    assert not isinstance(found, CannotTell), found
    return [outcome.answer for outcome in found]


@needs_envoy
def test_strangers_are_answered_alike_by_both_engines() -> None:
    asks = requests()
    assert differing(fleet(), asks) == []
    told = PythonEngine(fleet()).answer(asks)
    assert [one.path for one, found in zip(asks, told, strict=True) if isinstance(found, CannotTell)] == ["/a%2Fb"]


def test_a_request_goes_by_its_host_and_the_service_sees_the_gateway() -> None:
    first, second = answers(ask("www.shop.example", "/v1/cart"))
    assert (first.service, first.status, first.path, first.retries) == ("backend", 200, "/cart", None)
    assert "spiffe://shop/edge" in first.identities
    assert (second.service, second.denied) == ("ledger", True)
    assert {one.timeout for one in answers(ask("api.shop.example"))} == {3.0}
    assert [one.status for one in answers(ask("b.shop.example"))] == [404]


@pytest.mark.parametrize("host", ["www.shop.example", "www.shop.example:443"])
def test_a_redirect_keeps_the_scheme_by_which_a_stranger_came(host: str) -> None:
    (found,) = answers(ask(host, "/moved", f"{TLS}:www.shop.example"))
    assert found.location == f"https://{host}/new"
    (found,) = answers(ask("www.shop.example:80", "/secure"))
    assert found.location == "https://www.shop.example/secure"


@needs_envoy
@pytest.mark.parametrize("spec", [LIMIT, FAULT, AGENT], ids=["a limit", "a fault", "an agent"])
def test_what_would_count_strike_or_be_asked_is_left_out(spec: str) -> None:
    kind, _, conf = spec.partition(" ")
    written = yaml.safe_load(f"{{type: {kind}, mesh: shop, name: p, spec: {{{TARGET}, {conf}}}}}")
    asks = tuple(ask("backend", path, "kri_msvc_shop___backend_") for path in ("/a", "/b", "/c"))
    asks = tuple(replace(one, caller="shop.frontend") for one in asks)
    assert differing(fleet_of(documents(written)), asks) == []


def test_connections_that_are_not_read_go_where_they_are_sent() -> None:
    for door in ("edge:TCP:5432:*", "edge:TLS:5433:db.shop.example"):
        (found,) = answers(ask("", door=door))
        assert (found.status, found.service, found.node) == (None, "db", "shop.db")


@needs_envoy
def test_promises_of_a_gateway_are_kept_whoever_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path, TESTS)
    for engine in ("python", "envoy"):
        assert run(["test", folder, "--engine", engine]) == FINE, capsys.readouterr().out
        assert "all 5 promises are kept" in capsys.readouterr().out


def test_a_broken_promise_names_the_route_that_took_the_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository(tmp_path, one("10.0.0.30:80", "{service: db}", path="/nowhere"))
    assert run(["test", folder, "--engine", "python"]) == FOUND
    line = next(number for number, text in enumerate(EDGE.splitlines(), 1) if "/nowhere" in text)
    assert f"decided:  edge.yaml:{line} (MeshHTTPRoute web)" in capsys.readouterr().out


def test_what_no_test_of_a_gateway_touches_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path, one("10.0.0.30:80", "{status: 302}", path="/old"))
    assert run(["test", folder, "--engine", "python", "--coverage"]) == FINE
    out = capsys.readouterr().out
    assert "www.shop.example /v1/*" in out
    assert "www.shop.example /old\n" not in out.partition("HTTPS")[0]


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("backend", "edge is a gateway, which takes calls from outside of the mesh"),
        ("10.0.0.30:81", "no proxy of edge takes calls at 10.0.0.30:81"),
    ],
)
def test_a_gateway_is_asked_where_it_listens(
    to: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["test", repository(tmp_path, one(to, "{denied: true}")), "--engine", "python"]) == UNREADABLE
    out = capsys.readouterr()
    assert said in out.out + out.err


OTHER = """
{type: Mesh, name: other, mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}}
---
type: Dataplane
mesh: other
name: door-1
networking: {address: 10.0.0.40, gateway: {type: BUILTIN, tags: {kuma.io/service: door}}}
---
type: MeshGateway
mesh: other
name: door
selectors: [{match: {kuma.io/service: door}}]
conf: {listeners: [{port: 8080, protocol: HTTP, hostname: a.other.internal, crossMesh: true}]}
---
type: MeshHTTPRoute
mesh: other
name: door
spec:
  targetRef: {kind: MeshGateway, name: door}
  to:
  - targetRef: {kind: Mesh}
    rules:
    - matches: [{path: {type: PathPrefix, value: /old}}]
      default: {filters: [{type: RequestRedirect, requestRedirect: {port: 8088}}]}
---
type: Dataplane
mesh: shop
name: caller
networking:
  address: 10.0.0.41
  inbound: [{port: 80, tags: {kuma.io/service: caller}}]
  outbound: [{address: 127.0.0.1, port: 1050, tags: {kuma.io/service: door, kuma.io/mesh: other}}]
"""


def between(folder: Path, caller: str, to: str, expect: str) -> str:
    request = f"{{to: '{to}', host: a.other.internal, path: /old}}"
    found = repository(folder, f"tests: [{{name: it, from: {caller}, request: {request}, expect: {expect}}}]")
    (folder / "other.yaml").write_text(OTHER)
    return found


@pytest.mark.parametrize("to", ["127.0.0.1:1050", "a.other.internal", "a.other.internal:8080", "door"])
@pytest.mark.parametrize("expect", ["{denied: true}", "{denied: false}", "{status: 301}"])
def test_a_call_from_mesh_to_mesh_is_not_followed_and_no_verdict_is_given(
    to: str, expect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["test", between(tmp_path, "caller", to, expect), "--engine", "python"]) == UNREADABLE
    out = "".join(capsys.readouterr())
    said = f"{to} is a listener for other meshes, of MeshGateway 'door' of mesh 'other': no request is followed"
    assert f"error[test-of-nothing]: {said}" in out


def test_a_service_of_the_callers_own_mesh_is_meant_before_a_gateway_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = between(tmp_path, "caller", "door", "{denied: true}")
    named = (tmp_path / "other.yaml").read_text().replace("{kuma.io/service: caller}", "{kuma.io/service: door}")
    (tmp_path / "other.yaml").write_text(named)
    assert run(["test", folder, "--engine", "python"]) == FINE, capsys.readouterr().out


@pytest.mark.parametrize("engine", ["python", pytest.param("envoy", marks=needs_envoy)])
def test_what_a_gateway_does_with_calls_of_other_meshes_is_asked_of_the_gateway(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = between(
        tmp_path, "other/door", "10.0.0.40:8080", "{status: 302, location: 'http://a.other.internal:8088/old'}"
    )
    assert run(["test", folder, "--engine", engine]) == FINE, capsys.readouterr().out
