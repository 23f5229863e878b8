"""Scenarios of one stream, each against the model client, in both protocols."""

from collections.abc import Iterable, Sequence

import pytest

from compiler.xds.events import DeltaRequest, SotwRequest
from compiler.xds.remembered import Remembered, UnrepairedNack, remember
from compiler.xds.served import CDS, ECDS, EDS, LDS, RDS, SDS, ProxyConfig, Resource
from compiler.xds.subscription import NAME_LIMIT, Subscription, TooManyNamesError
from tests.xds.build import config, plain
from tests.xds.model_envoy import make, read
from tests.xds.model_server import World

both = pytest.mark.parametrize("full_state", [False, True], ids=["delta", "sotw"])


def mesh(
    digest: str, *, listeners: Iterable[Resource], clusters: Iterable[Resource], route_to: str = "c1"
) -> ProxyConfig:
    kept = tuple(clusters)
    return config(
        digest,
        {
            CDS: kept,
            EDS: [make(each.name, 1) for each in kept],
            LDS: listeners,
            RDS: [make("r1", route_to, clusters=[route_to])],
            ECDS: [make("e1", 1)],
        },
    )


L1 = make("l1", 1, routes=["r1"], extensions=["e1"])
BASE = mesh("one", listeners=[L1], clusters=[make("c1", 1)])


def run(full_state: bool, *configs: ProxyConfig) -> World:
    world = World(full_state)
    for each in configs:
        world.publish(each)
        world.settle()
    return world


@both
def test_a_fresh_proxy_gets_everything_in_delivery_order(full_state: bool) -> None:
    world = run(full_state, BASE)
    assert world.is_running(BASE)
    order = [each.type_url for each in world.client.received]
    assert (order[:3], set(order[3:])) == ([CDS, EDS, LDS], {ECDS, RDS})
    assert world.machine.converged is BASE


@both
def test_a_proxy_that_no_commit_knows_is_sent_nothing(full_state: bool) -> None:
    world = World(full_state)
    world.settle()
    assert world.client.received == []
    world.publish(BASE)
    world.settle()
    assert world.is_running(BASE)


@both
def test_an_empty_set_is_still_an_answer_so_that_envoy_goes_live(full_state: bool) -> None:
    world = run(full_state, config("empty", {}))
    assert [(each.type_url, each.resources) for each in world.client.received] == [(CDS, ()), (LDS, ())]


@both
def test_a_route_moves_to_a_new_cluster_before_the_old_one_goes(full_state: bool) -> None:
    moved = mesh("two", listeners=[L1], clusters=[make("c2", 1)], route_to="c2")
    world = run(full_state, BASE)
    del world.client.received[:]
    world.publish(moved)
    world.settle()
    assert world.is_running(moved)
    names = [(each.type_url, sorted(r.name for r in each.resources)) for each in world.client.received]
    union = ["c1", "c2"] if full_state else ["c2"]
    assert names[:3] == [(CDS, union), (EDS, ["c2"]), (RDS, ["r1"])]
    assert names[3] == (CDS, ["c2"] if full_state else [])


@both
def test_a_changed_cluster_comes_with_its_endpoints_in_the_same_batch(full_state: bool) -> None:
    changed = mesh("two", listeners=[L1], clusters=[make("c1", 2)])
    world = run(full_state, BASE)
    del world.client.received[:]
    world.publish(changed)
    assert world.write()
    assert world.write()
    assert [each.type_url for each in world.to_client] == [CDS, EDS]
    world.settle()
    assert world.is_running(changed)


@both
@pytest.mark.parametrize("kind", ["semantic", "outer"])
def test_after_a_refusal_the_proxy_is_back_on_its_last_good_set(full_state: bool, kind: str) -> None:
    bad = mesh(
        "two",
        listeners=[make("l1", 2, bad=kind, routes=["r1"]), make("l2", 1)],
        clusters=[make("c1", 1), make("c2", 1)],
    )
    world = run(full_state, BASE, bad)
    assert world.is_running(BASE)
    assert len(world.client.nacks) == 1
    assert world.memory.nacks[LDS].digest == "two"
    assert world.machine.converged is BASE


@both
def test_the_next_good_configuration_is_applied_after_a_refusal(full_state: bool) -> None:
    bad = mesh("two", listeners=[make("l1", 2, bad="semantic")], clusters=[make("c1", 1)])
    good = mesh("three", listeners=[make("l1", 3, routes=["r1"])], clusters=[make("c1", 1)])
    world = run(full_state, BASE, bad, good)
    assert world.is_running(good)
    assert world.memory.nacks == {}
    assert world.disk is None


