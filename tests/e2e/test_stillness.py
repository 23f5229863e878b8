"""What does not change is left alone: listeners stay, requests go on, nothing is sent twice."""

import time
from collections.abc import Iterator

from tests.e2e.conftest import Record
from tests.e2e.processes import refusals
from tests.e2e.shop import Shop, permissions, retries, split, to_api, weights
from tests.e2e.traffic import calling, loading

EDITS = 20
FLIPS = 6
_STILL = (
    "listener_manager.listener_added",
    "listener_manager.listener_modified",
    "listener_manager.listener_removed",
    "listener_manager.total_filter_chains_draining",
    "listener_manager.total_listeners_draining",
    "cluster_manager.cluster_modified",
)


def test_no_edit_of_permissions_routes_retries_or_timeouts_rebuilds_a_listener_or_costs_a_request(
    shop: Shop, record: Record
) -> None:
    shop.applied(routes=weights(100, 1))
    shop.drained()
    before = _still(shop)
    updates = shop.envoys["client"].stats("cluster_manager.cds.update_success")
    with loading(shop.places["client_api"]) as load:
        for edit in _edits():
            shop.applied(**edit)
            assert _still(shop) == before

    record(f"requests during {EDITS} edits", len(load.answers))
    assert load.failures == []
    assert len(load.answers) > EDITS
    assert shop.envoys["client"].stats("cluster_manager.cds.update_success") == updates


def _edits() -> Iterator[dict[str, str]]:
    for number in range(EDITS // 4):
        yield {"permissions": permissions("client", *(["guest"] if number % 2 == 0 else []))}
        yield {"routes": weights(100, number + 2)}
        yield {"retries": retries(number + 1, "EnvoyRatelimited")}
        conf = f"{{http: {{requestTimeout: {number + 5}s}}}}"
        yield {"timeouts": to_api("MeshTimeout", "timeouts", f"default: {conf}")}


def _still(shop: Shop) -> dict[str, dict[str, int]]:
    return {name: envoy.stats(*_STILL) for name, envoy in shop.envoys.items()}


def test_routes_that_change_from_one_cluster_to_another_that_is_new_lose_no_request(shop: Shop) -> None:
    """New clusters come before the routes that name them, and old ones go after; nothing is tried again here."""
    shop.applied(routes=split(v1=1))
    changes = ("cluster_manager.cluster_added", "cluster_manager.cluster_removed")
    before = shop.envoys["client"].stats(*changes)
    with loading(shop.places["client_api"]) as load:
        for number in range(FLIPS):
            shop.applied(routes=split(**{("v2", "v1")[number % 2]: 1}))
    after = shop.envoys["client"].stats(*changes)

    assert load.failures == []
    assert {answer.application for answer in load.answers} == {"api-v1", "api-v2"}
    assert [after[name] - before[name] for name in changes] == [FLIPS, FLIPS]


def test_a_change_of_tls_moves_the_counters_that_stayed_still(shop: Shop) -> None:
    """What the test before relies on: an edit of a listener does move them."""
    before = _still(shop)
    shop.applied(mesh=shop.base["mesh.yaml"].replace("STRICT", "PERMISSIVE"))
    assert _still(shop)["api-v1"] != before["api-v1"]


def test_a_restart_sends_nothing_again_and_costs_no_request(shop: Shop, record: Record) -> None:
    shop.applied(permissions=permissions("client", "guest"))
    digest = shop.serve.digest()
    with loading(shop.places["client_api"]) as load:
        shop.serve.stop()
        began = time.monotonic()
        assert shop.serve.start() == digest
        record("restart to ready, ms", (time.monotonic() - began) * 1000)
        shop.serve.until(lambda found: sum(proxy["fully_acked"] for proxy in found["proxies"]) == len(shop.envoys))
        time.sleep(0.5)

    assert shop.serve.pushes() == {}
    assert load.failures == []
    assert load.answers
    shop.applied(permissions=permissions("client"))
    assert shop.serve.pushes() == {"TypedExtensionConfig": 2}, "the permissions of both replicas, and nothing else"


def test_an_idle_server_and_a_commit_without_effect_send_nothing(shop: Shop) -> None:
    pushes, digest = shop.serve.pushes(), shop.serve.digest()
    shop.applied(permissions="# Who may call whom.\n" + permissions("client"))
    time.sleep(0.5)

    assert shop.serve.pushes() == pushes
    assert shop.serve.digest() == digest
    assert not refusals(shop.serve.status()["proxies"])


def test_endpoints_follow_a_commit_without_a_new_cluster_or_listener(shop: Shop) -> None:
    shop.drained()
    before = _still(shop)["client"]
    without = "\n---\n".join(part for part in shop.base["proxies.yaml"].split("---\n") if "api-v2" not in part)
    with calling(shop.places["client_api"]) as caller:
        assert {caller.get().application for _ in range(40)} == {"api-v1", "api-v2"}
        shop.repository.commit("one replica less", {"proxies.yaml": without})
        shop.serve.until(lambda found: found["serving"]["commit"] == shop.repository.head())
        shop.serve.until(lambda found: all(proxy["fully_acked"] for proxy in found["proxies"] if proxy["known"]))
        assert {caller.get().application for _ in range(40)} == {"api-v1"}
        shop.applied(proxies=shop.base["proxies.yaml"])
        assert {caller.get().application for _ in range(40)} == {"api-v1", "api-v2"}
    assert _still(shop)["client"] == before
