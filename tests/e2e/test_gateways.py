"""Builtin gateways, as strangers see them."""

import socket
import ssl

import pytest

from tests.e2e.edge import Edge
from tests.e2e.places import Place
from tests.e2e.traffic import PATIENCE, get


def test_a_request_goes_by_its_host_and_path_and_the_backend_sees_the_gateway(edge: Edge) -> None:
    web = get(edge.places["http"], "/v1/cart", host="www.shop.example:80")
    assert (web.status, web.application[:3], web.body["path"]) == (200, "api", "/cart")
    assert "URI=spiffe://edgy/edge" in web.body["headers"]["x-forwarded-client-cert"]
    assert get(edge.places["http"], "/anything", host="api.shop.example").body["path"] == "/anything"


def test_what_no_route_takes_is_answered_with_404(edge: Edge) -> None:
    place = edge.places["http"]
    assert get(place, "/v1", host="www.other.example").status == 404
    assert get(place, "/v2", host="www.shop.example").status == 404
    assert get(place, "/v1", host="other.shop.example").status == 404


def test_a_redirect_names_the_other_host(edge: Edge) -> None:
    answer = get(edge.places["http"], "/old?a=1", host="www.shop.example")
    assert (answer.status, answer.headers["location"]) == (302, "http://new.shop.example/old?a=1")


def test_by_tls_a_stranger_sees_the_certificate_of_the_secret(edge: Edge) -> None:
    trusting = ssl.create_default_context()
    edge.authority.configure_trust(trusting)
    request = b"GET /v1/cart HTTP/1.1\r\nhost: www.shop.example\r\nconnection: close\r\n\r\n"
    answer = _ask_by_tls(edge.places["https"], "www.shop.example", trusting, request)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"strict-transport-security: max-age=31536000; includeSubDomains" in answer
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _ask_by_tls(edge.places["https"], "other.shop.example", trusting, request)


def test_what_is_passed_through_is_decrypted_by_the_backend_alone(edge: Edge) -> None:
    trusting = ssl.create_default_context()
    edge.authority.configure_trust(trusting)
    assert _ask_by_tls(edge.places["tls"], "store.shop.example", trusting, b"hello\n") == b"store: hello\n"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _ask_by_tls(edge.places["tls"], "other.shop.example", trusting, b"hello\n")


def _ask_by_tls(place: Place, name: str, trusting: ssl.SSLContext, said: bytes) -> bytes:
    with (
        socket.create_connection((place.host, place.port), timeout=PATIENCE) as plain,
        trusting.wrap_socket(plain, server_hostname=name) as connection,
    ):
        connection.sendall(said)
        return connection.recv(4096)
