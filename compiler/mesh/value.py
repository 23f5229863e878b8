"""What every value of the IR is, and what all parts of a proxy may have: confs, and whose they are.

All values are immutable, compare by content and keep their hash, so that equal parts of different proxies are
translated once (docs/decisions/0003). They carry the identity of the policies they came from, never a line number.
"""

from typing import Any

from msgspec import Struct

from compiler.mesh.order import Origin


class Value(Struct, frozen=True, cache_hash=True):
    """The base of every IR value."""


class UriMatch(Value, frozen=True):
    """A condition on the URIs in a caller's certificate: one of them is, or starts with, `value`."""

    value: str
    prefix: bool = False


class Applied(Value, frozen=True):
    """A policy's merged conf, typed, as it holds at one place, or there for the callers that one of `matches` names.

    A policy that says nothing at a place is not there, unless its defaults do something: then it has its empty conf.
    """

    policy: str
    conf: Any
    origins: tuple[Origin, ...] = ()
    matches: tuple[UriMatch, ...] = ()


Confs = tuple[Applied, ...]


class Owner(Value, frozen=True):
    """Whose configuration something is part of, as far as logs and metrics name it; `service` is of the first inbound.

    Only what a policy asks about it for has one: others are shared by the proxies that have the same.
    """

    mesh: str
    zone: str
    service: str
    workload: str
