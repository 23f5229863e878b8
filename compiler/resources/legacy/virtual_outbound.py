"""VirtualOutbound to HostnameGenerator, where its names are made of what a MeshService has."""

import re
from collections.abc import Mapping
from typing import Any, Final

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Policy, Surroundings, differs, number, unsayable
from compiler.resources.legacy.said import Said
from compiler.resources.legacy.selectors import ANY, matches
from compiler.resources.model import DISPLAY_NAME, MESH, NAMESPACE, SERVICE, ZONE

WORD: Final = re.compile(r"\{\{-?\s*\.([A-Za-z0-9]+)\s*-?\}\}")
_OF_SERVICE: Final[Mapping[str, str]] = {
    SERVICE: "{{ .DisplayName }}",
    ZONE: "{{ .Zone }}",
    NAMESPACE: "{{ .Namespace }}",
    MESH: "{{ .Mesh }}",
}


def convert_virtual_outbound(legacy: Legacy, _: Surroundings) -> Conversion:
    """One generator for each group of services; a name of one proxy has no counterpart."""
    found: list[Finding] = []
    conf, at = legacy.content["conf"], join(legacy.pointer, "conf")
    template = Said(_template(conf, at, found), join(at, "host"))
    message = "a MeshService has ports of its own: the name is for all of them, and for no other port"
    found.append(differs(join(at, "port"), message))
    generators = [
        Policy("HostnameGenerator", {"selector": {"meshService": {"matchLabels": labels}}, "template": template})
        for labels in (_labels(legacy.mesh, tags, pointer, found) for tags, pointer in matches(legacy, "selectors"))
    ]
    return Conversion(number(generators), tuple(found))


def _template(conf: Mapping[str, Any], at: str, found: list[Finding]) -> str:
    tags: dict[str, str] = {one["name"]: one.get("tagKey") or one["name"] for one in conf.get("parameters", ())}

    def replace(word: re.Match[str]) -> str:
        tag = tags.get(str(word[1]), str(word[1]))
        if tag not in _OF_SERVICE:
            message = f"a name is made of what a MeshService has, and it has no {tag}"
            found.append(unsayable(join(at, "host"), message, "write a MeshService for these proxies"))
        return _OF_SERVICE.get(tag, "")

    return WORD.sub(replace, conf["host"])


def _labels(mesh: str, tags: Mapping[str, str], pointer: str, found: list[Finding]) -> Said:
    """Of the services: by mesh, since a generator has none, and by name where one is given."""
    for key in tags:
        if key != SERVICE:
            message = f"services are selected by their labels, not by the tag {key} of their proxies"
            found.append(unsayable(join(pointer, key), message, "write a MeshService for these proxies"))
    name = tags.get(SERVICE, ANY)
    named = {DISPLAY_NAME: Said(name, join(pointer, SERVICE))} if name != ANY else {}
    return Said({MESH: mesh, **named}, pointer)
