"""A plan as a whole: radius, sizes, documents, and what is said where there is nothing to say."""

import json

import pytest

from compiler.diagnostics import Checked
from compiler.pipeline import Compiler
from compiler.review.access.reaching import diff_edges, find_edges
from compiler.review.changes.plan_json import render_json
from compiler.review.changes.planning import make_plan
from compiler.review.changes.sizes import Scales
from compiler.review.outputs.github import render_github
from compiler.review.outputs.markdown import render_markdown
from compiler.review.outputs.page import render_html
from compiler.review.outputs.sentences import headline
from compiler.review.outputs.text import render_text
from compiler.review.plan import Kind
from compiler.review.versions import Versions
from compiler.snapshot.canonical import file_bytes
from tests.review.meshes import version_of
from tests.review.shop_edits import FASTER, MTLS, SHOP, edited, plan_of, service, titles, validator
from tests.trees import SCHEMAS, tree_of


def test_a_comment_changes_no_proxy_and_no_digest() -> None:
    made = plan_of(edited(("defaults.yaml", "type: MeshTimeout", "# soon less\ntype: MeshTimeout")))
    assert (made.groups, made.documents, bool(made.access)) == ((), (), False)
    assert made.base.digest == made.head.digest
    assert (made.blast.proxies.touched, made.blast.proxies.total) == (0, 8)


def test_the_first_commit_adds_everything() -> None:
    made = plan_of(SHOP, base=None)
    assert {one.kind for one in made.groups} == {Kind.ADDED}
    assert titles(made) == [
        "4 proxies of service web come",
        "3 proxies of service backend come",
        "proxy batch-1 of service batch comes",
    ]
    assert (made.base.digest, made.before.proxies, made.blast.added) == ("", 0, 8)
    assert len(made.documents) == 10


def test_the_radius_counts_proxies_services_zones_and_meshes() -> None:
    blast = plan_of(edited(("teams/batch.yaml", "protocol: http", "protocol: tcp"))).blast
    counts = (blast.proxies, blast.services, blast.zones, blast.meshes)
    assert [(one.touched, one.total) for one in counts] == [(1, 8), (1, 3), (1, 2), (1, 1)]


def test_proxies_of_both_sides_count_in_the_radius() -> None:
    head = {**{path: text for path, text in SHOP.items() if "batch" not in path}, "c.yaml": service("cart", 1, place=4)}
    blast = plan_of(head).blast
    assert (blast.proxies.touched, blast.proxies.total, blast.added, blast.removed) == (2, 9, 1, 1)


def test_sizes_are_those_of_the_files() -> None:
    snapshots = version_of(*SHOP.values()).snapshots
    size = Scales().weigh(snapshots)
    by_proxy = {name: sum(len(file_bytes(held)) for held in one.resources.values()) for name, one in snapshots.items()}
    assert size.bytes == sum(by_proxy.values())
    assert (size.largest, size.largest_bytes) == max(by_proxy.items(), key=lambda found: found[1])
    assert size.resources["listeners"] == 8 + 5


def test_a_head_with_errors_has_findings_and_nothing_else() -> None:
    made = plan_of(edited(("defaults.yaml", "requestTimeout", "requestTimout")))
    assert made.failed
    assert (made.groups, made.documents) == ((), ())
    assert [found.code.word for found in made.findings] == ["unknown-field"]


def test_a_base_with_errors_is_said_to_be_the_one() -> None:
    made = plan_of(SHOP, edited(("defaults.yaml", "requestTimeout", "requestTimout")))
    assert (made.failed, made.compared, made.groups) == (False, False, ())
    assert (made.findings, [found.code.word for found in made.base_findings]) == ((), ["unknown-field"])
    assert made.after.proxies == 8
    assert headline(made) == "the base does not compile; the head does: what changes is not known"


def test_of_a_base_with_errors_no_output_says_that_everything_is_new() -> None:
    made = plan_of(SHOP, edited(("defaults.yaml", "requestTimeout", "requestTimout")))
    for shown in (render_text(made), render_markdown(made), render_html(made), render_github(made)):
        assert "unknown field 'requestTimout'" in shown.replace("\\", "").replace("&#x27;", "'")
        assert "in the base" in shown
        assert "all new" not in shown
        assert "nothing →" not in shown
    assert "::notice file=defaults.yaml" in render_github(made)
    assert "::error" not in render_github(made)


