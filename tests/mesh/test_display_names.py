"""A service that is shown by another name than its own is referred to by the one that it is shown by."""

from compiler.pipeline import Compiler
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, codes, compile_texts, resolve_proxy

MESH = "type: Mesh\nname: default\nskipCreatingInitialPolicies: ['*']\nmeshServices: {mode: Exclusive}\n"
CALLER = """
type: Dataplane
mesh: default
name: web
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: web}}]
  outbound: [{port: 10001, backendRef: {kind: MeshService, name: orders, port: 80}}]
"""
KEY = ResourceKey("Dataplane", "default", "web")


def copy(name: str, shown: str = "orders") -> str:
    return f"""
type: MeshService
mesh: default
name: {name}
labels: {{kuma.io/display-name: {shown}}}
spec: {{selector: {{dataplaneTags: {{kuma.io/service: orders}}}}, ports: [{{port: 80, targetPort: 80}}]}}
"""


def called(*services: str, compiler: Compiler | None = None) -> list[str]:
    compiler = compiler or Compiler(SCHEMAS)
    compile_texts(MESH, CALLER, *services, compiler=compiler)
    return [one.destination.service.name for one in resolve_proxy(compiler.memo, KEY).outbounds]


def test_a_copy_is_found_by_the_name_that_it_is_shown_by() -> None:
    assert called(copy("orders-4f2c")) == ["orders-4f2c"]
    assert codes(compile_texts(MESH, CALLER, copy("orders-4f2c"))) == ["empty-service"]


def test_of_several_copies_the_smallest_name_is_meant() -> None:
    assert called(copy("orders-9"), copy("orders-4")) == ["orders-4"]


def test_its_own_name_comes_first() -> None:
    assert called(copy("a-copy"), copy("orders")) == ["orders"]


def test_a_copy_that_comes_and_goes_is_followed() -> None:
    compiler = Compiler(SCHEMAS)
    history = [(), (copy("orders-4"),), (copy("orders-4", "other"),), (copy("orders-4"), copy("orders-3"))]
    assert [called(*services, compiler=compiler) for services in history] == [[], ["orders-4"], [], ["orders-3"]]
