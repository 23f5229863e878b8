"""Which proxies a policy selects, and which stand behind a service."""

import pytest

from compiler.inspecting.chosen import collection, show_hostnames, show_policy, show_service
from compiler.pipeline import Compiled, Compiler
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, compile_texts

MESH = "type: Mesh\nname: default\n"


def dataplane(name: str, team: str) -> str:
    return f"""
type: Dataplane
mesh: default
name: {name}
labels: {{team: {team}}}
networking:
  address: 10.0.0.1
  inbound: [{{port: 8080, name: main, tags: {{kuma.io/service: {team}}}}}]
"""


SERVICE = """
type: MeshService
mesh: default
name: orders
labels: {kuma.io/zone: east}
spec:
  selector: {dataplaneLabels: {matchLabels: {team: blue}}}
  ports: [{name: web, port: 80, targetPort: main, appProtocol: HTTP}, {name: none, port: 81, targetPort: 81}]
"""
TIMEOUT = """
type: MeshTimeout
mesh: default
name: slow
spec:
  targetRef: {kind: Dataplane, labels: {team: blue}}
  to: [{targetRef: {kind: Mesh}, default: {idleTimeout: 9s}}]
"""


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    proxies = [dataplane(name, team).replace("team:", "kuma.io/zone: east, team:", 1) for name, team in PROXIES]
    checked = compile_texts(MESH, SERVICE, TIMEOUT, *proxies, compiler=Compiler(SCHEMAS))
    assert checked.value.generation is not None, checked.diagnostics
    return checked.value


PROXIES = (("b", "blue"), ("a", "blue"), ("c", "red"))


def test_a_policy_is_shown_with_its_place_and_the_proxies_that_it_selects(compiled: Compiled) -> None:
    key = ResourceKey("MeshTimeout", "default", "slow")
    shown = show_policy(compiled.memo, key, compiled.resources.sources)
    assert shown["dataplanes"]["total"] == 2
    assert [one["name"] for one in shown["dataplanes"]["items"]] == ["a", "b"]
    assert shown["position"] == "002.yaml:6:3"


def test_an_initial_policy_stands_in_no_file_and_selects_all(compiled: Compiled) -> None:
    key = ResourceKey("MeshTimeout", "default", "mesh-timeout-all-default")
    shown = show_policy(compiled.memo, key, compiled.resources.sources)
    assert shown["position"] is None
    assert [one["name"] for one in shown["dataplanes"]["items"]] == ["a", "b", "c"]


def test_a_service_is_shown_with_who_answers_behind_each_port(compiled: Compiled) -> None:
    key = ResourceKey("MeshService", "default", "orders")
    shown = show_service(compiled.memo, key, compiled.resources.sources)
    assert [(one["name"], one["protocol"], one["dataplanes"]) for one in shown["ports"]] == [
        ("web", "http", ["a", "b"]),
        ("none", "tcp", []),
    ]
    assert [one["name"] for one in shown["dataplanes"]["items"]] == ["a", "b"]
    assert shown["hostnames"]["items"] == [{"hostname": "orders.svc.east.mesh.local", "zones": [{"name": "east"}]}]
    assert shown["address"].startswith("241.")


def test_what_is_neither_is_told_by_a_sentence(compiled: Compiled) -> None:
    with pytest.raises(LookupError, match="no service MeshTimeout 'slow' in mesh 'default'"):
        show_hostnames(compiled.memo, ResourceKey("MeshTimeout", "default", "slow"))
    with pytest.raises(LookupError, match="no policy MeshTimeout 'slwo' in mesh 'default'"):
        show_policy(compiled.memo, ResourceKey("MeshTimeout", "default", "slwo"), compiled.resources.sources)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("MeshTimeout", "meshtimeouts"),
        ("MeshRetry", "meshretries"),
        ("MeshProxyPatch", "meshproxypatches"),
        ("MeshTLS", "meshtlses"),
        ("MeshPassthrough", "meshpassthroughs"),
    ],
)
def test_a_collection_is_called_as_in_kumas_paths(kind: str, path: str) -> None:
    assert collection(kind) == path