@both
def test_without_a_last_good_set_only_the_culprits_are_left_out(full_state: bool) -> None:
    listeners = [make(f"l{number}", 1, bad="outer" if number in (2, 5) else "") for number in range(8)]
    world = run(full_state, mesh("one", listeners=listeners, clusters=[make("c1", 1)]))
    assert sorted(world.client.applied[LDS]) == ["l0", "l1", "l3", "l4", "l6", "l7"]


@both
def test_a_refused_route_takes_the_whole_configuration_back(full_state: bool) -> None:
    bad = ProxyConfig("two", {**BASE.resources, RDS: {"r1": make("r1", 2, bad="semantic")}, CDS: {"c1": make("c1", 7)}})
    world = run(full_state, BASE, bad)
    assert world.is_running(BASE)


@both
def test_endpoints_that_are_refused_leave_the_configuration_and_their_old_selves(full_state: bool) -> None:
    live = ProxyConfig("one", {**BASE.resources, EDS: {"c1": make("c1", 2, bad="semantic")}})
    world = run(full_state, BASE, live)
    assert world.is_running(BASE)
    assert len(world.client.nacks) == 1
    repaired = ProxyConfig("one", {**BASE.resources, EDS: {"c1": make("c1", 3)}})
    world.publish(repaired)
    world.settle()
    assert world.is_running(repaired)


@both
def test_live_endpoints_reach_a_proxy_that_refused_its_configuration(full_state: bool) -> None:
    bad = mesh("two", listeners=[make("l1", 2, bad="semantic")], clusters=[make("c1", 1)])
    newer = ProxyConfig("two", {**bad.resources, EDS: {"c1": make("c1", 9)}})
    world = run(full_state, BASE, bad, newer)
    assert world.client.applied[EDS]["c1"]["content"] == 9
    assert world.client.applied[LDS]["l1"]["content"] == 1
    assert len(world.client.nacks) == 1


@both
def test_a_reconnect_with_nothing_changed_transfers_nothing(full_state: bool) -> None:
    world = run(full_state, BASE)
    del world.client.received[:]
    world.reconnect()
    world.settle()
    world.restart_server()
    world.settle()
    assert world.client.received == []
    assert world.machine.converged is BASE


@both
def test_a_reconnect_after_clusters_were_removed_transfers_nothing_either(full_state: bool) -> None:
    two = mesh("two", listeners=[L1], clusters=[make("c1", 1), make("c2", 1), make("c3", 1)])
    world = run(full_state, two, BASE)
    del world.client.received[:]
    world.restart_server()
    world.settle()
    assert world.client.received == []


@both
def test_a_restart_between_a_nack_and_its_repair_forgets_nothing(full_state: bool) -> None:
    """A handover to a bad listener: Envoy has removed l1, and claims to have it."""
    world = run(full_state, mesh("one", listeners=[make("l1", 1, exclusive="x")], clusters=[make("c1", 1)]))
    good = world.config
    assert good is not None
    world.publish(mesh("two", listeners=[make("l2", 1, exclusive="x", bad="semantic")], clusters=[make("c1", 1)]))
    while not world.client.nacks:
        assert world.write() or world.deliver_response() or world.deliver_request() or world.lose_patience()
    assert world.client.applied[LDS] == {}
    while world.to_server:
        world.deliver_request()
    world.restart_server()
    world.settle()
    assert world.is_running(good)


@both
def test_an_address_passes_to_another_name_in_one_response_of_its_own(full_state: bool) -> None:
    old = [make("l1", 1, exclusive="x"), make("l3", 1, exclusive="z")]
    new = [make("l2", 1, exclusive="x"), make("l4", 1, exclusive="y")]
    one, two = (mesh(d, listeners=each, clusters=[make("c1", 1)]) for d, each in (("one", old), ("two", new)))
    world = run(full_state, one)
    del world.client.received[:]
    world.publish(two)
    world.settle()
    assert world.is_running(two)
    assert world.client.nacks == []
    sent = [(sorted(r.name for r in each.resources), sorted(each.removals)) for each in world.client.received]
    if full_state:
        assert [names for names, _ in sent] == [["l1", "l3", "l4"], ["l2", "l3", "l4"], ["l2", "l4"]]
    else:
        assert sent == [(["l4"], []), (["l2"], ["l1"]), ([], ["l3"])]


