"""Sources and destinations, which are sets of tags, as targetRefs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Legacy, Policy, number, unsayable
from compiler.resources.legacy.said import Said, given, plain
from compiler.resources.model import SERVICE

ANY: Final = "*"
_SERVICE_NAME: Final = re.compile("[-0-9a-z_.]{1,253}")
_EVERYTHING: Final = {"kind": "Mesh"}

Targets = Sequence[Said]


def read_proxies(legacy: Legacy, side: str, found: list[Finding]) -> Targets:
    """The proxies that the selectors of a side mean, each once."""
    return _once([_proxies(tags, pointer, found) for tags, pointer in matches(legacy, side)])


def read_services(legacy: Legacy, side: str, found: list[Finding]) -> Targets:
    """The services that they mean, each once; outgoing traffic is told apart by the service alone."""
    return _once([_service(tags, pointer, found) for tags, pointer in matches(legacy, side)])


def read_callers(legacy: Legacy, found: list[Finding]) -> Sequence[Said]:
    """What the certificates of the sources show, as entries of `matches`; empty where anybody is meant.

    One that asks for more than a service has `tags`, which nobody may write (compiler/mesh/rules.py).
    """
    callers = [_caller(legacy.mesh, tags, pointer, found) for tags, pointer in matches(legacy, "sources")]
    return () if any(one.value == {} for one in callers) else _once(callers)


def by_source(legacy: Legacy, kind: str, conf: Any, found: list[Finding]) -> tuple[Policy, ...]:
    """A policy of outgoing traffic: the sources are its proxies, the destinations its services."""
    callers, services = read_proxies(legacy, "sources", found), read_services(legacy, "destinations", found)
    to = [{"targetRef": service, "default": conf} for service in services]
    return number([Policy(kind, {"targetRef": proxies, "to": to}) for proxies in callers])


def matches(legacy: Legacy, side: str) -> Iterator[tuple[Mapping[str, str], str]]:
    """The tags of each selector, and where they stand."""
    for index, selector in enumerate(legacy.content.get(side, ())):
        yield selector["match"], join(legacy.pointer, side, index, "match")


def _proxies(tags: Mapping[str, str], pointer: str, found: list[Finding]) -> Said:
    wanted = {key: value for key, value in tags.items() if (key, value) != (SERVICE, ANY)}
    for key in [key for key, value in wanted.items() if value == ANY]:
        found.append(_any_value(key, pointer))
        del wanted[key]
    said = {key: Said(value, join(pointer, key)) for key, value in wanted.items()}
    return Said({"kind": "MeshSubset", "tags": said} if said else _EVERYTHING, pointer)


def _service(tags: Mapping[str, str], pointer: str, found: list[Finding]) -> Said:
    name = tags.get(SERVICE, ANY)
    if name == ANY:
        return Said(_EVERYTHING, pointer)
    return Said({"kind": "MeshService", "name": read_name(name, join(pointer, SERVICE), found)}, pointer)


def read_name(name: str, pointer: str, found: list[Finding]) -> Said:
    """The name of a service, which a tag may write as no targetRef can."""
    if not _SERVICE_NAME.fullmatch(name):
        found.append(
            unsayable(
                pointer, f"a targetRef cannot name the service {name}", "use lower-case letters, digits, -, _ and ."
            )
        )
    return Said(name, pointer)


def _caller(mesh: str, tags: Mapping[str, str], pointer: str, found: list[Finding]) -> Said:
    name, at = tags.get(SERVICE, ANY), join(pointer, SERVICE)
    spiffe = {"type": "Exact", "value": Said(f"spiffe://{mesh}/{name}", at)} if name != ANY else None
    others = {key: Said(value, join(pointer, key)) for key, value in tags.items() if key != SERVICE}
    found += [_any_value(key, pointer) for key, value in others.items() if value.value == ANY]
    return Said(given({"spiffeID": spiffe, "tags": others}), pointer)


def _any_value(key: str, pointer: str) -> Finding:
    message = f"no newer policy can ask for any value of {key}"
    return unsayable(join(pointer, key), message, "name the values, or give these proxies a tag of their own")


def _once(targets: Sequence[Said]) -> Targets:
    kept: list[Said] = []
    for target in targets:
        if all(plain(target) != plain(one) for one in kept):
            kept.append(target)
    return tuple(kept)
