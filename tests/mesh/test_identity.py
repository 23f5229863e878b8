"""Which identity a proxy has, who accepts it, whom it trusts, and what is said where that comes to nothing."""

from collections.abc import Mapping

import pytest

from compiler.envoy.resources import ResourceType
from compiler.mesh.trust import Trusted
from compiler.snapshot.names import SecretName
from compiler.snapshot.snapshot import Snapshot
from tests.certificates import AUTHORITY
from tests.trees import compile_texts

PLAIN = "{type: Mesh, name: shop}"
BACKED = "{type: Mesh, name: shop, mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}}"
BUNDLED = "{type: Bundled, bundled: {autogenerate: {enabled: true}}}"
PEM = AUTHORITY.replace("\n", "\\n")


def identity(name: str = "main", labels: str = "", spiffe: str = "", provider: str = BUNDLED, more: str = "") -> str:
    provided = f", provider: {provider}" if provider else ""
    return f"""
type: MeshIdentity
mesh: shop
name: {name}
{more}
spec: {{selector: {{dataplane: {{matchLabels: {{{labels}}}}}}}, spiffeID: {{{spiffe}}}{provided}}}
"""


def dataplane(name: str, labels: str = "", more: str = "", port: int = 80) -> str:
    """Of the service that it is called after, up to a hyphen; it calls `api`."""
    service = name.partition("-")[0]
    return f"""
type: Dataplane
mesh: shop
name: {name}
labels: {{kuma.io/workload: {service}, {labels}}}
networking:
  address: 10.0.0.{sum(name.encode()) % 200 + 1}
  inbound: [{{port: {port}, tags: {{kuma.io/service: {service}, kuma.io/protocol: http}}}}]
  outbound: [{{port: 9000, tags: {{kuma.io/service: api}}}}]
{more}
"""


def trust(domain: str) -> str:
    return f"""
type: MeshTrust
mesh: shop
name: t
spec: {{trustDomain: {domain}, caBundles: [{{type: Pem, pem: {{value: "{PEM}"}}}}]}}
"""


def compiled(*texts: str) -> Mapping[str, Snapshot]:
    checked = compile_texts(*texts)
    assert checked.value.generation is not None, checked.diagnostics
    return {name.removeprefix("shop."): one for name, one in checked.value.generation.snapshots.items()}


def found(*texts: str) -> list[tuple[str, str, str]]:
    return [
        (one.code.word, one.subject.name if one.subject else "", one.path) for one in compile_texts(*texts).diagnostics
    ]


def own(snapshot: Snapshot) -> SecretName:
    (secret,) = (one for one in snapshot.secrets if one.uris)
    return secret


def cluster(snapshot: Snapshot) -> str:
    """Of calls to the api."""
    clusters = snapshot.resources[ResourceType.CLUSTER]
    return next(one.json.decode() for name, one in clusters.items() if "_api_" in name)


def trusted(snapshot: Snapshot) -> tuple[Trusted, ...]:
    return next((one.trusted for one in snapshot.secrets if one.name == "system_trust_bundle"), ())


def test_the_identity_that_asks_for_most_labels_wins_and_among_equals_the_smallest_name() -> None:
    identities = (
        identity("all"),
        identity("b", "app: web"),
        identity("a", "tier: front"),
        identity("most", "app: web, tier: back"),
    )
    proxies = (
        dataplane("api-1"),
        dataplane("web-1", "app: web, tier: front"),
        dataplane("web-2", "app: web, tier: back"),
    )
    snapshots = compiled(PLAIN, *identities, *proxies)
    names = {name: own(one).authority for name, one in snapshots.items()}
    assert names == {"api-1": "identity/all", "web-1": "identity/a", "web-2": "identity/most"}
    assert own(snapshots["web-2"]).name == "kri_mid_shop___most_"


@pytest.mark.parametrize(
    ("spiffe", "labels", "expected"),
    [
        ("", "", "shop.default.mesh.local/workload/api"),
        ("trustDomain: '{{ .Mesh }}.local', path: '/{{ .Mesh }}/{{ .Zone }}/{{ .Workload }}'", "", "shop.local/shop/default/api"),  # noqa: E501  # one case
        ("trustDomain: a.b, path: '/team/{{ label \"team\" }}'", "team: x.1", "a.b/team/x.1"),
        ("trustDomain: a.b", "kuma.io/env: kubernetes, k8s.kuma.io/namespace: ns1, k8s.kuma.io/service-account: sa1", "a.b/ns/ns1/sa/sa1"),  # noqa: E501  # one case
        ("trustDomain: '{{ label \"domain\" }}.b'", "", "here.b/workload/api"),
    ],
)  # fmt: skip
def test_a_proxy_has_exactly_the_spiffe_id_that_the_templates_give(spiffe: str, labels: str, expected: str) -> None:
    made = identity(spiffe=spiffe, more="labels: {domain: here}")
    assert own(compiled(PLAIN, made, dataplane("api-1", labels))["api-1"]).uris == (f"spiffe://{expected}",)


