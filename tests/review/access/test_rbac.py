"""What RBAC says of a caller, in words and as a real Envoy answers."""

import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from envoy.config.rbac.v3.rbac_pb2 import RBAC as Rules
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from google.protobuf import json_format

from compiler.review.access.conditions import ALWAYS, NEVER, OPAQUE, Grant, grants
from compiler.review.access.rbac import Caller, read_rbac
from tests.e2e.places import free_port
from tests.review.access.test_conditions import granted
from tests.snapshot.verdicts import ENVOY, needs_envoy

WEB = Caller(frozenset({"spiffe://shop/web", "kuma://version/v1"}), certified=True, port=8080)
NOBODY = Caller(port=8080)
ANY = {"any": True}


def method(value: str, **more: Any) -> dict[str, Any]:
    return {"header": {"name": ":method", "stringMatch": {"exact": value}, **more}}


def path(**value: Any) -> dict[str, Any]:
    return {"urlPath": {"path": value}}


def named(**value: str) -> dict[str, Any]:
    return {"authenticated": {"principalName": value}}


def rbac(*policies: tuple[Any, Any], action: str = "ALLOW") -> RBAC:
    """Each of a permission and a principal."""
    written = {
        f"p{at}": {"permissions": [permission], "principals": [principal]}
        for at, (permission, principal) in enumerate(policies)
    }
    return RBAC(rules=json_format.ParseDict({"action": action, "policies": written}, Rules()))


def terms(message: RBAC, caller: Caller = WEB) -> tuple[Grant, ...]:
    return grants(read_rbac(message).admits(caller))


@pytest.mark.parametrize(
    ("principal", "admitted"),
    [
        (ANY, True),
        (named(exact="spiffe://shop/web"), True),
        (named(exact="kuma://version/v1"), True),
        (named(exact="spiffe://shop/we"), False),
        (named(prefix="spiffe://shop/"), True),
        (named(prefix="spiffe://other/"), False),
        (named(suffix="/web"), True),
        (named(contains="//shop/"), True),
        (named(exact="SPIFFE://SHOP/WEB", ignoreCase=True), True),
        ({"authenticated": {}}, True),
        ({"notId": named(exact="spiffe://shop/web")}, False),
        ({"andIds": {"ids": [named(exact="spiffe://shop/web"), named(exact="kuma://version/v1")]}}, True),
        ({"andIds": {"ids": [named(exact="spiffe://shop/web"), {"notId": named(prefix="kuma://version/")}]}}, False),
        ({"orIds": {"ids": [named(exact="spiffe://shop/x"), named(exact="spiffe://shop/web")]}}, True),
    ],
)
def test_a_caller_is_told_by_any_uri_of_its_certificate(principal: dict[str, Any], admitted: bool) -> None:
    assert read_rbac(rbac((ANY, principal))).admits(WEB) == (ALWAYS if admitted else NEVER)


def test_without_a_certificate_only_what_asks_for_none_holds() -> None:
    assert read_rbac(rbac((ANY, {"authenticated": {}}))).admits(NOBODY) == NEVER
    assert read_rbac(rbac((ANY, named(prefix="")))).admits(NOBODY) == NEVER
    assert read_rbac(rbac((ANY, ANY))).admits(NOBODY) == ALWAYS


def test_a_denying_filter_admits_whom_it_does_not_name() -> None:
    denying = rbac((ANY, named(exact="spiffe://shop/web")), action="DENY")
    assert read_rbac(denying).admits(WEB) == NEVER
    assert read_rbac(denying).admits(NOBODY) == ALWAYS
    some = rbac((path(prefix="/admin"), ANY), action="DENY")
    assert terms(some) == (Grant(conditions=("not path /admin*",)),)


def test_no_rules_admit_everyone_and_empty_ones_nobody_and_logging_and_shadow_rules_decide_nothing() -> None:
    assert read_rbac(RBAC()).admits(NOBODY) == ALWAYS
    assert read_rbac(RBAC(rules=Rules())).admits(WEB) == NEVER
    assert read_rbac(rbac((ANY, named(exact="x")), action="LOG")).admits(WEB) == ALWAYS
    assert read_rbac(RBAC(shadow_rules=Rules())).admits(WEB) == ALWAYS


