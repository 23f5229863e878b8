"""What an author reads about a refused document."""

import json
import time

import pytest

from compiler.resources.findings import join
from tests.resources.build import diagnostics, findings, policy, schemas, the_only

TIMEOUT = """
to:
- targetRef: {kind: Mesh}
  default: %s
"""


def timeout(conf: str) -> str:
    return policy("MeshTimeout", TIMEOUT % conf)


AT = "/spec/to/0/default"

WORDS = [
    (
        timeout("{conectionTimeout: 5s}"),
        "unknown-field",
        f"{AT}/conectionTimeout",
        "unknown field 'conectionTimeout' in default",
        "did you mean connectionTimeout?",
    ),
    (
        timeout("{connectionTimeout: 5}"),
        "wrong-type",
        f"{AT}/connectionTimeout",
        "connectionTimeout must be a text, not an integer",
        "write a duration such as 15s, 1h30m or 250ms",
    ),
    (
        timeout("{connectionTimeout: soon}"),
        "bad-value",
        f"{AT}/connectionTimeout",
        "connectionTimeout must be a duration such as 15s, 1h30m or 250ms",
        None,
    ),
    (
        timeout("{connectionTimeout: 0s}"),
        "bad-value",
        f"{AT}/connectionTimeout",
        "connectionTimeout must be a duration longer than zero",
        None,
    ),
    (
        timeout("{idleTimeout: }"),
        "wrong-type",
        f"{AT}/idleTimeout",
        "idleTimeout is empty, a text is wanted",
        "give it a value, or take the line out",
    ),
    (
        timeout("{http: {}}"),
        "bad-value",
        f"{AT}/http",
        (
            "http is empty; give requestTimeout, streamIdleTimeout, "
            "maxStreamDuration, maxConnectionDuration or requestHeadersTimeout"
        ),
        None,
    ),
    (
        policy(
            "MeshTimeout",
            "targetRef: {kind: meshservice, name: a}\nto: [{targetRef: {kind: Mesh}, default: {idleTimeout: 1h}}]",
        ),
        "bad-value",
        "/spec/targetRef/kind",
        (
            "targetRef.kind must be Mesh, MeshSubset, MeshGateway, MeshService, MeshExternalService, "
            "MeshMultiZoneService, MeshServiceSubset, MeshHTTPRoute or Dataplane, not 'meshservice'"
        ),
        "did you mean MeshService?",
    ),
    (
        policy("MeshTimeout", "to: {targetRef: {kind: Mesh}}"),
        "wrong-type",
        "/spec/to",
        "to must be a list, not a mapping",
        "begin each entry with a dash",
    ),
    (
        policy("MeshRetry", "to: [{targetRef: {kind: Mesh}, default: {http: {retryOn: [5XX]}}}]"),
        "bad-value",
        f"{AT}/http/retryOn/0",
        'entry 1 of retryOn must be a condition such as 5xx or a status code such as "503"',
        "did you mean 5xx?",
    ),
    (
        policy("MeshRetry", "to: [{targetRef: {kind: Mesh}, default: {http: {retryOn: [503]}}}]"),
        "wrong-type",
        f"{AT}/http/retryOn/0",
        "entry 1 of retryOn must be a text, not an integer",
        "put the value in quotes",
    ),
    (
        policy(
            "MeshCircuitBreaker", "to: [{targetRef: {kind: Mesh}, default: {connectionLimits: {maxConnections: 0}}}]"
        ),
        "bad-value",
        f"{AT}/connectionLimits/maxConnections",
        "maxConnections must be 1 or more",
        None,
    ),
    (
        policy(
            "MeshCircuitBreaker",
            (
                "to: [{targetRef: {kind: Mesh}, default: {outlierDetection: {healthyPanicThreshold: 99.5, "
                "detectors: {totalFailures: {}}}}}]"
            ),
        ),
        "wrong-type",
        f"{AT}/outlierDetection/healthyPanicThreshold",
        "healthyPanicThreshold must be an integer or a text, not a decimal number",
        "put the value in quotes",
    ),
    (
        "type: Dataplane\nmesh: default\nname: d\nnetworking: {address: 10.0.0.1, inbound: [{servicePort: 80}]}",
        "missing-field",
        "/networking/inbound/0/port",
        "port is missing in entry 1 of inbound",
        "port: the port where the proxy listens, such as 8080",
    ),
    (
        "type: Dataplane\nmesh: default\nname: d\nnetworking: {address: 10.0.0.1, inbound: [{port: 65536}]}",
        "bad-value",
        "/networking/inbound/0/port",
        "port must be from 1 to 65535",
        None,
    ),
    (
        "type: Dataplane\nmesh: default\nname: d\nnetworking: {address: 10.0.0.1, inbound: [{port: '80'}]}",
        "wrong-type",
        "/networking/inbound/0/port",
        "port must be an integer, not a text",
        "take the quotes away",
    ),
    (
        "type: Zone\nname: East_1",
        "bad-name",
        "/name",
        "name must be a name of lower-case letters, digits, - and . that begins and ends with a letter or digit",
        "write it in lower case",
    ),
    (
        "type: Zone\nname: east\nlabels: {a b: c}",
        "bad-label",
        "/labels/a b",
        (
            "'a b' is not a label key such as team or example.com/team: letters, "
            "digits, -, _ and ., with a domain before the slash at most"
        ),
        None,
    ),
    (
        "type: Zone\nname: east\nlabels: {version: 2}",
        "wrong-type",
        "/labels/version",
        "version must be a text, not an integer",
        "put the value in quotes",
    ),
    ("type: Zone\nname: east\nlabels: {team: no spaces}", "bad-label", "/labels/team", None, None),
]


