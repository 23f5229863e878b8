"""Properties of the whole compiler: what must not matter to it, and that it survives whatever schemas accept."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.pipeline import Compiled, Compiler
from compiler.policies import POLICIES
from tests.edits import arbitrary, crowds, differences, edits, repositories
from tests.golden.test_golden import SCENARIOS
from tests.moves import Repository, moves
from tests.policies.harness import plain_mesh
from tests.review.kept.images import again
from tests.trees import SCHEMAS, held, tree_of

KINDS = ("Mesh", "Dataplane", "DataplaneSet", "Zone", "ZoneEgress", "ZoneIngress", "MeshZoneAddress", "Workload",
         "MeshService", "MeshExternalService", "MeshMultiZoneService", "ExternalService", "HostnameGenerator",
         "MeshGateway", "MeshGatewayRoute", "MeshIdentity", "MeshTrust", "MeshOpenTelemetryBackend", "Secret",
         *(policy.kind.type for policy in POLICIES))  # fmt: skip
CODES = ("bad-value", "bad-target", "exclusive-fields", "missing-field", "unsupported-target", "duplicate-name",
         "port-conflict", "host-address", "bad-label", "bad-name", "dangling-name", "not-supported-yet", "unknown-mesh",
         "address-clash", "constraint-violated", "duplicate-resource")  # fmt: skip
SILENCED = {"severity": dict.fromkeys(CODES, "warning")}
slow = settings(deadline=None, suppress_health_check=list(HealthCheck))
Outcome = tuple[str | None, list[tuple[str, str, str, str]]]


def outcome(compiled: Checked[Compiled]) -> Outcome:
    """The digest, and all that was found."""
    generation = compiled.value.generation
    found = [(str(one.position), one.code.word, one.message, one.path) for one in compiled.diagnostics]
    return generation.digest if generation is not None else None, found


def compile_files(files: Mapping[str, Sequence[Any]], compiler: Compiler | None = None) -> Checked[Compiled]:
    return (compiler or Compiler(SCHEMAS)).compile(tree_of(texts_of(files)))


def texts_of(files: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    return {f"{name}.yaml": "\n---\n".join(json.dumps(document) for document in files[name]) for name in files}


# --- What has no meaning --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
@settings(slow, max_examples=4)
@given(drawn=st.data())
def test_which_file_a_document_is_in_and_where_has_no_meaning(scenario: Path, drawn: st.DataObject) -> None:
    documents = list(yaml.safe_load_all((scenario / "input" / "mesh.yaml").read_text()))
    shuffled = drawn.draw(st.permutations(documents))
    files: dict[str, list[Any]] = {}
    for document in shuffled:
        files.setdefault(drawn.draw(st.sampled_from(["a", "b", "folder/c"])), []).append(document)

    digest, found = outcome(compile_files(files))
    assert [code for _, code, _, _ in found if code != "not-supported-yet"] == []
    assert digest == outcome(compile_files({"all": documents}))[0]


_DIGESTS = """
import hashlib, sys
from pathlib import Path
from compiler.pipeline import compile_tree
from compiler.snapshot.digest import GenerationTree
from compiler.source.tree import read_directory
for path in sys.argv[1:]:
    generation = compile_tree(read_directory(Path(path)).value).value.generation
    kinds = [named for snapshot in generation.snapshots.values() for named in snapshot.resources.values()]
    content = b"".join(one.json + one.body for named in kinds for one in named.values())
    print(generation.digest, hashlib.sha256(content).hexdigest())
