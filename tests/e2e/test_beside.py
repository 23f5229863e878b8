"""What a proxy has beside its calls, and permissions of single requests, as a kubelet and a caller see them."""

from tests.e2e.places import Place, free_port
from tests.e2e.shop import Shop
from tests.e2e.traffic import calling, get

PERMITTED = """\
type: MeshTrafficPermission
mesh: shop
name: to-api
spec:
  targetRef: {kind: Dataplane, labels: {app: api}}
  rules:
    - default:
        deny: [{http: [{path: {type: Exact, value: /v1/secret}}]}]
        allow:
          - spiffeID: {type: Exact, value: spiffe://shop/client}
            http: [{method: GET, path: {type: PathPrefix, value: /v1}}]
"""


def test_a_kubelet_asks_whether_a_proxy_is_ready_and_its_workload_alive(shop: Shop) -> None:
    place, workload = shop.places["api1"], shop.places["app1"]
    ready, probed = Place(place.host, free_port()), Place(place.host, free_port())
    written = shop.base["proxies.yaml"].replace(
        f"  address: {place.host}\n", f"  address: {place.host}\n  admin: {{port: {ready.port}}}\n", 1
    )
    endpoint = f"{{inboundPort: {workload.port}, inboundPath: /status/418, path: /{workload.port}/alive}}"
    probes = f"probes: {{port: {probed.port}, endpoints: [{endpoint}]}}\n"
    rest = "---\ntype: Dataplane\nmesh: shop\nname: api-v2"
    shop.applied(proxies=written.replace(rest, probes + rest))

    assert (get(ready, "/ready").status, get(ready, "/config_dump").status) == (200, 404)
    answer = get(probed, f"/{workload.port}/alive")
    assert (answer.status, answer.application) == (418, "api-v1")
    assert get(probed, "/status/200").status == 404

    shop.envoys["api-v1"].admin("/healthcheck/fail", "POST")
    assert get(ready, "/ready").status == 503
    shop.envoys["api-v1"].admin("/healthcheck/ok", "POST")
    assert get(ready, "/ready").status == 200


def test_a_caller_gets_through_with_the_requests_that_are_permitted(shop: Shop) -> None:
    with calling(shop.places["client_api"]) as caller:
        assert caller.get("/other").status == 200
        shop.applied(permissions=PERMITTED + "---\n" + shop.base["permissions.yaml"].partition("---\n")[2])
        caller.until(lambda answer: answer.status == 403, "/other")

    allowed = ("/v1", "/v1/orders", "/v1/orders?secret=1", "/v1//orders")
    refused = ("/v1beta", "/other", "/v1/secret", "/v1//secret", "/v1/secret?a=b", "/v1/x/../secret", "/v1/../other")
    found = {path: get(shop.places["client_api"], path).status for path in (*allowed, *refused, "/v1/..%2Fother")}
    assert found == {
        **dict.fromkeys(allowed, 200),
        **dict.fromkeys(refused, 403),
        "/v1/..%2Fother": 307,
    }
    assert get(shop.places["guest_api"], "/v1").status == 403