def test_a_listener_claimed_from_long_ago_makes_room_for_the_new_ones_in_one_response() -> None:
    """What address it has nobody knows any more; it may be theirs."""
    machine = Subscription(Remembered("n"), full_state=False)
    machine.on_config(config("one", {LDS: [make("new", 1, exclusive="x")]}))
    machine.on_request(DeltaRequest(LDS, claims={"old": "forgotten"}))
    response = machine.take()
    assert response is not None
    assert ([each.name for each in response.resources], response.removals) == (["new"], ("old",))


def test_of_the_new_listeners_that_replace_a_long_forgotten_one_only_the_bad_one_is_left_out() -> None:
    """The server restarts two configurations after the one that the client has, so that l2 is strange to it."""
    clusters = [make("c1", 0)]
    listeners = [make("l1", 0, bad="semantic", exclusive="x"), make("l3", 0, exclusive="y")]
    world = run(False, mesh("one", listeners=[make("l2", 0, exclusive="x")], clusters=clusters))
    world.publish(mesh("two", listeners=[], clusters=clusters))
    world.publish(mesh("three", listeners=listeners, clusters=clusters))
    world.restart_server()
    world.settle()
    assert sorted(world.client.applied[LDS]) == ["l3"]
    assert len(world.client.nacks) == 2


def test_what_needs_the_address_of_a_strange_listener_waits_until_that_one_is_surely_gone() -> None:
    """The refusal of l1 keeps the stranger where it is: l3, sent meanwhile, would be refused without being bad."""
    world = World(full_state=False)
    world.client.applied[LDS]["old"] = read(make("old", 0, exclusive="y"))
    world.client.accepted[LDS]["old"] = "forgotten"
    world.reconnect()
    listeners = [make("l1", 0, bad="outer", exclusive="x"), make("l3", 0, exclusive="y")]
    world.publish(mesh("one", listeners=listeners, clusters=[make("c1", 0)]))
    world.settle()
    assert sorted(world.client.applied[LDS]) == ["l3"]
    assert [sorted(each.name for each in nack.resources) for nack in world.client.nacks] == [["l1", "l3"], ["l1"]]


@pytest.mark.parametrize("published_first", [False, True], ids=["after the restart", "before the restart"])
def test_a_cluster_from_a_response_whose_refusal_was_lost_in_a_restart_is_removed(published_first: bool) -> None:
    """Envoy runs c3 without claiming it; only its interest in the endpoints of c3 gives that away."""
    world = run(False, BASE)
    refused = [make("c1", 1), make("c2", 1, bad="semantic"), make("c3", 1)]
    world.publish(mesh("two", listeners=[L1], clusters=refused))
    while "c3" not in world.client.applied[CDS]:
        assert world.write() or world.deliver_response() or world.deliver_request()
    last = mesh("three", listeners=[L1], clusters=[make("c1", 1), make("c4", 1)])
    if published_first:
        world.publish(last)
    world.restart_server()
    world.publish(last)
    world.settle()
    assert world.is_running(last)


def test_an_eds_service_name_is_not_taken_for_a_forgotten_cluster() -> None:
    machine = Subscription(Remembered("n"), full_state=False)
    cluster = make("c1", 1)
    machine.on_config(config("one", {CDS: [cluster], EDS: [make("service", 1)]}))
    machine.on_request(DeltaRequest(CDS, claims={"c1": cluster.version}))
    machine.on_request(DeltaRequest(EDS, ("service", "stranger")))
    assert list(machine.types[CDS].gone) == ["stranger"]


@both
def test_a_handover_to_a_bad_listener_brings_the_old_one_back(full_state: bool) -> None:
    one = mesh("one", listeners=[make("l1", 1, exclusive="x")], clusters=[make("c1", 1)])
    two = mesh("two", listeners=[make("l2", 1, exclusive="x", bad="semantic")], clusters=[make("c1", 1)])
    world = run(full_state, one, two)
    assert world.is_running(one)


def test_a_repair_goes_under_a_version_of_its_own_and_counts_as_the_content_that_it_is() -> None:
    bad = mesh("two", listeners=[make("l1", 2, bad="semantic")], clusters=[make("c1", 1)])
    world = run(False, BASE, bad)
    repair = world.client.received[-1].resources[0]
    assert repair.version.startswith(f"{L1.version}~")
    del world.client.received[:]
    world.reconnect()
    world.settle()
    assert world.client.received == []


