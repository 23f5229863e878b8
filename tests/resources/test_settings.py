"""meshwright.yaml."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import Checked, Severity
from compiler.resources.settings import Settings, Toolchain, leave_out, read_settings
from compiler.source.tree import SourceFile, SourceTree, refuse_link, too_many_files
from tests.resources.build import schemas


def tree_of(**files: str) -> SourceTree:
    contents = {name.replace("__", "/").replace("_yaml", ".yaml"): text.encode() for name, text in files.items()}
    listed = tuple(SourceFile(path, path, len(data)) for path, data in sorted(contents.items()))
    return SourceTree(listed, "0" * 40, None, lambda file: contents[file.path])


def read(text: str) -> Checked[Settings]:
    return read_settings(tree_of(meshwright_yaml=text), schemas())


def test_a_repository_without_the_file_has_the_defaults() -> None:
    assert read_settings(tree_of(mesh_yaml="type: Mesh"), schemas()) == Checked(Settings())


def test_what_it_says_is_read() -> None:
    checked = read(
        """
schemaVersion: 1
toolchain: {meshwright: 0.1.0, xds-protos: 1.85.0, protobuf: 7.36.2}
paths: [mesh/]
ignore: ["**/kustomization.yaml"]
severity: {unknown-zone: error, no-effect: "off"}
"""
    )
    assert checked.diagnostics == ()
    settings = checked.value
    assert settings.toolchain == Toolchain("0.1.0", "1.85.0", "7.36.2")
    assert settings.severity == {"no-effect": Severity.OFF, "unknown-zone": Severity.ERROR}
    assert (settings.paths, settings.ignore) == (("mesh/",), ("**/kustomization.yaml",))


def test_an_unknown_key_is_an_error_with_its_place() -> None:
    [found] = read("schemaVersion: 1\nignroe: [a]\n").diagnostics
    assert (str(found.code), str(found.position)) == ("unknown-field", "meshwright.yaml:2:1")
    assert (found.level, found.hint) == (Severity.ERROR, "did you mean ignore?")


def test_a_wrong_file_gives_no_settings_at_all() -> None:
    checked = read("ignore: [a]\nseverity: {unknown-zone: fatal}\n")
    assert checked.failed
    assert checked.value == Settings()


@pytest.mark.parametrize(
    "text",
    ["budgets: {compileSeconds: 1}", "requireDescent: true", "rollout: {waves: [1]}", "signatures: {required: true}"],
)
def test_what_this_release_does_not_act_on_is_said(text: str) -> None:
    [found] = read(text).diagnostics
    assert (str(found.code), found.level) == ("no-effect", Severity.WARNING)


def test_budgets_and_owners_are_what_a_plan_compares_with() -> None:
    checked = read(
        "budgets: {bytesPerProxy: 9, resourcesPerProxy: 3}\n"
        "ownership:\n"
        '- {paths: ["**"], owners: [platform]}\n'
        "- {paths: [teams/web/], owners: [web, shop], types: [MeshTimeout], meshes: [default]}\n"
    )
    assert checked.diagnostics == ()
    assert (checked.value.budgets.bytes_per_proxy, checked.value.budgets.resources_per_proxy) == (9, 3)
    owners = checked.value.owners
    assert owners("teams/web/a.yaml", "MeshTimeout", "default") == ("web", "shop")
    assert owners("teams/web/a.yaml", "MeshTimeout", "other") == ("platform",)
    assert owners("teams/web/a.yaml", "MeshRetry", "default") == ("platform",)
    assert read("ignore: [a]").value.owners("a.yaml", "Mesh", "") == ()


def test_a_second_document_is_refused() -> None:
    assert [str(found.code) for found in read("ignore: [a]\n---\nignore: [b]\n").diagnostics] == ["bad-value"]


@pytest.mark.parametrize("glob", ["/etc", "../up", "a/../b"])
def test_a_glob_stays_inside_of_the_repository(glob: str) -> None:
    assert [(str(found.code), found.path) for found in read(f"paths: ['{glob}']").diagnostics] == [
        ("bad-value", "/paths/0")
    ]


def test_broken_yaml_is_told_as_such() -> None:
    checked = read("ignore: [")
    assert checked.failed
    assert checked.diagnostics[0].position.file == "meshwright.yaml"


GLOBS = [
    ("mesh", "mesh/a.yaml", True),
    ("mesh/", "mesh/deep/a.yaml", True),
    ("mesh", "meshes/a.yaml", False),
    ("*.yaml", "a.yaml", True),
    ("*.yaml", "b/a.yaml", False),
    ("**/*.yaml", "a.yaml", True),
    ("**/*.yaml", "b/c/a.yaml", True),
    ("**/test/**", "a/test/b/c.yaml", True),
    ("a/**", "a/b/c.yaml", True),
    ("a/**", "b/a/c.yaml", False),
    ("a/?.yaml", "a/b.yaml", True),
    ("a/?.yaml", "a/bc.yaml", False),
    ("a.b", "axb", False),
]


@pytest.mark.parametrize(("glob", "path", "matched"), GLOBS)
def test_a_glob_names_files_and_folders(glob: str, path: str, matched: bool) -> None:
    assert Settings(ignore=(glob,)).covers(path) is not matched
    assert Settings(paths=(glob,)).covers(path) is matched


def test_ignore_wins_over_paths_and_the_settings_are_always_read() -> None:
    settings = Settings(paths=("mesh",), ignore=("mesh/old",))
    tree = tree_of(meshwright_yaml="", mesh__a_yaml="", mesh__old__b_yaml="", c_yaml="")
    covered = [file.path for file in tree.files if settings.covers(file.path)]
    assert covered == ["mesh/a.yaml", "meshwright.yaml"]


WAYS = [
    ("teams/*/mesh/", "teams", True),
    ("teams/*/mesh/", "teams/a", True),
    ("teams/*/mesh/", "teams/a/docs", False),
    ("teams/*/mesh/", "docs", False),
    ("mesh/", "mesh", True),
    ("mesh/", "mesh/link", True),
    ("**/mesh.yaml", "docs/latest", True),
    ("*.yaml", "docs", False),
]


@pytest.mark.parametrize(("glob", "path", "reached"), WAYS)
def test_a_link_on_the_way_to_what_is_read_is_looked_at(glob: str, path: str, reached: bool) -> None:
    assert Settings(paths=(glob,)).reaches(path) is reached
    assert not Settings(paths=(glob,), ignore=(path,)).reaches(path)


def test_a_tree_that_is_too_large_to_be_listed_is_said_whatever_the_settings_leave_out() -> None:
    tree = tree_of(meshwright_yaml="paths: [mesh/]\n")
    found = (too_many_files("docs/"), refuse_link("docs/latest"))
    assert leave_out(Checked(tree, found), schemas()).diagnostics == found[:1]


@given(st.lists(st.text("a*/?.", max_size=12), max_size=4), st.text("ab/.", max_size=40))
def test_any_glob_can_be_matched(globs: list[str], path: str) -> None:
    assert Settings(ignore=tuple(globs)).covers(path) in (True, False)
    assert Settings(paths=tuple(globs)).reaches(path) in (True, False)


def test_another_toolchain_than_the_pinned_one_does_not_compile() -> None:
    running = {"meshwright": "0.1.0", "protobuf": "7.36.2"}
    text = "schemaVersion: 1\ntoolchain: {meshwright: 0.1.0, protobuf: 1.0.0}\n"
    (finding,) = read_settings(tree_of(meshwright_yaml=text), schemas(), running).diagnostics
    assert (finding.code.word, finding.path, finding.position.line) == ("other-toolchain", "/toolchain/protobuf", 2)