"""
_SURROUNDINGS = (
    {"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
    {"PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"},
    {"PYTHONHASHSEED": "2", "LC_ALL": "tr_TR.UTF-8", "TZ": "America/St_Johns", "LANG": "tr_TR.UTF-8"},
)


def test_the_same_tree_gives_the_same_bytes_in_any_surroundings() -> None:
    runs = [_run(surroundings, umask) for surroundings, umask in zip(_SURROUNDINGS, (0o022, 0o077, 0o000), strict=True)]
    assert [len(run.splitlines()) for run in runs] == [len(SCENARIOS)] * 3
    assert runs[0] == runs[1] == runs[2]


def _run(surroundings: Mapping[str, str], umask: int) -> str:
    inputs = [str(scenario / "input") for scenario in SCENARIOS]
    command = [sys.executable, "-c", _DIGESTS, *inputs]
    environment = {**os.environ, **surroundings}
    root = Path(__file__).parents[1]
    run = subprocess.run(command, env=environment, umask=umask, check=True, capture_output=True, text=True, cwd=root)
    return run.stdout


# --- Incremental is cold --------------------------------------------------------------------------------------------


ZONES = st.sampled_from([None, None, "east"])
KEPT_AFTER = st.sampled_from([None, None, 0, 1, 4])


@settings(slow, max_examples=70)
@given(drawn=st.data(), zone=ZONES, kept_after=KEPT_AFTER)
def test_after_any_edit_a_compiler_that_remembers_says_what_an_empty_one_says(
    drawn: st.DataObject, zone: str | None, kept_after: int | None
) -> None:
    """Of one zone too, and where it was written and read on the way."""
    history: list[Repository] = [drawn.draw(repositories())]
    for _ in range(drawn.draw(st.integers(4, 8))):
        reverted = drawn.draw(st.integers(0, 4)) == 4
        history.append(drawn.draw(st.sampled_from(history) if reverted else edits(history[-1])))
    follow(history, zone, kept_after)


@settings(slow, max_examples=90)
@given(drawn=st.data(), zone=ZONES, kept_after=KEPT_AFTER)
def test_wherever_proxies_move_a_compiler_that_remembers_says_what_an_empty_one_says(
    drawn: st.DataObject, zone: str | None, kept_after: int | None
) -> None:
    history: list[Repository] = [drawn.draw(crowds())]
    for _ in range(drawn.draw(st.integers(2, 6))):
        history.append(drawn.draw(moves(history[-1])))
    follow(history, zone, kept_after)


def follow(history: Sequence[Repository], zone: str | None, kept_after: int | None) -> None:
    compiler = Compiler(SCHEMAS, zone=zone)
    for number, (before, state) in enumerate(pairwise([{}, *history])):
        note("\n".join((f"--- state {number}", *differences(before, state))))
        tree = tree_of(texts_of({name: [document] for name, document in state.items()}))
        remembering, empty = compiler.compile(tree), Compiler(SCHEMAS, zone=zone).compile(tree)
        assert (outcome(remembering), held(remembering)) == (outcome(empty), held(empty))
        assert placed(remembering, compiler) == [(name, folder) for name, folder, _ in held(empty)]
        if number == kept_after and not remembering.failed:
            compiler = again(compiler, tree)


def placed(compiled: Checked[Compiled], compiler: Compiler) -> list[tuple[str, str]]:
    """Where the tree of files has each proxy that a server finds by its name."""
    if compiled.value.generation is None:
        return []
    nodes = [folder.snapshot.node for folder in compiled.value.files.proxies()]
    return sorted((str(node), node.path) for node in nodes if compiler.find_proxy(str(node)) is not None)


def test_the_meshes_that_are_edited_mostly_compile() -> None:
    """Else the property above would hold of nothing but refusals."""
    compiled: list[bool] = []

    @settings(slow, max_examples=40, database=None)
    @given(state=repositories())
    def try_one(state: Repository) -> None:
        digest, _ = outcome(compile_files({name: [document] for name, document in state.items()}))
        compiled.append(digest is not None)

    try_one()
    assert sum(compiled) > len(compiled) / 3


# --- Whatever the schemas accept ------------------------------------------------------------------------------------


@pytest.mark.parametrize("silenced", [False, True], ids=["as it is", "with its mistakes made warnings"])
@pytest.mark.parametrize("kind", KINDS)
@settings(slow, max_examples=20)
@given(drawn=st.data())
def test_no_document_that_its_schema_accepts_breaks_the_compiler(
    kind: str, silenced: bool, drawn: st.DataObject
) -> None:
    document = drawn.draw(arbitrary(kind))
    assert SCHEMAS.accepts(kind, document)
    plain = [one for one in plain_mesh("tags") if (one["type"], one["name"]) != (kind, document["name"])]
    files = {"plain": plain, "it": [document]} | ({"meshwright": [SILENCED]} if silenced else {})
    compiled = compile_files(files)
    assert compiled.failed == (compiled.value.generation is None)
