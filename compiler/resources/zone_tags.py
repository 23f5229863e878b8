"""The tag that a zone's control plane gives each of its proxies in Kuma 2: what asks for it means the zone."""

from collections.abc import Mapping

from msgspec.structs import replace

from compiler.resources.model import ZONE, Dataplane, DataplaneSet, Networking
from compiler.resources.specs.spec import Spec


def tag_proxy(spec: Spec, zone: str) -> Spec:
    """A proxy's spec with the tag; a DataplaneSet that lists its instances stays, for each has a zone of its own."""
    match spec:
        case Dataplane(networking=networking) if zone:
            return replace(spec, networking=tag_networking(networking, zone))
        case DataplaneSet(template=template, instances=()) if zone:
            return replace(spec, template=replace(template, networking=tag_networking(template.networking, zone)))
    return spec


def tag_networking(networking: Networking, zone: str) -> Networking:
    """Where tags are written; itself where there are none, as in Kuma 3."""
    inbound = [replace(one, tags=_tag(one.tags, zone)) if _lacks(one.tags) else one for one in networking.inbound]
    gateway = networking.gateway
    if gateway is not None and _lacks(gateway.tags):
        gateway = replace(gateway, tags=_tag(gateway.tags, zone))
    if gateway is networking.gateway and all(map(_is, inbound, networking.inbound)):
        return networking
    return replace(networking, inbound=tuple(inbound), gateway=gateway)


def _lacks(tags: Mapping[str, str]) -> bool:
    return bool(tags) and ZONE not in tags


def _tag(tags: Mapping[str, str], zone: str) -> dict[str, str]:
    return {**tags, ZONE: zone}


def _is(one: object, other: object) -> bool:
    return one is other
