"""The edits that are timed: each says what a commit changes, from the fleet and the number of the try.

Every try differs from the one before it, and `undo` gives the files their first contents back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks import documents
from benchmarks.fleet import Fleet, Service, place_replica
from benchmarks.generate import MESH_TIMEOUT, write_files
from benchmarks.repository import Changes, Moved, WorkloadRepository
from benchmarks.tiers import TIERS

_SPARE: Final = 2 * TIERS["XL"].proxies
"""Numbers of replicas that no tier uses."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`valid` is whether the commit compiles; `publishes` whether its snapshots differ from those before it."""

    name: str
    title: str
    changes: Callable[[Fleet, int], Changes]
    valid: bool = True
    publishes: bool = True


def commit_edit(repository: WorkloadRepository, edit: Edit, fleet: Fleet, step: int) -> Moved:
    """The try of this number as the branch's next commit."""
    return repository.commit(edit.changes(fleet, step), f"{edit.name}: {edit.title}, {step}")


def undo(fleet: Fleet, edit: Edit, steps: int) -> Changes:
    """What takes back this many tries: nothing outlives the two tries after it."""
    first = write_files(fleet)
    touched = {path for step in range(max(steps - 2, 0), steps) for path in edit.changes(fleet, step)}
    return {path: first.get(path) for path in touched}


def _change_inbound_policy(fleet: Fleet, step: int) -> Changes:
    """Another caller is refused; what the service's callers hold stays as it is."""
    service = fleet.median
    denied = (f"spiffe://{documents.MESH}/refused-{step}",)
    return _file(service, "permission", documents.write_permission(fleet, service, denied=denied))


def _change_consumer_policy(fleet: Fleet, step: int) -> Changes:
    service = fleet.median
    target = next(iter(fleet.http_calls(service)), fleet.hub)
    return _file(service, "timeout-to", documents.write_outbound_timeout(service, target, 20 + step))


def _change_endpoints(fleet: Fleet, service: Service, step: int) -> Changes:
    """One more in even tries, that one gone in odd ones."""
    spare = place_replica(_SPARE + service.index, "spare")
    if fleet.shape.per_dataplane:
        content = None if step % 2 else documents.write_dataplane(service, spare, fleet.shape.trimming).encode()
        return {f"{service.folder}/dataplanes/{spare.name}.yaml": content}
    replicas = service.replicas if step % 2 else (*service.replicas, spare)
    return _file(service, "dataplanes", documents.write_dataplane_set(service, replicas, fleet.shape.trimming))


def _add_service(fleet: Fleet, step: int) -> Changes:
    """A copy of the median service with one replica, which that service may call; gone again in odd tries."""
    model = fleet.median
    service = Service(
        index=len(fleet.services),
        name=f"new-{step // 2:05d}",
        team="team-new",
        protocol="http",
        two_ports=False,
        replicas=(place_replica(_SPARE + len(fleet.services) + step // 2, "0"),),
        calls=(),
        callers=(model.index,),
        inbound_timeout=False,
        outbound_timeout=False,
        route=False,
        retry=False,
    )
    if step % 2:
        return {f"{service.folder}/{name}.yaml": None for name in ("service", "dataplanes", "permission")}
    return {
        **_file(service, "service", documents.write_service(service)),
        **_file(service, "dataplanes", documents.write_dataplane_set(service, None, fleet.shape.trimming)),
        **_file(service, "permission", documents.write_permission(fleet, service)),
    }


def _change_mesh_timeout(fleet: Fleet, step: int) -> Changes:
    del fleet
    return {MESH_TIMEOUT: documents.write_mesh_timeout(20 + step).encode()}


def _revert_mesh_timeout(fleet: Fleet, step: int) -> Changes:
    """The first contents in odd tries, the same edit of them in even ones."""
    del fleet
    return {MESH_TIMEOUT: documents.write_mesh_timeout(15 if step % 2 else 16).encode()}


def _change_nothing(fleet: Fleet, step: int) -> Changes:
    """A comment above a document whose parts change places in odd tries."""
    service = fleet.median
    return _file(service, "service", f"# review {step}\n{documents.write_service(service, reordered=step % 2 == 1)}")


def _break(fleet: Fleet, step: int) -> Changes:
    """A field that no schema knows."""
    service = fleet.median
    text = documents.write_inbound_timeout(service, 20 + step).replace("requestTimeout", "requestTimout")
    return _file(service, "timeout", text)


def _file(service: Service, name: str, text: str) -> Changes:
    return {f"{service.folder}/{name}.yaml": text.encode()}


EDITS: Final[Mapping[str, Edit]] = {
    edit.name: edit
    for edit in (
        Edit("E1", "inbound policy of one service", _change_inbound_policy),
        Edit("E2", "one consumer's policy for one destination", _change_consumer_policy),
        Edit("E3", "endpoint of a median service", lambda fleet, step: _change_endpoints(fleet, fleet.median, step)),
        Edit("E4", "endpoint of the hub", lambda fleet, step: _change_endpoints(fleet, fleet.hub, step)),
        Edit("E5", "new service", _add_service),
        Edit("E6", "mesh-wide timeout", _change_mesh_timeout),
        Edit("E7", "comment and order only", _change_nothing, publishes=False),
        Edit("E8", "revert of a mesh-wide timeout", _revert_mesh_timeout),
        Edit("E10", "invalid commit", _break, valid=False, publishes=False),
    )
}
