"""The policies that a Mesh has from the start."""

import pytest

from compiler.resources.initial import Everything
from compiler.resources.model import ORIGIN, Mesh, Resource, ResourceKey

MESH = ResourceKey("Mesh", "", "default")


@pytest.mark.parametrize("labels", [{}, {ORIGIN: "global"}, {ORIGIN: "zone"}])
def test_they_are_of_the_origin_of_their_mesh(labels: dict[str, str]) -> None:
    changes = Everything().update({MESH: Resource(MESH, labels, Mesh())}, [MESH])
    policies = [new for _, new in changes if new is not None and new.key != MESH]
    assert policies
    assert all(policy.labels.get(ORIGIN) == labels.get(ORIGIN) for policy in policies)


def test_they_follow_when_the_mesh_changes_its_origin() -> None:
    everything = Everything()
    everything.update({MESH: Resource(MESH, {}, Mesh())}, [MESH])
    changes = everything.update({MESH: Resource(MESH, {ORIGIN: "global"}, Mesh())}, [MESH])
    assert {new.labels[ORIGIN] for _, new in changes if new is not None} == {"global"}
