from pathlib import Path

from google.protobuf import any_pb2

from benchmarks.client import NAMED
from benchmarks.generate import make_repository
from benchmarks.links import find_links
from benchmarks.tiers import TIERS, Shape
from compiler.envoy.packing import unpack
from compiler.envoy.resources import ResourceType
from compiler.pipeline import Compiler
from compiler.snapshot.references import references_of
from compiler.source.git import read_commit


def test_the_driver_asks_for_all_that_the_compiler_knows_a_resource_to_name(tmp_path: Path) -> None:
    make_repository(tmp_path / "mesh.git", Shape(TIERS["S"]))
    compiled = Compiler().compile(read_commit(tmp_path / "mesh.git", "main").value)
    assert compiled.value.generation is not None
    seen = set[str]()
    for snapshot in compiled.value.generation.snapshots.values():
        for kind, rendered in snapshot.resources.items():
            for each in rendered.values():
                packed = any_pb2.Any.FromString(each.body)
                known = {(one.type.type_url, one.name) for one in references_of(kind, unpack(packed))}
                found = find_links(kind.type_url, packed.value)
                assert found == {one for one in known if one[0] in NAMED}
                seen |= {type_url for type_url, _ in found}
    assert seen == set(NAMED)
    assert find_links(ResourceType.SECRET.type_url, b"") == frozenset()
