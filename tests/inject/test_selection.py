"""Which pods are injected: their own word, else their namespace's."""

from dataclasses import replace

import pytest
import yaml

from compiler.inject.selection import Verdict
from tests.inject.manifests import DEFAULTS, NAMESPACE, codes, deployment, inject, injected_pod, injected_text

INJECTION = "kuma.io/sidecar-injection"
SILENT = NAMESPACE.replace("enabled", "disabled")


@pytest.mark.parametrize("word", ["enabled", "true", "yes"])
def test_a_pods_own_word_wins_over_its_namespaces(word: str) -> None:
    assert inject(SILENT, deployment(labels={INJECTION: word})).verdicts == {Verdict.INJECT: 1}


@pytest.mark.parametrize("word", ["disabled", "false", "no"])
def test_a_pod_may_stay_out(word: str) -> None:
    done = inject(NAMESPACE, deployment(labels={INJECTION: word}))
    assert done.verdicts == {Verdict.NOT_ASKED: 1}
    assert not done.files[1].is_changed


def test_without_a_word_nothing_is_injected() -> None:
    assert inject(deployment()).verdicts == {Verdict.NOT_ASKED: 1}
    assert inject(SILENT, deployment()).verdicts == {Verdict.NOT_ASKED: 1}


def test_settings_may_name_namespaces_that_are_not_at_hand() -> None:
    selection = replace(DEFAULTS.selection, namespaces=("shop",))
    assert inject(deployment(), settings=replace(DEFAULTS, selection=selection)).verdicts == {Verdict.INJECT: 1}


@pytest.mark.parametrize("where", ["pod", "namespace"])
def test_a_word_that_is_none_is_an_error_where_it_stands(where: str) -> None:
    if where == "pod":
        assert codes(inject(deployment(labels={INJECTION: "on"}))) == [("bad-annotation", "13")]
    else:
        assert codes(inject(NAMESPACE.replace("enabled", "on"), deployment())) == [("bad-annotation", "6")]


def test_the_mesh_is_the_pods_or_its_namespaces() -> None:
    annotated = NAMESPACE + "  annotations: {kuma.io/mesh: east}\n"
    labelled = NAMESPACE.replace("enabled", "enabled\n    kuma.io/mesh: north")
    for namespace, labels, mesh in (
        (NAMESPACE, {}, "default"),
        (annotated, {}, "east"),
        (labelled, {}, "north"),
        (annotated, {"kuma.io/mesh": "west"}, "west"),
    ):
        assert injected_pod(namespace, deployment(labels=labels))["metadata"]["labels"]["kuma.io/mesh"] == mesh


def test_builders_of_openshift_are_excepted() -> None:
    assert inject(NAMESPACE, deployment(labels={"openshift.io/build.name": "x"})).verdicts == {Verdict.EXCEPTION: 1}


def test_a_pod_on_the_nodes_network_is_left_alone_and_named() -> None:
    done = inject(NAMESPACE, deployment(spec="hostNetwork: true\n"))
    assert (done.verdicts, codes(done)) == ({Verdict.EXCEPTION: 1}, [("host-network", "15")])


def test_a_zones_proxy_is_left_alone_and_named() -> None:
    done = inject(NAMESPACE, deployment(annotations={"kuma.io/ingress": "enabled"}))
    assert (done.verdicts, codes(done)) == ({Verdict.EXCEPTION: 1}, [("zone-proxy-pod", "14")])


def test_items_of_a_list_are_workloads_too() -> None:
    items = [yaml.safe_load(deployment(name)) for name in ("a", "b")]
    text = yaml.safe_dump(
        {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": items}]}
    )
    after = yaml.safe_load(injected_text(NAMESPACE, text))["items"][0]["items"]
    names = [[each["name"] for each in item["spec"]["template"]["spec"]["containers"]] for item in after]
    assert names == [["kuma-sidecar", "a"], ["kuma-sidecar", "b"]]


def test_items_of_a_pod_list_may_leave_out_their_kind() -> None:
    pod = {"metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": [{"name": "p", "image": "p"}]}}
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "PodList", "items": [pod]})
    assert inject(NAMESPACE, text).verdicts == {Verdict.INJECT: 1}


def test_an_object_of_an_unknown_kind_with_a_pod_is_named() -> None:
    rollout = deployment().replace("kind: Deployment", "kind: Rollout")
    assert codes(inject(NAMESPACE, rollout)) == [("unknown-workload", "2")]
    selection = replace(DEFAULTS.selection, kinds=("Rollout",))
    assert inject(NAMESPACE, rollout, settings=replace(DEFAULTS, selection=selection)).verdicts == {Verdict.INJECT: 1}


@pytest.mark.parametrize("word", ["true", "1", "[enabled]"])
def test_a_word_that_is_no_text_is_an_error_and_not_a_pod_left_out(word: str) -> None:
    """The API server refuses it: without quotes `true` is no text."""
    in_pod = deployment(labels={INJECTION: "@"}).replace("'@'", word)
    assert codes(inject(in_pod)) == [("bad-annotation", "13")]
    assert codes(inject(NAMESPACE.replace("enabled", word), deployment())) == [("bad-annotation", "6")]


def test_the_label_as_an_annotation_is_warned_of_where_nothing_else_speaks() -> None:
    annotated = deployment(annotations={INJECTION: "enabled"})
    assert codes(inject(annotated)) == [("outdated-annotation", "14")]
    assert codes(inject(NAMESPACE, annotated)) == [("outdated-annotation", "14")]
    space = NAMESPACE.replace("labels", "annotations")
    done = inject(space, deployment())
    assert (codes(done), done.verdicts) == ([("outdated-annotation", "6")], {Verdict.NOT_ASKED: 1})
