"""What is kept of a mesh with zone proxies is what was known of it."""

from compiler.pipeline import Compiler
from tests.mesh.test_zones import EAST, EGRESS, INGRESS, MESH, OUTSIDE, TO_OUTSIDE, WEB, WEST
from tests.review.kept.images import again
from tests.trees import SCHEMAS, tree_of


def test_an_image_of_a_mesh_with_zone_proxies_computes_nothing_anew() -> None:
    documents = (f"{MESH}routing: {{zoneEgress: true}}\n", WEB + TO_OUTSIDE, EAST, WEST, INGRESS, EGRESS, OUTSIDE)
    tree = tree_of({f"{number}.yaml": text for number, text in enumerate(documents)})
    compiler = Compiler(SCHEMAS)
    first = compiler.compile(tree)
    second = again(compiler, tree).compile(tree)
    assert second.value.generation == first.value.generation
    assert not any(second.value.counters.values())
