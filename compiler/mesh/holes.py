"""Holes in what replicas share: each has texts of its own to be filled in, its addresses and how it is called.

No YAML can hold the character that a hole begins and ends with, and neither JSON nor protobuf writes it otherwise.
"""

import re
from collections.abc import Sequence
from typing import Final, cast

from compiler.mesh.graph import service_name
from compiler.mesh.value import Owner
from compiler.resources.model import WORKLOAD, Dataplane, Resource

HOLE: Final = "\x7f"
SYMBOL: Final = re.compile(f"{HOLE}[46n](-?[0-9]+){HOLE}")
"""What stands in a hole's place; its number is that of a replica's text."""
LONGEST_NAME: Final = 255
"""Of those that a hole stands for."""
_NAME: Final = re.compile(rf"[-\w.:*]{{1,{LONGEST_NAME}}}", re.ASCII)
"""Written alike in a format, in JSON and in a header."""
_UNSPECIFIED: Final = {"4": "0.0.0.0", "6": "::", "n": "name"}  # noqa: S104  # nothing binds it
_WORKLOAD, _SERVICE, _ZONE = -3, -2, -1
"""The last of a replica's texts, in this order."""


def hole(place: int, version: int) -> str:
    """What stands for a replica's address of this place, of an IP version."""
    return f"{HOLE}{version}{place}{HOLE}"


def has_hole(text: str) -> bool:
    return HOLE in text


def stand_in(text: str) -> str:
    """With some address of the right version, or some name, in each hole."""
    return SYMBOL.sub(lambda symbol: _UNSPECIFIED[symbol[0][1]], text)


def fill(text: str, texts: Sequence[str]) -> str:
    """With what a replica has of its own."""
    return SYMBOL.sub(lambda symbol: texts[int(symbol[1])], text) if HOLE in text else text


def names_in(text: str) -> tuple[str, ...]:
    """The holes of a text, as they come."""
    return tuple([symbol[0] for symbol in SYMBOL.finditer(text)])


def zone_hole(zone: str) -> str:
    """What stands for the zone of a proxy; nothing where it has none."""
    return _name_hole(zone, _ZONE)


def texts_of(resource: Resource, addresses: Sequence[str], zone: str) -> tuple[str, ...]:
    """What goes into the holes of a replica of this one."""
    return (*addresses, resource.labels.get(WORKLOAD, ""), _service(resource), zone)


def owner_of(resource: Resource) -> Owner:
    """As parts of it know it, so that they are those of every proxy; a zone's own proxy has parts of its own anyway."""
    mesh, zone, service, workload = resource.key.mesh, resource.zone, _service(resource), resource.labels.get(WORKLOAD)
    if _spec(resource).networking.listeners:
        return Owner(mesh, zone, service, workload or "")
    return Owner(mesh, zone_hole(zone), _name_hole(service, _SERVICE), _name_hole(workload or "", _WORKLOAD))


def _service(resource: Resource) -> str:
    return service_name(resource, (_spec(resource).tag_sets or ({},))[0])


def _spec(resource: Resource) -> Dataplane:
    return cast(Dataplane, resource.spec)


def _name_hole(name: str, place: int) -> str:
    """A name that is a hole already stays one."""
    return f"{HOLE}n{place}{HOLE}" if HOLE in name or _NAME.fullmatch(name) else name