def test_what_is_not_understood_is_said_and_not_left_out() -> None:
    assert (
        read_rbac(rbac((ANY, {"directRemoteIp": {"addressPrefix": "10.0.0.0", "prefixLen": 8}}))).admits(WEB) == OPAQUE
    )
    assert read_rbac(rbac((ANY, named(safeRegex={"regex": ".*"})))).admits(WEB) == OPAQUE
    tenant = {"header": {"name": "X-Tenant", "stringMatch": {"prefix": "a"}}}
    assert terms(rbac((tenant, ANY))) == (Grant(conditions=("header x-tenant a*",)),)
    assert terms(rbac(({"header": {"name": "x", "presentMatch": True}}, ANY))) == (
        Grant(conditions=("header x present",)),
    )


def test_ports_are_known() -> None:
    assert read_rbac(rbac(({"destinationPort": 8080}, ANY))).admits(WEB) == ALWAYS
    assert read_rbac(rbac(({"destinationPort": 9090}, ANY))).admits(WEB) == NEVER
    assert read_rbac(rbac(({"destinationPortRange": {"start": 8000, "end": 8080}}, ANY))).admits(WEB) == NEVER


def test_policies_that_hold_are_named() -> None:
    both = read_rbac(rbac((ANY, named(exact="spiffe://shop/x")), (method("GET"), named(exact="spiffe://shop/web"))))
    assert both.deciding(WEB) == ("p1",)
    assert grants(both.admits(WEB)) == (Grant(methods=("GET",)),)


BY_REQUEST = {
    "any": rbac((ANY, ANY)),
    "none": RBAC(rules=Rules()),
    "method": rbac((method("GET"), ANY)),
    "inverted": rbac((method("GET", invertMatch=True), ANY)),
    "methods": rbac(({"header": {"name": ":method", "stringMatch": {"safeRegex": {"regex": "GET|PUT"}}}}, ANY)),
    "exact": rbac((path(exact="/a"), ANY)),
    "prefix": rbac((path(prefix="/a/"), ANY)),
    "both": rbac(({"andRules": {"rules": [method("POST"), path(prefix="/a")]}}, ANY)),
    "either": rbac(({"orRules": {"rules": [method("POST"), path(prefix="/a")]}}, ANY)),
    "not": rbac(({"notRule": {"andRules": {"rules": [method("POST"), path(prefix="/a")]}}}, ANY)),
    "two policies": rbac((method("GET"), ANY), (path(exact="/b"), ANY)),
    "denying": rbac(({"andRules": {"rules": [{"notRule": method("GET")}, path(prefix="/a/")]}}, ANY), action="DENY"),
    "header": rbac(({"andRules": {"rules": [{"header": {"name": "x", "presentMatch": True}}, method("GET")]}}, ANY)),
    "principal": rbac((method("GET"), {"notId": {"urlPath": {"path": {"exact": "/b"}}}})),
    "certificate": rbac((ANY, {"authenticated": {}})),
}


@needs_envoy
def test_a_real_envoy_lets_in_the_same_requests(tmp_path: Path) -> None:
    """Every request that could make a difference, to a port with each of these rules."""
    ports = {name: free_port() for name in BY_REQUEST}
    with running(tmp_path, ports):
        for name, message in BY_REQUEST.items():
            found = terms(message, Caller(port=ports[name]))
            for request in [
                (verb, url, words)
                for verb in ("GET", "POST", "PUT")
                for url in ("/a", "/a/b", "/b")
                for words in ((), ("x",))
            ]:
                expected = any(
                    granted(grant, (request[0], request[1], {f"header {word} present" for word in request[2]}))
                    for grant in found
                )
                assert (answer(ports[name], *request) == 200) == expected, (name, request, found)


def answer(port: int, verb: str, url: str, words: tuple[str, ...]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(verb, url, headers=dict.fromkeys(words, "1"))
    status = connection.getresponse().status
    connection.close()
    return status


@contextmanager
def running(folder: Path, ports: dict[str, int]) -> Iterator[None]:
    """An Envoy that answers 200 itself wherever the rules let a request through."""
    listeners = [listener(port, BY_REQUEST[name]) for name, port in ports.items()]
    written = folder / "envoy.json"
    written.write_text(json.dumps({"static_resources": {"listeners": listeners}}))
    command = [ENVOY, "-c", written, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for(list(ports.values())[-1], process)
        yield
    finally:
        process.kill()
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        try:
            answer(port, "GET", "/", ())
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("Envoy did not start")


def listener(port: int, message: RBAC) -> dict[str, Any]:
    config = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        **json_format.MessageToDict(message),
    }
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    network = "type.googleapis.com/envoy.extensions.filters.network"
    manager = {
        "@type": f"{network}.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "it",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "rbac", "typed_config": config},
            {
                "name": "router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    return {
        "name": str(port),
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
