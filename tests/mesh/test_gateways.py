"""What a MeshGateway, its routes and the policies about it make a builtin gateway do."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.mesh.gateways.front import GatewayListener
from compiler.mesh.http_route import HttpRoute, PathChange, Rewrite
from compiler.mesh.proxy import Proxy
from compiler.mesh.value import Confs
from compiler.pipeline import Compiler
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, codes, compile_texts, resolve_proxy, tree_of

MESH = "{type: Mesh, name: default, skipCreatingInitialPolicies: ['*']}"
EDGE = """
type: Dataplane
mesh: default
name: edge-1
networking: {address: 10.0.0.1, gateway: {type: BUILTIN, tags: {kuma.io/service: edge, team: web}}}
"""
CART = """
type: Dataplane
mesh: default
name: cart
networking: {address: 10.0.0.2, inbound: [{port: 80, tags: {kuma.io/service: cart, kuma.io/protocol: http}}]}
"""
STORE = CART.replace("cart", "store").replace("http", "tcp").replace("0.2", "0.3")


def gateway(*listeners: str, name: str = "edge", match: str = "kuma.io/service: edge") -> str:
    written = ", ".join(f"{{{one}}}" for one in listeners)
    head = f"type: MeshGateway\nmesh: default\nname: {name}\nselectors: [{{match: {{{match}}}}}]\n"
    return f"{head}conf: {{listeners: [{written}]}}\n"


def route(name: str, path: str, *, hostnames: str = "", tags: str = "", service: str = "cart") -> str:
    """Of requests below a path; `hostnames` and `tags` as YAML without their brackets."""
    narrowed = f", tags: {{{tags}}}" if tags else ""
    hosts = f"hostnames: [{hostnames}], " if hostnames else ""
    return f"""
type: MeshHTTPRoute
mesh: default
name: {name}
spec:
  targetRef: {{kind: MeshGateway, name: edge{narrowed}}}
  to:
    - {{targetRef: {{kind: Mesh}}, {hosts}rules: [{{
        matches: [{{path: {{type: PathPrefix, value: {path}}}}}],
        default: {{backendRefs: [{{kind: MeshService, name: {service}}}]}}}}]}}
"""


def older(name: str, protocol: str = "http", selectors: str = "kuma.io/service: edge") -> str:
    matches = "matches: [{path: {match: PREFIX, value: /old}}], " if protocol == "http" else ""
    backends = "backends: [{destination: {kuma.io/service: store}}]"
    return f"""
type: MeshGatewayRoute
mesh: default
name: {name}
selectors: [{{match: {{{selectors}}}}}]
conf: {{{protocol}: {{rules: [{{{matches}{backends}}}]}}}}
"""


def timeout(target: str, seconds: int, name: str = "slow") -> str:
    return f"""
type: MeshTimeout
mesh: default
name: {name}
spec:
  targetRef: {target}
  to: [{{targetRef: {{kind: Mesh}}, default: {{connectionTimeout: {seconds}s, http: {{requestTimeout: {seconds}s}}}}}}]
