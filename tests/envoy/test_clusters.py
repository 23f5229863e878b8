"""Clusters."""

from typing import Any

import pytest
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext

from compiler.envoy.resources import ResourceType
from compiler.pipeline import Compiler
from compiler.snapshot.canonical import parse
from tests.trees import SCHEMAS, codes, compile_texts, tree_of

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


CALLER = """
type: Dataplane
mesh: default
name: web
networking: {{address: '{address}', transparentProxying: {{}}}}
"""
OUTSIDE = """
type: MeshExternalService
mesh: default
name: pay
spec: {match: {port: 443}, endpoints: [{address: pay.example.com, port: 443}]}
"""


def _cluster(address: str, outside: str) -> Any:
    """What a caller of this address calls the service by."""
    checked = compile_texts("{type: Mesh, name: default}", CALLER.format(address=address), outside)
    assert checked.value.generation is not None, checked.diagnostics
    clusters = checked.value.generation.snapshots["default.web"].resources[ResourceType.CLUSTER]
    return parse(clusters["kri_extsvc_default___pay_443"].json, ResourceType.CLUSTER)


@pytest.mark.parametrize(("address", "family"), [("10.0.0.1", "V4_PREFERRED"), ("fd00::1", "AUTO")])
def test_a_name_of_the_outside_is_looked_up_in_the_callers_own_version_of_ip_first(address: str, family: str) -> None:
    message = _cluster(address, OUTSIDE)
    assert message.DnsLookupFamily.Name(message.dns_lookup_family) == family


@pytest.mark.parametrize(
    ("mode", "checked"),
    [("Secured", ["pay.example.com"]), ("SkipSAN", []), ("SkipCA", None), ("SkipAll", None)],
)
def test_names_are_checked_only_where_an_authority_is(mode: str, checked: list[str] | None) -> None:
    """Envoy refuses a context that has the names without the authority."""
    tls = f"port: 443}}], tls: {{enabled: true, verification: {{mode: {mode}}}}}"
    message = _cluster("10.0.0.1", OUTSIDE.replace("port: 443}]", tls))
    context = UpstreamTlsContext()
    assert message.transport_socket.typed_config.Unpack(context)
    common = context.common_tls_context
    names = [one.matcher.exact for one in common.validation_context.match_typed_subject_alt_names]
    assert (names if common.HasField("validation_context") else None) == checked
    assert context.sni == "pay.example.com"
