"""From the image to the wire: the same bytes, shared where the image shares."""

from envoy.config.listener.v3.listener_pb2 import Listener
from hypothesis import given
from hypothesis import strategies as st

from compiler.envoy.resources import ResourceType
from compiler.reconcile.deliverable import Deliverables, listener_address
from compiler.snapshot.canonical import render
from compiler.snapshot.image.served import ServedGeneration, ServedProxy, ServedResource
from compiler.snapshot.names import NodeId, SecretName
from compiler.xds.served import CDS, LDS

SHARED = {"a": ServedResource("v1", b"a body")}


def test_what_is_shared_in_the_image_is_shared_here_and_what_is_unchanged_stays_the_same_object() -> None:
    made = Deliverables()
    first = made.convert(_generation(1, {"one": _proxy("one", SHARED), "two": _proxy("two", SHARED)}))
    assert first.proxies["one"].of(CDS) is first.proxies["two"].of(CDS)
    assert first.proxies["one"].secrets == ("identity",)
    one = _proxy("one", SHARED)
    kept = made.convert(_generation(2, {"one": one}))
    again = made.convert(_generation(3, {"one": one, "two": _proxy("two", {"a": SHARED["a"], "b": SHARED["a"]})}))
    assert again.proxies["one"] is kept.proxies["one"]
    assert again.proxies["two"].of(CDS)["a"] is kept.proxies["one"].of(CDS)["a"]
    assert again.proxies["two"].of(CDS)["b"].body == b"a body"


def test_a_year_of_changes_leaves_nothing_behind() -> None:
    made = Deliverables()
    for number in range(12_000):
        held = {"a": ServedResource(f"v{number}", b"body")}
        served = made.convert(_generation(number, {"one": _proxy("one", held)}))
        assert served.proxies["one"].of(CDS)
        made.tidy()
    assert served.proxies["one"].of(CDS)["a"].version == "v11999"
    assert len(made._resources) + len(made._maps) < 25_000


def test_nothing_is_framed_for_a_proxy_that_is_away() -> None:
    made = Deliverables()
    other = {"b": ServedResource("v1", b"another body")}
    served = made.convert(_generation(1, {"one": _proxy("one", SHARED), "two": _proxy("two", other)}))
    assert served.proxies["one"].of(CDS)["a"].body == b"a body"
    assert served.proxies["one"].of(LDS) == {}
    assert list(made._resources) == [(CDS, "a", "v1")]


def test_what_was_never_looked_at_can_be_had_of_an_earlier_generation_and_is_equal_then() -> None:
    made = Deliverables()
    first = made.convert(_generation(1, {"one": _proxy("one", SHARED)}))
    one = _proxy("one", {"a": SHARED["a"]})._replace(digest="other")
    second = made.convert(_generation(2, {"one": one}))
    made._sweep()
    assert second.proxies["one"].of(CDS) == first.proxies["one"].of(CDS)
    assert not second.proxies["one"].same_as(first.proxies["one"])


@given(
    st.lists(
        st.tuples(st.text(max_size=200), st.sampled_from(["127.0.0.1", "10.0.0.1", "::1"]), st.integers(0, 65535)),
        min_size=2,
    )
)
def test_listeners_exclude_each_other_exactly_when_their_addresses_are_equal(
    listeners: list[tuple[str, str, int]],
) -> None:
    places: dict[str, tuple[str, int]] = {}
    for name, address, port in listeners:
        message = Listener(name=name)
        message.address.socket_address.address = address
        message.address.socket_address.port_value = port
        place = listener_address(render(ResourceType.LISTENER, name, message).body)
        assert place is not None
        assert places.setdefault(place, (address, port)) == (address, port)
    assert len(places) == len({(address, port) for _, address, port in listeners})


def test_a_listener_without_an_address_excludes_nobody() -> None:
    assert listener_address(render(ResourceType.LISTENER, "x", Listener(name="x")).body) is None
    listener = Listener(name="x")
    listener.address.pipe.path = "/run/x"
    held = {"x": ServedResource("v", render(ResourceType.LISTENER, "x", listener).body)}
    proxy = _proxy("one", {})._replace(resources={LDS: held})
    assert Deliverables().convert(_generation(1, {"one": proxy})).proxies["one"].of(LDS)["x"].exclusive


def _proxy(name: str, clusters: dict[str, ServedResource]) -> ServedProxy:
    return ServedProxy(NodeId("default", "", name, name), "digest", {CDS: clusters}, (SecretName("identity", "ca"),))


def _generation(number: int, proxies: dict[str, ServedProxy]) -> ServedGeneration:
    return ServedGeneration(number, None, f"digest {number}", proxies)
