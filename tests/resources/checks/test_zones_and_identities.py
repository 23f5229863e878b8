"""Proxies between zones, identities and whom to trust, and collectors."""

import base64
import json
from datetime import timedelta

import pytest

from compiler.identity import leaf
from compiler.resources.checks import identities
from compiler.resources.judge import judge
from tests.certificates import AUTHORITY, NO_AUTHORITY
from tests.resources.build import documents, mistakes, policy, schemas

INGRESS = "type: ZoneIngress\nname: i\nnetworking: {address: %s, port: 1%s}"
EGRESS = "type: ZoneEgress\nname: e\nnetworking: {address: %s, port: 1%s}"
BUNDLED = "provider: {type: Bundled, bundled: {%s}}\nselector: {dataplane: {}}"
CERTIFICATE = "{type: Secret, secretRef: {kind: Secret, name: c}}"
CA = f"autogenerate: {{enabled: false}}, ca: {{certificate: {CERTIFICATE}, privateKey: %s}}"
KEY = "{type: Secret, secretRef: {kind: Secret, name: b}}"
TRUST = "trustDomain: a.b\ncaBundles: [{type: Pem, pem: {value: %r}}]"
PEM = AUTHORITY
UNREADABLE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
INLINE = "{type: InsecureInline, insecureInline: {value: %s}}"
MESH = (
    "type: Mesh\nname: m\nmtls: {enabledBackend: ca, backends: [{name: ca, type: provided, "
    "conf: {cert: {%s: %s}, key: {secret: k}}}]}"
)

RIGHT = [
    INGRESS % ("10.0.0.1", ", advertisedAddress: a.b, advertisedPort: 2, admin: {port: 9901}"),
    INGRESS % ("10.0.0.1", ""),
    EGRESS % ("10.0.0.1", ""),
    policy("MeshZoneAddress", "{address: a.b, port: 1}"),
    policy("MeshIdentity", BUNDLED % "autogenerate: {enabled: true}"),
    policy("MeshIdentity", BUNDLED % (CA % KEY)),
    policy(
        "MeshIdentity", "selector: {dataplane: {}}\nprovider: {type: Spire}\nspiffeID: {path: '/w/{{ .Workload }}'}"
    ),
    policy("MeshTrust", TRUST % (PEM + PEM)).replace("'-", '"-').replace("\\n'", '\\n"'),
    policy("MeshOpenTelemetryBackend", "{}"),
    policy("MeshOpenTelemetryBackend", "{protocol: http, endpoint: {path: /otlp}}"),
]


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_one_has_nothing_wrong(text: str) -> None:
    assert mistakes(text) == []


WRONG = [
    (
        policy("MeshIdentity", BUNDLED % "autogenerate: {enabled: true}, certificateParameters: {expiry: 9m}"),
        ("no-effect", "/spec/provider/bundled/certificateParameters/expiry"),
    ),
    (policy("MeshOpenTelemetryBackend", "{endpoint: {path: /otlp}}"), ("exclusive-fields", "/spec/endpoint/path")),
    (policy("MeshOpenTelemetryBackend", "{env: {mode: Required}}"), ("no-effect", "/spec/env/mode")),
    (policy("MeshOpenTelemetryBackend", "{env: {mode: Optional}}"), ("no-effect", "/spec/env")),
    ("type: GlobalSecret\nname: s", ("no-effect", "")),
    (policy("Workload", "{}"), ("no-effect", "/spec")),
    (INGRESS % ("0.0.0.0", ""), ("bad-value", "/networking/address")),
    (INGRESS % ("10.0.0.1", ", admin: {port: 1}"), ("port-conflict", "/networking/admin/port")),
    (INGRESS % ("10.0.0.1", ", advertisedPort: 2"), ("missing-field", "/networking")),
    (
        INGRESS % ("10.0.0.1", "") + "\navailableServices: [{tags: {kuma.io/service: a}}]",
        ("no-effect", "/availableServices"),
    ),
    (EGRESS % ("10.0.0.1", ", admin: {port: 1}"), ("port-conflict", "/networking/admin/port")),
    (policy("MeshZoneAddress", "{address: '::', port: 1}"), ("bad-value", "/spec/address")),
    (policy("MeshIdentity", "provider: {type: Spire}"), ("no-effect", "/spec")),
    (policy("MeshIdentity", BUNDLED % ""), ("missing-field", "/spec/provider/bundled")),
    (
        policy("MeshIdentity", "selector: {dataplane: {}}\nprovider: {type: Bundled}"),
        ("missing-field", "/spec/provider"),
    ),
    (
        policy("MeshIdentity", "selector: {dataplane: {}}\nprovider: {type: Spire, extension: {name: a}}"),
        ("exclusive-fields", "/spec/provider/extension"),
    ),
    (
        policy("MeshIdentity", BUNDLED % (CA % KEY).replace("false", "true")),
        ("exclusive-fields", "/spec/provider/bundled/ca"),
    ),
    (
        policy("MeshIdentity", BUNDLED % (CA % "{type: InsecureInline, insecureInline: {value: k}}")),
        ("secret-in-git", "/spec/provider/bundled/ca/privateKey/insecureInline"),
    ),
    (
        policy("MeshIdentity", "selector: {dataplane: {}}\nspiffeID: {path: 'workload'}"),
        ("bad-template", "/spec/spiffeID/path"),
    ),
    (
        policy("MeshIdentity", "selector: {dataplane: {}}\nspiffeID: {trustDomain: '{{ .Name }}.local'}"),
        ("bad-template", "/spec/spiffeID/trustDomain"),
    ),
    (
        policy("MeshIdentity", BUNDLED % (CA % "{type: File, file: {path: /k}}")),
        ("no-effect", "/spec/provider/bundled/ca/privateKey"),
    ),
    (
        policy("MeshIdentity", BUNDLED % "autogenerate: {enabled: true}, insecureAllowSelfSigned: false"),
        ("no-effect", "/spec/provider/bundled/insecureAllowSelfSigned"),
    ),
    (
        policy("MeshIdentity", "selector: {dataplane: {}}\nspiffeID: {trustDomain: '{{ .Workload }}.local'}"),
        ("bad-template", "/spec/spiffeID/trustDomain"),
    ),
    (policy("MeshTrust", TRUST % "no certificate"), ("bad-value", "/spec/caBundles/0/pem/value")),
    (
        policy("MeshOpenTelemetryBackend", "{protocol: grpc, endpoint: {path: /otlp}}"),
        ("exclusive-fields", "/spec/endpoint/path"),
    ),
    ("type: GlobalSecret\nname: s\ndata: dA==", ("secret-in-git", "/data")),
]