"""


def resolve(*texts: str, proxy: str = "edge-1") -> Proxy:
    compiled = compile_texts(MESH, EDGE, CART, STORE, *texts)
    assert not compiled.failed, compiled.diagnostics
    return resolve_proxy(compiled.value.memo, ResourceKey("Dataplane", "default", proxy))


def hosts(listener: GatewayListener) -> Mapping[str, list[str]]:
    """The paths of each host, in the order in which they are tried."""
    return {host.domain: [one.match.path for one in host.routes] for host in listener.chains[0].hosts}


def only_route(listener: GatewayListener, domain: str) -> HttpRoute:
    (found,) = (one for host in listener.chains[0].hosts if host.domain == domain for one in host.routes)
    return found


def of_timeouts(confs: Confs) -> list[str]:
    """The request timeouts that were written."""
    return [str(one.conf.http.request_timeout) for one in confs if one.policy == "MeshTimeout"]


HTTP = "port: 8080, protocol: HTTP"


def test_the_gateway_that_asks_for_more_tags_is_the_proxys() -> None:
    closer = gateway("port: 9, protocol: TCP", name="closer", match="kuma.io/service: edge, team: '*'")
    assert [one.name for one in resolve(gateway(HTTP), closer).gateway] == ["closer:TCP:9"]
    assert resolve(gateway(HTTP), proxy="cart").gateway == ()


def test_listeners_of_one_port_are_one_whose_hosts_are_apart() -> None:
    shop, api = f"{HTTP}, hostname: '*.shop.example'", f"{HTTP}, hostname: api.shop.example, tags: {{door: api}}"
    (listener,) = resolve(gateway(shop, api), route("all", "/a"), route("api", "/b", tags="door: api")).gateway
    assert hosts(listener) == {"*.shop.example": ["/a"], "api.shop.example": ["/b", "/a"]}


@pytest.mark.parametrize(("written", "limit"), [((5, None), 5), ((None, 5), 5), ((0, 5), 5), ((0, None), None)])
def test_a_limit_of_one_listener_is_that_of_its_port(written: tuple[int | None, ...], limit: int | None) -> None:
    hostnames = ("a.example", "b.example")
    limits = ["" if one is None else f", resources: {{connectionLimit: {one}}}" for one in written]
    listeners = [f"{HTTP}, hostname: {name}{more}" for name, more in zip(hostnames, limits, strict=True)]
    (listener,) = resolve(gateway(*listeners)).gateway
    assert listener.limit == limit


def test_a_route_of_a_wider_listener_is_also_tried_for_the_closer_one_of_the_port() -> None:
    listeners = f"{HTTP}, hostname: a.example, tags: {{door: a}}", f"{HTTP}, tags: {{door: all}}"
    routes = route("own", "/own", tags="door: a"), route("wide", "/wide", hostnames="'*.example'", tags="door: all")
    (listener,) = resolve(gateway(*listeners), *routes).gateway
    assert hosts(listener) == {"*": [], "*.example": ["/wide"], "a.example": ["/wide", "/own"]}


def test_a_route_is_for_the_closer_of_its_host_name_and_the_listeners() -> None:
    listener = f"{HTTP}, hostname: '*.shop.example'"
    names = "'*', www.shop.example, '*.example', www.other.example"
    (found,) = resolve(gateway(listener), route("web", "/a", hostnames=names)).gateway
    assert hosts(found) == {"*.shop.example": ["/a"], "www.shop.example": ["/a"]}


def test_the_closest_host_has_the_routes_of_wider_ones_after_its_own() -> None:
    wide, close = route("wide", "/", hostnames="'*.example'"), route("close", "/", hostnames="a.example")
    (found,) = resolve(gateway(HTTP), wide, close, route("all", "/longer")).gateway
    host = next(one for one in found.chains[0].hosts if one.domain == "a.example")
    assert [one.name.split("_")[-3] for one in host.routes] == ["all", "close", "wide"]


def test_by_tls_each_host_name_is_a_chain_with_its_certificates() -> None:
    tls = "tls: {mode: TERMINATE, certificates: [{secret: cert}]}"
    listener = f"port: 8443, protocol: HTTPS, hostname: a.example, {tls}"
    other = f"port: 8443, protocol: HTTPS, {tls}"
    (found,) = resolve(gateway(other, listener), "{type: Secret, mesh: default, name: cert}").gateway
    assert [(one.server_name, one.certificates) for one in found.chains] == [("a.example", ("cert",)), ("", ("cert",))]


def test_a_route_of_kumas_older_kind_counts_where_no_other_is_about_the_listener() -> None:
    listeners = f"{HTTP}, hostname: a.example, tags: {{door: a}}", "port: 81, protocol: HTTP"
    first, second = resolve(gateway(*listeners), route("new", "/new", tags="door: a"), older("old")).gateway
    assert hosts(first) == {"*": ["/old"]}
    assert hosts(second) == {"a.example": ["/new"]}


def test_connections_go_to_the_backends_of_a_tcp_route() -> None:
    (listener,) = resolve(gateway("port: 5432, protocol: TCP"), older("old", "tcp")).gateway
    assert [one.destination.service.name for one in listener.chains[0].backends if one.destination] == ["store"]


def test_of_tcp_listeners_of_one_port_the_first_counts() -> None:
    listeners = "port: 9, protocol: TCP, tags: {to: a}", "port: 9, protocol: TCP, hostname: a.b, tags: {to: b}"
    first = older("a", "tcp", "kuma.io/service: edge, to: a")
    second = older("b", "tcp", "kuma.io/service: edge, to: b").replace("service: store", "service: cart")
    (listener,) = resolve(gateway(*listeners), first, second).gateway
    (chain,) = listener.chains
    assert [one.destination.service.name for one in chain.backends if one.destination] == ["store"]


def test_a_policy_with_tags_holds_for_the_listeners_that_have_them() -> None:
    listeners = f"{HTTP}, hostname: a.example, tags: {{door: a}}", f"{HTTP}, hostname: b.example"
    policy = timeout("{kind: MeshGateway, name: edge, tags: {door: a}}", 3)
    proxy = resolve(gateway(*listeners), route("web", "/"), policy)
    (listener,) = proxy.gateway
    found = {domain: of_timeouts(only_route(listener, domain).confs) for domain in ("a.example", "b.example")}
    assert found == {"a.example": ["3s"], "b.example": []}
    assert sorted(len(one.destination.name.partition("-")[2]) for one in proxy.upstreams) == [0, 16]


def test_a_policy_for_another_gateway_is_not_for_this_one() -> None:
    compiled = compile_texts(MESH, EDGE, CART, gateway(HTTP), timeout("{kind: MeshGateway, name: other}", 3))
    assert codes(compiled) == ["selects-nothing"]


def test_a_policy_of_a_route_holds_for_that_route() -> None:
    about = timeout("{kind: MeshHTTPRoute, name: one}", 3).replace("connectionTimeout: 3s, ", "")
    (listener,) = resolve(gateway(HTTP), route("one", "/one"), route("two", "/two"), about).gateway
    routes = {one.match.path: of_timeouts(one.confs) for host in listener.chains[0].hosts for one in host.routes}
    assert routes == {"/one": ["3s"], "/two": []}


def test_an_older_route_says_by_several_filters_what_it_rewrites() -> None:
    filters = (
        "filters: [{requestHeader: {set: [{name: Host, value: b.example}, {name: x-lane, value: canary}]}}, "
        "{rewrite: {replaceFull: /new}}], backends"
    )
    (listener,) = resolve(gateway(HTTP), older("o").replace("backends", filters)).gateway
    (written,) = (one for host in listener.chains[0].hosts for one in host.routes)
    assert written.request_headers.set == (("x-lane", "canary"),)
    assert written.rewrite == Rewrite("b.example", PathChange("ReplaceFullPath", "/new"))
    split = "filters: [{rewrite: {replaceFull: /new}}, {rewrite: {hostToBackendHostname: true}}], backends"
    (listener,) = resolve(gateway(HTTP), older("o").replace("backends", split)).gateway
    (written,) = (one for host in listener.chains[0].hosts for one in host.routes)
    assert written.rewrite == Rewrite("", PathChange("ReplaceFullPath", "/new"), to_backend=True)


def test_proxies_of_one_gateway_are_replicas() -> None:
    other = EDGE.replace("edge-1", "edge-2").replace("10.0.0.1", "10.0.0.9")
    compiled = compile_texts(MESH, EDGE, other, CART, gateway(HTTP), route("web", "/"))
    assert compiled.value.counters["proxy"] == 2


CALLER = '[{spiffeID: {type: Exact, value: "spiffe://default/cart"}}]'


def said(kind: str, part: str, conf: str, more: str = "") -> str:
    """A policy for the gateway that says something of everyone, or in `rules` of whom `more` names."""
    about = "" if part == "rules" else "targetRef: {kind: Mesh}, "
    head = f"type: {kind}\nmesh: default\nname: said\nspec:\n  targetRef: {{kind: MeshGateway, name: edge}}\n"
    return f"{head}  {part}: [{{{about}{more}default: {conf}}}]\n"


NOWHERE = """
type: MeshTCPRoute
mesh: default
name: raw
spec: {targetRef: {kind: MeshGateway, name: edge}, to: [{targetRef: {kind: Mesh}, rules: []}]}
"""
INSTANCE = """
apiVersion: kuma.io/v1alpha1
kind: MeshGatewayInstance
metadata: {name: i, namespace: n}
spec: {tags: {tier: edge}}
"""
WRONG = [
    ((gateway(HTTP, match="kuma.io/service: nobody"),), "no proxy takes requests by this gateway"),
    ((gateway(HTTP), older("r", "tcp")), "no listener of TCP or TLS is selected by this route"),
    ((gateway(HTTP), older("r", selectors="kuma.io/service: nobody")), "no listener of HTTP or HTTPS is selected"),
    (
        (gateway(HTTP), route("new", "/"), older("r")),
        "at every listener of this route a MeshHTTPRoute decides instead",
    ),
    (
        (INSTANCE,),
        "nothing runs because of a MeshGatewayInstance",
    ),
    (
        (
            gateway(f"{HTTP}, hostname: a.b, tags: {{door: a}}", f"{HTTP}, hostname: b.b"),
            timeout("{kind: MeshGateway, name: edge, tags: {door: a}}", 1)
            .replace("to: [{", "from: [{")
            .replace("connectionTimeout", "idleTimeout"),
        ),
        "from has no effect at port 8080: its listeners share what comes in",
    ),
    (
        (gateway(HTTP), said("MeshTimeout", "from", "{connectionTimeout: 1s}")),
        "it is about connections to a workload, and a gateway has none",
    ),
    (
        (gateway(HTTP), said("MeshTimeout", "rules", "{http: {maxStreamDuration: 1s}}")),
        "it is about connections to a workload, and a gateway has none",
    ),
    (
        (gateway(HTTP), said("MeshTimeout", "to", "{http: {requestHeadersTimeout: 1s}}")),
        "headers come in to a gateway: their timeout is not that of what it sends on",
    ),
    (
        (gateway(HTTP), said("MeshTimeout", "rules", "{http: {requestTimeout: 1s}}", f"matches: {CALLER}, ")),
        "nobody who calls a gateway shows an identity of the mesh: the rule is about no one",
    ),
    (
        (gateway(HTTP), said("MeshCircuitBreaker", "from", "{connectionLimits: {maxRequests: 1}}")),
        "from of a MeshCircuitBreaker has no effect at gateways: it is about callers of a workload",
    ),
    (
        (gateway(HTTP), NOWHERE.replace("[]", "[{default: {backendRefs: [{kind: MeshService, name: store}]}}]")),
        "no listener of TCP or TLS is selected by this route",
    ),
    (
        (gateway("port: 9, protocol: TCP"), route("web", "/")),
        "no listener of HTTP or HTTPS is selected by this route",
    ),
    (
        (gateway(f"{HTTP}, hostname: a.b"), route("web", "/", hostnames="b.b, a.b")),
        "no request for b.b comes in: the listeners are for a.b",
    ),
    (
        (gateway(f"{HTTP}, hostname: a.b"), older("r").replace("conf: {http: {", "conf: {http: {hostnames: [b.b], ")),
        "no request for b.b comes in: the listeners are for a.b",
    ),
    (
        (
            gateway("port: 9, protocol: TCP"),
            NOWHERE,
        ),
        "a gateway has no service of its own: without a rule its connections are refused",
    ),
]


@pytest.mark.parametrize(("texts", "message"), WRONG)
def test_what_does_nothing_is_warned_of(texts: tuple[str, ...], message: str) -> None:
    found = compile_texts(MESH, EDGE, CART, STORE, *texts).diagnostics
    assert [(one.code.word, one.message[: len(message)]) for one in found] == [("no-effect", message)]


@pytest.mark.parametrize("name", ["my_shop.example", "'*.my_shop.example'", "'*'", "Shop.example"])
def test_a_route_may_be_for_any_host_that_a_browser_asks_for(name: str) -> None:
    assert codes(compile_texts(MESH, EDGE, CART, STORE, gateway(HTTP), route("web", "/", hostnames=name))) == []


def test_a_backend_that_nobody_offers_is_named() -> None:
    compiled = compile_texts(MESH, EDGE, gateway(HTTP), older("r"))
    assert [(one.code.word, one.path) for one in compiled.diagnostics] == [
        ("dangling-ref", "/conf/http/rules/0/backends/0/destination")
    ]


STATES = {
    "gateway": [gateway(HTTP), gateway(f"{HTTP}, hostname: a.example, tags: {{door: a}}", HTTP), ""],
    "closer": ["", gateway("port: 9, protocol: TCP", name="closer", match="kuma.io/service: edge, team: web")],
    "edge": [EDGE, EDGE.replace("team: web", "team: shop"), ""],
    "cart": [CART, STORE],
    "route": ["", route("r", "/a"), route("r", "/a", tags="door: a"), route("r", "/b", hostnames="a.example")],
    "older": ["", older("o"), older("o", "tcp")],
    "policy": ["", *(timeout(f"{{kind: {target}}}", 3) for target in ("Mesh", "MeshGateway, name: edge"))],
}


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=25)
@given(st.lists(st.fixed_dictionaries({name: st.sampled_from(texts) for name, texts in STATES.items()}), max_size=5))
def test_a_compiler_that_remembers_gives_what_one_from_nothing_gives(states: list[dict[str, str]]) -> None:
    compiler = Compiler(SCHEMAS)
    for state in states:
        tree = tree_of({"mesh.yaml": MESH, **{f"{name}.yaml": text for name, text in state.items() if text}})
        found, alone = compiler.compile(tree), Compiler(SCHEMAS).compile(tree)
        assert found.diagnostics == alone.diagnostics
        assert (found.value.generation and found.value.generation.digest) == (
            alone.value.generation and alone.value.generation.digest
        )
