"""Which documents led to a change."""

import pytest

from compiler.review.changes.replays import split
from compiler.review.plan import Cause, Kind
from tests.review.shop_edits import FASTER, RETRY, SHOP, behind, edited, only, plan_of, service


def _causes(*edits: tuple[str, str, str]) -> dict[str, list[str]]:
    return {one.title: behind(one) for one in plan_of(edited(*edits)).groups}


def test_the_only_document_that_differs_is_the_cause_at_the_line_that_does() -> None:
    (cause,) = only(plan_of(edited(FASTER))).causes
    assert (cause.file, cause.line, cause.kind, cause.side) == ("defaults.yaml", 10, Kind.CHANGED, "head")
    assert (cause.subject.type, cause.subject.mesh, cause.subject.name) == ("MeshTimeout", "shop", "defaults")


def test_a_removed_document_is_where_it_was() -> None:
    made = plan_of({path: text for path, text in SHOP.items() if path != "permissions.yaml"})
    (cause,) = only(made).causes
    assert (cause.kind, cause.file, cause.side) == (Kind.REMOVED, "permissions.yaml", "base")
    assert cause.line > 0


def test_each_edit_is_held_responsible_for_what_it_does() -> None:
    found = _causes(
        FASTER, ("permissions.yaml", "shop/web}", "shop/batch}"), ("teams/backend.yaml", "127.1.1.3", "127.1.1.9")
    )
    assert found["request timeout of service backend: 10s → 5s"] == ["defaults.yaml:10"]
    assert found["permissions of inbound 8080 of backend change"] == ["permissions.yaml:10"]
    assert found["endpoints of service backend: 127.1.1.3:8080 goes, 127.1.1.9:8080 comes"] == ["teams/backend.yaml:13"]


def test_two_documents_of_one_file_are_told_apart() -> None:
    found = _causes(FASTER, ("defaults.yaml", "maxConnections: 512", "maxConnections: 100"))
    assert found["request timeout of service backend: 10s → 5s"] == ["defaults.yaml:10"]
    assert found["max connections of service backend: 512 → 100"] == ["defaults.yaml:19"]


def test_a_resource_that_two_edits_change_has_both() -> None:
    made = plan_of(edited(FASTER, ("retry.yaml", "numRetries: 2", "numRetries: 4")))
    assert behind(only(made)) == ["defaults.yaml:10", "retry.yaml:8"]


def test_documents_that_only_together_do_something_are_behind_it_together() -> None:
    cart = service("cart", 1, place=4)
    mesh_service = (
        "type: MeshService\nmesh: shop\nname: basket\nspec:\n  selector: {dataplaneTags: {kuma.io/service: cart}}\n"
        "  ports: [{port: 8080, appProtocol: http}]\n"
    )
    head = {
        **SHOP,
        "teams/cart.yaml": cart,
        "teams/basket.yaml": mesh_service,
        "teams/batch.yaml": service("batch", 1, "backend basket", place=3),
    }
    found = {one.title: behind(one) for one in plan_of(head).groups}
    (outbound,) = [places for title, places in found.items() if title.startswith("service basket")]
    assert {place.partition(":")[0] for place in outbound} >= {"teams/basket.yaml", "teams/batch.yaml"}


def test_what_a_document_says_in_other_words_or_elsewhere_is_no_cause() -> None:
    head = {path: text for path, text in edited(FASTER).items() if path != "retry.yaml"}
    made = plan_of({**head, "moved/retry.yaml": f"# as it was\n{RETRY}"})
    assert behind(only(made)) == ["defaults.yaml:10"]
    assert len(made.documents) == 1


def test_a_document_that_changes_no_proxy_is_listed_all_the_same() -> None:
    idle = RETRY.replace("name: backend}", "name: batch}").replace("name: backend\n", "name: idle\n")
    made = plan_of({**SHOP, "idle.yaml": idle})
    assert made.groups == ()
    assert [cause.subject.name for cause in made.documents] == ["idle"]


def test_a_set_that_gains_an_instance_has_changed_at_the_instance() -> None:
    made = plan_of({**SHOP, "teams/backend.yaml": service("backend", 4, place=1)})
    assert {(one.file, one.line, one.kind) for one in made.documents} == {("teams/backend.yaml", 14, Kind.CHANGED)}
    assert made.documents[0].subject.type == "DataplaneSet"
    assert made.documents[0].subject.name == "backend"


def test_many_documents_are_not_put_back_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.review.changes.causes.MAX_REPLAYS", 1)
    monkeypatch.setattr("compiler.review.changes.replays.split", None)
    head = edited(("permissions.yaml", "shop/web}", "shop/batch}"), ("retry.yaml", "numRetries: 2", "numRetries: 4"))
    assert {one.title: len(one.causes) for one in plan_of(head).groups} == {
        "permissions of inbound 8080 of backend change": 1,
        "number of retries of service backend: 2 → 4": 1,
    }


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("a: 1\n", ["a: 1\n"]),
        ("# why\n---\na: 1\n---\nb: 2\n", ["# why\n---\na: 1\n", "---\nb: 2\n"]),
        ("a: |\n  ---\n--- # two\nb: 2", ["a: |\n  ---\n", "--- # two\nb: 2"]),
        ("---\na: 1\n---\n---\nc: 3\n", ["---\na: 1\n", "---\n", "---\nc: 3\n"]),
    ],
)
def test_a_file_is_taken_apart_as_the_parser_counts(text: str, documents: list[str]) -> None:
    assert [part.decode() for part in split(text.encode())] == documents


def test_a_cause_knows_no_commit_where_nobody_asked_for_one() -> None:
    cause: Cause = only(plan_of(edited(FASTER))).causes[0]
    assert (cause.commit, cause.author) == (None, None)