def test_replicas_that_a_template_tells_apart_have_ids_of_their_own() -> None:
    by_zone = identity(spiffe="path: '/{{ label \"slot\" }}'")
    proxies = (dataplane("api-1", "slot: one, kuma.io/zone: east"), dataplane("api-2", "slot: two, kuma.io/zone: west"))
    snapshots = compiled(PLAIN, by_zone, *proxies)
    assert {uri for one in snapshots.values() for uri in own(one).uris} == {
        "spiffe://shop.east.mesh.local/one",
        "spiffe://shop.west.mesh.local/two",
    }
    assert [one.domain for one in trusted(snapshots["api-1"])] == ["shop.east.mesh.local", "shop.west.mesh.local"]
    for uri in ("shop.east.mesh.local/one", "shop.west.mesh.local/two"):
        assert f'"spiffe://{uri}"' in cluster(snapshots["api-1"])


@pytest.mark.parametrize(
    ("spiffe", "labels"),
    [("path: '/{{ label \"team\" }}'", ""), ("path: '/{{ label \"team\" | replace \"x\" \"/../\" }}'", "team: axb"), ("", "kuma.io/env: kubernetes")],  # noqa: E501  # one case
)  # fmt: skip
def test_a_proxy_whose_id_cannot_be_made_is_refused(spiffe: str, labels: str) -> None:
    assert ("no-identity", "api-1", "") in found(PLAIN, identity(spiffe=spiffe), dataplane("api-1", labels))


def test_calls_are_secured_once_every_proxy_of_a_service_has_an_identity_and_by_who_has_one() -> None:
    proxies = (
        dataplane("api-1", "app: api"),
        dataplane("api-2", "app: api, new: 'yes'"),
        dataplane("web-1", "app: web"),
    )
    some = compiled(PLAIN, identity(labels="new: 'yes'"), *proxies)
    assert "transportSocket" not in cluster(some["api-2"])
    every = compiled(PLAIN, identity(labels="app: api"), *proxies)
    assert "spiffe://shop.default.mesh.local/workload/api" in cluster(every["api-1"])
    assert "transportSocket" not in cluster(every["web-1"])
    assert every["web-1"].secrets == ()


def test_while_a_mesh_moves_everybody_trusts_both_and_accepts_what_may_come_next() -> None:
    proxies = (dataplane("api-1", "app: api"), dataplane("web-1", "app: web"))
    expected = ("spiffe://shop/api", "spiffe://shop.default.mesh.local/workload/api")
    for labels, moved in (("app: none", ""), ("app: api", "api-1"), ("app: web", "web-1")):
        snapshots = compiled(BACKED, identity(labels=labels), *proxies)
        for name, one in snapshots.items():
            assert own(one).authority == ("identity/main" if name == moved else "ca")
            assert {known.domain for known in trusted(one)} == {"shop", "shop.default.mesh.local"}
            assert all(f'"{uri}"' in cluster(one) for uri in expected)
    last = compiled(PLAIN, identity(), *proxies)["web-1"]
    assert [known.domain for known in trusted(last)] == ["shop.default.mesh.local"]
    assert '"spiffe://shop/api"' not in cluster(last)


def test_a_mesh_without_identities_and_trusts_goes_by_its_backends_authority_as_before() -> None:
    one = compiled(BACKED, dataplane("api-1"))["api-1"]
    assert [secret.name for secret in one.secrets] == ["system_mtls_ca_shop", "system_mtls_identity_shop"]
    assert own(one).uris[0] == "spiffe://shop/api"


def test_a_written_trust_stands_beside_those_that_are_made() -> None:
    one = compiled(PLAIN, identity(), trust("elsewhere.local"), dataplane("api-1"))["api-1"]
    made, written = sorted(trusted(one), reverse=True)
    assert (made.domain, made.authority, made.pem) == ("shop.default.mesh.local", "identity/main", "")
    assert (written.domain, written.authority) == ("elsewhere.local", "")
    assert written.pem.startswith("-----BEGIN CERTIFICATE-----")


DISABLED = "{type: Bundled, bundled: {meshTrustCreation: Disabled, autogenerate: {enabled: true}}}"


def test_an_identity_that_nobody_would_trust_is_refused() -> None:
    made = identity(provider=DISABLED)
    assert ("untrusted-identity", "main", "/spec/provider") in found(PLAIN, made, dataplane("api-1"))
    assert found(PLAIN, made, dataplane("api-1"), trust("shop.default.mesh.local")) == []


def test_an_identity_without_a_provider_certifies_nobody() -> None:
    made = identity(provider="")
    assert compiled(PLAIN, made, dataplane("api-1"))["api-1"].secrets == ()
    assert own(compiled(BACKED, made, dataplane("api-1"))["api-1"]).authority == "ca"


def test_an_identity_that_selects_nobody_is_said() -> None:
    assert ("no-effect", "main", "/spec/selector") in found(PLAIN, identity(labels="app: x"), dataplane("api-1"))


