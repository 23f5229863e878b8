"""A zone's proxies of Kuma 2 carry the tag of their zone, whoever wrote it."""

import pytest

from compiler.mesh.permission import admits
from compiler.pipeline import Compiled, compile_tree
from compiler.resources.model import Dataplane, ResourceKey
from tests.trees import SCHEMAS, resolve_proxy, tree_of

_MESH = "type: Mesh\nname: default\nmtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}\n"
_TAGS = "{kuma.io/service: web, kuma.io/protocol: http}"
_EAST = "{kuma.io/service: web, kuma.io/zone: east}"


def _proxy(networking: str, zone: str = "east", name: str = "web") -> str:
    label = f"labels: {{kuma.io/zone: {zone}}}\n" if zone else ""
    return f"type: Dataplane\nmesh: default\nname: {name}\n{label}networking: {{address: 10.0.0.1, {networking}}}\n"


def _compile(*texts: str) -> Compiled:
    compiled = compile_tree(tree_of({f"{n}.yaml": text for n, text in enumerate((_MESH, *texts))}), SCHEMAS)
    assert not compiled.failed, compiled.diagnostics
    return compiled.value


def _tags(compiled: Compiled, name: str) -> list[str]:
    """The zone in each of its sets of tags."""
    proxy = compiled.resources.resources[ResourceKey("Dataplane", "default", name)]
    assert isinstance(proxy.spec, Dataplane)
    return [tags.get("kuma.io/zone", "") for tags in proxy.spec.tag_sets]


@pytest.mark.parametrize(
    ("networking", "zone", "tags"),
    [
        (f"inbound: [{{port: 80, tags: {_TAGS}}}, {{port: 81, tags: {_TAGS}}}]", "east", ["east", "east"]),
        (f"inbound: [{{port: 80, tags: {_TAGS}}}]", "", [""]),
        ("inbound: [{port: 80, protocol: http}]", "east", [""]),
        ("gateway: {type: DELEGATED, tags: {kuma.io/service: web}}", "east", ["east"]),
        ("inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/zone: west}}]", "", ["west"]),
        (f"inbound: [{{port: 80, tags: {_EAST}}}, {{port: 81, tags: {_TAGS}}}]", "", ["east", "east"]),
    ],
)
def test_each_set_of_tags_that_is_written_names_the_zone(networking: str, zone: str, tags: list[str]) -> None:
    assert _tags(_compile(_proxy(networking, zone)), "web") == tags


def test_an_instance_has_the_tag_of_its_own_zone() -> None:
    inbound = f"inbound: [{{port: 80, tags: {_TAGS}}}]"
    several = f"""
type: DataplaneSet
mesh: default
name: web
labels: {{kuma.io/zone: east}}
spec:
  template: {{networking: {{{inbound}}}}}
  instances: [{{name: '1', address: 10.0.0.1}}, {{name: '2', address: 10.0.0.2, zone: west}}]
"""
    compiled = _compile(several)
    assert (_tags(compiled, "web-1"), _tags(compiled, "web-2")) == (["east"], ["west"])


def test_who_asks_for_the_zone_of_a_caller_is_answered() -> None:
    """The certificates show it, and so a permission by zone lets in whom it names."""
    inbound, api = f"inbound: [{{port: 80, tags: {_TAGS}}}]", "inbound: [{port: 80, tags: {kuma.io/service: api}}]"
    permission = """
type: MeshTrafficPermission
mesh: default
name: east
spec:
  targetRef: {kind: MeshSubset, tags: {kuma.io/zone: west}}
  from: [{targetRef: {kind: MeshSubset, tags: {kuma.io/zone: east}}, default: {action: Allow}}]
"""
    compiled = _compile(_proxy(inbound), _proxy(api, "west", "api"), permission)
    web, called = (resolve_proxy(compiled.memo, ResourceKey("Dataplane", "default", name)) for name in ("web", "api"))
    assert "kuma://kuma.io/zone/east" in web.identities
    assert admits(called.inbounds[0].permission, set(web.identities))
    assert not admits(called.inbounds[0].permission, {"spiffe://default/web", "kuma://kuma.io/zone/west"})
