"""An import is the mesh that was exported, in files, without what servers wrote and without its secrets."""

import json
from base64 import b64encode, encodebytes
from collections.abc import Sequence

import pytest
import yaml

from compiler.importing.imported import Imported, Wanted, import_stream, write_files
from compiler.importing.layout import Layout
from compiler.resources.judge import judge
from compiler.resources.schema import Schemas
from compiler.source.tree import MAX_FILE_BYTES
from tests.importing.exports import (
    KEY,
    MESH,
    PAYLOAD,
    RETRY,
    RUNTIME,
    SECRETS,
    TIMEOUT,
    dataplane,
    stream,
)

SCHEMAS = Schemas.load()
PLAIN = Wanted()


def imported(*documents: str, wanted: Wanted = PLAIN) -> Imported:
    done = import_stream("export.yaml", stream(*documents), wanted, SCHEMAS)
    assert done.value is not None, done.diagnostics
    return done.value


def texts(*documents: str, wanted: Wanted = PLAIN) -> dict[str, str]:
    return dict(write_files(imported(*documents, wanted=wanted).files, SCHEMAS))


def test_a_resource_goes_into_a_file_by_mesh_and_type_as_its_author_would_write_it() -> None:
    assert texts(TIMEOUT, MESH) == {
        "mesh/default/Mesh/default.yaml": (
            "type: Mesh\nname: default\nmtls:\n  enabledBackend: ca-1\n  backends:\n"
            "    - name: ca-1\n      type: builtin\n"
        ),
        "mesh/default/MeshTimeout/slow.yaml": (
            "type: MeshTimeout\nmesh: default\nname: slow\nlabels:\n  team: shop\nspec:\n  to:\n"
            "    - targetRef:\n        kind: Mesh\n      default:\n        connectionTimeout: 5s\n"
        ),
    }


def test_kubernetes_objects_keep_their_form_and_lose_what_the_api_server_wrote() -> None:
    found = yaml.safe_load(texts(RETRY)["mesh/default/MeshRetry/slow.demo.yaml"])
    assert found["metadata"] == {"name": "slow", "namespace": "demo", "labels": {"kuma.io/mesh": "default"}}
    assert list(found) == ["apiVersion", "kind", "metadata", "spec"]


@pytest.mark.parametrize("document", [MESH, TIMEOUT, RETRY, dataplane("web-1", "10.0.0.1")])
def test_the_compiler_cannot_tell_what_was_taken_out(document: str) -> None:
    """But for where a policy was made, which says nothing where all were made in one place."""
    (text,) = texts(document).values()
    before, after = (judge(yaml.safe_load(one), SCHEMAS) for one in (document, text))
    labels = [dict(one.resources[0][0].labels) for one in (before, after)]
    if "MeshTimeout" in document:
        assert labels[0].pop("kuma.io/origin") == "zone"
    assert labels[0] == labels[1]
    assert [(one.key, one.spec) for one, _ in before.resources] == [(one.key, one.spec) for one, _ in after.resources]


def test_where_policies_were_made_stays_where_it_differs_for_they_are_sorted_by_it() -> None:
    other = TIMEOUT.replace("origin: zone", "origin: global").replace("slow", "other")
    found = texts(TIMEOUT, other)
    assert "kuma.io/origin: zone" in found["mesh/default/MeshTimeout/slow.yaml"]
    assert "kuma.io/origin: global" in found["mesh/default/MeshTimeout/other.yaml"]


@pytest.mark.parametrize(
    "listed",
    [
        "apiVersion: v1\nkind: List\nitems: {items}\n",
        "apiVersion: kuma.io/v1alpha1\nkind: MeshTimeoutList\nitems: {items}\n",
        "total: 2\nitems: {items}\nnext: null\n",
    ],
)
def test_lists_are_taken_apart(listed: str) -> None:
    items = json.dumps([yaml.safe_load(document) for document in (MESH, TIMEOUT)])
    assert texts(listed.format(items=items)) == texts(MESH, TIMEOUT)


def test_json_is_read_as_well() -> None:
    assert texts(json.dumps(yaml.safe_load(TIMEOUT))) == texts(TIMEOUT)


def test_the_order_of_the_stream_is_no_matter() -> None:
    documents = (MESH, TIMEOUT, RETRY, SECRETS, dataplane("web-1", "10.0.0.1"), dataplane("WEB-1", "10.0.0.2"))
    for wanted in (Wanted(), Wanted(Layout.TYPE), Wanted(sets=True)):
        assert texts(*documents, wanted=wanted) == texts(*reversed(documents), wanted=wanted)


