"""ContainerPatch: who is patched by which, in which order, and what is refused."""

from dataclasses import replace

import pytest

from tests.inject.manifests import DEFAULTS, NAMESPACE, codes, container, deployment, inject, injected_pod


def _patch(name: str, *operations: str, init: str = "", namespace: str = "kuma-system") -> str:
    sidecar = "".join(f"\n  - {operation}" for operation in operations)
    spec = f"  sidecarPatch:{sidecar}\n" if operations else ""
    spec += f"  initPatch:\n  - {init}\n" if init else ""
    head = f"apiVersion: kuma.io/v1alpha1\nkind: ContainerPatch\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}spec:\n{spec}"


CPU = """{op: replace, path: /resources/limits/cpu, value: '"2"'}"""
NAMED = {"kuma.io/container-patches": "big"}
BY_DEFAULT = replace(DEFAULTS, container_patches=("big",))


def test_a_pod_names_its_patches() -> None:
    pods = [
        injected_pod(NAMESPACE, _patch("big", CPU), deployment(annotations=annotations)) for annotations in (NAMED, {})
    ]
    assert [container(pod)["resources"]["limits"]["cpu"] for pod in pods] == ["2", "1000m"]


def test_patches_for_every_pod_come_first() -> None:
    own = _patch("own", """{op: replace, path: /resources/limits/cpu, value: '"3"'}""")
    pod = injected_pod(
        NAMESPACE,
        _patch("big", CPU),
        own,
        deployment(annotations={"kuma.io/container-patches": "own"}),
        settings=BY_DEFAULT,
    )
    assert container(pod)["resources"]["limits"]["cpu"] == "3"
    alone = injected_pod(NAMESPACE, _patch("big", CPU), own, deployment(), settings=BY_DEFAULT)
    assert container(alone)["resources"]["limits"]["cpu"] == "2"


def test_the_init_container_has_patches_of_its_own() -> None:
    patch = _patch("big", init='{op: add, path: /securityContext/privileged, value: "true"}')
    pod = injected_pod(NAMESPACE, patch, deployment(annotations=NAMED))
    assert container(pod, "kuma-init")["securityContext"]["privileged"] is True
    assert "privileged" not in container(pod)["securityContext"]


def test_a_patch_in_universal_form_is_the_systems() -> None:
    patch = "type: ContainerPatch\nname: big\nspec:\n  sidecarPatch:\n  - " + CPU + "\n"
    pod = injected_pod(NAMESPACE, patch, deployment(annotations=NAMED))
    assert container(pod)["resources"]["limits"]["cpu"] == "2"


def test_what_lies_on_the_way_to_an_addition_is_made() -> None:
    patch = _patch(
        "big",
        """{op: add, path: /lifecycle/preStop/exec/command, value: '["x"]'}""",
        """{op: add, path: /envFrom/-, value: '{"secretRef": {"name": "s"}}'}""",
        """{op: add, path: /env/-, value: '{"name": "A", "value": "b"}'}""",
        """{op: move, from: /args/2, path: /args/0}""",
        """{op: remove, path: /livenessProbe}""",
    )
    sidecar = container(injected_pod(NAMESPACE, patch, deployment(annotations=NAMED)))
    assert sidecar["lifecycle"] == {"preStop": {"exec": {"command": ["x"]}}}
    assert sidecar["envFrom"] == [{"secretRef": {"name": "s"}}]
    assert sidecar["env"][-1] == {"name": "A", "value": "b"}
    assert sidecar["args"] == ["--concurrency=2", "dataplane", "run"]
    assert "livenessProbe" not in sidecar


def test_a_patch_that_is_not_there_is_an_error_at_the_annotation() -> None:
    done = inject(NAMESPACE, _patch("bigger", CPU), deployment(annotations=NAMED))
    [finding] = done.diagnostics
    assert (finding.code.word, finding.position.line, finding.hint) == ("missing-patch", 14, "did you mean bigger?")
    assert not any(file.is_changed for file in done.files)


