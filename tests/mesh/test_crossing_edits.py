"""What a change of a gateway costs its callers in other meshes, and that nothing of it is forgotten."""

from collections.abc import Mapping

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.envoy.resources import ResourceType
from compiler.pipeline import Compiled, Compiler
from compiler.snapshot.snapshot import Snapshot
from tests.mesh.crossing import (
    BACKEND,
    BASE,
    BUNDLED,
    IDENTITY,
    INGRESS,
    INNER,
    REDIRECTED,
    SECOND,
    SECONDS,
    SPIRE,
    TO_EDGE,
    WEB,
    compiled,
    edge,
    gateway,
    mesh,
    proxy,
    tagged,
    timeout,
)
from tests.trees import SCHEMAS, tree_of

# --- What a change costs ------------------------------------------------------------------------------------------


def files(*texts: str) -> dict[str, str]:
    return {f"{index:03}.yaml": text for index, text in enumerate(texts)}


def webs(number: int, service: str = "web", networking: str = REDIRECTED % "", first: int = 1) -> list[str]:
    numbers = range(first, first + number)
    return [proxy("b", f"{service}-{one}", networking, f"10.1.{one // 200}.{one % 200 + 1}") for one in numbers]


def counted(before: dict[str, str], after: dict[str, str]) -> Mapping[str, int]:
    """What a compiler that knows the one does for the other."""
    compiler = Compiler(SCHEMAS)
    assert not compiler.compile(tree_of(before)).failed
    found = compiler.compile(tree_of(after))
    assert not found.failed, found.diagnostics
    assert found.value.generation is not None
    alone = Compiler(SCHEMAS).compile(tree_of(after)).value.generation
    assert alone is not None
    assert found.value.generation.digest == alone.digest
    return found.value.counters


def test_proxies_that_differ_by_name_and_address_share_what_they_call_in_other_meshes() -> None:
    few, many = (compiled(*BASE, *webs(number)).value.counters for number in (2, 60))
    assert few["proxy"] == many["proxy"] == 2
    assert few["upstream resources"] == many["upstream resources"]
    assert few["called in other meshes"] == many["called in other meshes"]


def test_another_proxy_of_a_gateway_costs_its_callers_their_endpoints_alone() -> None:
    services = [text for number in range(6) for text in webs(1, f"web{number}", first=number + 1)]
    base = files(*BASE, *services)
    counters = counted(base, {**base, "more.yaml": edge(name="edge-2", address="10.0.0.2")})
    assert counters.get("proxy", 0) == 0
    assert counters["load assignments"] == 1


def test_what_a_gateway_does_beside_is_no_concern_of_its_callers() -> None:
    top = "targetRef: {kind: MeshSubset, tags: {kuma.io/service: web0}}"
    to = "to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 3s}}]"
    own = f"type: MeshTimeout\nmesh: b\nname: own\nspec: {{{top}, {to}}}\n"
    services = [text for number in range(4) for text in webs(1, f"web{number}", first=number + 1)]
    base = files(*BASE, *services, own)
    strangers = gateway(INNER, "port: 80, protocol: HTTP")
    counters = counted(base, {**base, "003.yaml": strangers})
    assert counters["proxy"] == 1, "the gateway alone"


def test_a_new_listener_is_no_concern_of_proxies_that_do_not_reach_it() -> None:
    shut = webs(3, "shut", REDIRECTED % ", reachableServices: [edge]")
    written = webs(3, "written", TO_EDGE, first=20)
    base = files(*BASE, *shut, *written, *webs(2, first=10))
    counters = counted(base, {**base, "more.yaml": SECOND, "second.yaml": SECONDS})
    assert counters["proxy"] == 2, "the new gateway and the one sort of proxies that reaches it"


def test_a_mesh_that_gets_certificates_changes_the_secret_of_the_gateway_alone() -> None:
    base = files(*BASE, mesh("c", ""), WEB)
    counters = counted(base, {**base, "004.yaml": mesh("c")})
    assert counters["proxy"] == 1
    assert counters.get("gateway listeners", 0) == 0


def test_without_such_gateways_nothing_is_asked_for_each_proxy() -> None:
    plain = gateway("port: 8080, protocol: HTTP, hostname: a.internal")
    services = [text for number in range(9) for text in webs(1, f"web{number}", first=number + 1)]
    counters = compiled(*BASE[:3], plain, *services).value.counters
    assert [counters.get(name, 0) for name in ("is open to other meshes", "called in other meshes by name")] == [0, 0]
    assert counters["called in other meshes"] == 2, "once for each mesh"


# --- Incremental is cold ------------------------------------------------------------------------------------------

_names = st.sampled_from("aaab")


