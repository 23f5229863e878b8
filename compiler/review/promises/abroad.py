"""Listeners of gateways that are for proxies of other meshes: a route test of a call to one would end at its door."""

from collections.abc import Collection

from compiler.memo import Memo
from compiler.mesh.gateways.crossing import OPEN, SHOWN_TAGS, address_of, host_of, number_of
from compiler.mesh.services import SERVICE_RESOURCE, Port
from compiler.resources.model import SERVICE


def find_door(memo: Memo, to: str, listeners: Collection[str]) -> Port | None:
    """What a test means by a name or a place; `listeners` are those of its callers that take calls there."""
    doors = memo.ask(OPEN, None)
    return next((one for one in doors if to in _names(memo, one) or _is_led(memo, one, listeners)), None)


def _names(memo: Memo, port: Port) -> frozenset[str]:
    """Its host name, the address that redirected proxies know for that, and the service of the gateway's proxies."""
    host, number = host_of(port), number_of(port)
    services = {value for tags in memo.ask(SHOWN_TAGS, port) for key, value in tags if key == SERVICE}
    return frozenset({host, f"{host}:{number}", f"{address_of(port)}:{number}", *services})


def _is_led(memo: Memo, port: Port, listeners: Collection[str]) -> bool:
    """Of several listeners to one destination each has its address behind the name."""
    service = memo.ask(SERVICE_RESOURCE, port.service)
    name = service.kri(port.section) if service is not None else ""
    return any(one == name or one.startswith(f"{name}:") for one in listeners)


__all__ = ["find_door"]
