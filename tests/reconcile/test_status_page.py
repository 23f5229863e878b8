"""A page of the proxies, the count of all, and what differs since the generation before."""

from compiler.reconcile.deliverable import Deliverables
from compiler.snapshot.image.served import ServedGeneration, ServedProxy, Touched
from compiler.snapshot.names import NodeId
from compiler.xds.server import XdsServer
from compiler.xds.sources import CurrentGeneration


def test_only_noted_nodes_are_looked_at_and_only_after_the_generation_that_they_were_noted_against() -> None:
    one, two = _proxy("one"), _proxy("two")
    first = ServedGeneration(1, None, "a", {"m.one": one, "m.two": two})
    moved = {"m.one": _proxy("one"), "m.two": _proxy("two")}
    noted = ServedGeneration(2, None, "b", moved, Touched((1, "a"), frozenset({"m.two"})))
    assert noted.list_differing(first) == ("m.two",)
    assert noted.list_differing(ServedGeneration(1, None, "other", first.proxies)) == ("m.one", "m.two")
    assert noted.list_differing(None) == ("m.one", "m.two")


def test_what_is_served_follows_the_noted_nodes_through_comings_and_goings() -> None:
    made, current = Deliverables(), CurrentGeneration()
    current.publish(made.convert(ServedGeneration(1, None, "a", {"m.one": _proxy("one"), "m.two": _proxy("two")})))
    proxies = {"m.one": current_one(made), "m.three": _proxy("three")}
    later = ServedGeneration(2, None, "b", proxies, Touched((1, "a"), frozenset({"m.two", "m.three"})))
    change = current.publish(made.convert(later))
    assert (set(change.nodes), set(change.gone)) == ({"m.three"}, {"m.two"})
    assert set(change.generation.proxies) == {"m.one", "m.three"}


def test_a_page_of_no_proxies_still_counts_them() -> None:
    server = XdsServer(CurrentGeneration())
    assert list(server.iterate_proxies(limit=0)) == []
    assert server.count_proxies() == {"connected": 0, "current": 0, "refusing": 0, "unknown": 0}


def current_one(made: Deliverables) -> ServedProxy:
    """The very proxy that was converted, as a reader gives it again."""
    assert made._served is not None
    return made._served.proxies["m.one"]


def _proxy(name: str) -> ServedProxy:
    return ServedProxy(NodeId("m", "", name, name), f"digest of {name}", {})