def test_an_agent_of_spire_is_asked_for_everything() -> None:
    spire = "{type: Spire, spire: {agent: {timeout: 2s}}}"
    one = compiled(PLAIN, identity(provider=spire), dataplane("api-1"))["api-1"]
    agent = one.resources[ResourceType.CLUSTER]["system_identity_sds-spire-agent"].json.decode()
    assert '"connectTimeout": "2s"' in agent
    assert '"path": "/run/spire/sockets/agent.sock"' in agent
    context = cluster(one)
    assert '"name": "spiffe://shop.default.mesh.local/workload/api"' in context
    assert '"name": "ALL"' in context
    assert '"ads"' not in context.partition("transportSocket")[2]
    assert [secret.kind for secret in one.secrets] == ["agent"]


def permission(conf: str) -> str:
    return f"{{type: MeshTrafficPermission, mesh: shop, name: p, spec: {{{conf}}}}}"


def test_callers_named_by_tags_are_told_of_and_a_denial_of_them_is_refused() -> None:
    web = "from: [{targetRef: {kind: MeshService, name: web}, default: {action: %s}}]"
    for action, errors in (("Allow", False), ("Deny", True)):
        checked = compile_texts(BACKED, identity(), dataplane("api-1"), permission(web % action))
        assert [one.code.word for one in checked.diagnostics] == ["callers-without-tags"]
        assert checked.failed is errors
    assert found(BACKED, dataplane("api-1"), permission(web % "Deny")) == []
    everyone = "from: [{targetRef: {kind: Mesh}, default: {action: Deny}}]"
    assert found(BACKED, identity(), dataplane("api-1"), permission(everyone)) == []


def test_callers_of_a_legacy_limit_that_are_told_by_tags_are_told_of() -> None:
    limit = "type: RateLimit\nmesh: shop\nname: r\nsources:\n- match: {kuma.io/service: web, version: v1}\n"
    limit += "destinations: [{match: {kuma.io/service: '*'}}]\nconf: {http: {requests: 1, interval: 1m}}\n"
    checked = compile_texts(BACKED, identity(), dataplane("api-1"), limit)
    (told,) = (one for one in checked.diagnostics if one.code.word == "callers-without-tags")
    assert (told.position.file, told.position.line, told.path) == ("003.yaml", 5, "/sources/0/match")


PROVIDED = """
type: Mesh
name: shop
mtls:
  enabledBackend: ca
  backends: [{name: ca, type: provided, conf: {cert: {secret: ca-cert}, key: {secret: ca-key}}}]
"""


def test_a_provided_authority_is_named_by_its_secrets_and_a_missing_document_is_said() -> None:
    documents = [f"{{type: Secret, mesh: shop, name: {name}}}" for name in ("ca-cert", "ca-key")]
    one = compiled(PROVIDED, *documents, dataplane("api-1"))["api-1"]
    assert [(secret.authority, secret.sources) for secret in one.secrets] == [("ca", ("ca-cert", "ca-key"))] * 2
    assert found(PROVIDED, *documents, dataplane("api-1")) == []
    assert found(PROVIDED, documents[0], dataplane("api-1")) == [
        ("missing-secret", "shop", "/mtls/backends/0/conf/key")
    ]


def test_what_is_given_as_secrets_stands_in_for_an_authority_that_the_server_was_not_given() -> None:
    given = "{type: Bundled, bundled: {ca: {certificate: {type: Secret, secretRef: {kind: Secret, name: a}}, privateKey: {type: Secret, secretRef: {kind: Secret, name: b}}}}}"  # noqa: E501  # one value
    one = compiled(PLAIN, identity(provider=given), dataplane("api-1"))["api-1"]
    assert own(one).sources == ("a", "b")
    assert trusted(one)[0].sources == ("a", "b")


def test_trimming_asks_what_an_identity_shows_and_leaves_open_ports_to_everyone() -> None:
    mesh = "{type: Mesh, name: shop, meshServices: {mode: Exclusive}, routing: {autoReachable: true}}"
    allow = permission(
        "targetRef: {kind: Dataplane, labels: {app: api}}, rules: [{default: {allow: [{spiffeID: "
        "{type: Exact, value: 'spiffe://shop.default.mesh.local/workload/web'}}]}}]"
    )
    redirected = "  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}"
    proxies = [
        dataplane(f"{name}-1", f"app: {name}", redirected).replace("  outbound", "  #")
        for name in ("api", "web", "guest")
    ]
    snapshots = compiled(mesh, identity(), allow, *proxies)
    reached = {
        name: any("_api_" in one for one in snapshot.resources[ResourceType.LISTENER])
        for name, snapshot in snapshots.items()
    }
    assert reached == {"api-1": False, "web-1": True, "guest-1": False}
    open_api = compiled(mesh, identity(labels="app: web"), allow, *proxies)
    assert all(
        any("_api_" in one for one in snapshot.resources[ResourceType.LISTENER]) for snapshot in open_api.values()
    )


@pytest.mark.parametrize(
    ("texts", "is_told"),
    [
        ((PLAIN,), True),
        ((PLAIN, identity(provider="")), True),
        ((PLAIN, identity()), False),
        ((BACKED,), False),
    ],
)
def test_trust_is_for_those_who_show_certificates(texts: tuple[str, ...], *, is_told: bool) -> None:
    assert (("no-effect", "t", "/spec") in found(*texts, trust("a.b"), dataplane("api-1"))) is is_told
