"""What a proxy offers to others of its mesh alone: by which certificate, and how TLS is spoken."""

import json

from compiler.envoy.resources import ResourceType
from compiler.snapshot.snapshot import Snapshot
from tests.trees import compile_texts

MESH = """
type: Mesh
name: default
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
"""
PROXY = """
type: Dataplane
mesh: default
name: web
networking: {address: 10.0.0.1, inbound: [%s]}
"""
METRICS = """
type: MeshMetric
mesh: default
name: metrics
spec: {default: {backends: [{type: Prometheus, prometheus: {tls: {mode: %s}}}]}}
"""
VERSIONS = """
type: MeshTLS
mesh: default
name: versions
spec:
  targetRef: {kind: Mesh}
  from: [{targetRef: {kind: Mesh}, default: {mode: Permissive, tlsVersion: {min: TLS13}}}]
"""


def snapshot(*texts: str) -> Snapshot:
    generation = compile_texts(MESH, *texts).value.generation
    assert generation is not None
    [found] = generation.snapshots.values()
    return found


def test_a_proxy_without_inbounds_has_secrets_for_what_it_offers_to_its_mesh_alone() -> None:
    client = PROXY % ""
    named = [one.name for one in snapshot(client, METRICS % "ActiveMTLSBackend").secrets]
    assert named == ["system_mtls_ca_default", "system_mtls_identity_default"]
    assert snapshot(client, METRICS % "ProvidedTLS").secrets == ()


def test_tls_is_spoken_as_at_an_inbound_and_never_optional() -> None:
    proxy = PROXY % "{port: 80, tags: {kuma.io/service: web}}"
    listeners = snapshot(proxy, METRICS % "ActiveMTLSBackend", VERSIONS).resources[ResourceType.LISTENER]
    [chain] = json.loads(listeners["system_meshmetric_prometheus_default-backend"].json)["filterChains"]
    common = chain["transportSocket"]["typedConfig"]["commonTlsContext"]
    assert common["tlsParams"]["tlsMinimumProtocolVersion"] == "TLSv1_3"
    assert chain["transportSocket"]["typedConfig"]["requireClientCertificate"] is True
