"""VirtualOutbounds of Kuma 2: names and ports that are made of tags, and what is told of them."""

from collections.abc import Mapping

import pytest

from compiler.pipeline import Compiler, compile_tree
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, compile_texts, resolve_proxy, tree_of

MESH = "type: Mesh\nname: default\nskipCreatingInitialPolicies: ['*']\n"
EXCLUSIVE = f"{MESH}meshServices: {{mode: Exclusive}}\n"
BY_VERSION = """
type: VirtualOutbound
mesh: default
name: versions
selectors: [{match: {kuma.io/service: '*', version: '*'}}]
conf:
  host: '{{.v}}.{{.service}}.shop'
  port: '{{.port}}'
  parameters: [{name: service, tagKey: kuma.io/service}, {name: v, tagKey: version}, {name: port}]
"""
NAMED_AS_A_VERSION = """
type: ExternalService
mesh: default
name: b
tags: {kuma.io/service: bin}
networking: {address: 'v1.api.shop:443'}
"""
BY_SERVICE = """
type: VirtualOutbound
mesh: default
name: services
selectors: [{match: {kuma.io/service: '*'}}]
conf: {host: '{{.s}}.mesh', port: '8080', parameters: [{name: s, tagKey: kuma.io/service}]}
"""


def api(number: int, **tags: str) -> str:
    written = ", ".join(f"{key}: '{value}'" for key, value in {"kuma.io/service": "api", **tags}.items())
    return (
        f"type: Dataplane\nmesh: default\nname: api-{number}\nnetworking:\n  address: 10.0.0.{number}\n"
        f"  inbound: [{{port: 80, tags: {{{written}}}}}]\n"
    )


def web(proxying: str = "") -> str:
    return (
        "type: Dataplane\nmesh: default\nname: web\nnetworking:\n  address: 10.0.0.1\n"
        f"  transparentProxying: {{redirectPortInbound: 15006, redirectPortOutbound: 15001{proxying}}}\n"
    )


def compiled(*texts: str) -> Compiler:
    compiler = Compiler(SCHEMAS)
    files = {f"{number}.yaml": text for number, text in enumerate(texts)}
    checked = compiler.compile(tree_of(files))
    assert checked.value.generation is not None, checked.diagnostics
    return compiler


def called(*texts: str) -> Mapping[tuple[str, int], tuple[tuple[str, str], ...]]:
    """By name and port, the tags that endpoints have to have beside the service's."""
    compiler = compiled(*texts)
    proxy = resolve_proxy(compiler.memo, ResourceKey("Dataplane", "default", "web"))
    calls = [(one.address, one.port, one.destination.subset) for one in proxy.outbounds]
    return {
        (record.name, port): subset
        for record in proxy.names or ()
        for address, port, subset in calls
        if address == record.address
    }


def told(*texts: str) -> list[tuple[str, str]]:
    files = {f"{number}.yaml": text for number, text in enumerate(texts)}
    return [(one.code.word, one.path) for one in compile_tree(tree_of(files), SCHEMAS).diagnostics]


def test_a_name_and_a_port_are_made_of_the_tags_of_each_proxy() -> None:
    found = called(MESH, BY_VERSION, web(), api(2, version="v1", port="81"), api(3, version="v2", port="82"))
    assert found["v1.api.shop", 81] == (("port", "81"), ("version", "v1"))
    assert found["v2.api.shop", 82] == (("port", "82"), ("version", "v2"))
    assert ("v1.api.shop", 82) not in found


def test_calls_by_a_name_go_to_the_proxies_with_its_tags_alone() -> None:
    texts = (MESH, BY_VERSION, web(), api(2, version="v1", port="81"), api(3, version="v2", port="82"))
    files = {f"{number}.yaml": text for number, text in enumerate(texts)}
    generation = compile_tree(tree_of(files), SCHEMAS).value.generation
    assert generation is not None
    assignments = [
        one.json
        for kind in generation.snapshots["default.web"].resources.values()
        for one in kind.values()
        if b"endpoints" in one.json and b"10.0.0.3" in one.json and b"10.0.0.2" not in one.json
    ]
    assert len(assignments) == 1