@pytest.mark.parametrize(("text", "code", "path", "message", "hint"), WORDS)
def test_a_refusal_says_what_is_wrong_where_and_what_would_be_right(
    text: str, code: str, path: str, message: str | None, hint: str | None
) -> None:
    found = the_only(text)
    assert (str(found.code), found.path, found.hint) == (code, path, hint)
    assert message is None or found.message == message


def test_a_finding_stands_at_the_line_of_its_value_or_of_its_key() -> None:
    unknown, wrong = diagnostics("type: Zone\nname: east\nlabels:\n  version: 2\nenabeld: true\n")
    assert (str(unknown.position), unknown.path) == ("mesh.yaml:4:12", "/labels/version")
    assert (str(wrong.position), wrong.hint) == ("mesh.yaml:5:1", "did you mean enabled?")


def test_every_mistake_of_a_document_is_told() -> None:
    text = timeout("{connectionTimeout: 0s, idelTimeout: 1h, http: {requestTimeout: -1s}}")
    assert findings(text) == [
        ("bad-value", f"{AT}/connectionTimeout"),
        ("unknown-field", f"{AT}/idelTimeout"),
        ("bad-value", f"{AT}/http/requestTimeout"),
    ]


def test_a_value_is_never_shown_unless_it_is_a_word() -> None:
    """A text in a wrong place may be a secret."""
    text = json.dumps({"type": "Zone", "name": "pass word!", "enabled": "hunter2 and more", "labels": {"a": "s3cr3t?"}})
    told = " ".join(f"{found.message} {found.hint}" for found in diagnostics(text))
    assert not any(secret in told for secret in ("pass", "hunter2", "s3cr3t"))


def test_a_document_full_of_mistakes_ends_after_a_hundred() -> None:
    value = {"type": "Zone", "name": "east", **{f"field{index}": 1 for index in range(5000)}}
    assert len(schemas().explain("Zone", value)) == 100


def test_one_mistake_among_thousands_of_right_entries_is_found_in_time() -> None:
    """A megabyte is to be judged within a second; the explaining validator alone would take several."""
    headers = [{"name": "x", "value": "y"}] * 20
    match = {"path": {"type": "Exact", "value": "/a"}, "headers": headers}
    rules = [{"matches": [match] * 10, "default": {}} for _ in range(250)]
    rules[200] = {"matches": [{**match, "headers": [*headers, {"nmae": "x"}]}], "default": {}}
    route = {"targetRef": {"kind": "MeshService", "name": "a"}, "rules": rules}
    value = {"type": "MeshHTTPRoute", "mesh": "default", "name": "r", "spec": {"to": [route]}}
    started = time.perf_counter()
    found = schemas().explain("MeshHTTPRoute", value)
    assert time.perf_counter() - started < 1
    assert {finding.pointer for finding in found} == {
        "/spec/to/0/rules/200/matches/0/headers/20/name",
        "/spec/to/0/rules/200/matches/0/headers/20/nmae",
    }


