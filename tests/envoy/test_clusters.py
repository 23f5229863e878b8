"""Clusters."""

from compiler.pipeline import Compiler
from tests.trees import SCHEMAS, codes, tree_of

DATAPLANE = """
type: Dataplane
mesh: default
name: web-1
networking:
  address: web.internal
  inbound: [{port: 80, servicePort: 8080}]
"""


def test_a_host_name_that_the_repository_takes_for_a_warning_is_refused_as_envoy_would() -> None:
    files = {
        "meshwright.yaml": "schemaVersion: 1\nseverity: {host-address: warning}\n",
        "mesh.yaml": "{type: Mesh, name: default}",
        "web.yaml": DATAPLANE,
    }
    checked = Compiler(SCHEMAS).compile(tree_of(files))
    assert set(codes(checked)) == {"host-address", "envoy-refuses"}
    assert checked.failed