def test_secrets_are_named_and_are_in_no_file() -> None:
    found = imported(SECRETS)
    assert [(one.type, one.mesh, one.name) for one in found.withheld] == [
        ("Secret", "default", "api-key"),
        ("Secret", "default", "edge-cert"),
        ("GlobalSecret", "", "admin-user-token"),
    ]
    written = write_files(found.files, SCHEMAS)
    assert PAYLOAD not in "".join(written.values())
    assert written["mesh/default/Secret/api-key.yaml"] == "type: Secret\nmesh: default\nname: api-key\n"


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        (f"key: {{inline: {PAYLOAD}}}", {"secret": "mesh-default-mtls-backends-0-conf-key"}),
        (f"key: {{inlineString: {PAYLOAD}}}", {"secret": "mesh-default-mtls-backends-0-conf-key"}),
        (
            f"key: {{type: InsecureInline, insecureInline: {{value: {PAYLOAD}}}}}",
            {"type": "Secret", "secretRef": {"kind": "Secret", "name": "mesh-default-mtls-backends-0-conf-key"}},
        ),
    ],
)
def test_a_secret_inside_a_resource_becomes_a_reference_and_a_secret_of_its_own(source: str, reference: object) -> None:
    mesh = f"{MESH}    conf:\n      {source}\n      cert: {{inlineString: public}}\n"
    found = imported(mesh)
    written = write_files(found.files, SCHEMAS)
    conf = yaml.safe_load(written["mesh/default/Mesh/default.yaml"])["mtls"]["backends"][0]["conf"]
    assert conf == {"key": reference, "cert": {"inlineString": "public"}}
    assert "mesh/default/Secret/mesh-default-mtls-backends-0-conf-key.yaml" in written
    assert PAYLOAD not in "".join(written.values())
    assert [one.field for one in found.withheld] == ["Mesh default mtls/backends/0/conf/key"]


@pytest.mark.parametrize("encode", [json.dumps, lambda text: __import__("base64").b64encode(text.encode()).decode()])
def test_a_private_key_is_found_wherever_it_stands(encode: object) -> None:
    assert callable(encode)
    bundle = f"{MESH}    conf:\n      certificates: [{{inline: {encode(KEY)}}}]\n"
    assert "TUVTSFdSSUdIVA" not in "".join(texts(bundle).values())
    patch = f"type: MeshProxyPatch\nmesh: default\nname: p\nspec:\n  default:\n    value: {encode(KEY)}\n"
    found = imported(patch, TIMEOUT)
    assert [key.type for key in found.unsafe] == ["MeshProxyPatch"]
    assert list(found.files) == ["mesh/default/MeshTimeout/slow.yaml"]


def test_what_is_made_at_run_time_and_what_is_not_the_meshs_is_counted() -> None:
    found = imported(RUNTIME)
    assert found.files == {}
    assert found.runtime == {"DataplaneInsight": 1, "ServiceInsight": 1, "ZoneInsight": 1}
    assert found.foreign == {"ConfigMap": 1}


def test_names_that_would_share_a_file_are_kept_apart() -> None:
    found = texts(*(TIMEOUT.replace("name: slow", f"name: {name}") for name in ("a/b", "a_b", "A_B", "..", ".git")))
    assert sorted(found) == [
        "mesh/default/MeshTimeout/_.yaml",
        "mesh/default/MeshTimeout/a_b-2.yaml",
        "mesh/default/MeshTimeout/a_b-3.yaml",
        "mesh/default/MeshTimeout/a_b.yaml",
        "mesh/default/MeshTimeout/git.yaml",
    ]
    assert sorted(yaml.safe_load(text)["name"] for text in found.values()) == ["..", ".git", "A_B", "a/b", "a_b"]


def test_one_resource_twice_counts_once_and_is_told_where_it_differs() -> None:
    assert imported(TIMEOUT, TIMEOUT).twice == ()
    other = TIMEOUT.replace("5s", "6s")
    found = imported(TIMEOUT, other)
    assert [key.name for key in found.twice] == ["slow"]
    assert "5s" in write_files(found.files, SCHEMAS)["mesh/default/MeshTimeout/slow.yaml"]


def test_a_stream_that_breaks_off_is_no_mesh() -> None:
    done = import_stream("export.yaml", stream(MESH, "type: Mesh\nname: [\n"), Wanted(), SCHEMAS)
    assert done.value is None
    assert [found.code.word for found in done.diagnostics] == ["yaml-syntax"]


def _kinds(documents: Sequence[str]) -> list[str]:
    return sorted(path.removeprefix("mesh/default/") for path in texts(*documents, wanted=Wanted(sets=True)))


def test_proxies_that_differ_in_name_address_and_zone_only_become_a_set() -> None:
    alike = [dataplane("web-1", "10.0.0.1", team="a"), dataplane("web-2", "10.0.0.2", team="a")]
    found = texts(*alike, wanted=Wanted(sets=True))
    assert list(found) == ["mesh/default/DataplaneSet/web.yaml"]
    made = judge(yaml.safe_load(found["mesh/default/DataplaneSet/web.yaml"]), SCHEMAS)
    one_by_one = [judge(yaml.safe_load(text), SCHEMAS).resources[0][0] for text in alike]
    assert [resource for resource, _ in made.resources[1:]] == one_by_one


