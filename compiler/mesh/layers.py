"""Of policies of one kind that meet, those that count.

Where a newer policy holds, none from before targetRef does (kuma-policies §6): that of one inbound, of the calls to one
destination, or of a proxy. Where none does, a legacy one overrides what every Mesh has from the start.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from compiler.mesh.order import Item, spec_of
from compiler.resources.model import Layer, Resource

T = TypeVar("T")


def counting(found: Sequence[T], layer_of: Callable[[T], Layer]) -> Sequence[T]:
    """Of what meets at one place, in ascending precedence, and still in it."""
    layers = {layer_of(one) for one in found}
    if Layer.LEGACY not in layers:
        return found
    if Layer.WRITTEN in layers:
        return [one for one in found if layer_of(one) is not Layer.LEGACY]
    return sorted(found, key=layer_of)


def layer_of(policy: Resource) -> Layer:
    return spec_of(policy).layer


def counting_items(items: Sequence[Item]) -> Sequence[Item]:
    """Of confs for the same calls, or the same proxy."""
    return counting(items, _of_item)


def in_layers(items: Sequence[Item]) -> Sequence[Item]:
    """Where all of them count, as changes to what is made of a proxy do: the older first."""
    return sorted(items, key=_of_item)


def _of_item(item: Item) -> Layer:
    return layer_of(item.policy)
