"""ExternalServices of one name have one way to speak TLS."""

import pytest

from compiler.diagnostics import Diagnostic
from compiler.envoy.resources import ResourceType
from compiler.pipeline import Compiler
from tests.trees import SCHEMAS, compile_texts

MESH = "{type: Mesh, name: default}"
NAMED = "tls: {enabled: true, serverName: pay.example.org}"


def external(name: str, address: str, tls: str = "") -> str:
    networking = f"{{address: '{address}', {tls}}}"
    tags = "{kuma.io/service: pay}"
    return f"{{type: ExternalService, mesh: default, name: {name}, tags: {tags}, networking: {networking}}}"


def found(*texts: str, compiler: Compiler | None = None) -> list[Diagnostic]:
    checked = compile_texts(MESH, *texts, compiler=compiler)
    return [one for one in checked.diagnostics if one.code.word == "tls-conflict"]


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        ("tls: {enabled: true}", "tls: {enabled: true}", "/networking/tls"),
        (NAMED, "", "/networking"),
        (NAMED, "tls: {enabled: false}", "/networking/tls"),
        ("", NAMED, "/networking/tls"),
        (NAMED, "tls: {enabled: true, serverName: pay.example.org, caCert: {secret: ca}}", "/networking/tls"),
    ],
)
def test_two_that_speak_tls_differently_are_refused_and_both_are_named(first: str, second: str, path: str) -> None:
    (one,) = found(external("a", "a.example.org:443", first), external("b", "b.example.org:443", second))
    assert (one.path, one.level.value) == (path, "error")
    assert one.subject is not None
    assert one.subject.name == "b"
    assert "'a' and 'b'" in one.message


@pytest.mark.parametrize("tls", ["", "tls: {enabled: false}", NAMED])
def test_two_hosts_that_are_asked_for_by_one_name_are_one_service(tls: str) -> None:
    assert found(external("a", "a.example.org:443", tls), external("b", "b.example.org:443", tls)) == []


def test_two_ports_of_a_host_have_its_name() -> None:
    tls = "tls: {enabled: true}"
    assert found(external("a", "a.example.org:443", tls), external("b", "a.example.org:8443", tls)) == []


def test_services_of_different_names_speak_as_they_like() -> None:
    other = external("b", "b.example.org:443").replace("service: pay", "service: post")
    assert found(external("a", "a.example.org:443", NAMED), other) == []


def test_an_edit_of_the_first_is_told_at_the_second() -> None:
    compiler, second = Compiler(SCHEMAS), external("b", "b.example.org:443", NAMED)
    assert found(external("a", "a.example.org:443", NAMED), second, compiler=compiler) == []
    assert len(found(external("a", "a.example.org:443"), second, compiler=compiler)) == 1


def test_where_the_mesh_has_the_name_itself_they_are_not_called_and_not_compared() -> None:
    inbound = "[{port: 80, tags: {kuma.io/service: pay}}]"
    own = f"{{type: Dataplane, mesh: default, name: pay, networking: {{address: 10.0.0.1, inbound: {inbound}}}}}"
    assert found(own, external("a", "a.example.org:443", NAMED), external("b", "b.example.org:443")) == []


def test_a_secret_that_no_document_tells_of_is_missing() -> None:
    tls = "tls: {enabled: true, caCert: {secret: ca}, clientCert: {secret: cert}, clientKey: {secret: key}}"
    known = "{type: Secret, mesh: default, name: ca}"
    checked = compile_texts(MESH, known, external("a", "a.example.org:443", tls))
    missing = [one.path for one in checked.diagnostics if one.code.word == "missing-secret"]
    assert missing == ["/networking/tls/clientCert", "/networking/tls/clientKey"]


def test_a_port_is_of_those_that_have_it() -> None:
    by_port = "outbound: [{port: 1, backendRef: {kind: MeshService, name: pay, port: 81}}]"
    web = f"{{type: Dataplane, mesh: default, name: web, networking: {{address: 10.0.0.1, {by_port}}}}}"
    checked = compile_texts(MESH, web, external("a", "a.example.org:80"), external("b", "b.example.org:81"))
    assert checked.value.generation is not None, checked.diagnostics
    clusters = checked.value.generation.snapshots["default.web"].resources[ResourceType.CLUSTER]
    assert b"b.example.org" in clusters["kri_msvc_default___pay_81"].json
    assert b"a.example.org" not in clusters["kri_msvc_default___pay_81"].json
