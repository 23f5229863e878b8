"""A Mesh's backends: those in force exist, and each can be used."""

import pytest

from tests.resources.build import check

CA = "mtls: {enabledBackend: ca, backends: [{name: ca, type: %s, conf: %s}]}"
AT = "/mtls/backends/0/conf"


def _mistakes(spec: str) -> list[tuple[str, str]]:
    found = check(f"type: Mesh\nname: m\n{spec}").diagnostics
    return [(each.code.word, each.path) for each in found if each.code.word != "not-supported-yet"]


RIGHT = [
    "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin, dpCert: {rotation: {expiration: 10m}}}]}",
    CA % ("provided", "{cert: {secret: c}, key: {secret: k}}"),
    CA
    % (
        "vault",
        (
            "{fromCp: {address: 'https://v:8200', pki: p, role: r, auth: {token: {secret: t}}, "
            'commonName: \'{{ tag "kuma.io/service" | replace "_" "-" }}.mesh\'}}'
        ),
    ),
    CA
    % (
        "acmpca",
        "{arn: 'arn:aws:acm-pca:x', auth: {awsCredentials: {accessKey: {secret: a}, accessKeySecret: {secret: b}}}}",
    ),
    CA % ("certmanager", "{issuerRef: {name: i, kind: Issuer}}"),
    CA % ("builtin", "{}") + "\nrouting: {zoneEgress: true}",
    "metrics: {enabledBackend: p, backends: [{name: p, type: prometheus, conf: {skipMTLS: true, envoy: {}}}]}",
    "metrics: {backends: [{name: p, type: prometheus, conf: {envoy: {filterRegex: 'http.*'}}}]}",
    "metrics: {backends: [{name: p, type: prometheus, conf: {skipMTLS: false, tls: {mode: activeMTLSBackend}}}]}",
    "constraints: {dataplaneProxy: {requirements: [{tags: {team: '*', path: a/b}}]}}",
    "skipCreatingInitialPolicies: ['*', MeshRetry, TrafficRoute]",
    "logging: {defaultBackend: f, backends: [{name: f, type: file, conf: {path: /a}}]}",
    "logging: {backends: [{name: t, type: tcp, conf: {address: 'a:1'}}]}",
    "tracing: {backends: [{name: z, type: zipkin, sampling: 12.5, conf: {url: 'http://z:9411/api'}}]}",
    "tracing: {backends: [{name: d, type: datadog, conf: {address: dd, port: 8126}}]}",
]


@pytest.mark.parametrize("spec", RIGHT)
def test_a_right_one_has_nothing_wrong(spec: str) -> None:
    assert _mistakes(spec) == []


