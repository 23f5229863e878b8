"""Envoy's field constraints, checked before Envoy does: all of them, each with its path.

They stand in the descriptors of its API (`validate.rules`). A violation in a resource's own message makes Envoy refuse
the whole answer that it came in; inside a nested `typed_config` it costs that resource only.
"""

from dataclasses import dataclass

from google.protobuf.message import Message

from compiler.snapshot.findings import Reading, write_path
from compiler.snapshot.reading import read


@dataclass(frozen=True, slots=True)
class Violation:
    """What Envoy would refuse: `path` in the JSON form, `message` a sentence about the field there."""

    path: str
    rule: str
    message: str
    blocks_answer: bool


def check_constraints(message: Message, reading: Reading | None = None) -> tuple[Violation, ...]:
    """Every violation inside, through nested Anys, in the order of the fields.

    `reading` is what `read` gives for the message, where the caller has it.
    """
    found = (reading or read(message)).violations
    return tuple([Violation(write_path(path), rule, meaning, blocks) for path, rule, meaning, blocks in found])
