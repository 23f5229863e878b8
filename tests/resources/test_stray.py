"""A document of the mesh whose envelope is wrong is refused, and what is somebody else's is left alone."""

import pytest

from compiler.pipeline import compile_tree
from tests.trees import SCHEMAS, tree_of

_MESH = "type: Mesh\nname: default\n"


def _told(text: str) -> list[tuple[str, str, int, str]]:
    found = compile_tree(tree_of({"mesh.yaml": _MESH, "one.yaml": text}), SCHEMAS).diagnostics
    errors = [one for one in found if one.level == "error"]
    return [(one.code.word, one.path, one.position.line, one.hint or "") for one in errors]


@pytest.mark.parametrize(
    ("text", "code", "path", "line", "hint"),
    [
        ("piVersion: kuma.io/v1alpha1\nkind: Mesh\nmetadata: {}\n", "unknown-field", "/piVersion", 1, "apiVersion"),
        ("apiversion: kuma.io/v1alpha1\nkind: Timeout\nspec: {}\n", "unknown-field", "/apiversion", 1, "apiVersion"),
        ("kind: MeshTrafficPermission\nmetadata: {name: a}\nspec: {}\n", "missing-field", "/apiVersion", 1, "v1alpha1"),
        ("# one\napiVersion: v1alpha1\nkind: MeshTimeout\n", "bad-value", "/apiVersion", 2, "kuma.io/v1alpha1"),
        ("apiVersion: v1\nkind: Dataplane\n", "bad-value", "/apiVersion", 1, "kuma.io/v1alpha1"),
        ("apiVersion: kuma.oi/v1alpha1\nkind: MeshTimeout\n", "bad-value", "/apiVersion", 1, "kuma.io/v1alpha1"),
        ("apiVersion: 1\nkind: MeshTimeout\n", "bad-value", "/apiVersion", 1, "kuma.io/v1alpha1"),
        ("mesh: default\nType: MeshTimeout\nname: a\n", "unknown-field", "/Type", 2, "did you mean type?"),
        ("type: TrafficPermission\nname: a\nsources: []\n", "missing-field", "/mesh", 1, "Mesh"),
    ],
)  # fmt: skip
def test_what_went_astray_is_an_error_at_its_envelope(text: str, code: str, path: str, line: int, hint: str) -> None:
    [found] = _told(text)
    assert found[:3] == (code, path, line)
    assert hint in found[3]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: a}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n",
        "apiVersion: v1\nkind: Zone\n",
        "kind: Zone\nname: garden\n",
        "kind: Timeout\nseconds: 3\n",
        "type: Timeout\nseconds: 3\n",
        "Type: AWS::Serverless::Function\n",
        "type: object\nkind: [Mesh]\n",
        "type: [Timeout]\nsources: []\n",
        "kind: Deployment\nspec: {}\n",
        "{}\n",
    ],
)
def test_what_is_somebody_elses_is_left_alone(text: str) -> None:
    assert _told(text) == []
