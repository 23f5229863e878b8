"""Reading one tree after another says what reading the last one alone says, and looks at what differs only."""

import pickle

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.resources.judge import judge
from compiler.resources.model import ResourceKey
from compiler.resources.reading import Reading
from compiler.resources.resource_set import ResourceSet
from compiler.resources.settings import Settings
from compiler.source.blobs import BlobCache
from compiler.source.tree import SourceFile, SourceTree
from tests.histories import Files, histories, write_tree
from tests.resources.build import schemas
from tests.trees import tree_of

DATAPLANE = "type: Dataplane\nmesh: default\nname: {}\nnetworking: {{address: 10.0.0.1}}\n"
MESH = "type: Mesh\nname: default\n"
ALL = Settings()
_SELECTIONS = st.sampled_from([ALL, ALL, ALL, Settings(paths=("b",)), Settings(ignore=("b/e", "a.yaml"))])


def summary(read: Checked[ResourceSet]) -> object:
    """All of it, in order."""
    resources = read.value
    return (
        list(resources.resources.items()),
        list(resources.sources.items()),
        [source.position("/networking") for source in resources.sources.values()],
        resources.counts,
        resources.kinds,
        read.diagnostics,
    )


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)
@given(states=histories(), listed=st.booleans(), drawn=st.data())
def test_after_any_history_the_reading_is_that_of_the_last_tree(
    states: list[Files], listed: bool, drawn: st.DataObject
) -> None:
    reading = Reading(schemas(), blobs=BlobCache(drawn.draw(st.sampled_from([0, 4000, 10**6]))))
    before = ResourceSet()
    for state in states:
        tree = write_tree(state, listed=listed and drawn.draw(st.integers(0, 5)) > 0)
        selection = drawn.draw(_SELECTIONS)
        read = reading.read(tree, selection)
        assert summary(read) == summary(Reading(schemas()).read(write_tree(state, listed=False), selection))
        assert moved(before, read.value) <= reading.changed.keys()
        reading.changed.clear()
        before = read.value


def moved(before: ResourceSet, after: ResourceSet) -> set[ResourceKey]:
    """The keys that stand for something else, or stand somewhere else."""
    return {
        key
        for key in before.resources.keys() | after.resources.keys()
        if before.resources.get(key) is not after.resources.get(key)
        or before.sources.get(key) != after.sources.get(key)
    }


def read_all(reading: Reading, *states: dict[str, str]) -> Checked[ResourceSet]:
    for state in states:
        read = reading.read(tree_of(state), ALL)
    return read


def test_a_file_that_did_not_change_is_neither_parsed_nor_judged_again() -> None:
    reading = Reading(schemas())
    files = {"a.yaml": MESH, "b.yaml": DATAPLANE.format("b") + "---\n" + DATAPLANE.format("c")}
    first = read_all(reading, files)
    assert reading.computed == {"documents parsed": 3, "verdicts computed": 3}
    second = read_all(reading, {**files, "a.yaml": f"# {MESH}{MESH}"})
    assert reading.computed == {"documents parsed": 4, "verdicts computed": 4}
    key = ResourceKey("Dataplane", "default", "b")
    assert second.value.resources[key] is first.value.resources[key]
    assert second.value.sources[key] is first.value.sources[key]


def test_a_blob_is_parsed_once_wherever_its_files_are_and_when_it_comes_back() -> None:
    reading = Reading(schemas())
    wrong = "type: Zone\nname: east\nenabeld: true"
    read = read_all(reading, {"a.yaml": wrong}, {"b/a.yaml": wrong}, {}, {"a.yaml": wrong, "c.yaml": wrong})
    assert reading.computed["documents parsed"] == 1
    assert [str(found.position) for found in read.diagnostics] == ["a.yaml:3:1", "c.yaml:3:1"]


def test_what_no_file_says_any_more_is_forgotten_within_a_bound() -> None:
    reading = Reading(schemas(), blobs=BlobCache(max_bytes=3000))
    for number in range(9):
        read_all(reading, {"a.yaml": MESH, "b.yaml": DATAPLANE.format(f"d{number}")})
    assert reading.computed["documents parsed"] == 10
    read_all(reading, {"a.yaml": MESH, "b.yaml": DATAPLANE.format("d8")}, {"b.yaml": DATAPLANE.format("d0")})
    assert reading.computed["documents parsed"] == 11


