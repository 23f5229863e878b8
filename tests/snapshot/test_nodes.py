"""No two proxies have one name on the wire, and what two had is right again when one is gone."""

import pytest

from compiler.diagnostics import Severity
from compiler.pipeline import Compiler
from tests.trees import SCHEMAS, codes, compile_texts

MESH = "{type: Mesh, name: default}"


def pool(name: str, zone: str = "east", workload: str = "pool") -> str:
    return f"""
type: DataplaneSet
mesh: default
name: {name}
labels: {{kuma.io/workload: {workload}, kuma.io/zone: {zone}}}
spec: {{template: {{networking: {{inbound: [{{port: 80, name: {name}}}]}}}}, registration: {{cidrs: [10.7.0.0/16]}}}}
"""


@pytest.mark.parametrize("zone", ["east", "west"])
def test_two_shared_sets_of_one_workload_are_refused(zone: str) -> None:
    """The second would be served to the proxies of both."""
    checked = compile_texts(MESH, pool("one"), pool("two", zone))
    [clash] = (one for one in checked.diagnostics if one.level is Severity.ERROR)
    assert (clash.code.word, clash.position.file) == ("node-clash", "002.yaml")
    assert checked.value.generation is None


def test_a_dot_in_a_meshs_name_can_make_two_names_one() -> None:
    proxy = "{type: Dataplane, mesh: %s, name: %s, networking: {address: 10.0.0.1, inbound: [{port: 80}]}}"
    meshes = ["{type: Mesh, name: a}", "{type: Mesh, name: a.b}"]
    assert "node-clash" in codes(compile_texts(*meshes, proxy % ("a", "b.c"), proxy % ("a.b", "c")))


def test_a_clash_that_is_mended_leaves_what_a_compile_from_nothing_gives() -> None:
    compiler = Compiler(SCHEMAS)
    one, two, mended = pool("one"), pool("two"), pool("one", workload="w")
    for documents in ([one], [one, two], [two], [mended, two]):
        warm = compile_texts(MESH, *documents, compiler=compiler)
        cold = compile_texts(MESH, *documents)
        assert codes(warm) == codes(cold)
        assert warm.value.generation == cold.value.generation