def test_a_claim_after_a_nack_is_not_believed_until_the_repair_was_accepted() -> None:
    """Removed by the refused answer, still claimed: only an explicit re-send brings it back."""
    bad = mesh("two", listeners=[make("l1", 2, bad="semantic")], clusters=[make("c1", 1)])
    world = run(False, BASE)
    world.publish(bad)
    while not world.client.nacks:
        assert world.write() or world.deliver_response() or world.deliver_request()
    while world.to_server:
        world.deliver_request()
    del world.client.applied[LDS]["l1"]
    world.publish(BASE)
    world.reconnect()
    world.settle()
    assert world.is_running(BASE)


@both
@pytest.mark.parametrize(("digest", "served"), [("one", False), ("two", True)])
def test_a_refusal_from_before_a_restart_holds_for_the_configuration_that_was_refused(
    full_state: bool, digest: str, served: bool
) -> None:
    refused = ((LDS, "l1", L1.version),)
    record = UnrepairedNack("n", "one", None, None, refused, ())
    machine = Subscription(remember("n", record, None), full_state=full_state)
    machine.on_config(config(digest, {LDS: [L1]}))
    machine.on_request(SotwRequest(LDS, version="other") if full_state else DeltaRequest(LDS, claims={"l0": "1"}))
    response = machine.take()
    assert (response is not None and L1 in response.resources) is served


def secret_config(digest: str, *secrets: str) -> ProxyConfig:
    return config(digest, {LDS: [make("l1", 1, secrets=["id", "theirs"])]}, secrets)


@both
def test_a_listed_secret_is_delivered_and_rotated(full_state: bool) -> None:
    world = run(full_state, secret_config("one", "id"))
    assert world.machine.wanted_secrets == {"id"}
    for content in ("old", "new"):
        world.machine.on_secret("id", make("id", content))
        world.settle()
        assert world.client.applied[SDS]["id"]["content"] == content


def test_a_secret_of_another_proxy_is_not_found() -> None:
    world = run(False, secret_config("one", "id"))
    world.machine.on_secret("theirs", make("theirs", 1))
    world.settle()
    answers = [each for each in world.client.received if each.type_url == SDS]
    assert [(each.resources, each.removals) for each in answers] == [((), ("theirs",))]
    assert "theirs" not in world.client.applied[SDS]


@both
def test_a_refused_certificate_goes_back_to_the_last_good_one(full_state: bool) -> None:
    world = run(full_state, secret_config("one", "id"))
    world.machine.on_secret("id", make("id", "good"))
    world.settle()
    world.machine.on_secret("id", make("id", "bad", bad="semantic"))
    world.settle()
    assert len(world.client.nacks) == 1
    assert world.client.received[-1].resources[0].body == make("id", "good").body
    assert world.memory.nacks[SDS].resources == ("id",)
    world.machine.on_secret("id", make("id", "better"))
    world.settle()
    assert world.client.applied[SDS]["id"]["content"] == "better"
    assert world.memory.nacks == {}


def test_a_route_that_does_not_exist_yet_is_met_with_silence_not_with_a_removal() -> None:
    listener = make("l1", 1, routes=["later"])
    world = run(False, config("one", {LDS: [listener]}))
    assert not any(each.removals for each in world.client.received)
    world.publish(config("two", {LDS: [listener], RDS: [make("later", 1)]}))
    world.settle()
    assert world.client.active["l1"]


def test_a_repeated_nonce_is_not_an_answer_to_what_is_in_flight() -> None:
    machine = Subscription(Remembered("n"), full_state=True)
    machine.on_config(BASE)
    machine.on_request(SotwRequest(CDS))
    first = machine.take()
    assert first is not None
    machine.on_request(SotwRequest(CDS, (), first.version, first.nonce))
    machine.on_config(mesh("two", listeners=[L1], clusters=[make("c1", 2)]))
    assert machine.take() is not None
    machine.on_request(SotwRequest(CDS, (), first.version, first.nonce))
    assert machine.types[CDS].flights


def test_one_response_of_a_type_is_outstanding_in_the_state_of_the_world_protocol() -> None:
    machine = Subscription(Remembered("n"), full_state=True)
    machine.on_config(config("one", {EDS: [make("a", 1), make("b", 1)]}))
    machine.on_request(SotwRequest(EDS, ("a", "b")))
    first = machine.take()
    assert first is not None
    assert [each.name for each in first.resources] == ["a", "b"]
    machine.on_config(config("two", {EDS: [make("a", 2), make("b", 2)]}))
    assert machine.take() is None
    machine.on_request(SotwRequest(EDS, ("a", "b"), first.version, first.nonce))
    second = machine.take()
    assert second is not None
    assert [each.name for each in second.resources] == ["a", "b"]
    assert machine.take() is None


