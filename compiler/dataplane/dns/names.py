"""The names of the mesh and their addresses, as the snapshot says them (docs/dataplane-run.md)."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Names:
    """By name in lower case and without the last dot; `ttl` in seconds."""

    addresses: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    ttl: int = 30

    def find(self, name: str) -> tuple[Address, ...] | None:
        """None where it is no name of the mesh."""
        return self.addresses.get(name.rstrip(".").lower())


class _Record(msgspec.Struct, frozen=True):
    name: str
    ips: tuple[str, ...] = ()


class _Document(msgspec.Struct, frozen=True):
    """Fields that are not here are passed over, as an older program must."""

    records: tuple[_Record, ...] = ()
    ttl: int = 30


def read_names(body: bytes) -> Names:
    """Raises ValueError with a sentence for a table that cannot be read."""
    try:
        document = msgspec.json.decode(body, type=_Document)
        addresses = {
            record.name.rstrip(".").lower(): tuple(map(ipaddress.ip_address, record.ips)) for record in document.records
        }
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(f"the table of names cannot be read: {error}") from error
    return Names(addresses, max(0, document.ttl))
