"""The traps inside a message: what Envoy would refuse, or worse, though every field constraint holds."""

from google.protobuf.message import Message

from compiler.snapshot.constraints import Violation
from compiler.snapshot.findings import Reading, write_path
from compiler.snapshot.reading import read
from compiler.snapshot.trap_rules import RETRY_CONDITIONS, endpoint_addresses

__all__ = ["RETRY_CONDITIONS", "known_traps"]

# Only one that comes by EDS is the outermost message; what a cluster may hold depends on the cluster's type.
_LOAD_ASSIGNMENT = "envoy.config.endpoint.v3.ClusterLoadAssignment"


def known_traps(message: Message, reading: Reading | None = None) -> tuple[Violation, ...]:
    """Every trap inside, through nested Anys; all of them cost only the resource they are in.

    `reading` is what `read` gives for the message, where the caller has it.
    """
    found = (reading or read(message)).traps
    within = tuple([_violation(write_path(path), rule, meaning) for path, rule, meaning, _ in found])
    if message.DESCRIPTOR.full_name != _LOAD_ASSIGNMENT:
        return within
    return (*(_violation(*problem) for problem in endpoint_addresses(message)), *within)


def _violation(path: str, rule: str, meaning: str) -> Violation:
    return Violation(path, rule, meaning, blocks_answer=False)