@both
def test_of_many_endpoints_asked_for_at_once_only_the_bad_ones_are_left_out(full_state: bool) -> None:
    clusters = [make(f"c{number}", 1) for number in range(8)]
    loads = [make(f"c{number}", 1, bad="semantic" if number in (2, 5) else "") for number in range(8)]
    world = run(full_state, config("one", {CDS: clusters, EDS: loads}))
    assert sorted(world.client.applied[EDS]) == ["c0", "c1", "c3", "c4", "c6", "c7"]


def test_what_changed_of_a_type_goes_together_and_the_next_change_does_not_wait_for_its_answer() -> None:
    names = tuple(str(number) for number in range(100))
    machine = Subscription(Remembered("n"), full_state=False)
    machine.on_config(config("one", {EDS: [make(name, 1) for name in names]}))
    machine.on_request(DeltaRequest(EDS, names))
    assert len(take_resources(machine)) == 100
    for content in range(2, 4):
        machine.on_config(config(str(content), {EDS: [make(name, content) for name in names]}))
        assert len(take_resources(machine)) == 100
        assert machine.take() is None


def test_of_changes_that_were_refused_together_the_good_ones_go_again_in_halves() -> None:
    names = tuple(str(number) for number in range(8))
    machine = Subscription(Remembered("n"), full_state=False)
    machine.on_config(config("one", {EDS: [make(name, 1) for name in names]}))
    machine.on_request(DeltaRequest(EDS, names))
    first = machine.take()
    assert first is not None
    machine.on_request(DeltaRequest(EDS, nonce=first.nonce, error="one is bad"))
    assert [len(take_resources(machine)) for _ in range(2)] == [4, 4]


def test_a_response_is_bounded_in_bytes_but_one_resource_always_goes() -> None:
    machine = Subscription(Remembered("n"), full_state=False)
    sizes = {"a": 100_000, "b": 100_000, "c": 1_000_000, "d": 1}
    machine.on_config(config("one", {CDS: [plain(name, "x" * size) for name, size in sizes.items()]}))
    machine.on_request(DeltaRequest(CDS))
    taken = [[each.name for each in take_resources(machine)] for _ in range(4)]
    assert taken == [["a"], ["b"], ["c"], ["d"]]


def take_resources(machine: Subscription) -> Sequence[Resource]:
    response = machine.take()
    assert response is not None
    return response.resources


def test_a_slow_reader_is_sent_the_latest_and_nothing_in_between() -> None:
    machine = Subscription(Remembered("n"), full_state=False)
    machine.on_request(DeltaRequest(CDS))
    for number in range(100):
        machine.on_config(config(str(number), {CDS: [make("c1", number)]}))
    response = machine.take()
    assert response is not None
    assert [each.body for each in response.resources] == [make("c1", 99).body]
    assert machine.take() is None


def test_clusters_on_demand_live_beside_the_wildcard() -> None:
    machine = Subscription(Remembered("n"), full_state=False)
    machine.on_config(config("one", {CDS: [make("a", 1), make("b", 1)]}))
    machine.on_request(DeltaRequest(CDS, ("a",)))
    first = machine.take()
    assert first is not None
    assert [each.name for each in first.resources] == ["a"]
    machine.on_request(DeltaRequest(CDS, ("*",)))
    second = machine.take()
    assert second is not None
    assert [each.name for each in second.resources] == ["b"]


def test_a_subscription_without_end_is_refused() -> None:
    machine = Subscription(Remembered("n"), full_state=False)
    with pytest.raises(TooManyNamesError):
        machine.on_request(DeltaRequest(EDS, tuple(str(number) for number in range(NAME_LIMIT + 1))))


def test_a_type_that_is_not_served_is_left_without_an_answer() -> None:
    machine = Subscription(Remembered("n"), full_state=False)
    machine.on_config(BASE)
    machine.on_request(DeltaRequest("type.googleapis.com/envoy.service.runtime.v3.Runtime", ("x",)))
    assert machine.take() is None


def test_the_audit_finds_what_the_bookkeeping_lost() -> None:
    machine = Subscription(Remembered("n"), full_state=False)
    machine.on_config(BASE)
    machine.on_request(DeltaRequest(CDS))
    assert machine.audit() == 0
    machine.types[CDS].asked.clear()
    assert machine.audit() == 1
    assert machine.take() is not None
