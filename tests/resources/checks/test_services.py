"""Services of several zones, services outside of the mesh, and generators of host names."""

import json

import pytest

from tests.certificates import AUTHORITY
from tests.resources.build import findings, mistakes, policy

EXTERNAL = "match: {port: 443}\nendpoints: [{address: api.example, port: 443}]\n"
LEGACY = "type: ExternalService\nmesh: default\nname: e\ntags: {kuma.io/service: e%s}\nnetworking: {address: %s%s}"
TLS = EXTERNAL + "tls: {enabled: true, verification: {%s}}"


def _generator(template: str) -> str:
    return f"type: HostnameGenerator\nname: g\nspec: {{selector: {{meshService: {{}}}}, template: '{template}'}}"


RIGHT = [
    policy("MeshMultiZoneService", "selector: {meshService: {matchLabels: {a: b}}}\nports: [{port: 80}]"),
    policy("MeshExternalService", EXTERNAL),
    policy("MeshExternalService", TLS % "caCert: {secret: a}, clientCert: {secret: c}, clientKey: {secret: k}"),
    policy("MeshExternalService", TLS % "caCert: {type: Secret, secretRef: {kind: Secret, name: c}}"),
    policy("MeshExternalService", EXTERNAL + "tls: {enabled: true, version: {min: TLS12, max: TLSAuto}}"),
    LEGACY % (", kuma.io/protocol: kafka", "'example.com:443'", ""),
    LEGACY % ("", "'[::1]:443'", ", tls: {enabled: true, clientCert: {secret: c}, clientKey: {secret: k}}"),
    _generator('{{ .DisplayName }}.{{label "team"}}.{{- .Zone -}}.mesh'),
]


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_one_has_nothing_wrong(text: str) -> None:
    assert mistakes(text) == []


AT = "/spec/tls/verification"


def _legacy(tls: str) -> str:
    return LEGACY % ("", "'example.com:443'", f", tls: {{{tls}}}")


@pytest.mark.parametrize(
    "bundle", [f"# Root of api.example\n{AUTHORITY}", f"Root 1\n======\n{AUTHORITY}{AUTHORITY}# end"]
)
def test_a_bundle_of_authorities_may_have_comments(bundle: str) -> None:
    """Envoy skips what stands between certificates."""
    source = f"caCert: {{inlineString: {json.dumps(bundle)}}}"
    assert mistakes(policy("MeshExternalService", TLS % source)) == []
    assert mistakes(_legacy(f"enabled: true, {source}")) == []


