"""What one policy by itself must hold."""

import pytest

from tests.resources.build import findings, policy

POLICIES = {
    "a timeout for nothing": ("MeshTimeout", "targetRef: {kind: Mesh}", [("missing-field", "/spec")]),
    "a log of nothing": ("MeshAccessLog", "targetRef: {kind: Mesh}\nto: []", [("missing-field", "/spec")]),
    "a retry for nothing": ("MeshRetry", "to: []", [("no-effect", "/spec")]),
    "from and rules": (
        "MeshTrafficPermission",
        (
            "from: [{targetRef: {kind: Mesh}, default: {action: Allow}}]\n"
            "rules: [{default: {allow: [{spiffeID: {type: Exact, value: 'spiffe://a/b'}}]}}]"
        ),
        [("exclusive-fields", "/spec/from")],
    ),
    "rules and to": (
        "MeshTimeout",
        "to: [{targetRef: {kind: Mesh}, default: {idleTimeout: 1h}}]\nrules: [{default: {idleTimeout: 1h}}]",
        [("exclusive-fields", "/spec/rules")],
    ),
    "from and to": (
        "MeshTimeout",
        (
            "to: [{targetRef: {kind: Mesh}, default: {idleTimeout: 1h}}]\n"
            "from: [{targetRef: {kind: Mesh}, default: {idleTimeout: 1h}}]"
        ),
        [],
    ),
    "a permission that lists nobody": (
        "MeshTrafficPermission",
        "rules: [{default: {allow: []}}]",
        [("missing-field", "/spec/rules/0/default")],
    ),
    "an empty match": (
        "MeshTimeout",
        "rules: [{matches: [{}], default: {idleTimeout: 1h}}]",
        [("bad-value", "/spec/rules/0/matches/0")],
    ),
    "a caller whose SPIFFE ID nobody can have": (
        "MeshFaultInjection",
        (
            "targetRef: {kind: Dataplane}\n"
            "rules: [{default: {http: []}, matches: [{spiffeID: {type: Exact, value: 'spiffe://a/b/'}}, "
            "{spiffeID: {type: Exact, value: 'spiffe://a/b'}}, {spiffeID: {type: Prefix, value: 'spiffe://a/b/'}}, "
            "{spiffeID: {type: Prefix, value: 'spiffe://a//b/'}}, {spiffeID: {type: Exact, value: 'spiffe://a'}}]}]"
        ),
        [
            ("bad-value", "/spec/rules/0/matches/0/spiffeID/value"),
            ("bad-value", "/spec/rules/0/matches/3/spiffeID/value"),
        ],
    ),
    "a prefix that ends within a name": (
        "MeshFaultInjection",
        (
            "targetRef: {kind: Dataplane}\n"
            "rules: [{default: {http: []}, matches: [{spiffeID: {type: Prefix, value: 'spiffe://a/b'}}]}]"
        ),
        [("wide-prefix", "/spec/rules/0/matches/0/spiffeID/value")],
    ),
    "a permission for a SPIFFE ID that nobody can have": (
        "MeshTrafficPermission",
        "rules: [{default: {deny: [{spiffeID: {type: Exact, value: 'spiffe://a/../b'}}]}}]",
        [("bad-value", "/spec/rules/0/default/deny/0/spiffeID/value")],
    ),
    "a member of a log line whose name breaks the line": (
        "MeshAccessLog",
        (
            "to: [{targetRef: {kind: Mesh}, default: {backends: [{type: File, file: {path: /a, format: {type: Json, "
            "json: [{key: '\"', value: a}, {key: 'a b', value: a}]}}}]}}]"
        ),
        [("bad-value", "/spec/to/0/default/backends/0/file/format/json/0/key")],
    ),
    "a connection's timeout by caller": (
        "MeshTimeout",
        (
            "rules: [{matches: [{spiffeID: {type: Prefix, value: 'spiffe://a/'}}], "
            "default: {idleTimeout: 1h, http: {requestTimeout: 1s}}}]"
        ),
        [("bad-value", "/spec/rules/0/default/idleTimeout")],
    ),
    "a connection's timeout of a route": (
        "MeshTimeout",
        (
            "targetRef: {kind: MeshHTTPRoute, name: r}\nto: [{targetRef: {kind: Mesh}, "
            "default: {connectionTimeout: 1s, http: {maxStreamDuration: 1s}}}]"
        ),
        [
            ("bad-value", "/spec/to/0/default/connectionTimeout"),
            ("bad-value", "/spec/to/0/default/http/maxStreamDuration"),
        ],
    ),
    "a connection's timeout to a route": (
        "MeshTimeout",
        "to: [{targetRef: {kind: MeshHTTPRoute, name: r}, default: {connectionTimeout: 1s}}]",
        [("no-effect", "/spec/to/0/default/connectionTimeout")],
    ),
    "a section without incoming traffic": (
        "MeshTimeout",
        "targetRef: {kind: Dataplane, sectionName: http}\nto: [{targetRef: {kind: Mesh}, default: {idleTimeout: 1h}}]",
        [("bad-target", "/spec/targetRef/sectionName")],
    ),
    "a section with incoming traffic": (
        "MeshTimeout",
        "targetRef: {kind: Dataplane, sectionName: http}\nrules: [{default: {idleTimeout: 1h}}]",
        [],
    ),
    "a mesh with a name": (
        "MeshRetry",
        "to: [{targetRef: {kind: Mesh, name: default}, default: {tcp: {maxConnectAttempt: 2}}}]",
        [("bad-target", "/spec/to/0/targetRef/name")],
    ),
    "a service without a name": (
        "MeshRetry",
        "to: [{targetRef: {kind: MeshService}, default: {tcp: {maxConnectAttempt: 2}}}]",
        [("bad-target", "/spec/to/0/targetRef")],
    ),
    "a service with name and labels": (
        "MeshRetry",
        "to: [{targetRef: {kind: MeshService, name: a, labels: {b: c}}, default: {tcp: {maxConnectAttempt: 2}}}]",
        [("exclusive-fields", "/spec/to/0/targetRef/labels")],
    ),
    "a namespace without a name": (
        "MeshRetry",
        "to: [{targetRef: {kind: MeshService, labels: {a: b}, namespace: c}, default: {tcp: {maxConnectAttempt: 2}}}]",
        [("bad-target", "/spec/to/0/targetRef/namespace")],
    ),
    "a header that is present with a value": (
        "MeshRetry",
        (
            "to: [{targetRef: {kind: Mesh}, "
            "default: {http: {retriableRequestHeaders: [{name: a, type: Present, value: b}]}}}]"
        ),
        [("exclusive-fields", "/spec/to/0/default/http/retriableRequestHeaders/0/value")],
    ),
    "tags that are not named": (
        "MeshRetry",
        (
            "to: [{targetRef: {kind: Mesh}, "
            "default: {http: {hostSelection: [{predicate: OmitHostsWithTags, updateFrequency: 2}]}}}]"
        ),
        [
            ("missing-field", "/spec/to/0/default/http/hostSelection/0"),
            ("exclusive-fields", "/spec/to/0/default/http/hostSelection/0/updateFrequency"),
        ],
    ),
}


@pytest.mark.parametrize("title", POLICIES)
def test_of_a_policy(title: str) -> None:
    kind, spec, expected = POLICIES[title]
    assert findings(policy(kind, spec)) == expected
