"""Where something listens or is reached."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from compiler.resources.findings import BAD_VALUE, PORT_CONFLICT, Finding, join

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_ADDRESS = re.compile(rf"(?!0\.){_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
"""Nearly every address; nothing is wrong with it, and ipaddress takes ten times as long to say so."""
_MOST_PORTS = 65535


def check_address(address: str, pointer: str) -> Iterator[Finding]:
    """An address of this host alone, or of none, cannot be told to others."""
    if _PLAIN_ADDRESS.fullmatch(address):
        return
    parsed = _parse(address)
    field = pointer.rpartition("/")[2]
    if parsed is not None and parsed.is_unspecified:
        yield Finding(
            pointer, BAD_VALUE, f"{field} must not be {parsed}", "give the address that other proxies connect to"
        )
    elif parsed is None and address and _looks_like_ip(address):
        yield Finding(pointer, BAD_VALUE, f"{field} is no IP address", "an IPv4 address is four numbers from 0 to 255")


def check_ip(values: Mapping[str, Any], field: str, pointer: str) -> Iterator[Finding]:
    """Where a listener binds must be an IP address."""
    if field in values and _parse(values[field]) is None:
        yield Finding(join(pointer, field), BAD_VALUE, f"{field} is no IP address", "write it as 10.0.0.7 or ::1")


def check_host_and_port(text: str, pointer: str) -> Iterator[Finding]:
    """Of a text that the schema knows to end with a colon and digits."""
    host, _, port = text.rpartition(":")
    if not 1 <= int(port) <= _MOST_PORTS:
        yield Finding(pointer, BAD_VALUE, f"the port must be from 1 to {_MOST_PORTS}")
    yield from check_address(host.strip("[]"), pointer)


def check_admin_port(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Of a zone proxy, which has one listener."""
    if networking.get("admin", {}).get("port") == networking["port"]:
        message = f"Envoy's admin interface and the listener would share port {networking['port']}"
        yield Finding(join(pointer, "admin", "port"), PORT_CONFLICT, message, "give another admin port")


def find_conflicts(listening: list[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """Entries with the port of an earlier one, and that one; `0.0.0.0` has every IPv4 one's too, `::` every IPv6 one's.

    A name may be of both kinds.
    """
    taken: dict[tuple[int, object], int] = {}
    for index, (address, port) in enumerate(listening):
        parsed = _parse(address)
        kinds = (4, 6) if parsed is None else (parsed.version,)
        everywhere = parsed is not None and parsed.is_unspecified
        rivals = [*kinds] if everywhere else [address, *(("all", kind) for kind in kinds)]
        found = [taken[port, rival] for rival in rivals if (port, rival) in taken]
        if found:
            yield index, min(found)
        for own in (address, *kinds, *(("all", kind) for kind in kinds if everywhere)):
            taken.setdefault((port, own), index)


def is_loopback(text: str) -> bool:
    """Or every address, which is the loopback one too."""
    parsed = _parse(text)
    return parsed is not None and (parsed.is_loopback or parsed.is_unspecified)


def _looks_like_ip(text: str) -> bool:
    return ":" in text or text.replace(".", "").isdigit()


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
