"""What differs between two generations is told by node, type and name."""

from compiler.envoy.resources import ResourceType
from compiler.snapshot.diff import Changes, NameChanges, changed
from compiler.snapshot.names import NodeId, SecretName
from compiler.snapshot.snapshot import Snapshot
from tests.snapshot.generations import generation, of_snapshots, snapshot


def test_equal_generations_differ_in_nothing() -> None:
    wanted = {"w/p": {"one": 1}, "w/q": {"one": 1}}
    assert changed(generation(wanted), generation(wanted)) == Changes()
    assert not changed(generation(wanted), generation(wanted))


def test_nodes_that_came_went_and_changed_are_named() -> None:
    old = generation({"w/stays": {"one": 1}, "w/goes": {}, "w/changes": {"one": 1, "two": 2, "three": 3}})
    new = generation({"w/stays": {"one": 1}, "w/comes": {}, "w/changes": {"one": 9, "three": 3, "four": 4}})
    found = changed(old, new)
    assert [node.proxy for node in found.added] == ["comes"]
    assert [node.proxy for node in found.removed] == ["goes"]
    (node,) = found.changed
    assert node.node.proxy == "changes"
    assert node.resources == {ResourceType.CLUSTER: NameChanges(("four",), ("two",), ("one",))}
    assert not node.secrets


def test_a_changed_secret_name_is_a_change() -> None:
    node = NodeId("mesh", "east", "w", "p")
    old, new = (of_snapshots([Snapshot(node, {}, (SecretName("self", authority),))]) for authority in ("one", "other"))
    (found,) = changed(old, new).changed
    assert (found.resources, found.secrets) == ({}, NameChanges(changed=("self",)))


def test_a_shared_map_is_not_looked_into() -> None:
    class Unreadable(dict):  # type: ignore[type-arg]
        def items(self) -> None:  # type: ignore[override]
            raise AssertionError("looked into")

    one, other = snapshot("w", "p", {"one": 1}), snapshot("w", "p", {"one": 2})
    old, new = of_snapshots([one]), of_snapshots([other])
    shared = Unreadable(one.resources[ResourceType.LISTENER])
    for held in (one, other):
        held.resources[ResourceType.LISTENER] = shared  # type: ignore[index]
    assert len(changed(old, new).changed) == 1


def test_no_zone_and_the_default_zone_are_one_place() -> None:
    old = of_snapshots([snapshot("w", "p", {"one": 1}, zone="")])
    new = of_snapshots([snapshot("w", "p", {"one": 2}, zone="default")])
    found = changed(old, new)
    assert (found.added, found.removed, len(found.changed)) == ((), (), 1)
