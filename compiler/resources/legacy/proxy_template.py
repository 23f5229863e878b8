"""ProxyTemplate to MeshProxyPatch: the same operations; a resource of its own is one that is added."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Policy, Surroundings, differs, number, unsayable
from compiler.resources.legacy.said import Said, given
from compiler.resources.legacy.selectors import read_proxies
from compiler.resources.legacy.texts import read_mapping

_OWN: Final = "default-proxy"
_KINDS: Final[Mapping[str, str]] = {
    "type.googleapis.com/envoy.config.cluster.v3.Cluster": "cluster",
    "type.googleapis.com/envoy.config.listener.v3.Listener": "listener",
}


def convert_proxy_template(legacy: Legacy, _: Surroundings) -> Conversion:
    """Resources come first, so that modifications find them, as before."""
    found: list[Finding] = []
    conf, at = legacy.content.get("conf") or {}, join(legacy.pointer, "conf")
    changes = [*_resources(conf, at, found), *_modifications(conf, at)]
    _check_imports(conf, at, found)
    if not changes:
        return Conversion((), tuple(found))
    patch = {"appendModifications": Said(changes, at)}
    proxies = read_proxies(legacy, "selectors", found)
    policies = [Policy("MeshProxyPatch", {"targetRef": target, "default": patch}) for target in proxies]
    return Conversion(number(policies), tuple(found))


def _check_imports(conf: Mapping[str, Any], at: str, found: list[Finding]) -> None:
    imports = conf.get("imports", ())
    for index, name in enumerate(imports):
        if name != _OWN:
            found.append(unsayable(join(at, "imports", index), f"{name} is of another kind of proxy than these"))
    if _OWN not in imports:
        message = "without the import default-proxy a proxy had nothing but what is written here; now it has both"
        found.append(differs(at, message, f"add {_OWN} to imports"))


def _resources(conf: Mapping[str, Any], at: str, found: list[Finding]) -> Iterator[Mapping[str, Any]]:
    for index, resource in enumerate(conf.get("resources", ())):
        pointer = join(at, "resources", index, "resource")
        url = (read_mapping(resource["resource"]) or {}).get("@type")
        if isinstance(url, str) and url in _KINDS:
            yield {_KINDS[url]: {"operation": "Add", "value": Said(resource["resource"], pointer)}}
        else:
            found.append(unsayable(pointer, "a MeshProxyPatch adds clusters and listeners only"))


def _modifications(conf: Mapping[str, Any], at: str) -> Iterator[Said]:
    for index, modification in enumerate(conf.get("modifications", ())):
        pointer = join(at, "modifications", index)
        ((kind, change),) = modification.items()
        yield Said({kind: _change(change, join(pointer, kind))}, pointer)


def _change(change: Mapping[str, Any], at: str) -> Said:
    operation = change["operation"]
    match = {name: value for name, value in change.get("match", {}).items() if value}
    return Said(
        given(
            {
                "operation": Said(operation[0].upper() + operation[1:], join(at, "operation")),
                "match": Said(match, join(at, "match")) if match else None,
                "value": Said(change["value"], join(at, "value")) if change.get("value") else None,
            }
        ),
        at,
    )