def test_what_is_told_of_a_short_life_is_what_the_server_keeps_to() -> None:
    assert timedelta(microseconds=identities.SHORTEST_LIFETIME / 1000) == leaf.SHORTEST_LIFETIME


@pytest.mark.parametrize(("text", "mistake"), WRONG)
def test_what_is_wrong_is_named(text: str, mistake: tuple[str, str]) -> None:
    assert mistakes(text) == [mistake]


@pytest.mark.parametrize("pem", [UNREADABLE, NO_AUTHORITY, AUTHORITY + UNREADABLE], ids=["content", "leaf", "second"])
def test_what_is_trusted_is_an_authority_that_can_be_read(pem: str) -> None:
    text = policy("MeshTrust", TRUST.replace("%r", "%s") % json.dumps(pem))
    assert mistakes(text) == [("unusable-authority", "/spec/caBundles/0/pem/value")]


@pytest.mark.parametrize(
    ("field", "certificate"),
    [
        ("inlineString", NO_AUTHORITY),
        ("inlineString", UNREADABLE),
        ("inline", base64.b64encode(NO_AUTHORITY.encode()).decode()),
    ],
    ids=["leaf", "content", "base64"],
)
def test_an_authority_that_a_mesh_is_given_is_one(field: str, certificate: str) -> None:
    found = mistakes(MESH % (field, json.dumps(certificate)))
    assert ("unusable-authority", f"/mtls/backends/0/conf/cert/{field}") in found
    assert "unusable-authority" not in [code for code, _ in mistakes(MESH % ("inlineString", json.dumps(AUTHORITY)))]


def test_an_authority_that_an_identity_is_given_is_one() -> None:
    at = "/spec/provider/bundled/ca/certificate/insecureInline/value"
    for certificate, told in ((NO_AUTHORITY, True), (AUTHORITY, False)):
        given = (CA % KEY).replace(CERTIFICATE, INLINE % json.dumps(certificate))
        assert (("unusable-authority", at) in mistakes(policy("MeshIdentity", BUNDLED % given))) is told


@pytest.mark.parametrize(
    ("kind", "mesh", "namespace"), [("ZoneIngress", "", "kuma-system"), ("MeshTrust", "m", "kuma-system")]
)
def test_a_type_of_no_mesh_still_has_a_namespace_on_kubernetes(kind: str, mesh: str, namespace: str) -> None:
    [document] = documents(
        f"apiVersion: kuma.io/v1alpha1\nkind: {kind}\n"
        f"metadata: {{name: a, namespace: {namespace}, labels: {{kuma.io/mesh: m}}}}\nspec: {{}}"
    )
    envelope = judge(document.value, schemas()).envelope
    assert envelope is not None
    assert (envelope.mesh, envelope.namespace, envelope.key.name) == (mesh, namespace, f"a.{namespace}")


def test_a_service_behind_an_ingress_has_a_name() -> None:
    text = INGRESS % ("10.0.0.1", "") + "\navailableServices: [{tags: {version: v1}}]"
    assert ("missing-field", "/availableServices/0/tags") in mistakes(text)
