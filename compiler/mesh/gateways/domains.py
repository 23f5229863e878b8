"""Host names of gateways: which of them another contains, and which is the closer one (kuma-policies §4.2)."""

from typing import Final

EVERY: Final = "*"


def contains(outer: str, inner: str) -> bool:
    """`*.example.com` contains what ends in `.example.com`, at whatever depth, and not `example.com` itself."""
    if outer in (EVERY, inner):
        return True
    return outer.startswith("*.") and inner != EVERY and inner.removeprefix("*").endswith(outer[1:])


def meet(one: str, other: str) -> str | None:
    """The closer of the two where one contains the other; None where no host has both names."""
    if contains(one, other):
        return other
    return one if contains(other, one) else None


def closeness(domain: str) -> tuple[bool, int]:
    """Greater for a closer one: a name without wildcard comes first, then the longer."""
    return not domain.startswith(EVERY), len(domain)
