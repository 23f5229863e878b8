"""Metrics by the mesh's mutual TLS, as scrapers of every kind meet them."""

import http.client
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from compiler.identity.authority import Authority, create_authority, load_authority
from compiler.identity.leaf import issue_leaf
from tests.e2e.collectors import answering, wait_for
from tests.e2e.places import Place, free_port
from tests.e2e.shop import MESH, Shop, permissive
from tests.e2e.traffic import PATIENCE, ask_plainly, get, is_tls_refusal

METRIC = """\
type: MeshMetric
mesh: shop
name: all
spec:
  targetRef: {kind: Dataplane, labels: {app: client}}
  default: {backends: [{type: Prometheus, prometheus: {port: %d, tls: {mode: ActiveMTLSBackend}}}]}
"""
SCRAPERS = """\
type: MeshTrafficPermission
mesh: shop
name: to-client
spec:
  targetRef: {kind: Dataplane, labels: {app: client}}
  rules: [{default: {allow: [{spiffeID: {type: Exact, value: spiffe://shop/prometheus}}]}}]
---
type: MeshTrafficPermission
mesh: shop
name: to-one-inbound
spec:
  targetRef: {kind: Dataplane, labels: {app: client}, sectionName: "%d"}
  rules: [{default: {allow: [{spiffeID: {type: Exact, value: spiffe://shop/caller}}]}}]
"""


def test_metrics_are_for_proxies_of_the_mesh_that_are_permitted(shop: Shop) -> None:
    client, place = shop.envoys["client"], Place(shop.places["client"].host, free_port())
    ours = load_authority(f"file:{shop.serve.authority}")
    scrapers = SCRAPERS % shop.places["client"].port
    with answering(client.folder / "metrics.sock", "a_metric 1\n") as asked:
        shop.applied(mesh=permissive(), metrics=METRIC % place.port, scrapers=scrapers)

        assert _scrape(place, ours, "prometheus") == "200 a_metric 1\n"
        assert asked == ["/meshmetric"]
        assert _scrape(place, ours, "guest") == ""
        assert _scrape(place, ours, "caller") == ""
        assert _scrape(place, create_authority(MESH, "ca-1", now=datetime.now(UTC)), "prometheus") == ""
        assert _scrape(place, ours, "prometheus", uris=["spiffe://office/prometheus"]) == ""
        assert _scrape(place, None, "") == ""
        assert is_tls_refusal(ask_plainly(place))
        assert asked == ["/meshmetric"]
        assert get(shop.places["client_api"]).status == 200

        shop.applied(scrapers=scrapers.replace("shop/prometheus", "shop/guest"))
        wait_for(lambda: _scrape(place, ours, "prometheus") == "")
        assert _scrape(place, ours, "guest") == "200 a_metric 1\n"


def _scrape(place: Place, authority: Authority | None, name: str, uris: Sequence[str] = ()) -> str:
    """The answer to whom an authority certifies, or to somebody without a certificate; empty where there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if authority is not None:
        _certify(context, authority, name, uris or (f"spiffe://{MESH}/{name}",))
    connection = http.client.HTTPSConnection(place.host, place.port, timeout=PATIENCE, context=context)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode()}"
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _certify(context: ssl.SSLContext, authority: Authority, name: str, uris: Sequence[str]) -> None:
    leaf = issue_leaf(authority, node=f"{MESH}.{name}", uris=uris, now=datetime.now(UTC))
    path = Path(f"/proc/self/fd/{os.memfd_create('pair')}")
    path.write_bytes(leaf.chain + leaf.key)
    context.load_cert_chain(path)
