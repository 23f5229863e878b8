"""What a proxy is called, and where its snapshot lies."""

import pytest

from tests.trees import compile_texts


@pytest.mark.parametrize("tag", ["..", ".", ".git", "b" * 300])
def test_a_tag_that_is_no_name_of_a_folder_leaves_the_proxys_own(tag: str) -> None:
    """Git refuses such a tree, and `compile --out` would write beside its folder."""
    backend = f"""
type: Dataplane
mesh: default
name: backend-1
networking: {{address: 10.0.0.1, inbound: [{{port: 80, tags: {{kuma.io/service: "{tag}"}}}}]}}
"""
    generation = compile_texts("{type: Mesh, name: default}", backend).value.generation
    assert generation is not None
    assert [one.node.path for one in generation.snapshots.values()] == ["meshes/default/default/backend-1/backend-1"]