def test_only_resources_of_files_that_differ_count_as_changed() -> None:
    reading = Reading(schemas())
    files = {"a.yaml": MESH, "b.yaml": DATAPLANE.format("b"), "c.yaml": DATAPLANE.format("c")}
    read_all(reading, files)
    reading.changed.clear()
    read_all(reading, {**files, "b.yaml": "# words\n" + files["b.yaml"]})
    assert list(reading.changed) == [ResourceKey("Dataplane", "default", "b")]


def test_changes_add_up_until_somebody_acts_on_them() -> None:
    reading = Reading(schemas())
    read_all(reading, {"a.yaml": MESH}, {"b.yaml": DATAPLANE.format("b")}, {})
    assert list(reading.changed) == [ResourceKey("Mesh", "", "default"), ResourceKey("Dataplane", "default", "b")]


def test_a_file_that_cannot_be_read_leaves_everything_as_it_was() -> None:
    reading = Reading(schemas())
    files = {"a.yaml": MESH, "b.yaml": DATAPLANE.format("b")}
    read_all(reading, files)
    after = tree_of({"b.yaml": DATAPLANE.format("c"), "c.yaml": MESH + "# more"})

    def fail(file: SourceFile) -> bytes:
        if file.path == "c.yaml":
            raise OSError("disk")
        return after.read(file)

    with pytest.raises(OSError, match="disk"):
        reading.read(SourceTree(after.files, after.tree, None, fail), ALL)
    assert summary(read_all(reading, files)) == summary(read_all(Reading(schemas()), files))
    assert summary(reading.read(after, ALL)) == summary(Reading(schemas()).read(after, ALL))


def test_a_mesh_that_comes_back_takes_away_what_was_said_of_its_absence() -> None:
    reading = Reading(schemas())
    files = {"a.yaml": MESH, "b.yaml": DATAPLANE.format("b"), "c.yaml": MESH.replace("default", "other")}
    without = {path: text for path, text in files.items() if path != "a.yaml"}
    assert [str(found.code) for found in read_all(reading, files, without).diagnostics] == ["unknown-mesh"]
    assert read_all(reading, files).diagnostics == ()


def test_a_comment_moves_what_is_said_of_a_duplicate() -> None:
    reading = Reading(schemas())
    files = {"a.yaml": MESH, "b.yaml": MESH}
    read_all(reading, files)
    [found] = read_all(reading, {**files, "a.yaml": "# words\n" + MESH}).diagnostics
    assert (str(found.position), found.message) == ("b.yaml:1:1", "Mesh default is already defined at a.yaml:2:1")


def test_of_two_definitions_the_first_by_path_counts_whenever_it_came() -> None:
    reading = Reading(schemas())
    key = ResourceKey("Mesh", "", "default")
    late = read_all(reading, {"m.yaml": MESH}, {"m.yaml": MESH, "a.yaml": "# first\n" + MESH})
    assert late.value.sources[key].passage.file == "a.yaml"
    assert read_all(reading, {"m.yaml": MESH}).value.sources[key].passage.file == "m.yaml"


def test_a_file_of_copies_is_read_in_proportion_to_its_length() -> None:
    """Two thousand rivals must not each be looked for among all the others."""
    many = "---\n".join(DATAPLANE.format(f"d{number}") for number in range(2000))
    read = read_all(Reading(schemas()), {"a.yaml": MESH + "---\n" + many, "b.yaml": many})
    assert len(read.diagnostics) == 2000


SET = """
type: DataplaneSet
mesh: default
name: web
labels: {app: web}
spec:
  template: {networking: {inbound: [{port: 80}]}}
  instances: [{name: one, address: 10.0.0.1, zone: east}, {name: two, address: 10.0.0.2, labels: {odd: "yes"}}]
"""


@pytest.mark.parametrize("text", [SET, MESH, DATAPLANE.format("one"), "type: Mesh\nname: [1]\n", "a: 1\n"])
def test_another_process_is_told_all_that_a_document_means(text: str) -> None:
    verdict = judge(yaml.safe_load(text), schemas())
    assert pickle.loads(pickle.dumps(verdict)) == verdict


def test_the_instances_of_a_set_are_not_sent_to_another_process() -> None:
    verdict = judge(yaml.safe_load(SET), schemas())
    assert len(verdict.resources) == 3
    assert b"web-two" not in pickle.dumps(verdict)


def test_counts_are_numbers_that_can_be_printed() -> None:
    counts = Reading(schemas()).read(tree_of({"a.yaml": MESH}), ALL).value.counts
    assert f"{counts.resources} in {counts.files}" == "1 in 1"
