"""Proxy patches become visible in traffic, and reach Envoy where what they change is."""

import json

from tests.e2e.shop import Shop
from tests.e2e.traffic import calling

_MODIFIED = "listener_manager.listener_modified"
_TEAPOT = {"match": {"prefix": "/teapot"}, "directResponse": {"status": 418}}


def patch(*modifications: object) -> str:
    """For the proxies of the api."""
    spec = {
        "targetRef": {"kind": "Dataplane", "labels": {"app": "api"}},
        "default": {"appendModifications": modifications},
    }
    return json.dumps({"type": "MeshProxyPatch", "mesh": "shop", "name": "patch", "spec": spec})


def hosts(**change: object) -> object:
    return {"virtualHost": {"operation": "Patch", "match": {"origin": "inbound"}, **change}}


def test_a_virtual_host_is_patched_under_a_connection_that_is_kept_alive(shop: Shop) -> None:
    """A header that is merged, a route that is put first, and neither rebuilds a listener."""
    before = {name: envoy.stats(_MODIFIED) for name, envoy in shop.envoys.items()}
    with calling(shop.places["client_api"]) as caller:
        assert "x-patched" not in caller.get().headers
        header = "responseHeadersToAdd: [{header: {key: x-patched, value: 'yes'}}]"
        shop.applied(patch=patch(hosts(value=header)))
        caller.until(lambda answer: answer.headers.get("x-patched") == "yes")

        shop.applied(patch=patch(hosts(jsonPatches=[{"op": "add", "path": "/routes/0", "value": _TEAPOT}])))
        caller.until(lambda answer: answer.status == 418, "/teapot")
        assert caller.get().status == 200

    assert {name: envoy.stats(_MODIFIED) for name, envoy in shop.envoys.items()} == before


def test_permissions_are_patched_in_their_own_resource(shop: Shop) -> None:
    """Rules that let nobody in, put in the place of those that let the client in."""
    denied = {"op": "replace", "path": "/rules", "value": {}}
    match = {"name": "envoy.filters.http.rbac", "origin": "inbound"}
    with calling(shop.places["client_api"]) as caller:
        assert caller.get().status == 200
        shop.applied(patch=patch({"httpFilter": {"operation": "Patch", "match": match, "jsonPatches": [denied]}}))
        caller.until(lambda answer: answer.status == 403)
