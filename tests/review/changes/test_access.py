"""What changes of who may call whom is what two full looks tell, however little is looked at."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.pipeline import Compiler
from compiler.review.access.edge import AccessDiff
from compiler.review.access.reaching import diff_edges, find_edges
from compiler.review.changes import access
from compiler.review.changes.access import compare_access
from compiler.review.changes.baseline import Baseline
from compiler.review.changes.compare import compare
from compiler.review.versions import Version, Versions
from compiler.snapshot.snapshot import Snapshot
from tests.edits import Repository, edits, repositories
from tests.mesh.test_zones import EAST, EGRESS, INGRESS, MESH, OUTSIDE, TO_OUTSIDE, WEB, WEST
from tests.review.access.test_zones import FORBIDS, PERMISSION
from tests.review.meshes import PERMISSIVE, SHOP, STRICT, allow, proxy, version_of
from tests.trees import SCHEMAS, tree_of

NAMES = ("web", "guest", "api", "db")
FOUR = tuple(
    proxy(name, f"10.0.0.{at}", outbound=" ".join(NAMES), protocol="tcp" if name == "db" else "http")
    for at, name in enumerate(NAMES, 1)
)
permissions = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans()), max_size=4)


def sides(before: Sequence[str], after: Sequence[str]) -> tuple[Version, Version]:
    """Compiled as a plan does, one after the other."""
    versions = Versions(Compiler(SCHEMAS))
    return version_of(*before, versions=versions), version_of(*after, versions=versions)


def found(before: Version, after: Version) -> AccessDiff:
    return compare_access(compare(before.snapshots, after.snapshots), Baseline(before))


def expected(before: Version, after: Version) -> AccessDiff:
    return diff_edges(find_edges(before.snapshots), find_edges(after.snapshots))


def write(rules: Sequence[tuple[str, str, bool]]) -> list[str]:
    return [allow(f"p{at}", to, who, action="Allow" if good else "Deny") for at, (to, who, good) in enumerate(rules)]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([STRICT, PERMISSIVE]), permissions, permissions)
def test_permissions_that_change(
    mesh: str, before: list[tuple[str, str, bool]], after: list[tuple[str, str, bool]]
) -> None:
    both = sides((mesh, *FOUR, *write(before)), (mesh, *FOUR, *write(after)))
    assert found(*both) == (expected(*both) if both[0].snapshots != both[1].snapshots else AccessDiff())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.data())
def test_any_edit_of_any_mesh(drawn: st.DataObject) -> None:
    """Of every kind of document; two that do not compile are no change."""
    history = [drawn.draw(repositories())]
    for _ in range(3):
        history.append(drawn.draw(edits(history[-1])))
    versions = Versions(Compiler(SCHEMAS))
    compiled = [versions.compile(Checked(tree_of(_write(state)))) for state in history]
    sound = [one for one in compiled if one.generation is not None]
    for before, after in pairwise(sound):
        changed = bool(compare(before.snapshots, after.snapshots))
        assert found(before, after) == (expected(before, after) if changed else AccessDiff())


def _write(state: Repository) -> Mapping[str, str]:
    return {f"{name}.yaml": json.dumps(document) for name, document in state.items()}


def _refuse(_: Mapping[str, Snapshot], __: object = None) -> object:
    raise AssertionError("everything is looked at")


OWN = STRICT.replace("name: shop\n", "name: shop\nrouting: {autoReachable: false}\n", 1)


@pytest.mark.parametrize("mesh", [OWN, STRICT], ids=["whole", "trimmed"])
@pytest.mark.parametrize("before", [("web",), ("web", "guest"), ("nobody",)])
@pytest.mark.parametrize("calls", ["api", "guest", "api guest"])
def test_only_callers_that_a_change_concerns_are_looked_at(
    mesh: str, before: tuple[str, ...], calls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a door that lets in others, and those whose ways out are others."""
    web, *rest = SHOP
    both = sides(
        (mesh, web, *rest, allow("p", "api", *before), allow("q", "guest", "web")),
        (mesh, proxy("web", "10.0.0.1", outbound=calls), *rest, allow("p", "api", "guest"), allow("q", "guest", "web")),
    )
    wanted = expected(*both)
    assert wanted
    monkeypatch.setattr(access, "find_edges", _refuse)
    assert found(*both) == wanted


OTHER = PERMISSION.replace("spiffe://default/web", "spiffe://default/nobody")
TO_API = PERMISSION.replace("{kind: Mesh}", "{kind: Dataplane, labels: {app: nothing}}")


@pytest.mark.parametrize("mesh", [MESH, f"{MESH}routing: {{zoneEgress: true}}\n", FORBIDS])
@pytest.mark.parametrize("before", [PERMISSION, OTHER, TO_API])
@pytest.mark.parametrize("after", [PERMISSION, OTHER, TO_API])
def test_through_the_proxies_between_zones(mesh: str, before: str, after: str) -> None:
    """An egress is a door itself, and an ingress leads to others."""
    rest = (mesh, WEB + TO_OUTSIDE, EAST, WEST, INGRESS, EGRESS, OUTSIDE)
    both = sides((*rest, before), (*rest, after))
    assert found(*both) == (expected(*both) if compare(both[0].snapshots, both[1].snapshots) else AccessDiff())