def test_only_patches_of_the_systems_namespace_count() -> None:
    done = inject(NAMESPACE, _patch("big", CPU, namespace="shop"), deployment(annotations=NAMED))
    [finding] = done.diagnostics
    assert (finding.code.word, finding.hint) == (
        "missing-patch",
        "it stands in the namespace shop; selection.systemNamespace of --config names the one that counts",
    )


@pytest.mark.parametrize(
    ("setting", "namespace", "counts"),
    [
        ("", "kuma-system", True),
        ("", "kong-mesh-system", True),
        ("", "", False),
        ("mesh", "mesh", True),
        ("mesh", "kong-mesh-system", False),
    ],
)
def test_the_settings_say_which_namespace_is_the_systems(setting: str, namespace: str, *, counts: bool) -> None:
    settings = replace(DEFAULTS, selection=replace(DEFAULTS.selection, system_namespace=setting))
    patch = _patch("big", CPU, namespace=namespace or "default")
    done = inject(NAMESPACE, patch, deployment(annotations=NAMED), settings=settings)
    assert [each.code.word for each in done.diagnostics] == ([] if counts else ["missing-patch"])


def test_two_patches_of_a_name_in_the_systems_namespaces_are_refused() -> None:
    patches = (_patch("big", CPU, namespace=each) for each in ("kuma-system", "kong-mesh-system"))
    [finding] = inject(NAMESPACE, *patches, deployment(annotations=NAMED)).diagnostics
    assert (finding.code.word, finding.position.file) == ("duplicate-resource", "2.yaml")


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("""{op: replace, path: /resources/limit/cpu, value: '"2"'}""", "resources/limit/cpu"),
        ("""{op: remove, path: /env/99}""", "/env/99"),
        ("""{op: replace, path: /name, value: '"other"'}""", "the container must keep its name"),
        ("""{op: replace, path: "", value: '"other"'}""", "the container must stay a mapping"),
        ("""{op: add, path: /image/x, value: '1'}""", "/image/x"),
        ("""{op: add, path: /env/², value: '1'}""", "/env/²"),
        ("""{op: add, path: /env/²/x, value: '1'}""", "/env/²/x"),
        ("""{op: add, path: /nonsense/field, value: '1'}""", "a container has no field 'nonsense'"),
        ("""{op: replace, path: /args, value: '"--verbose"'}""", "args of a container must be a list"),
        ("""{op: add, path: /tty, value: '"true"'}""", "tty of a container must be true or false"),
    ],
)
def test_a_patch_that_fails_names_itself_its_path_and_the_pod(operation: str, reason: str) -> None:
    done = inject(NAMESPACE, _patch("big", operation), deployment(annotations=NAMED))
    [finding] = done.diagnostics
    assert (finding.code.word, finding.position.file, finding.path) == ("bad-patch", "2.yaml", "/spec/template/spec")
    assert "ContainerPatch 'big'" in finding.message
    assert reason in finding.message
    assert finding.hint == "the patch is in 1.yaml:5:3"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("{op: add, path: /a, value: not json}", "bad-value"),
        ("{op: add, path: a, value: '1'}", "bad-value"),
        ("{op: add, path: /a}", "missing-field"),
        ("{op: move, path: /a}", "missing-field"),
        ("{op: test, path: /a, value: '1'}", "bad-value"),
        ("{op: add, path: /a, value: 1}", "wrong-type"),
        ("{op: add, pth: /a, value: '1'}", "unknown-field"),
    ],
)
def test_a_patch_that_is_none_is_an_error_in_its_file(operation: str, code: str) -> None:
    done = inject(NAMESPACE, _patch("big", operation))
    assert {(each.code.word, each.position.file, each.position.line) for each in done.diagnostics} >= {
        (code, "1.yaml", 6)
    }


def test_two_patches_of_one_name_are_an_error() -> None:
    assert codes(inject(_patch("big", CPU), _patch("big", CPU))) == [("duplicate-resource", "4")]
