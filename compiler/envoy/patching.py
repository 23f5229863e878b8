"""How a policy changes what all the others made: it is shown a part of a proxy as Kuma's documents know it.

Parts that a change does not concern are made and shared as ever. What is shared by replicas is changed once for all of
them: where an address differs between them, there is a hole in its place (`compiler/mesh/shape.py`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from google.protobuf.message import Message

from compiler.envoy.resources import ResourceType
from compiler.mesh.order import Origin
from compiler.mesh.value import Value


class Seen(Value, frozen=True):
    """A listener or cluster as documents call it; what is made by a policy may have any name before it is made.

    `names` are those of Kuma 2, `origins` where it comes from, `routes` and `hosts` what Kuma 2 calls the listener's
    route configuration and its virtual host.
    """

    type: ResourceType
    name: str = ""
    origins: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    routes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(slots=True)
class Thing:
    """A listener or cluster on its way to Envoy, None once it is taken out; the changes that it has had, in order."""

    seen: Seen
    message: Message | None
    touched: list[Origin] = field(default_factory=list)


class Outcome(NamedTuple):
    """The things that are left and new, the changes that found something, and those that cannot be made, with why."""

    things: tuple[Thing, ...]
    matched: tuple[Origin, ...]
    mistakes: tuple[tuple[Origin, str], ...]


@dataclass(frozen=True, slots=True)
class Patching:
    """Each is called with the policy's conf; the things are those of one part, and may be changed in place."""

    places: Callable[[Any], tuple[Origin, ...]]
    """Where each change was written."""
    narrow: Callable[[Any, Sequence[Seen]], Any | None]
    """The part of the conf that may concern one of these; None where there is none."""
    additions: Callable[[Any], Iterable[tuple[Seen, Any]]]
    """What is added to every proxy: each with the part of the conf that makes it and may change it afterwards."""
    texts: Callable[[Any], frozenset[str]]
    """All that the changes write, of which some may be what Kuma 2 calls a cluster."""
    apply: Callable[[Any, Sequence[Thing]], Outcome]
