"""Proxy patches and what replicas share: each part is changed once, and only where a change may concern it."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.pipeline import Compiled, Compiler
from compiler.policies.mesh_proxy_patch.values import PatchError, patch_plain, read_value
from tests.policies.harness import Document, plain_mesh
from tests.review.kept.images import again
from tests.schematic import part
from tests.test_properties import SILENCED, compile_files, outcome
from tests.trees import SCHEMAS, tree_of

quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
CLUSTERS = {"cluster": {"operation": "Patch", "match": {"origin": "inbound"}, "value": "connectTimeout: 7s"}}


def replica(number: int, **labels: str) -> Document:
    """One of the workload `web`, which calls the backend."""
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": f"web-{number}",
        "labels": {"kuma.io/workload": "web", **labels},
        "networking": {
            "address": f"10.1.0.{number}",
            "inbound": [{"port": 8080, "name": "http", "tags": {"kuma.io/service": "web", "kuma.io/protocol": "http"}}],
            "outbound": [{"port": 1001, "tags": {"kuma.io/service": "backend"}}],
        },
    }


def patch(*modifications: Mapping[str, Any], **target: Any) -> Document:
    default = {"appendModifications": list(modifications)}
    spec = {"targetRef": target, "default": default} if target else {"default": default}
    return {"type": "MeshProxyPatch", "mesh": "default", "name": "it", "spec": spec}


def compile_mesh(*documents: Document, compiler: Compiler | None = None) -> Checked[Compiled]:
    return compile_files({"mesh": [*plain_mesh("tags"), *documents]}, compiler)


def resources(compiled: Checked[Compiled], proxy: str, file: str) -> Mapping[str, str]:
    generation = compiled.value.generation
    assert generation is not None, compiled.diagnostics
    snapshot = generation.snapshots[f"default.{proxy}"]
    found = next((named for kind, named in snapshot.resources.items() if kind.file == file), {})
    return {name: one.json.decode() for name, one in found.items()}


def test_replicas_are_changed_once_and_keep_their_addresses() -> None:
    compiled = compile_mesh(
        replica(1), replica(2), replica(3), patch(CLUSTERS, kind="MeshSubset", tags={"kuma.io/service": "web"})
    )

    assert compiled.value.counters["patched parts"] == 1
    for number in (1, 2, 3):
        cluster = resources(compiled, f"web-{number}", "clusters")["self_inbound_dp_http"]
        assert '"7s"' in cluster
        assert f'"10.1.0.{number}"' in resources(compiled, f"web-{number}", "listeners")["self_inbound_dp_http"]


def test_a_replica_that_is_named_by_its_address_is_changed_alone() -> None:
    name = "inbound:10.1.0.2:8080"
    limit = {
        "listener": {"operation": "Patch", "match": {"name": name}, "value": "perConnectionBufferLimitBytes: 1024"}
    }
    compiled = compile_mesh(replica(1), replica(2), replica(3), patch(limit))

    changed = [
        number
        for number in (1, 2, 3)
        if "1024" in resources(compiled, f"web-{number}", "listeners")["self_inbound_dp_http"]
    ]
    assert changed == [2]


def test_only_what_a_patch_may_concern_is_made_again_when_it_is_edited() -> None:
    """The outbounds of a proxy that is selected, and all of one that is not, stay as they are."""
    compiler = Compiler()
    selected = {"kind": "Dataplane", "labels": {"app": "web"}}
    compile_mesh(replica(1, app="web"), replica(2), patch(CLUSTERS, **selected), compiler=compiler)
    later = {"cluster": {**CLUSTERS["cluster"], "value": "connectTimeout: 8s"}}

    counters = compile_mesh(
        replica(1, app="web"), replica(2), patch(later, **selected), compiler=compiler
    ).value.counters

    assert counters["patched parts"] == 1
    assert counters["snapshots"] == 1
    assert not counters["outbound resources"]
    assert not counters["inbound listeners"]


def test_whether_a_modification_finds_something_is_told_of_all_proxies() -> None:
    compiler = Compiler()
    there = compile_mesh(
        replica(1), patch({"cluster": {**CLUSTERS["cluster"], "match": {"name": "localhost:8080"}}}), compiler=compiler
    )
    modification = {"cluster": {**CLUSTERS["cluster"], "match": {"name": "localhost:7070"}}}
    inbound = {"port": 7070, "tags": {"kuma.io/service": "w"}}
    elsewhere = {**replica(1), "networking": {"address": "10.1.0.1", "inbound": [inbound]}}

    missing = compile_mesh(replica(1), patch(modification), compiler=compiler)
    found = compile_mesh(elsewhere, patch(modification), compiler=compiler)

    assert there.diagnostics == ()
    assert [one.code.word for one in missing.diagnostics] == ["matches-nothing"]
    assert missing.diagnostics[0].subject is not None
    assert missing.diagnostics[0].subject.type == "MeshProxyPatch"
    assert found.diagnostics == ()


def test_what_is_added_is_shared_by_proxies_for_which_its_names_of_clusters_mean_the_same() -> None:
    """Another change of the same document names a cluster that one of them has."""
    tcp = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
    proxy = {"name": "tcp", "typedConfig": {"@type": tcp, "statPrefix": "extra", "cluster": "backend"}}
    address = {"socketAddress": {"address": "127.0.0.1", "portValue": 7777}}
    listener = {"name": "extra", "address": address, "filterChains": [{"filters": [proxy]}]}
    adding = {"listener": {"operation": "Add", "value": json.dumps(listener)}}
    renaming = {"cluster": {"operation": "Patch", "match": {"name": "db"}, "value": "altStatName: db"}}
    both = [{"port": 1001, "tags": {"kuma.io/service": "backend"}}, {"port": 1002, "tags": {"kuma.io/service": "db"}}]
    wider = {**replica(2), "networking": {**replica(2)["networking"], "outbound": both}}
    selected = {"kind": "MeshSubset", "tags": {"kuma.io/service": "web"}}

    compiled = compile_mesh(replica(1), wider, patch(adding, renaming, **selected))

    assert compiled.value.counters["patched parts"] == 2
    for number in (1, 2):
        assert "kri_msvc_default___backend_" in resources(compiled, f"web-{number}", "listeners")["extra"]


def test_a_name_of_kuma_2_is_taken_for_no_cluster_that_this_proxy_lacks() -> None:
    named = {"op": "replace", "path": "/routes/0/route/cluster", "value": "db"}
    change = {"virtualHost": {"operation": "Patch", "match": {"origin": "outbound"}, "jsonPatches": [named]}}
    compiled = compile_mesh(replica(1), patch(change, kind="MeshSubset", tags={"kuma.io/service": "web"}))

    assert [one.code.word for one in compiled.diagnostics] == ["patch-fails"]
    assert "names the cluster 'db', which this proxy does not have" in compiled.diagnostics[0].message


def test_an_address_that_is_not_shared_may_not_be_copied() -> None:
    copied = {"op": "copy", "from": "/address/socketAddress/address", "path": "/statPrefix"}
    stray = {"listener": {"operation": "Patch", "match": {"origin": "inbound"}, "jsonPatches": [copied]}}
    compiled = compile_mesh(replica(1), replica(2), patch(stray, kind="MeshSubset", tags={"kuma.io/service": "web"}))

    assert {one.code.word for one in compiled.diagnostics} == {"patch-fails"}
    assert {one.path for one in compiled.diagnostics} == {"/spec/default/appendModifications/0"}


def test_legacy_proxy_templates_are_compiled() -> None:
    template = {
        "type": "ProxyTemplate",
        "mesh": "default",
        "name": "old",
        "selectors": [{"match": {"kuma.io/service": "web"}}],
        "conf": {
            "imports": ["default-proxy"],
            "modifications": [
                {"cluster": {"operation": "patch", "match": {"origin": "inbound"}, "value": "connectTimeout: 7s"}}
            ],
        },
    }
    compiled = compile_mesh(replica(1), template)

    assert '"7s"' in resources(compiled, "web-1", "clusters")["self_inbound_dp_http"]


@quick
@given(confs=st.lists(st.none() | part("MeshProxyPatch", "conf"), min_size=2, max_size=3))
def test_whatever_is_written_is_answered_and_history_does_not_show(confs: Sequence[Mapping[str, Any] | None]) -> None:
    """Mistakes are silenced, so that what is wrong by itself is applied too."""
    compiler = Compiler()
    for conf in confs:
        documents = [replica(1), replica(2)]
        if conf is not None:
            documents.append({"type": "MeshProxyPatch", "mesh": "default", "name": "it", "spec": {"default": conf}})
        files: dict[str, Sequence[Any]] = {
            "mesh": [*plain_mesh("tags"), *documents],
            "meshwright": [SILENCED],
        }
        assert outcome(compile_files(files, compiler)) == outcome(compile_files(files))


@pytest.mark.parametrize(
    ("path", "left"),
    [("/a/-1", {"a": [1]}), ("/a/-3", {"a": [1, 2]}), ("/a/5", {"a": [1, 2]}), ("/b/c", {"a": [1, 2]}), ("/a", {})],
)
def test_what_is_missing_need_not_be_removed(path: str, left: Any) -> None:
    assert patch_plain({"a": [1, 2]}, [{"op": "remove", "path": path}]) == left


@pytest.mark.parametrize(
    ("path", "left"),
    [("/a/-1", [1, 2, 9]), ("/a/-2", [1, 9, 2]), ("/a/0", [9, 1, 2]), ("/a/-", [1, 2, 9])],
)
def test_places_are_counted_from_the_end(path: str, left: Any) -> None:
    assert patch_plain({"a": [1, 2]}, [{"op": "add", "path": path, "value": 9}]) == {"a": left}


@quick
@given(
    text=st.text(max_size=40)
    | st.from_regex(r"\{?(name|type|filters|metadata|@type): ?[\[\]{}a-z0-9:'@, .]*", fullmatch=True)
)
def test_a_text_is_a_message_or_a_mistake(text: str) -> None:
    with suppress(PatchError):
        assert isinstance(read_value(text, Cluster), Cluster)


def test_what_is_remembered_of_patches_is_kept_in_an_image() -> None:
    compiler = Compiler(SCHEMAS)
    before = [*plain_mesh("tags"), replica(1), patch(CLUSTERS)]
    tree = tree_of({"mesh.yaml": "\n---\n".join(json.dumps(one) for one in before)})
    assert not compiler.compile(tree).failed

    read = again(compiler, tree)

    nothing = patch({"cluster": {**CLUSTERS["cluster"], "match": {"name": "nobody"}}})
    assert outcome(compile_mesh(replica(1), nothing, compiler=read)) == outcome(compile_mesh(replica(1), nothing))