def test_a_proxy_without_the_tags_has_no_such_name() -> None:
    assert {name for name, _ in called(MESH, BY_VERSION, web(), api(2, version="v1"))} == {"api.mesh"}
    assert {name for name, _ in called(MESH, BY_VERSION, web(), api(2, port="81"))} == {"api.mesh"}
    assert {name for name, _ in called(MESH, BY_VERSION, web(), api(2, version="v1", port="x"))} == {"api.mesh"}


def test_the_name_that_a_service_has_anyway_gets_another_port() -> None:
    assert {port for name, port in called(MESH, BY_SERVICE, web(), api(2)) if name == "api.mesh"} == {80, 8080}


def test_only_services_that_are_reachable_are_called_by_their_names() -> None:
    proxies = (api(2, version="v1", port="81"),)
    assert called(MESH, BY_VERSION, web(", reachableServices: [api]"), *proxies).keys() >= {("v1.api.shop", 81)}
    assert not called(MESH, BY_VERSION, web(", reachableServices: []"), *proxies)


def test_where_nothing_is_called_by_tags_it_names_nothing_and_that_is_told() -> None:
    proxies = (web(), api(2, version="v1", port="81"))
    assert ("v1.api.shop", 81) not in called(EXCLUSIVE, BY_VERSION, *proxies)
    assert ("no-effect", "") in told(EXCLUSIVE, BY_VERSION, *proxies)
    assert told(MESH, BY_VERSION, *proxies) == []


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((web(), api(2, version="v1")), ("no-effect", "/conf")),
        ((web(), api(2, version="v1", port="81"), api(3, version="v1", port="x")), None),
        (
            (web(), BY_VERSION.replace("{{.v}}.", "").replace("versions", "w"), api(2, version="a", port="1")),
            None,
        ),
    ],
)
def test_names_that_cannot_be_are_told_of(texts: tuple[str, ...], found: tuple[str, str] | None) -> None:
    assert told(MESH, BY_VERSION, *texts) == ([found] if found else [])


def test_of_two_that_want_one_name_and_port_the_first_has_it_and_the_other_is_told() -> None:
    proxies = (api(2, version="v1", port="81"), api(3, version="v2", port="81"))
    wide = BY_VERSION.replace("{{.v}}.", "")
    assert called(MESH, wide, web(), *proxies)["api.shop", 81] == (("port", "81"), ("version", "v1"))
    assert told(MESH, wide, web(), *proxies) == [("hostname-collision", "/conf/host")]


@pytest.mark.parametrize(
    "edit",
    [
        {"a.yaml": api(2, version="v9", port="81")},
        {"v.yaml": BY_VERSION.replace("shop", "store")},
        {"m.yaml": EXCLUSIVE},
        {"w.yaml": BY_SERVICE},
        {"v.yaml": BY_VERSION, "b.yaml": api(3, version="v1", port="81")},
        {"e.yaml": NAMED_AS_A_VERSION},
    ],
)
def test_an_edit_gives_what_a_compile_from_nothing_gives(edit: Mapping[str, str]) -> None:
    base = {"m.yaml": MESH, "v.yaml": BY_VERSION, "web.yaml": web(), "a.yaml": api(2, version="v1", port="81")}
    compiler = Compiler(SCHEMAS)
    for files in (base, {**base, **edit}, base):
        warm, cold = compiler.compile(tree_of(files)), compile_tree(tree_of(files), SCHEMAS)
        assert warm.diagnostics == cold.diagnostics
        assert warm.value.generation == cold.value.generation


@pytest.mark.parametrize("edit", ["come", "gone", "renamed"])
@pytest.mark.parametrize("others", [2, 20])
def test_a_service_that_comes_or_goes_concerns_those_alone_who_reach_it(others: int, edit: str) -> None:
    """However many the mesh has, of which all have such names."""
    callers = {
        f"caller-{number}.yaml": web(f", reachableServices: [api-{number}]").replace("web", f"web-{number}")
        for number in range(others)
    }
    services = {f"api-{number}.yaml": _versioned(number) for number in range(others)}
    base = {"m.yaml": MESH, "v.yaml": BY_VERSION, "w.yaml": BY_SERVICE, **callers, **services}
    other = {
        "come": {**base, "new.yaml": _versioned(99)},
        "gone": {path: text for path, text in base.items() if path != "api-0.yaml"},
        "renamed": {**base, "api-0.yaml": _versioned(0).replace("v1", "v2")},
    }
    compiler = Compiler(SCHEMAS)
    compiler.compile(tree_of(base))
    before = compiler.memo.computed["proxy"]
    assert compiler.compile(tree_of(other[edit])).value.generation is not None
    assert compiler.memo.computed["proxy"] - before == {"come": 1, "gone": 1, "renamed": 2}[edit]


