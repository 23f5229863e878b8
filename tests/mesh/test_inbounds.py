"""Who says how TLS is spoken, at inbounds and where calls go."""

import pytest

from compiler.diagnostics import Diagnostic
from compiler.pipeline import Compiler
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, compile_texts, resolve_proxy

MESH = "{type: Mesh, name: default, mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}}"
WEB = """
type: Dataplane
mesh: default
name: web
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound: [{port: 10001, tags: {kuma.io/service: backend}}]
"""
BACKEND = WEB.replace("web", "backend").replace("10.0.0.1", "10.0.0.2").partition("  outbound")[0]
NEWEST = "{type: MeshTLS, mesh: default, name: newest, spec: {rules: [{default: {tlsVersion: {max: TLS12}}}]}}"
OLDEST = "{type: MeshTLS, mesh: default, name: oldest, spec: {from: [{targetRef: {kind: Mesh}, default: %s}]}}"
MODE = "{type: MeshTLS, mesh: default, name: a-mode, spec: {rules: [{default: {mode: Permissive}}]}}"


TIMEOUT = """
type: MeshTimeout
mesh: default
name: a-timeout
spec: {to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 5s}}]}
"""


def said_by(*texts: str) -> list[tuple[str, str]]:
    """The policies behind the TLS of a call, with the pointers into their specs."""
    compiler = Compiler(SCHEMAS)
    compile_texts(MESH, WEB, BACKEND, *texts, compiler=compiler)
    (upstream,) = resolve_proxy(compiler.memo, ResourceKey("Dataplane", "default", "web")).upstreams
    return [(one.policy.name, one.pointer) for one in upstream.tls.origins] if upstream.tls is not None else []


def test_tls_of_a_call_carries_the_policy_that_says_its_versions() -> None:
    assert said_by(NEWEST) == [("newest", "/rules/0")]


def test_a_policy_that_only_says_whom_a_port_takes_has_no_say_in_calls() -> None:
    assert said_by(MODE) == []
    assert said_by(MODE, NEWEST) == [("newest", "/rules/0")]


@pytest.mark.parametrize("conf", ["{tlsVersion: {min: TLS12}}", "{tlsCiphers: [ECDHE-RSA-AES256-GCM-SHA384]}"])
def test_items_of_2_x_are_known_by_their_places_too(conf: str) -> None:
    assert said_by(OLDEST % conf) == [("oldest", "/from/0")]


def test_tls_that_a_cluster_cannot_have_is_told_at_the_policy_and_not_at_the_dataplane() -> None:
    other = NEWEST.replace("newest", "older").replace("max: TLS12", "min: TLS13")
    found = compile_texts(MESH, WEB, BACKEND, TIMEOUT, MODE, NEWEST, other).diagnostics
    (of_cluster,) = [one for one in found if "clusters" in one.message]
    assert place(of_cluster) == ("MeshTLS", "newest", "/spec/rules/0")
    assert of_cluster.hint == "also involved: a-timeout, older"


def place(found: Diagnostic) -> tuple[str, str, str]:
    assert found.subject is not None
    return found.subject.type, found.subject.name, found.path
