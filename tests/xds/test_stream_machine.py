"""Any interleaving of requests, answers, changes, reconnects and restarts ends with the client on its snapshot."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from compiler.xds.events import strip_fresh_mark
from compiler.xds.served import CDS, ECDS, EDS, LDS, RDS, ProxyConfig, Resource
from tests.xds.build import config
from tests.xds.model_envoy import make
from tests.xds.model_server import World

CLUSTERS = ("c1", "c2", "c3")
CONTENT = st.integers(0, 2)
ADDRESSES = {"l1": "x", "l2": "x", "l3": "y"}
"""l1 and l2 share an address: a configuration has one of them, and a change may hand it over."""


@st.composite
def configs(draw: st.DrawFn, *, may_be_bad: bool) -> dict[str, list[Resource]]:
    """Consistent: every route, filter and cluster that is named exists."""
    bad = draw(st.sampled_from((None, CDS, EDS, LDS, RDS, ECDS))) if may_be_bad else None
    kind = draw(st.sampled_from(("semantic", "outer")))
    clusters = draw(st.lists(st.sampled_from(CLUSTERS), min_size=1, unique=True))
    routes = draw(st.lists(st.sampled_from(("r1", "r2")), min_size=1, unique=True))
    listeners = draw(st.lists(st.sampled_from(("l1", "l3")), unique=True))
    if "l1" in listeners and draw(st.booleans()):
        listeners[listeners.index("l1")] = "l2"

    def grade(url: str, position: int) -> str:
        return kind if url == bad and position == 0 else ""

    used = {name: draw(st.sampled_from(routes)) for name in listeners}
    extensions = draw(st.booleans())
    return {
        CDS: [make(name, draw(CONTENT), bad=grade(CDS, at)) for at, name in enumerate(clusters)],
        EDS: [make(name, draw(CONTENT), bad=grade(EDS, at)) for at, name in enumerate(clusters)],
        ECDS: [make("e1", draw(CONTENT), bad=grade(ECDS, 0))] if extensions and listeners else [],
        RDS: [
            make(name, draw(CONTENT), clusters=[draw(st.sampled_from(clusters))], bad=grade(RDS, at))
            for at, name in enumerate(sorted(set(used.values())))
        ],
        LDS: [
            make(
                name,
                draw(CONTENT),
                routes=[used[name]],
                extensions=["e1"] if extensions else [],
                exclusive=ADDRESSES[name],
                bad=grade(LDS, at),
            )
            for at, name in enumerate(listeners)
        ],
    }


def is_good(resources: dict[str, list[Resource]]) -> bool:
    return not any(
        b'"bad": "semantic"' in each.body or b'"bad": "outer"' in each.body
        for kept in resources.values()
        for each in kept
    )


class StreamMachine(RuleBasedStateMachine):
    """One server, one client, a wire with two directions; every rule moves one message or changes one thing."""

    full_state = False
    with_refusals = True
    with_restarts = True

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.full_state)
        self.digests = 0
        self.nacks_allowed = 0

    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        resources = data.draw(configs(may_be_bad=self.with_refusals))
        self.digests += 1
        self.world.publish(config(f"d{self.digests}", resources))
        self.nacks_allowed += 12

    @precondition(lambda self: self.world.config is not None)
    @rule(content=CONTENT)
    def move_endpoints(self, content: int) -> None:
        """A pod came or went: the digest stays."""
        now = self.world.config
        assert now is not None
        moved = {name: make(name, f"live{content}") for name in now.of(EDS)}
        self.world.publish(ProxyConfig(now.digest, {**now.resources, EDS: moved}))
        self.nacks_allowed += 12

    @rule(times=st.integers(1, 6))
    def write(self, times: int) -> None:
        for _ in range(times):
            self.world.write()

    @rule(times=st.integers(1, 6))
    def deliver_response(self, times: int) -> None:
        for _ in range(times):
            self.world.deliver_response()

    @rule(times=st.integers(1, 6))
    def deliver_request(self, times: int) -> None:
        for _ in range(times):
            self.world.deliver_request()

    @rule()
    def settle(self) -> None:
        self.world.settle()
        self.check_end()

    @precondition(lambda self: self.with_restarts)
    @rule()
    def reconnect(self) -> None:
        self.world.reconnect()
        self.nacks_allowed += 12

    @precondition(lambda self: self.with_restarts)
    @rule()
    def restart_server(self) -> None:
        self.world.restart_server()
        self.nacks_allowed += 12

    @invariant()
    def there_is_no_storm(self) -> None:
        assert len(self.world.client.nacks) <= self.nacks_allowed

    @invariant()
    def no_route_leads_to_a_missing_cluster(self) -> None:
        if not self.with_refusals and not self.with_restarts:
            assert self.world.client.find_dangling() == []

    @invariant()
    def a_resource_is_not_sent_again_unchanged(self) -> None:
        if not self.with_refusals and not self.with_restarts:
            assert list_repetitions(self.world) == []

    def check_end(self) -> None:
        now = self.world.config
        if now is not None and is_good({url: list(kept.values()) for url, kept in now.resources.items()}):
            differences = self.world.list_differences(now)
            assert not differences, differences
            assert self.world.client.find_dangling() == []

    def teardown(self) -> None:
        """Whatever happened, the next good configuration is applied, and nothing moves when it is said again."""
        self.world.settle()
        self.check_end()
        self.nacks_allowed += 12
        last = {
            CDS: [make("c1", "last"), make("c2", "last")],
            EDS: [make("c1", "last"), make("c2", "last")],
            RDS: [make("r1", "last", clusters=["c1"])],
            LDS: [make("l1", "last", routes=["r1"], exclusive="x")],
        }
        self.world.publish(config("last", last))
        self.world.settle()
        self.check_end()
        self.there_is_no_storm()
        assert self.world.machine.audit() == 0
        del self.world.client.received[:]
        self.world.restart_server()
        self.world.settle()
        assert self.world.client.received == []


def list_repetitions(world: World) -> list[str]:
    """Resources that came twice in a row with one version, without a new subscription or a changed cluster between."""
    if world.full_state:
        return []
    found: list[str] = []
    seen: dict[tuple[str, str], str] = {}
    for response in world.client.received:
        for resource in response.resources:
            version = strip_fresh_mark(resource.version)
            if seen.get((response.type_url, resource.name)) == version and response.type_url in (CDS, LDS):
                found.append(resource.name)
            seen[response.type_url, resource.name] = version
        for name in response.removals:
            seen.pop((response.type_url, name), None)
    return found


def variant(name: str, **settings_of_it: bool) -> type[RuleBasedStateMachine]:
    return type(name, (StreamMachine,), settings_of_it)


BOUNDS = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestDelta = variant("Delta", full_state=False).TestCase
TestSotw = variant("Sotw", full_state=True).TestCase
TestDeltaInPeace = variant("DeltaInPeace", full_state=False, with_refusals=False, with_restarts=False).TestCase
TestSotwInPeace = variant("SotwInPeace", full_state=True, with_refusals=False, with_restarts=False).TestCase
TestDelta.settings = TestSotw.settings = TestDeltaInPeace.settings = TestSotwInPeace.settings = BOUNDS


@settings(max_examples=60, deadline=None)
@given(st.lists(configs(may_be_bad=True), min_size=1, max_size=5))
def test_both_protocols_end_in_the_same_state(sequence: Sequence[dict[str, list[Resource]]]) -> None:
    worlds = (World(full_state=False), World(full_state=True))
    for number, resources in enumerate(sequence):
        for world in worlds:
            world.publish(config(str(number), resources))
            world.settle()
        assert worlds[0].client.applied == worlds[1].client.applied
