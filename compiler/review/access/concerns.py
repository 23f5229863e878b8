"""Whose calls a resource that differs may concern: those that come in at its proxy, or those that go out."""

from dataclasses import replace
from typing import NamedTuple

from compiler.envoy.resources import ResourceType
from compiler.review.access.known import Known
from compiler.review.access.views import Listening
from compiler.snapshot.canonical import Rendered

__all__ = ["Concern", "find_concern"]


class Concern(NamedTuple):
    """Whether it is about whom the doors of its proxy let in, and about the ways out of it."""

    doors: bool = False
    ways: bool = False


def find_concern(before: Rendered | None, after: Rendered | None, known: Known) -> Concern | None:
    """What a resource that differs, comes or goes is about; None where a door may stand elsewhere than it stood."""
    if before is None or after is None:
        return _of_one(before or after, known)
    if known.read_alike(before, after):
        return Concern()
    if before.type is ResourceType.LISTENER:
        return _of_listeners(known.listener(before), known.listener(after))
    if before.type is ResourceType.EXTENSION:
        return Concern(doors=True, ways=known.extension(before).clusters != known.extension(after).clusters)
    return Concern(ways=True)


def _of_one(rendered: Rendered | None, known: Known) -> Concern | None:
    """An extension may fill a slot of either kind."""
    if rendered is None or (rendered.type is ResourceType.LISTENER and known.listener(rendered).inbound):
        return None
    return Concern(doors=rendered.type is ResourceType.EXTENSION, ways=True)


def _of_listeners(before: Listening, after: Listening) -> Concern | None:
    """Names in a chain are by what zone proxies tell where a call goes on."""
    if not before.inbound and not after.inbound:
        return Concern(ways=True)
    named = any(chain.names for chain in (*before.chains, *after.chains))
    return Concern(doors=True) if not named and replace(before, chains=after.chains) == after else None
