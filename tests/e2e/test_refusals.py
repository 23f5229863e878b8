"""Mistakes: what a commit gets wrong, and what only an Envoy can refuse, is named with its place and costs nothing."""

import json
from typing import Any

from tests.e2e.processes import Status
from tests.e2e.shop import Shop, permissions, to_api
from tests.e2e.traffic import calling, get, loading

LDS = "type.googleapis.com/envoy.config.listener.v3.Listener"
NOBODYS_ADDRESS = "192.0.2.1"


def test_a_mistake_is_refused_with_its_place_and_its_revert_gives_the_same_digest(shop: Shop) -> None:
    shop.applied(timeouts=to_api("MeshTimeout", "timeouts", "default: {http: {requestTimeout: 5s}}"))
    before = shop.serve.status()["serving"]
    mistaken = to_api("MeshTimeout", "timeouts", "default: {http: {requestTimeot: 5s}}")
    with loading(shop.places["client_api"]) as load:
        commit = shop.commit(timeouts=mistaken)
        status = shop.serve.until(lambda found: (found["candidate"] or {}).get("commit") == commit.id)
        answered = len(load.answers)
        shop.repository.git("revert", "--no-edit", "HEAD")
        reverted = shop.accepted()

    candidate, (finding,) = status["candidate"], status["candidate"]["diagnostics"]
    line = next(number for number, text in enumerate(mistaken.splitlines(), 1) if "requestTimeot" in text)
    column = mistaken.splitlines()[line - 1].index("requestTimeot") + 1
    assert candidate["state"] == "refused"
    assert (finding["file"], finding["line"], finding["column"]) == ("timeouts.yaml", line, column)
    assert finding["code"] == "unknown-field"
    assert "requestTimeout" in finding["hint"]
    assert status["serving"]["commit"] == before["commit"]
    assert reverted["serving"]["digest"] == before["digest"]
    assert reverted["candidate"]["state"] == "published"
    assert answered
    assert load.failures == []


def test_a_commit_that_takes_away_the_last_policy_of_a_kind_is_held_until_it_says_so(shop: Shop) -> None:
    applied = shop.applied(timeouts=to_api("MeshTimeout", "timeouts", "default: {http: {requestTimeout: 5s}}"))
    held = shop.repository.restore(shop.base)
    assert held is not None

    status = shop.serve.until(lambda found: found["candidate"]["commit"] == held.id)
    assert status["candidate"]["state"] == "held"
    assert "Allow-Removal: meshtimeout/1" in status["candidate"]["reason"]
    assert status["serving"]["commit"] == applied.id
    shop.repository.git("commit", "--quiet", "--allow-empty", "--message", "meant\n\nAllow-Removal: meshtimeout/1")
    shop.accepted()


def test_what_only_an_envoy_can_refuse_is_told_with_its_text_and_place_and_is_healed(shop: Shop) -> None:
    """The gate cannot know which addresses a host has; the listener that was there stays until the new one stands."""
    client = shop.places["client_api"]
    outbound = f"- {{address: {client.host}, port: {client.port},"
    proxies = shop.base["proxies.yaml"]
    assert outbound in proxies
    with calling(client) as caller, loading(client, connections=1) as load:
        assert caller.get().status == 200
        commit = shop.commit(proxies=proxies.replace(outbound, outbound.replace(client.host, NOBODYS_ADDRESS)))
        status = shop.serve.until(_refusals)
        assert status["serving"]["commit"] == commit.id
        ((node, nack),) = _refusals(status)
        assert node == "shop.client"
        assert f"cannot bind '{NOBODYS_ADDRESS}:{client.port}'" in nack["message"]
        (refused,) = nack["resources"]
        line = proxies[: proxies.index("name: client")].count("\n") - 1
        places = [(place["file"], place["line"]) for place in (refused, *refused["others"])]
        assert ("proxies.yaml", line) in places
        assert {file for file, _ in places} <= {"proxies.yaml", "retries.yaml"}
        assert caller.get().status == 200

        shop.commit(permissions=permissions("client", "guest"))
        shop.serve.until(lambda found: found["serving"]["commit"] == shop.repository.head())
        with calling(shop.places["guest_api"]) as guest:
            guest.until(lambda answer: answer.status == 200)

        shop.applied(proxies=proxies, permissions=permissions("client"))
        assert _refusals(shop.serve.status()) == []
        assert caller.get().status == 200
    assert load.failures == []
    assert get(client).status == 200


def test_after_a_refusal_a_restarted_server_still_gets_the_next_good_commit_applied(shop: Shop) -> None:
    client = shop.places["client_api"]
    proxies = shop.base["proxies.yaml"]
    outbound = f"- {{address: {client.host}, port: {client.port},"
    with loading(client, connections=1) as load:
        shop.commit(proxies=proxies.replace(outbound, outbound.replace(client.host, NOBODYS_ADDRESS)))
        shop.serve.until(_refusals)
        shop.serve.stop()
        shop.serve.start()
        shop.serve.until(lambda found: len(found["proxies"]) == len(shop.envoys))
        shop.applied(proxies=proxies)
    assert load.failures == []
    assert _refusals(shop.serve.status()) == []


def test_the_read_api_shows_a_proxys_configuration_and_its_rules_with_their_places(shop: Shop) -> None:
    timeouts = to_api("MeshTimeout", "timeouts", "default: {http: {requestTimeout: 5s}}")
    shop.applied(timeouts=timeouts)

    code, config = shop.serve.get("/meshes/shop/dataplanes/client/_config")
    assert code == 200
    held = set(shop.envoys["client"].listeners())
    assert held
    assert all(name in config for name in held)
    assert "PRIVATE KEY" not in config

    code, rules = shop.serve.get("/meshes/shop/dataplanes/client/_rules")
    assert code == 200
    assert "timeouts.yaml" in rules
    assert "MeshTimeout" in rules

    code, selected = shop.serve.get("/meshes/shop/meshtimeouts/timeouts/_resources/dataplanes")
    assert code == 200
    assert "client" in [one["name"] for one in json.loads(selected)["items"]]

    code, layout = shop.serve.get("/meshes/shop/dataplanes/client/_layout")
    assert code == 200
    names = {one["proxyResourceName"] for part in ("inbounds", "outbounds") for one in json.loads(layout)[part]}
    assert names <= held

    for page in ("_config", "_rules", "_layout", "_policies"):
        code, text = shop.serve.get(f"/meshes/shop/dataplanes/nobody/{page}")
        assert code == 404
        assert "nobody" in json.loads(text)["title"]


def _refusals(status: Status) -> list[tuple[str, dict[str, Any]]]:
    """Node and NACK of each type that is refused."""
    return [
        (proxy["node"], kind["nack"]) for proxy in status["proxies"] for kind in proxy["types"].values() if kind["nack"]
    ]
