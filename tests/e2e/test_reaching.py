"""The edges that are told from snapshots are what real Envoys let through, in plaintext and by TLS, HTTP and TCP."""

from compiler.diagnostics import Checked
from compiler.review.access.edge import Edge
from compiler.review.access.reaching import find_edges
from compiler.review.access.why import Answer, find_party, may_call
from compiler.review.versions import Versions
from compiler.source.tree import read_directory
from tests.e2e.shop import MESH, Shop, permissions, permissive
from tests.e2e.traffic import ask, ask_plainly, get

HTTP, TCP = ("client_api", "guest_api"), ("client_store", "guest_store")
SERVICES = {"api": "app1", "store": "shelf"}


def test_edges_are_what_envoys_let_through(shop: Shop) -> None:
    _agree(shop)
    shop.applied(permissions=permissions("client", "guest"))
    _agree(shop)
    shop.applied(permissions=permissions("guest"))
    _agree(shop)
    shop.applied(permissions=permissions("client").replace("{action: Allow}", "{action: Deny}"))
    _agree(shop)


def test_a_permissive_port_is_open_to_those_whom_its_permissions_refuse(shop: Shop) -> None:
    """Past the caller's proxy; through it the permissions still hold, and the trace of the answer says so."""
    shop.applied(mesh=permissive())
    for envoy in shop.envoys.values():
        envoy.wait_live()
    assert {edge.identity for edge in _edges(shop)} == {False}
    assert {(edge.caller, edge.service) for edge in _edges(shop)} == {
        (f"{MESH}/{caller}", f"{MESH}/{service}") for caller in ("client", "guest") for service in SERVICES
    }
    assert ask_plainly(shop.places["api1"]).startswith("HTTP/1.1 200 OK")
    assert ask(shop.places["store"], "hello") == "store: hello"
    assert get(shop.places["guest_api"]).status == 403
    assert {edge.proxied for edge in _edges(shop) if edge.caller == f"{MESH}/guest"} == {False}
    guest, client = (_answer(shop, caller, "api") for caller in ("guest", "client"))
    assert (guest.allowed, client.allowed) == (False, True)
    assert guest.warning.startswith("only past its own proxy does it get in")
    assert "refuses it: no MeshTrafficPermission admits spiffe://shop/guest" in _steps(guest)
    assert "refuses" not in _steps(client)


def _agree(shop: Shop) -> None:
    """With TLS required, an edge is an answer of the application. An ACK comes before a listener is in use."""
    for envoy in shop.envoys.values():
        envoy.wait_live()
    found = {(edge.caller.partition("/")[2], edge.service.partition("/")[2]) for edge in _edges(shop) if edge.identity}
    answered = set()
    for name in (*HTTP, *TCP):
        caller, service = name.split("_")
        if name in HTTP:
            through = get(shop.places[name]).status == 200
        else:
            through = ask(shop.places[name], "hello") == "store: hello"
        answered |= {(caller, service)} if through else set()
    assert found == answered


def _edges(shop: Shop) -> frozenset[Edge]:
    version = Versions().compile(Checked(read_directory(shop.repository.path).value))
    return find_edges(version.snapshots)


def _answer(shop: Shop, caller: str, service: str) -> Answer:
    versions = Versions()
    version = versions.compile(Checked(read_directory(shop.repository.path).value))
    parties = [find_party(version.snapshots, name)[0] for name in (caller, service)]
    return may_call(versions, version, *parties)


def _steps(answer: Answer) -> str:
    return " ".join(step.says for trace in answer.traces for step in trace.steps)
