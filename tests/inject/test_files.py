"""Files that are no manifests, or broken ones, and how the work is spread."""

import json
from dataclasses import replace

import pytest

from compiler.inject.files import inject_files, useful_processes
from compiler.inject.reading import ManifestFile
from compiler.inject.selection import Verdict
from tests.inject.manifests import DEFAULTS, NAMESPACE, SERVICE, codes, deployment, inject, injected_text
from tests.resources.build import schemas


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("apiVersion: v1\nkind: Pod\nspec: [\n", ("yaml-syntax", "4")),
        ("apiVersion: v1\nkind: Pod\nkind: Pod\n", ("duplicate-key", "3")),
        ("apiVersion: v1\nkind: {{ .Values.kind }}\n", ("helm-template", "2")),
        ("apiVersion: v1\n{{- if .Values.x }}\nkind: Pod\n", ("helm-template", "2")),
        ("apiVersion: v1\nkind: Pod\nx: &a 1\ny: {<<: *a}\n", ("merge-key", "4")),
        (f"apiVersion: v1\nkind: Pod\na: {'[' * 99}\n", ("too-deep", "3")),
        ("apiVersion: v1\nkind: Pod\nmetadata: !env X\n", ("custom-tag", "3")),
    ],
)
def test_a_broken_manifest_is_an_error_at_its_place(text: str, found: tuple[str, str]) -> None:
    assert codes(inject(text))[0] == found


@pytest.mark.parametrize("text", ["a: [\n", "image: {{ .Values.x }}\n", "- a\n- b\n", "replicas: 2\n", "", "{}"])
def test_a_foreign_file_is_left_alone_and_counted(text: str) -> None:
    done = inject(text)
    assert (codes(done), [file.is_manifest for file in done.files]) == ([], [False])


def test_a_huge_file_is_refused_by_its_size() -> None:
    assert codes(inject("apiVersion: v1\nkind: ConfigMap\ndata: {x: " + "y" * (9 << 20) + "}\n")) == [
        ("file-too-large", "0")
    ]


def test_a_bundle_of_definitions_may_be_large() -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"},
    }
    text = json.dumps({**definition, "spec": {"names": [{"plural": f"p{number}"} for number in range(60_000)]}})
    done = inject(text)
    assert (codes(done), done.files[0].content.decode()) == ([], text)


@pytest.mark.parametrize("character", ["\u200b", "e\u0301", "\u202e"])
def test_texts_of_others_may_hold_what_a_meshs_may_not(character: str) -> None:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {{a: '{character}'}}\n"
    assert codes(inject(text)) == []


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("{template: {spec: {}}}", "the pod of Deployment 'web' has no containers"),
        ("{}", "the pod of Deployment 'web' has no containers"),
        ("{template: {spec: {containers: []}}}", "the pod of Deployment 'web' has no containers"),
        ("{template: {spec: {containers: [1]}}}", "an entry of containers must be a mapping"),
        ("{template: {spec: {containers: [{image: x}]}}}", "an entry of containers needs a name"),
        ("{template: {spec: {containers: [{name: x}], volumes: {}}}}", "volumes must be a list"),
        ("{template: {metadata: {labels: [a]}, spec: {containers: [{name: x}]}}}", "labels must be a mapping"),
        (
            "{template: {spec: {containers: [{name: x, securityContext: {runAsUser: 5678}}]}}}",
            "container 'x' runs as the sidecar's user 5678, so nothing redirects it",
        ),
        (
            "{template: {spec: {securityContext: {runAsUser: 5678}, containers: [{name: x}]}}}",
            "container 'x' runs as the sidecar's user 5678, so nothing redirects it",
        ),
        (
            "{template: {spec: {initContainers: [{name: kuma-init}], containers: [{name: x}]}}}",
            "the pod has a container 'kuma-init', which is the name of one that is added",
        ),
        (
            "{template: {spec: {containers: [{name: kuma-validation}]}}}",
            "the pod has a container 'kuma-validation', which is the name of one that is added",
        ),
    ],
)
def test_a_pod_that_cannot_be_injected_is_an_error(spec: str, found: str) -> None:
    text = f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec: {spec}\n"
    done = inject(NAMESPACE, text)
    assert [(each.code.word, each.message, each.position.file) for each in done.diagnostics] == [
        ("bad-workload", found, "1.yaml")
    ]


def test_what_is_not_injected_is_not_judged() -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {}\n"
    assert codes(inject(NAMESPACE, text)) == []


def test_an_init_container_of_the_sidecars_user_is_warned_of() -> None:
    spec = "initContainers:\n- {name: i, image: i, securityContext: {runAsUser: 5678}}\n"
    done = inject(NAMESPACE, deployment(spec=spec))
    assert (codes(done), done.verdicts) == ([("bad-workload", "16")], {Verdict.INJECT: 1})


def test_other_documents_of_a_file_stay_byte_for_byte() -> None:
    strange = "# a\n---\nkind:    Secret\napiVersion:  'v1'   # x\ndata: {a:   b}\n...\n---\n"
    text = injected_text(NAMESPACE, strange + deployment())
    assert text.startswith(strange)


def test_a_document_that_shares_parts_of_its_pod_is_written_anew_and_named() -> None:
    text = (
        deployment(labels={"a": "b"})
        .replace("      labels:", "      labels: &l")
        .replace("matchLabels: {app: web}", "matchLabels: {app: web}\n  x-labels: *l")
    )
    text = text.replace("  selector:", "  selector:").replace("  x-labels: *l\n", "")
    shared = text.rstrip() + "\nstatus: *l\n"
    done = inject(NAMESPACE, shared)
    assert codes(done) == [("comments-lost", "1")]
    assert inject(NAMESPACE, done.files[1].content.decode()).verdicts == {Verdict.HAS_SIDECAR: 1}


def test_any_number_of_processes_does_the_same() -> None:
    texts = [NAMESPACE, SERVICE, "a: [\n", "apiVersion: v1\nkind: [\n", *(deployment(f"d{n}") for n in range(9))]
    files = [ManifestFile(f"{number}.yaml", text.encode()) for number, text in enumerate(texts)]
    settings = replace(DEFAULTS, dataplanes=replace(DEFAULTS.dataplanes, pod_cidrs=("10.0.0.0/8",)))
    alone, together = (
        inject_files(files, settings, schemas(), processes=processes, derives=True) for processes in (1, 3)
    )
    assert together == alone
    assert alone.verdicts == {Verdict.INJECT: 9}


def test_a_small_set_is_done_by_one_process() -> None:
    assert [useful_processes(files, 8) for files in (0, 31, 64, 10_000)] == [1, 1, 2, 8]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_manifest_in_another_encoding_is_an_error_and_not_somebody_elses(encoding: str) -> None:
    done = inject_files([ManifestFile("web.yaml", deployment().encode(encoding))], DEFAULTS, schemas())
    assert {each.code.word for each in done.diagnostics} <= {"not-utf8", "control-character"}
    assert done.diagnostics


def test_a_container_may_have_a_user_of_its_own_beside_the_pods() -> None:
    spec = "securityContext: {runAsUser: 5678}\n"
    assert codes(inject(NAMESPACE, deployment(spec=spec, container="securityContext: {runAsUser: 1000}\n"))) == []
