"""Two sets of snapshots, compared proxy by proxy."""

from compiler.envoy.resources import ResourceType
from compiler.review.changes.compare import NODES, compare
from compiler.review.plan import FieldChange, Kind
from compiler.snapshot.snapshot import Snapshot
from tests.review.meshes import version_of
from tests.review.shop_edits import FASTER, SHOP, edited
from tests.snapshot.generations import snapshot


def _snapshots(files: dict[str, str]) -> dict[str, Snapshot]:
    return dict(version_of(*files.values()).snapshots)


def test_equal_sides_differ_in_nothing() -> None:
    found = compare(_snapshots(dict(SHOP)), _snapshots(dict(SHOP)))
    assert not found
    assert found.carriers == {}


def test_proxies_come_go_and_change_by_their_node() -> None:
    before = {str(one.node): one for one in (snapshot("w", "goes", {}), snapshot("w", "stays", {"c": 1}))}
    after = {str(one.node): one for one in (snapshot("w", "comes", {}), snapshot("w", "stays", {"c": 2}))}
    found = compare(before, after)
    assert [one.node.proxy for one in found.added] == ["comes"]
    assert [one.node.proxy for one in found.removed] == ["goes"]
    assert [one.node for one in found.changed] == ["mesh.stays"]


def test_a_change_has_its_fields_and_its_patch() -> None:
    before, after = ({"mesh.p": snapshot("w", "p", {"c": seconds})} for seconds in (1, 2))
    found = compare(before, after)
    (key,) = found.carriers
    change = found.change(key)
    assert (change.type, change.name, change.kind) == ("clusters", "c", Kind.CHANGED)
    assert change.fields == (FieldChange(Kind.CHANGED, "/connectTimeout", "1s", "2s"),)
    assert change.patch == ({"op": "replace", "path": "/connectTimeout", "value": "2s"},)
    assert found.change(key) is change


def test_a_resource_that_comes_is_shown_whole_and_needs_no_patch() -> None:
    found = compare({"mesh.p": snapshot("w", "p", {})}, {"mesh.p": snapshot("w", "p", {"c": 1})})
    change = found.change(next(iter(found.carriers)))
    assert (change.kind, change.fields, change.patch, change.before) == (Kind.ADDED, (), (), None)
    assert change.after["name"] == "c"


def test_replicas_that_differ_by_their_address_share_a_change() -> None:
    head = edited(("mesh.yaml", "type: builtin}", "type: builtin, mode: PERMISSIVE}"))
    found = compare(_snapshots(dict(SHOP)), _snapshots(dict(head)))
    assert len(found.changed) == 8
    assert {key[:2] for key in found.carriers} == {("listeners", "self_inbound_dp_8080")}
    assert len(found.carriers) == 1


def test_a_new_address_is_a_change_of_its_own() -> None:
    head = edited(("teams/backend.yaml", "127.1.1.2", "127.1.1.99"))
    found = compare(_snapshots(dict(SHOP)), _snapshots(dict(head)))
    keys = [key for key in found.carriers if key[0] == "listeners"]
    (field,) = found.change(keys[0]).fields
    assert (field.before, field.after) == ("127.1.1.2", "127.1.1.99")


def test_a_proxy_that_moves_to_another_zone_changes_though_its_bytes_do_not() -> None:
    before, after = ({"mesh.p": snapshot("w", "p", {}, zone=zone)} for zone in ("east", "west"))
    found = compare(before, after)
    ((key, (node, difference)),) = found.carriers.items()
    assert (node, difference.type) == ("mesh.p", NODES)
    assert [(one.path, one.before, one.after) for one in found.change(key).fields] == [("/zone", "east", "west")]


def test_no_zone_and_the_default_zone_are_one_place() -> None:
    before, after = ({"mesh.p": snapshot("w", "p", {}, zone=zone)} for zone in ("", "default"))
    assert not compare(before, after)


def test_what_both_sides_share_is_not_looked_into() -> None:
    class Unreadable(dict):  # type: ignore[type-arg]
        def get(self, *_: object) -> None:  # type: ignore[override]
            raise AssertionError("looked into")

    one, other = snapshot("w", "p", {"c": 1}), snapshot("w", "p", {"c": 2})
    shared = Unreadable(one.resources[ResourceType.LISTENER])
    for held in (one, other):
        held.resources[ResourceType.LISTENER] = shared  # type: ignore[index]
    before, after = {"mesh.p": one}, {"mesh.p": other}
    assert [key[0] for key in compare(before, after).carriers] == ["clusters"]


def test_the_name_of_a_secret_is_all_that_is_told_of_it() -> None:
    head = {
        **SHOP,
        "mesh.yaml": SHOP["mesh.yaml"].replace("name: ca", "name: other").replace("ckend: ca", "ckend: other"),
    }
    found = compare(_snapshots(dict(SHOP)), _snapshots(head))
    secrets = [found.change(key) for key in found.carriers if key[0] == "secrets"]
    assert {field.path for change in secrets for field in change.fields} <= {
        "/authority",
        "/uris/0",
        "/lifetimeSeconds",
    }


def test_a_second_comparison_of_a_pair_is_the_first() -> None:
    before, after = _snapshots(dict(SHOP)), _snapshots(dict(edited(FASTER)))
    assert compare(before, after).changed == compare(before, after).changed
