"""Which policies hold for a proxy, and that an edit concerns only whom it can mean."""

from compiler.pipeline import Compiler
from tests.trees import SCHEMAS, compile_texts

MESH = "{type: Mesh, name: default, meshServices: {mode: Exclusive}}"
SERVICES = ("a", "b", "c")


def dataplane(service: str, number: int) -> str:
    return f"""
type: Dataplane
mesh: default
name: {service}-1
labels: {{kuma.io/workload: {service}}}
networking:
  address: 10.0.0.{number}
  inbound: [{{port: 80, protocol: http}}]
  transparentProxying: {{redirectPortInbound: 15006, redirectPortOutbound: 15001}}
"""


def timeout(service: str, seconds: int) -> str:
    return f"""
type: MeshTimeout
mesh: default
name: for-{service}
spec: {{to: [{{targetRef: {{kind: MeshService, name: {service}}}, default: {{connectionTimeout: {seconds}s}}}}]}}
"""


def counted(compiler: Compiler, *documents: str) -> dict[str, int]:
    proxies = [dataplane(one, number) for number, one in enumerate(SERVICES, 1)]
    checked = compile_texts(MESH, *proxies, *documents, compiler=compiler)
    assert checked.value.generation is not None
    return dict(checked.value.counters)


def test_a_conf_for_one_service_leaves_those_of_the_others_and_the_selection_alone() -> None:
    compiler = Compiler(SCHEMAS)
    others = [timeout(service, 1) for service in SERVICES[1:]]
    counted(compiler, timeout("a", 1), *others)
    counters = counted(compiler, timeout("a", 2), *others)
    assert counters["outgoing conf"] == 1
    assert counters.get("selected", 0) == 0


def test_a_service_that_a_conf_comes_to_name_gets_it() -> None:
    compiler = Compiler(SCHEMAS)
    counted(compiler, timeout("a", 1))
    moved = timeout("b", 1).replace("for-b", "for-a")
    counted(compiler, moved)
    proxies = [dataplane(one, number) for number, one in enumerate(SERVICES, 1)]
    warm = compile_texts(MESH, *proxies, moved, compiler=compiler)
    assert warm.value.generation == compile_texts(MESH, *proxies, moved).value.generation