def test_pointers_are_escaped() -> None:
    assert join("/labels", "a/b~c", 0) == "/labels/a~1b~0c/0"


LATER = [
    (
        (
            "type: Mesh\nname: m\nmtls: {enabledBackend: a, backends: [{name: a, type: vault, conf: "
            "{fromCp: {address: 'https://vault', pki: p, role: r, auth: {token: {secret: s}}}}}]}"
        ),
        "/mtls/backends/0/type",
        "type vault is not supported yet",
    ),
    (
        (
            "type: MeshIdentity\nmesh: default\nname: m\nspec: {selector: {dataplane: {matchLabels: {}}}, "
            "provider: {type: Extension, extension: {name: e}}}"
        ),
        "/spec/provider/type",
        "type Extension is not supported yet",
    ),
]


@pytest.mark.parametrize(("text", "path", "message"), LATER)
def test_what_kuma_has_and_this_release_has_not_is_named_as_such(text: str, path: str, message: str) -> None:
    found = the_only(text)
    assert (str(found.code), found.path, found.message) == ("not-supported-yet", path, message)


def test_the_content_of_a_secret_is_refused_and_not_shown() -> None:
    found = the_only("type: Secret\nmesh: default\nname: key\ndata: c2VjcmV0\n")
    assert (str(found.code), str(found.position)) == ("secret-in-git", "mesh.yaml:4:1")
    assert "c2VjcmV0" not in f"{found.message}{found.hint}"
    assert ("secret-in-git", "/data") in findings("type: GlobalSecret\nname: key\ndata: c2VjcmV0\n")


KUBERNETES = "apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: kuma-system}\n"


@pytest.mark.parametrize("kind", ["secret", "global-secret"])
def test_the_content_of_a_secret_that_kubernetes_keeps_for_the_mesh_is_refused_and_not_shown(kind: str) -> None:
    written = f"{KUBERNETES}type: system.kuma.io/{kind}\ndata: {{value: c2VjcmV0}}\nstringData: {{more: hunter2}}\n"
    first, second = diagnostics(written)
    assert [(str(one.code), str(one.position), one.path) for one in (first, second)] == [
        ("secret-in-git", "mesh.yaml:5:1", "/data"),
        ("secret-in-git", "mesh.yaml:6:1", "/stringData"),
    ]
    assert not any(word in f"{one}" for one in (first, second) for word in ("c2VjcmV0", "hunter2"))


def test_one_in_a_list_as_kubectl_prints_it_is_refused_where_it_stands() -> None:
    item = "{apiVersion: v1, kind: Secret, metadata: {name: key}, type: system.kuma.io/secret, data: {value: c2Vj}}"
    assert findings(f"apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Pod}}\n- {item}\n") == [
        ("secret-in-git", "/items/1/data")
    ]


@pytest.mark.parametrize(
    "rest",
    [
        "type: Opaque\ndata: {value: c2VjcmV0}\n",
        "data: {value: c2VjcmV0}\n",
        "type: system.kuma.io/secret\n",
        "type: system.kuma.io/secret\ndata: {}\nstringData: {value: ''}\n",
        "type: system.kuma.io/secret\ndata: {value: 'ENC[AES256_GCM,data:Tr7o,iv:1=,tag:2=,type:str]'}\n",
    ],
)
def test_a_secret_of_others_or_one_that_tells_nothing_is_none_of_ours(rest: str) -> None:
    """What SOPS encrypted is told to nobody who can read the repository."""
    assert findings(KUBERNETES + rest) == []


def test_a_type_that_is_nearly_right_is_suggested() -> None:
    found = the_only("type: MeshTimout\nmesh: default\nname: t\nspec: {}\n")
    assert (str(found.code), found.message, found.hint) == (
        "unknown-type",
        "unknown type 'MeshTimout'",
        "did you mean MeshTimeout?",
    )


@pytest.mark.parametrize(
    "head",
    ["type: OPAPolicy\nmesh: default\nname: o\n", "apiVersion: kuma.io/v1alpha1\nkind: OPAPolicy\nmesh: default\n"],
)
def test_for_a_type_that_is_gone_its_successor_is_named(head: str) -> None:
    found = the_only(f"{head}selectors: []\n")
    assert (str(found.code), found.message, found.hint) == (
        "unknown-type",
        "unknown type 'OPAPolicy'",
        "write a MeshOPA instead",
    )