WRONG = [
    (policy("MeshExternalService", TLS % "caCert: {inline: Y2E=}"), ("unusable-authority", f"{AT}/caCert/inline")),
    (
        policy("MeshExternalService", TLS % "caCert: {type: InsecureInline, insecureInline: {value: ca}}"),
        ("unusable-authority", f"{AT}/caCert/insecureInline/value"),
    ),
    (policy("MeshExternalService", TLS % "mode: SkipCA, caCert: {secret: a}"), ("no-effect", f"{AT}/caCert")),
    (
        policy("MeshExternalService", TLS % "mode: SkipSAN, subjectAltNames: [{value: a}]"),
        ("no-effect", f"{AT}/subjectAltNames"),
    ),
    (
        policy("MeshExternalService", TLS % "mode: SkipCA, subjectAltNames: [{value: a}]"),
        ("no-effect", f"{AT}/subjectAltNames"),
    ),
    (_legacy("enabled: false, serverName: a.example"), ("no-effect", "/networking/tls")),
    (
        _legacy("enabled: true, caCert: {inlineString: ca}"),
        ("unusable-authority", "/networking/tls/caCert/inlineString"),
    ),
    (
        policy("MeshExternalService", EXTERNAL + "extension: {type: Lambda, config: {a: [1]}}"),
        ("no-effect", "/spec/extension"),
    ),
    (_generator("{{ .Name }}.a")[:-1] + ", extension: {type: other}}", ("no-effect", "/spec/extension")),
    (
        policy("MeshExternalService", EXTERNAL.replace("port: 443}\n", "port: 443, protocol: kafka}\n", 1)),
        ("bad-value", "/spec/match/protocol"),
    ),
    (
        policy("MeshMultiZoneService", "selector: {meshService: {matchLabels: {}}}\nports: [{port: 80}]"),
        ("missing-field", "/spec/selector/meshService/matchLabels"),
    ),
    (
        policy("MeshMultiZoneService", "selector: {meshService: {matchLabels: {a: b}}}\nports: [{port: 1, name: ''}]"),
        ("bad-value", "/spec/ports/0/name"),
    ),
    (
        policy(
            "MeshMultiZoneService",
            "selector: {meshService: {matchLabels: {a: b}}}\nports: [{port: 1, name: a}, {port: 2, name: a}]",
        ),
        ("duplicate-name", "/spec/ports/1/name"),
    ),
    (policy("MeshExternalService", "match: {port: 443}"), ("no-effect", "/spec")),
    (
        policy("MeshExternalService", "match: {port: 1}\nendpoints: [{address: 0.0.0.0, port: 1}]"),
        ("bad-value", "/spec/endpoints/0/address"),
    ),
    (
        policy("MeshExternalService", EXTERNAL + "tls: {enabled: true, version: {min: TLS13, max: TLS12}}"),
        ("bad-value", "/spec/tls/version/min"),
    ),
    (policy("MeshExternalService", EXTERNAL + "tls: {version: {min: TLS13}}"), ("no-effect", "/spec/tls")),
    (policy("MeshExternalService", TLS % "clientCert: {secret: c}"), ("missing-field", AT)),
    (
        policy("MeshExternalService", TLS % "clientCert: {secret: c}, clientKey: {inlineString: k}"),
        ("secret-in-git", f"{AT}/clientKey/inlineString"),
    ),
    (
        policy("MeshExternalService", TLS % "caCert: {type: EnvVar, envVar: {name: CA}}"),
        ("bad-value", f"{AT}/caCert/type"),
    ),
    (policy("MeshExternalService", TLS % "caCert: {type: Secret}"), ("missing-field", f"{AT}/caCert")),
    (
        policy(
            "MeshExternalService",
            TLS % "caCert: {type: Secret, secretRef: {kind: Secret, name: c}, insecureInline: {value: c}}",
        ),
        ("exclusive-fields", f"{AT}/caCert/insecureInline"),
    ),
    (LEGACY % (", kuma.io/protocol: htp", "'a.b:1'", ""), ("bad-value", "/tags/kuma.io~1protocol")),
    (LEGACY % ("", "a.b", ""), ("bad-value", "/networking/address")),
    (LEGACY % ("", "'a.b:0'", ""), ("bad-value", "/networking/address")),
    (
        LEGACY % ("", "'a.b:1'", ", tls: {enabled: true, clientCert: {secret: c}}"),
        ("missing-field", "/networking/tls"),
    ),
    ("type: HostnameGenerator\nname: g\nspec: {template: a.mesh}", ("missing-field", "/spec/selector")),
    (_generator("{{ .Nam }}.mesh"), ("bad-template", "/spec/template")),
    (_generator("{{ .Name[4 }}.mesh"), ("bad-template", "/spec/template")),
    (_generator("{{ .Name }}_mesh"), ("bad-template", "/spec/template")),
]


@pytest.mark.parametrize(("text", "mistake"), WRONG)
def test_what_is_wrong_is_named(text: str, mistake: tuple[str, str]) -> None:
    assert mistakes(text) == [mistake]


def test_a_name_that_kuma_refuses_by_its_length_is_refused_and_one_that_it_warns_of_is_warned_of() -> None:
    long = "n" * 64
    external = policy("MeshExternalService", EXTERNAL).replace("name: p", f"name: {long}")
    spanning = policy("MeshMultiZoneService", RIGHT[0].partition("spec:\n")[2]).replace("name: p", f"name: {long}")
    assert mistakes(external) == mistakes(spanning) == [("bad-name", "/name")]


def test_without_verification_a_client_certificate_and_an_authority_change_nothing() -> None:
    text = policy(
        "MeshExternalService",
        TLS % "mode: SkipAll, caCert: {secret: a}, clientCert: {secret: c}, clientKey: {secret: k}",
    )
    assert mistakes(text) == [("no-effect", f"{AT}/{name}") for name in ("caCert", "clientCert", "clientKey")]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (_legacy("enabled: true, caCert: {file: /ca.pem}"), "/networking/tls/caCert/file"),
        (
            _legacy("enabled: true, clientCert: {secret: c}, clientKey: {file: /key.pem}"),
            "/networking/tls/clientKey/file",
        ),
        (
            _legacy("enabled: true, clientCert: {inline: Yw==}, clientKey: {secret: k}"),
            "/networking/tls/clientCert/inline",
        ),
        (
            policy("MeshExternalService", TLS % "clientCert: {inlineString: c}, clientKey: {secret: k}"),
            f"{AT}/clientCert/inlineString",
        ),
    ],
)
def test_what_no_proxy_could_be_given_is_refused(text: str, path: str) -> None:
    assert findings(text) == [("not-supported-yet", path)]
