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


def test_a_certificate_shows_one_spiffe_id_for_each_service_and_one_uri_for_each_tag() -> None:
    dataplane = """
type: Dataplane
mesh: default
name: web-1
networking:
  address: 10.0.0.1
  inbound:
    - {port: 80, tags: {kuma.io/service: web, version: v1, kuma.io/protocol: http}}
    - {port: 81, tags: {kuma.io/service: admin, version: v1}}
"""
    mesh = "{type: Mesh, name: default, mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}}"
    generation = compile_texts(mesh, dataplane).value.generation
    assert generation is not None
    authority, identity = generation.snapshots["default.web-1"].secrets
    assert (authority.name, authority.uris) == ("system_mtls_ca_default", ())
    assert identity.uris == (
        "spiffe://default/admin",
        "spiffe://default/web",
        "kuma://kuma.io/protocol/http",
        "kuma://kuma.io/service/admin",
        "kuma://kuma.io/service/web",
        "kuma://version/v1",
    )
