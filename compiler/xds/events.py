"""The events that a stream's state machine takes and the responses that it gives: plain values of both protocols."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from compiler.xds.served import Resource

FRESH_MARK = "~"
"""Parts a content hash from what makes a repair's version string unlike the one that was refused."""

NO_CLAIMS: Mapping[str, str] = MappingProxyType({})


class DeltaRequest(NamedTuple):
    """`error` is None but for a NACK; `claims` are the initial resource versions of a type's first request."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    claims: Mapping[str, str] = NO_CLAIMS
    nonce: str = ""
    error: str | None = None


class SotwRequest(NamedTuple):
    """`names` is the whole subscription each time; `version` the last that the client accepted."""

    type_url: str
    names: tuple[str, ...] = ()
    version: str = ""
    nonce: str = ""
    error: str | None = None


Request = DeltaRequest | SotwRequest


class Response(NamedTuple):
    """`resources` is what the message carries: for a state-of-the-world listener or cluster answer, all of them."""

    type_url: str
    nonce: str
    version: str
    resources: tuple[Resource, ...] = ()
    removals: tuple[str, ...] = ()


def strip_fresh_mark(version: str) -> str:
    """The content hash in a version string that a client claims."""
    return version.partition(FRESH_MARK)[0]
