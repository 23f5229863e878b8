"""Tags, by which Kuma 2.x names services."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.resources.findings import BAD_VALUE, MISSING_FIELD, Finding, join
from compiler.resources.label_names import PROTOCOL, SERVICE
from compiler.resources.suggest import did_you_mean, one_of

PROTOCOLS: Final = ("tcp", "http", "http2", "grpc")
_CARRIED_AS_TCP: Final = frozenset({"tls", "mysql", "kafka"})


def check_tags(tags: Mapping[str, str], pointer: str) -> Iterator[Finding]:
    """They name a service, and a protocol that there is."""
    yield from check_service_tag(tags, pointer)
    protocol = tags.get(PROTOCOL, "tcp").lower()
    if protocol not in PROTOCOLS and protocol not in _CARRIED_AS_TCP:
        hint = did_you_mean(protocol, PROTOCOLS)
        yield Finding(join(pointer, PROTOCOL), BAD_VALUE, f"{PROTOCOL} must be {one_of(PROTOCOLS)}", hint)


def check_gateway_tags(tags: Mapping[str, str], pointer: str) -> Iterator[Finding]:
    """A gateway's listeners say what is spoken, not its tags."""
    yield from check_service_tag(tags, pointer)
    if tags.get(PROTOCOL, "tcp") != "tcp":
        message = f"{PROTOCOL} of a gateway can only be tcp"
        yield Finding(join(pointer, PROTOCOL), BAD_VALUE, message, "take the tag out")


def check_service_tag(tags: Mapping[str, str], pointer: str) -> Iterator[Finding]:
    """They name a service."""
    if SERVICE not in tags:
        yield Finding(pointer, MISSING_FIELD, f"tags have no {SERVICE}", "the tag names the service", on_key=True)


def check_selectors(selectors: Sequence[Mapping[str, Any]], pointer: str) -> Iterator[Finding]:
    """Each names a service."""
    if not selectors:
        yield Finding(pointer, MISSING_FIELD, "selectors is empty", f"select by {SERVICE}", on_key=True)
    for index, selector in enumerate(selectors):
        yield from check_service_tag(selector["match"], join(pointer, index, "match"))