@pytest.mark.parametrize(
    "other",
    [
        dataplane("web-2", "10.0.0.2", port=9090),
        dataplane("web-2", "10.0.0.2", team="b"),
        dataplane("api-2", "10.0.0.2"),
        dataplane("web2", "10.0.0.2"),
        dataplane("web-2", "10.0.0.2", zone="west"),
    ],
)
def test_proxies_that_differ_in_more_stay_apart(other: str) -> None:
    kinds = _kinds([dataplane("web-1", "10.0.0.1"), other])
    assert len(kinds) == 2
    assert all(kind.startswith("Dataplane/") for kind in kinds)


def test_one_file_a_type_holds_all_of_them() -> None:
    found = texts(TIMEOUT, TIMEOUT.replace("slow", "fast"), MESH, wanted=Wanted(Layout.TYPE))
    assert list(found) == ["mesh/default/Mesh.yaml", "mesh/default/MeshTimeout.yaml"]
    assert [one["name"] for one in yaml.safe_load_all(found["mesh/default/MeshTimeout.yaml"])] == ["fast", "slow"]


AGENT = """\
type: MeshOPA
mesh: default
name: agent
spec:
  targetRef: {kind: Mesh}
  default:
    agentConfig: {inlineString: "services: {x: {credentials: {bearer: {token: t0ps3cret}}}}"}
    appendPolicies: [{rego: {inlineString: "package x"}}]
"""


def test_what_the_compiler_would_not_have_in_git_is_not_written() -> None:
    """As many a token as a field of any name may hold."""
    found = imported(AGENT, TIMEOUT)
    assert [key.name for key in found.unsafe] == ["agent"]
    assert [one.field for one in found.withheld] == ["MeshOPA agent default/agentConfig/inlineString"]
    assert list(found.files) == ["mesh/default/MeshTimeout/slow.yaml"]
    assert imported(AGENT.replace("t0ps3cret", "${TOKEN}")).unsafe == ()
    folded = encodebytes(b"services: {x: {credentials: {bearer: {token: t0ps3cret}}}} # on more than a line").decode()
    spread = json.dumps({**yaml.safe_load(AGENT), "spec": {"default": {"agentConfig": {"inline": folded}}}})
    assert [key.name for key in imported(spread).unsafe] == ["agent"]


@pytest.mark.parametrize(
    "agent",
    [
        AGENT.replace("appendPolicies: [", "unheardOf: true\n    appendPolicies: [3, "),
        AGENT.replace("  targetRef: {kind: Mesh}\n", "  targetRef: [Mesh]\n"),
        AGENT.replace("inlineString:", "insecureInline:")
        .replace('"services', '{value: "services')
        .replace('}}}}"', '}}}}"}'),
        AGENT.replace("targetRef: {kind: Mesh}", "targetRef: 3").replace(
            'inlineString: "services: {x: {credentials: {bearer: {token: t0ps3cret}}}}"',
            f"inline: {b64encode(b'services: {x: {credentials: {bearer: {token: t0ps3cret}}}}').decode()}",
        ),
    ],
)
def test_a_secret_in_a_document_that_is_refused_for_something_else_is_not_written_either(agent: str) -> None:
    found = imported(agent)
    assert ([key.name for key in found.unsafe], dict(found.files)) == (["agent"], {})


def test_a_type_that_no_file_holds_has_a_file_for_each_resource() -> None:
    padding = "x" * 200_000
    large = [TIMEOUT.replace("slow", f"slow-{number}").replace("shop", padding) for number in range(5)]
    found = imported(*large, MESH, wanted=Wanted(Layout.TYPE))
    assert list(found.files) == [
        "mesh/default/Mesh.yaml",
        *(f"mesh/default/MeshTimeout/slow-{number}.yaml" for number in range(5)),
    ]
    assert all(len(text) < MAX_FILE_BYTES for text in write_files(found.files, SCHEMAS).values())


@pytest.mark.parametrize("layout", Layout)
def test_a_resource_that_no_file_holds_is_left_out_and_named(layout: Layout) -> None:
    found = imported(TIMEOUT.replace("shop", "x" * MAX_FILE_BYTES), MESH, wanted=Wanted(layout))
    assert ([key.name for key in found.large], found.resources) == (["slow"], 1)


def test_what_stands_in_a_list_and_is_no_resource_is_counted() -> None:
    found = imported(json.dumps({"total": 3, "items": [yaml.safe_load(TIMEOUT), None, "text"]}))
    assert (found.resources, found.foreign) == (1, {"without a type": 2})


@pytest.mark.parametrize("name", ["con", "aux.1", "LPT1"])
def test_no_file_is_called_as_a_device_of_windows(name: str) -> None:
    [path] = texts(TIMEOUT.replace("name: slow", f"name: {name}"))
    assert path == f"mesh/default/MeshTimeout/_{name.lower()}.yaml"
