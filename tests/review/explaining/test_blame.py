"""What follows from lines of a document, and what does not."""

import pytest

from compiler.review.explaining.answers import tell_blamed
from compiler.review.explaining.blame import Blamed, blame
from compiler.review.explaining.lines import ALL, Lines, find_parts
from compiler.review.explaining.trial import Trial
from compiler.review.plan import Kind
from tests.review.explaining.test_explain import FILES, MESH, PROXIES
from tests.trees import tree_of

TIMEOUT = "/virtualHosts/0/routes/0/route/timeout"


def ask(file: str, lines: Lines = ALL, files: dict[str, str] = FILES) -> Blamed:
    trial, tree = Trial(), tree_of(files)
    assert trial.read(tree) == ()
    return blame(trial, tree, file, lines)


def line(number: int) -> Lines:
    return Lines(number, number)


def effects(found: Blamed) -> list[tuple[str, object, object, tuple[str, ...]]]:
    return [(effect.path, effect.before, effect.after, effect.proxies) for effect in found.effects]


def test_a_line_is_blamed_for_the_fields_that_would_differ_without_it() -> None:
    files = {name: text for name, text in FILES.items() if name in {"mesh.yaml", "proxies.yaml", "everywhere.yaml"}}
    found = ask("everywhere.yaml", line(11), files)
    assert [said.pointer for said in found.said] == ["/spec/to/0/default/http"]
    assert effects(found) == [(TIMEOUT, "15s", "10s", ("default.web",))]
    assert (found.proxies, found.total) == (("default.web",), 2)


def test_a_line_that_is_overridden_everywhere_has_no_effect() -> None:
    found = ask("everywhere.yaml", line(11))
    assert (found.effects, found.proxies, found.echoed) == ((), (), 0)
    assert "none of 2 proxies would differ" in tell_blamed(found, "everywhere.yaml:11")


def test_a_line_that_says_what_would_hold_without_it_is_told_so() -> None:
    found = ask("everywhere.yaml", line(10))
    assert (found.effects, found.echoed) == ((), 1)
    assert "1 would if it said something else" in tell_blamed(found, "everywhere.yaml:10")


@pytest.mark.parametrize("number", [1, 2, 99])
def test_comments_and_blank_lines_are_part_of_nothing(number: int) -> None:
    found = ask("everywhere.yaml", line(number))
    assert (found.said, found.effects) == ((), ())


def test_a_line_that_must_not_be_left_out_takes_the_least_around_it_along() -> None:
    found = ask("proxies.yaml", line(9))
    assert [(said.pointer, said.taken) for said in found.said] == [("/networking/outbound/0", "/networking/outbound/0")]
    found = ask("proxies.yaml", line(2))
    assert [(said.pointer, said.taken) for said in found.said] == [("/type", "")]
    assert found.appearing == ("default.web",)


def test_of_a_file_of_several_documents_the_others_stay() -> None:
    found = ask("route.yaml", Lines(12, 18))
    assert [said.resource.name for said in found.said] == ["of-route"]
    whole = ask("route.yaml")
    assert [said.resource.name for said in whole.said] == ["api", "of-route"]
    assert whole.proxies == ("default.web",)


def test_a_line_of_a_mesh_service_leads_to_its_callers() -> None:
    service = """
type: MeshService
mesh: default
name: database
spec:
  selector: {dataplaneTags: {kuma.io/service: backend}}
  ports:
  - {port: 5432, targetPort: 8080, appProtocol: tcp}
  - {port: 5433, targetPort: 8080, appProtocol: tcp}
"""
    proxies = PROXIES.replace("name: backend, port: 8080}}", "name: database, port: 5432}}")
    files = {"mesh.yaml": MESH, "proxies.yaml": proxies, "service.yaml": service}
    found = ask("service.yaml", line(8), files)
    assert found.proxies == ("default.web",)
    assert {(effect.kind, effect.type, effect.path) for effect in found.effects} >= {(Kind.ADDED, "clusters", "")}
    assert ask("service.yaml", line(9), files).effects == ()


def test_a_whole_mesh_takes_its_proxies_along() -> None:
    assert ask("mesh.yaml").appearing == ("default.backend", "default.web")


def test_equal_effects_are_one_and_name_all_their_resources_and_proxies() -> None:
    second = PROXIES.split("---")[0].replace("name: web", "name: web-2").replace("10.0.0.1", "10.0.0.3")
    files = {"mesh.yaml": MESH, "proxies.yaml": PROXIES + "---" + second}
    files["everywhere.yaml"] = FILES["everywhere.yaml"]
    found = ask("everywhere.yaml", line(11), files)
    assert effects(found) == [(TIMEOUT, "15s", "10s", ("default.web", "default.web-2"))]


TEXT = """\
# A comment.
a:
  b: {c: 1,
      d: 2}
  text: |
    one

    two
  e:
  - f: 1
    g: 2
---
h: 1
"""


@pytest.mark.parametrize(
    ("first", "last", "pointers"),
    [
        (2, 2, ["/a"]),
        (3, 4, ["/a/b"]),
        (4, 4, ["/a/b/d"]),
        (6, 6, ["/a/text"]),
        (8, 8, ["/a/text"]),
        (10, 10, ["/a/e/0/f"]),
        (10, 11, ["/a/e/0"]),
        (9, 11, ["/a/e"]),
        (11, 13, ["/a/e/0/g", ""]),
        (12, 12, []),
        (1, 11, [""]),
    ],
)
def test_lines_mean_the_largest_parts_that_stand_on_them_alone(first: int, last: int, pointers: list[str]) -> None:
    assert [part.pointer for part in find_parts("a.yaml", TEXT, (0, 1), Lines(first, last))] == pointers