SHORT = "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin, dpCert: {rotation: {expiration: %s}}}]}"
WRONG = [
    (SHORT % "9m", ("no-effect", "/mtls/backends/0/dpCert/rotation/expiration")),
    (CA % ("builtin", "{caCert: {RSAbits: 4096, expiration: 5y}}"), ("no-effect", f"{AT}/caCert")),
    ("skipCreatingInitialPolicies: [MeshTimeout, MeshRetries]", ("no-effect", "/skipCreatingInitialPolicies/1")),
    (
        "constraints: {dataplaneProxy: {requirements: [{tags: {}}]}}",
        ("bad-value", "/constraints/dataplaneProxy/requirements/0/tags"),
    ),
    (
        "constraints: {dataplaneProxy: {restrictions: [{tags: {}}]}}",
        ("bad-value", "/constraints/dataplaneProxy/restrictions/0/tags"),
    ),
    (CA % ("provided", "{cert: {secret: c}}"), ("missing-field", f"{AT}/key")),
    (CA % ("provided", "{cert: {secret: c}, key: {inlineString: k}}"), ("secret-in-git", f"{AT}/key/inlineString")),
    (CA % ("provided", "{cert: {file: /c}, key: {secret: k}}"), ("no-effect", f"{AT}/cert")),
    (CA % ("provided", "{cert: {secret: c}, key: {file: /k}}"), ("no-effect", f"{AT}/key")),
    (
        CA
        % (
            "vault",
            "{fromCp: {address: a, pki: p, role: r, auth: {token: {secret: t}}, tls: {caCert: {inline: '**'}}}}",
        ),
        ("bad-value", f"{AT}/fromCp/tls/caCert/inline"),
    ),
    (CA % ("provided", "{cert: {secret: c, file: /c}, key: {secret: k}}"), ("bad-value", f"{AT}/cert")),
    (
        CA % ("vault", "{fromCp: {address: a, pki: p, role: r, auth: {token: {inline: dA==}}}}"),
        ("secret-in-git", f"{AT}/fromCp/auth/token/inline"),
    ),
    (
        CA % ("vault", "{fromCp: {address: a, pki: p, role: r, auth: {token: {secret: t}, aws: {}}}}"),
        ("exclusive-fields", f"{AT}/fromCp/auth/aws"),
    ),
    (
        CA % ("vault", "{fromCp: {address: a, pki: p, role: r, auth: {aws: {}}, commonName: '{{ .Name }}'}}"),
        ("bad-template", f"{AT}/fromCp/commonName"),
    ),
    (
        CA
        % (
            "acmpca",
            "{arn: 'arn:a', auth: {awsCredentials: {accessKey: {inline: dA==}, accessKeySecret: {secret: b}}}}",
        ),
        ("secret-in-git", f"{AT}/auth/awsCredentials/accessKey/inline"),
    ),
    ("mtls: {enabledBackend: ca, backends: [{name: ca, type: magic}]}", ("bad-value", "/mtls/backends/0/type")),
    ("mtls: {enabledBackend: b, backends: [{name: a, type: builtin}]}", ("dangling-name", "/mtls/enabledBackend")),
    ("metrics: {enabledBackend: p}", ("dangling-name", "/metrics/enabledBackend")),
    (
        "metrics: {backends: [{name: p, type: prometheus}, {name: p, type: prometheus}]}",
        ("duplicate-name", "/metrics/backends/1/name"),
    ),
    (
        "metrics: {backends: [{name: p, type: prometheus, conf: {skipMTLS: false, tls: {mode: disabled}}}]}",
        ("exclusive-fields", "/metrics/backends/0/conf"),
    ),
    (
        "metrics: {backends: [{name: p, type: prometheus, conf: {aggregate: [&a {name: a, port: 1}, *a]}}]}",
        ("duplicate-name", "/metrics/backends/0/conf/aggregate/1/name"),
    ),
    (
        "metrics: {backends: [{name: p, type: prometheus, conf: {aggregate: [{name: a}]}}]}",
        ("missing-field", "/metrics/backends/0/conf/aggregate/0"),
    ),
    (
        "metrics: {backends: [{name: p, type: prometheus, conf: {tags: {a: b}}}]}",
        ("no-effect", "/metrics/backends/0/conf/tags"),
    ),
    (
        "metrics: {backends: [{name: p, type: prometheus, conf: {envoy: {filterRegex: '('}}}]}",
        ("bad-value", "/metrics/backends/0/conf/envoy/filterRegex"),
    ),
    (
        "logging: {backends: [{name: t, type: tcp, conf: {address: 'a:99999'}}]}",
        ("bad-value", "/logging/backends/0/conf/address"),
    ),
    ("logging: {defaultBackend: x, backends: []}", ("dangling-name", "/logging/defaultBackend")),
    (
        "tracing: {backends: [{name: z, type: zipkin, conf: {url: 'http://z/api'}}]}",
        ("bad-value", "/tracing/backends/0/conf/url"),
    ),
    (
        "tracing: {backends: [{name: z, type: zipkin, sampling: 101, conf: {url: 'http://z:1/'}}]}",
        ("bad-value", "/tracing/backends/0/sampling"),
    ),
    ("routing: {zoneEgress: true}", ("no-effect", "/routing/zoneEgress")),
]


@pytest.mark.parametrize(("spec", "mistake"), WRONG)
def test_what_is_wrong_is_named(spec: str, mistake: tuple[str, str]) -> None:
    assert _mistakes(spec) == [mistake]


def test_what_kong_mesh_has_and_this_release_has_not_is_refused_at_its_type() -> None:
    found = check(f"type: Mesh\nname: m\n{RIGHT[4]}").diagnostics
    assert [(each.code.word, each.path) for each in found] == [("not-supported-yet", "/mtls/backends/0/type")]