def _versioned(number: int) -> str:
    return api(number, version="v1", port="81").replace("'api'", f"api-{number}")


@pytest.mark.parametrize("conf", ["", "selectors: [{match: {kuma.io/service: '*'}}]\n", "conf: {host: a, port: '1'}\n"])
def test_one_that_says_too_little_is_refused(conf: str) -> None:
    assert "missing-field" in [
        code for code, _ in told(MESH, web(), f"type: VirtualOutbound\nmesh: default\nname: v\n{conf}")
    ]


NAMED_BY_TAG = """
type: VirtualOutbound
mesh: default
name: hosts
selectors: [{match: {kuma.io/service: '*', h: '*'}}]
conf:
  host: '{{.h}}'
  port: '{{.p}}'
  parameters: [{name: service, tagKey: kuma.io/service}, {name: h}, {name: p}]
"""
TAKEN = "v4819.shop"
CLASHING = "v5599.shop"
"""Another name with the same hash."""


@pytest.mark.parametrize(("port", "level"), [("81", "error"), ("82", "warning")])
def test_names_with_one_address_are_told_of_and_refused_where_a_port_could_be_of_either(port: str, level: str) -> None:
    proxies = (api(2, h=TAKEN, p="81"), api(3, h=CLASHING, p=port))
    checked = compile_texts(MESH, NAMED_BY_TAG, web(), *proxies)
    found = [(one.code.word, one.path, one.level.name.lower()) for one in checked.diagnostics]
    assert found == [("address-clash", "/conf/host", level)]


@pytest.mark.parametrize(("port", "level"), [("80", "error"), ("82", "warning")])
def test_a_name_with_the_address_of_a_service_is_told_of(port: str, level: str) -> None:
    proxies = (api(2, h="v607.shop", p=port), api(3).replace("'api'", "s5712"))
    checked = compile_texts(MESH, NAMED_BY_TAG, web(), *proxies)
    found = [(one.code.word, one.path, one.level.name.lower()) for one in checked.diagnostics]
    assert found == [("address-clash", "/conf/host", level)]


@pytest.mark.parametrize("host", ["foo_bar.mesh", "foo.bar.mesh", "bin.example"])
def test_a_name_that_all_of_a_service_has_anyway_has_one_address(host: str) -> None:
    other = "bin" if host == "bin.example" else "foo_bar"
    external = (
        "{type: ExternalService, mesh: default, name: b, tags: {kuma.io/service: bin},"
        " networking: {address: 'bin.example:443'}}"
    )
    texts = (
        external,
        api(3).replace("'api'", "foo_bar"),
        api(2, h=host, p="99"),
    )
    proxy = resolve_proxy(compiled(MESH, NAMED_BY_TAG, web(), *texts).memo, ResourceKey("Dataplane", "default", "web"))
    at = {one.address for one in proxy.outbounds if one.destination.service.name == other}
    assert {one.address for one in proxy.outbounds if one.port == 99} == at
    assert told(MESH, NAMED_BY_TAG, web(), *texts) == []


def test_a_name_that_a_generator_gives_to_something_else_stays_with_that() -> None:
    outside = (
        "{type: MeshExternalService, mesh: default, name: pay,"
        " spec: {match: {port: 443}, endpoints: [{address: pay.example, port: 443}]}}"
    )
    texts = (MESH, NAMED_BY_TAG, outside, web(), api(2, h="pay.extsvc.mesh.local", p="99"))
    assert told(*texts) == [("hostname-collision", "/conf/host")]
    proxy = resolve_proxy(compiled(*texts).memo, ResourceKey("Dataplane", "default", "web"))
    (address,) = (one.address for one in proxy.names or () if one.name == "pay.extsvc.mesh.local")
    assert address.startswith("242.")