def test_warnings_of_the_head_stand_in_the_plan() -> None:
    made = plan_of({**SHOP, "idle.yaml": SHOP["retry.yaml"].replace("name: backend", "name: nobody")})
    assert not made.failed
    assert [found.code.word for found in made.findings] == ["dangling-ref"]


def test_warnings_that_were_there_before_say_nothing_of_the_change() -> None:
    idle = SHOP["retry.yaml"].replace("name: backend", "name: nobody")
    before = {**SHOP, "idle.yaml": idle}
    after = {**edited(FASTER), "idle.yaml": f"# moves all lines\n{idle}", "new.yaml": idle.replace("nobody", "no-one")}
    made = plan_of(after, before)
    assert [(one.position.file, one.position.line) for one in made.standing] == [("idle.yaml", 8)]
    assert [one.position.file for one in made.findings] == ["idle.yaml", "new.yaml"]
    for shown in (render_text(made), render_markdown(made), render_html(made)):
        assert "1 warning was there before" in shown
        assert "new.yaml" in shown
        assert "idle.yaml:" not in shown
    assert "file=idle.yaml" not in render_github(made)
    assert "file=new.yaml" in render_github(made)


def test_a_plan_is_the_same_whoever_made_it_and_after_whatever() -> None:
    versions = Versions(Compiler(SCHEMAS))
    trees = [Checked(tree_of(files)) for files in (SHOP, edited(FASTER), {**SHOP, "c.yaml": service("cart", 2)})]
    for before in trees:
        for after in trees:
            used = render_json(make_plan(versions, before, after, "a", "b"))
            fresh = render_json(make_plan(Versions(Compiler(SCHEMAS)), before, after, "a", "b"))
            assert used == fresh


def test_the_schema_is_closed() -> None:
    plain = json.loads(render_json(plan_of(edited(FASTER))))
    assert validator().is_valid(plain)
    for place in (plain, plain["summary"], plain["groups"][0], plain["groups"][0]["changes"][0]):
        place["more"] = 1
        assert not validator().is_valid(plain)
        del place["more"]


@pytest.mark.parametrize("edit", ["added", "removed", "changed"])
def test_no_key_shows_whatever_happens_to_a_secret(edit: str) -> None:
    canary = "Y2FuYXJ5LWtleQ=="
    secret = f"type: Secret\nmesh: shop\nname: unused\ndata: {canary}\n"
    settings = {"meshwright.yaml": "severity: {secret-in-git: warning}\n"}
    with_secret = {**SHOP, **settings, "secret.yaml": secret}
    without = {**SHOP, **settings}
    other = {**with_secret, "secret.yaml": secret.replace("Y2Fu", "Y2F0")}
    base, head = {"added": (without, with_secret), "removed": (with_secret, without), "changed": (other, with_secret)}[
        edit
    ]
    text = render_json(plan_of({**head, **edited(FASTER, base=head)}, base))
    assert canary not in text
    assert "canary" not in text


@pytest.mark.parametrize(
    "edit",
    [
        FASTER,
        ("mesh.yaml", "type: builtin", "type: builtin, mode: PERMISSIVE"),
        ("mesh.yaml", MTLS, ""),
        ("teams/batch.yaml", "protocol: http", "protocol: tcp"),
        ("permissions.yaml", "allow:", "deny:"),
        ("permissions.yaml", "spiffe://shop/web", "spiffe://shop/batch"),
        ("teams/web.yaml", "address: 127.", "address: 126."),
    ],
    ids=lambda edit: f"{edit[1][:20]!r}",
)
def test_a_change_that_says_nothing_of_access_is_told_as_a_full_look_tells_it(edit: tuple[str, str, str]) -> None:
    """Edges are looked for once where nothing that makes them differs; the verdict is that of looking twice."""
    base, head = (version_of(*files.values()).snapshots for files in (SHOP, edited(edit)))
    assert plan_of(edited(edit)).access == diff_edges(find_edges(base), find_edges(head))
