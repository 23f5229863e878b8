"""What the compiler refuses to have in Git, left out before it is written: a token in an agent's configuration, say."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.importing.secrets import Bared, Withheld
from compiler.importing.stream import Exported
from compiler.policies import POLICIES
from compiler.policies.mesh_opa.checks import find_leaks
from compiler.resources.envelope import read_envelope
from compiler.resources.findings import SECRET_IN_GIT, Finding
from compiler.resources.judge import judge
from compiler.resources.model import Policy
from compiler.resources.schema import Schemas

_KINDS: Final = {policy.kind.type: policy.kind for policy in POLICIES}


def without_leaks(resource: Exported, bared: Bared, schemas: Schemas) -> Bared:
    """The whole document stays out, for no reference can stand there; what leaks is named."""
    leaks = [] if bared.value is None else [one for one in _judge(bared.value, schemas) if one.code == SECRET_IN_GIT]
    if bared.value is None or not leaks:
        return bared
    envelope = read_envelope(resource.type, bared.value)
    places = (f"{resource.type} {envelope.name} {leak.pointer.strip('/')}" for leak in leaks)
    return Bared(None, (*bared.withheld, *(Withheld("", envelope.mesh, "", place) for place in places)))


def _judge(value: Mapping[str, Any], schemas: Schemas) -> Iterator[Finding]:
    """By itself, and as a policy of its type; what a refused one holds is written, too, and mended later."""
    verdict = judge(value, schemas)
    yield from verdict.findings
    envelope = verdict.envelope
    if envelope is not None and envelope.type == "MeshOPA" and not verdict.resources:
        spec = value.get("spec")
        yield from find_leaks(spec.get("default") if isinstance(spec, dict) else None)
    for resource, _ in verdict.resources[:1]:
        kind = _KINDS.get(resource.key.type)
        if kind is not None and isinstance(resource.spec, Policy):
            yield from kind.check(resource.spec)
