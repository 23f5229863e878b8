"""IP addresses as documents write them; an IPv4 address has one form, so that most need no parsing to be compared."""

import re
from ipaddress import IPv6Address
from typing import Final, NamedTuple

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
_RESERVED: Final = 240
"""240.0.0.0/4: virtual addresses of services are of this block."""


class Address(NamedTuple):
    """Equal where the IP address is, however it is written; `special` where it is of no machine in particular."""

    text: str
    version: int
    loopback: bool
    special: bool


def parse_address(text: str) -> Address | None:
    """None for anything else, such as a host name."""
    if _IPV4.fullmatch(text):
        first, loopback = int(text[: text.index(".")]), text.startswith("127.")
        return Address(text, 4, loopback, loopback or first >= _RESERVED or text == "0.0.0.0")  # noqa: S104  # nothing is bound
    try:
        parsed = IPv6Address(text)
    except ValueError:
        return None
    special = parsed.is_loopback or parsed.is_unspecified or parsed.is_reserved
    return Address(str(parsed), 6, parsed.is_loopback, special)
