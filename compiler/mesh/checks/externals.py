"""ExternalServices of one name: callers have one cluster for all of them, which speaks TLS in one way."""

from collections.abc import Iterator
from typing import Final, cast

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.external import origination_of
from compiler.mesh.graph import RESOURCE
from compiler.mesh.services import TAGGED, service_key
from compiler.resources.findings import Finding
from compiler.resources.model import SERVICE, ExternalService, Resource

TLS_CONFLICT: Final = Code(
    "tls-conflict",
    Severity.ERROR,
    "two ExternalServices of one name that speak TLS differently",
    "ExternalServices with the same `kuma.io/service` are endpoints of one service, and a caller has one way to speak "
    "TLS to all of them: the same name asked for by SNI and checked, the same authority, the same client certificate. "
    "Where `serverName` is not said it is the host of the address, so two hosts differ. Give them one `serverName`, or "
    "services of their own.",
)


def check_external(memo: Memo, resource: Resource) -> Iterator[Finding]:
    """Each is held to the first by name; where something of the mesh has the name, none of them is called."""
    spec = cast(ExternalService, resource.spec)
    service = service_key(resource.key.mesh, spec.tags.get(SERVICE, ""))
    first = next(iter(memo.ask(TAGGED, service)), None) if memo.read(RESOURCE, service) is None else None
    if first is None or origination_of(first) == origination_of(resource):
        return
    both = f"ExternalServices {first.key.name!r} and {resource.key.name!r}"
    message = f"{both} are one service, {service.name!r}, and speak TLS differently"
    pointer = "/networking/tls" if spec.networking.tls is not None else "/networking"
    yield Finding(
        pointer, TLS_CONFLICT, message, "give both the same tls with one serverName, or services of their own"
    )
