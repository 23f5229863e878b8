"""Legacy policies that meet: one of them held alone, which merging does not always keep."""

import pytest

from compiler.diagnostics import Diagnostic, Subject
from compiler.mesh.permission import admits
from compiler.pipeline import Compiler
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, compile_texts, resolve_proxy, tree_of

MESH = """
type: Mesh
name: default
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
---
type: Dataplane
mesh: default
name: backend
networking:
  address: 10.0.0.2
  inbound: [{port: 80, tags: {kuma.io/service: backend, kuma.io/protocol: http, version: v1}}]
"""


def _timeout(name: str, source: str, service: str, more: str = "") -> str:
    return f"""
type: Timeout
mesh: default
name: {name}
sources: [{{match: {{kuma.io/service: '{source}'}}}}]
destinations: [{{match: {{kuma.io/service: '{service}'}}}}]
conf: {{http: {{requestTimeout: 1s}}{more}}}
"""


def _permission(name: str, source: str, destination: str) -> str:
    return f"""
type: TrafficPermission
mesh: default
name: {name}
sources: [{{match: {source}}}]
destinations: [{{match: {destination}}}]
"""


def _told(*texts: str) -> list[Diagnostic]:
    found = compile_texts(MESH, *texts).diagnostics
    return [one for one in found if one.code.word == "legacy-difference"]


def test_where_the_more_specific_one_still_holds_alone_nothing_is_told() -> None:
    assert _told(_timeout("a", "web", "*"), _timeout("b", "web", "backend")) == []


def test_policies_that_never_meet_are_not_compared() -> None:
    assert _told(_timeout("a", "web", "*"), _timeout("b", "api", "*")) == []
    assert _told(_timeout("a", "web", "backend"), _timeout("b", "web", "other")) == []


def test_where_another_may_hold_than_before_it_is_told() -> None:
    [found] = _told(_timeout("a", "web", "*"), _timeout("b", "*", "backend"))
    assert found.position.file == "001.yaml"
    assert found.message.startswith("Timeout b (002.yaml:2:1) is for some of the same traffic")
    assert found.subject == Subject("Timeout", "default", "a")


def test_a_field_that_the_other_one_adds_is_told() -> None:
    [found] = _told(_timeout("a", "web", "*"), _timeout("b", "*", "*", ", connectTimeout: 2s"))
    assert found.message.startswith("connectTimeout of Timeout b (002.yaml:2:1), which")


def test_a_field_is_named_as_its_author_wrote_it_and_by_its_newer_name_where_it_comes_of_several() -> None:
    def policy(name: str, source: str, conf: str) -> str:
        return f"""
apiVersion: kuma.io/v1alpha1
kind: Retry
mesh: default
metadata: {{name: {name}}}
spec:
  sources: [{{match: {{kuma.io/service: '{source}'}}}}]
  destinations: [{{match: {{kuma.io/service: '*'}}}}]
  conf: {conf}
"""

    more = "{http: {per_try_timeout: 3s, retriableStatusCodes: [501]}, tcp: {max_connect_attempts: 3}}"
    [found] = _told(policy("a", "web", "{http: {numRetries: 3}}"), policy("b", "*", more))
    named = "http.per_try_timeout, http.retryOn, tcp.max_connect_attempts of Retry b (002.yaml:7:3), which"
    assert found.message.startswith(named)


def test_a_legacy_policy_that_becomes_several_newer_ones_is_told_of_once() -> None:
    def route(name: str, source: str, service: str) -> str:
        return f"""
type: TrafficRoute
mesh: default
name: {name}
sources: [{{match: {{kuma.io/service: '{source}'}}}}, {{match: {{kuma.io/service: '{source}', version: v1}}}}]
destinations: [{{match: {{kuma.io/service: '{service}'}}}}]
conf: {{destination: {{kuma.io/service: backend}}, loadBalancer: {{random: {{}}}}}}
"""

    [found] = _told(route("a", "web", "*"), route("b", "*", "backend"))
    assert found.message.startswith("TrafficRoute b (002.yaml:2:1) is for some of the same traffic")


def test_a_permission_for_all_lets_nobody_in_where_a_more_specific_one_names_its_callers() -> None:
    """As Kuma has it: of all that fit an inbound, the most specific one alone."""
    everybody = _permission("all", "{kuma.io/service: '*'}", "{kuma.io/service: '*'}")
    named = _permission("named", "{kuma.io/service: api}", "{kuma.io/service: backend}")
    compiled = compile_texts(MESH, everybody, named)
    backend = resolve_proxy(compiled.value.memo, ResourceKey("Dataplane", "default", "backend"))
    permission = backend.inbounds[0].permission
    assert admits(permission, {"spiffe://default/api"})
    assert not admits(permission, {"spiffe://default/web"})


def test_two_permissions_of_which_tags_decided_are_told() -> None:
    wide = _permission("a", "{kuma.io/service: web}", "{kuma.io/service: backend}")
    narrow = _permission("b", "{kuma.io/service: api}", "{kuma.io/service: backend, version: v1}")
    [found] = _told(wide, narrow)
    assert found.position.file == "002.yaml"


@pytest.mark.parametrize(
    ("sources", "others", "told"),
    [
        (["*"], ["*"], 0),
        (["*"], ["*", "web"], 0),
        (["web", "api"], ["api", "web"], 0),
        (["web"], ["api", "web"], 1),
        (["*"], ["web"], 1),
    ],
)
def test_two_permissions_for_the_same_callers_are_not_told(sources: list[str], others: list[str], told: int) -> None:
    """Whichever of them holds, these are let in."""

    def permission(name: str, callers: list[str], destination: str) -> str:
        return f"""
type: TrafficPermission
mesh: default
name: {name}
sources: [{", ".join(f"{{match: {{kuma.io/service: '{caller}'}}}}" for caller in callers)}]
destinations: [{{match: {{kuma.io/service: {destination}}}}}]
"""

    assert len(_told(permission("a", sources, "backend"), permission("b", others, "'*', version: v1"))) == told


def test_what_is_told_goes_away_with_its_cause() -> None:
    files = {"mesh.yaml": MESH, "a.yaml": _timeout("a", "web", "*"), "b.yaml": _timeout("b", "*", "backend")}
    compiler = Compiler(SCHEMAS)
    cold = compiler.compile(tree_of(files)).diagnostics
    assert [one.code.word for one in cold].count("legacy-difference") == 1
    fewer = {path: text for path, text in files.items() if path != "b.yaml"}
    for tree in (fewer, files, fewer):
        assert compiler.compile(tree_of(tree)).diagnostics == Compiler(SCHEMAS).compile(tree_of(tree)).diagnostics


def test_what_is_wrong_with_the_newer_policy_is_told_at_the_legacy_one() -> None:
    route = """
type: TrafficRoute
mesh: default
name: r
sources: [{match: {kuma.io/service: backend}}]
destinations: [{match: {kuma.io/service: backend}}]
conf:
  http:
  - match: {path: {exact: /a}}
    destination: {kuma.io/service: nowhere}
  destination: {kuma.io/service: backend}
"""
    [found] = [one for one in compile_texts(MESH, route).diagnostics if one.code.word == "dangling-ref"]
    assert (found.position.file, found.position.line) == ("001.yaml", 10)
    assert found.path == "/conf/http/0/destination"
