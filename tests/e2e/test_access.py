"""Mutual TLS and permissions, as the applications on both sides see them."""

from statistics import median

from tests.e2e.conftest import Record
from tests.e2e.processes import Envoy
from tests.e2e.shop import Shop, permissions, permissive
from tests.e2e.traffic import PATIENCE, Line, ask, ask_plainly, calling, get, is_tls_refusal

DRAIN = 1.0
"""Seconds; what the Envoys of these tests were told."""


def test_the_callee_sees_the_callers_spiffe_identity(shop: Shop) -> None:
    answer = get(shop.places["client_api"], "/hello", **{"x-forwarded-client-cert": "URI=spiffe://shop/forged"})

    assert answer.status == 200
    certificate = answer.body["headers"]["x-forwarded-client-cert"]
    assert "URI=spiffe://shop/client" in certificate.split(";")
    assert "forged" not in certificate
    assert answer.body["path"] == "/hello"


def test_a_caller_that_nobody_permitted_gets_403_and_over_tcp_a_closed_connection(shop: Shop) -> None:
    answer = get(shop.places["guest_api"])
    assert (answer.status, answer.text) == (403, "RBAC: access denied")
    assert shop.api[0].seen == shop.api[1].seen == []

    assert ask(shop.places["guest_store"], "hello") == ""
    assert shop.shelf.seen == []
    assert ask(shop.places["client_store"], "hello") == "store: hello"


def test_plaintext_to_a_strict_inbound_fails(shop: Shop) -> None:
    assert is_tls_refusal(ask_plainly(shop.places["api1"]))
    assert is_tls_refusal(ask(shop.places["store"], "hello"))
    assert shop.api[0].seen == []
    assert shop.shelf.seen == []


def test_a_permissive_inbound_takes_plaintext_and_mutual_tls(shop: Shop) -> None:
    _make_permissive(shop)

    assert ask_plainly(shop.places["api1"]).startswith("HTTP/1.1 200 OK")
    assert ask(shop.places["store"], "hello") == "store: hello"
    answer = get(shop.places["client_api"])
    assert "URI=spiffe://shop/client" in answer.body["headers"]["x-forwarded-client-cert"]
    assert get(shop.places["guest_api"]).status == 403


def test_plaintext_that_claims_an_identity_is_given_none(shop: Shop) -> None:
    _make_permissive(shop)

    answer = get(shop.places["api1"], **{"x-forwarded-client-cert": "URI=spiffe://shop/client"})
    assert answer.status == 200
    assert "x-forwarded-client-cert" not in answer.body["headers"]


def test_a_permission_bites_on_an_open_connection_both_ways(shop: Shop, record: Record) -> None:
    """Three times each way; a second is what is promised, and some ten milliseconds are what is usual."""
    granted, withdrawn = [], []
    with calling(shop.places["guest_api"]) as caller:
        assert {caller.get().status for _ in range(50)} == {403}  # until it has a connection to each replica
        opened = _connections(shop.envoys["guest"])
        for _ in range(3):
            commit = shop.commit(permissions=permissions("client", "guest"))
            granted.append(caller.until(lambda answer: answer.status == 200).at - commit.moved)
            shop.accepted()
            commit = shop.commit(permissions=permissions("client"))
            withdrawn.append(caller.until(lambda answer: answer.status == 403).at - commit.moved)
            shop.accepted()
            assert [caller.get().status for _ in range(20)] == [403] * 20
        assert _connections(shop.envoys["guest"]) == opened

    record("permission granted, commit to effect, ms", median(granted) * 1000)
    record("permission withdrawn, commit to effect, ms", median(withdrawn) * 1000)
    assert max(median(granted), median(withdrawn)) < 1.0


def test_a_withdrawn_permission_ends_live_tcp_connections_within_the_drain_time(shop: Shop, record: Record) -> None:
    line = Line(shop.places["client_store"])
    assert line.ask("hello") == "store: hello"

    shop.applied(permissions=permissions("client").replace("{action: Allow}", "{action: Deny}"))
    seconds = line.wait_closed()
    line.close()

    record("withdrawn from an open TCP connection, ACK to its end, ms", seconds * 1000)
    assert seconds < DRAIN + PATIENCE / 10
    assert ask(shop.places["client_store"], "hello") == ""


def _make_permissive(shop: Shop) -> None:
    """The ACK of a listener comes before the listener is in use."""
    shop.applied(mesh=permissive())
    for envoy in shop.envoys.values():
        envoy.wait_live()


def _connections(envoy: Envoy) -> int:
    """How many an Envoy has ever opened to the api."""
    lines = envoy.admin("/stats?filter=_api_.*upstream_cx_total$").splitlines()
    assert lines
    return sum(int(line.rpartition(":")[2]) for line in lines)