def _gateways(name: str) -> st.SearchStrategy[str]:
    """With listeners of names that the other one has not, but for one, which is that of a service."""
    listener = st.builds(
        lambda host, crosses, door: f"protocol: HTTP, hostname: {host}{crosses}{door}",
        st.sampled_from([f"{name}.internal", f"{name}-more.internal"] * 4 + ["web.mesh"]),
        st.sampled_from([", crossMesh: true"] * 3 + [""]),
        st.sampled_from(["", ", tags: {door: other}"]),
    )
    listeners = st.lists(listener, min_size=1, max_size=2)
    return st.builds(
        lambda where, found: gateway(
            *(f"port: {8080 + index}, {one}" for index, one in enumerate(found)), mesh=where, name=name
        ),
        _names,
        listeners,
    )


_zones = st.sampled_from(["", "east", "west"])
_edges = st.builds(
    lambda where, last, zone: edge(where, address=f"10.0.0.{last}", zone=zone), _names, st.sampled_from("12"), _zones
)
_meshes = st.sampled_from([BACKEND, BACKEND, "", f"{BACKEND}\nrouting: {{zoneEgress: true, autoReachable: true}}"])
_reached = st.sampled_from(
    ["", "", ", reachableServices: [edge]", ", reachableServices: []", ", reachableBackends: {}"]
)
_tags = st.sampled_from(
    [f"kuma.io/service: edge, kuma.io/mesh: {where}{more}" for where in "aab" for more in ("", "", ", door: other")]
)
_callers = st.builds(
    lambda where, zone, networking: proxy(where, "web-1", networking, labels=f"kuma.io/zone: {zone}" if zone else ""),
    st.sampled_from("bcc"),
    _zones,
    _reached.map(lambda lists: REDIRECTED % lists) | st.builds(tagged, _tags, st.sampled_from([8081, 9090])),
)
_identities = st.builds(
    lambda where, provider: (IDENTITY % provider).replace("mesh: a", f"mesh: {where}"),
    _names,
    st.sampled_from([BUNDLED, SPIRE]),
)
_DOCUMENTS = {
    **{f"mesh-{name}": _meshes.map(lambda more, name=name: mesh(name, more)) for name in "abc"},
    "gateway": _gateways("inner"),
    "gateway-other": _gateways("other"),
    "edge": _edges,
    "edge-other": _edges.map(lambda text: text.replace("edge-1", "edge-2").replace("10.0.0", "10.0.1")),
    "caller": _callers,
    "caller-other": _callers.map(lambda text: text.replace("web-1", "web-2").replace("10.1.0", "10.1.1")),
    "identity": _identities,
    "ingress": st.just(INGRESS),
    "timeout": st.builds(timeout, _names, st.sampled_from([3, 4])),
}
_SOMETIMES = ("identity", "ingress", "timeout")


def _said(found: Checked[Compiled]) -> object:
    generation = found.value.generation
    told = [(str(one.position), one.code.word, one.message, one.path) for one in found.diagnostics]
    return generation.digest if generation is not None else None, told


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
@given(drawn=st.data())
def test_after_any_edit_of_several_meshes_a_compiler_that_remembers_says_what_an_empty_one_says(
    drawn: st.DataObject,
) -> None:
    state = {name: drawn.draw(one) for name, one in _DOCUMENTS.items() if name not in _SOMETIMES}
    compiler = Compiler(SCHEMAS)
    for _ in range(drawn.draw(st.integers(2, 6))):
        written = {f"{name}.yaml": text for name, text in state.items()}
        assert _said(compiler.compile(tree_of(written))) == _said(Compiler(SCHEMAS).compile(tree_of(written)))
        name = drawn.draw(st.sampled_from(sorted(_DOCUMENTS)))
        if name in state and drawn.draw(st.integers(0, 3)) == 0:
            state = {other: text for other, text in state.items() if other != name}
        else:
            state = {**state, name: drawn.draw(_DOCUMENTS[name])}


def test_the_meshes_that_are_edited_mostly_compile_and_call_each_other() -> None:
    """Else the property above would hold of nothing but refusals."""
    outcomes: list[bool] = []

    @settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60, database=None, derandomize=True)
    @given(state=st.fixed_dictionaries({key: one for key, one in _DOCUMENTS.items() if key not in _SOMETIMES}))
    def try_one(state: dict[str, str]) -> None:
        found = Compiler(SCHEMAS).compile(tree_of({f"{name}.yaml": text for name, text in state.items()}))
        generation = found.value.generation
        snapshots = generation.snapshots.values() if generation is not None else ()
        outcomes.append(any(name.startswith("kri_mgw_") for one in snapshots for name in _clusters(one)))

    try_one()
    assert sum(outcomes) > len(outcomes) / 5


def _clusters(snapshot: Snapshot) -> Mapping[str, object]:
    return snapshot.resources.get(ResourceType.CLUSTER, {})
