"""Confs that have nothing for the protocol of any destination that they are about."""

from collections.abc import Iterator
from typing import Final

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.checks.references import services_of
from compiler.mesh.confs import ITEMS, items_about
from compiler.mesh.graph import KEYS
from compiler.mesh.merge import merge_confs
from compiler.mesh.order import Item
from compiler.mesh.policy import PolicyKind
from compiler.mesh.rules import outbound_items, refers
from compiler.mesh.services import OFFERED, PORT_PROTOCOL, SERVICE_RESOURCE, Port, service_ports
from compiler.resources.findings import Finding, join
from compiler.resources.model import Conf, Resource
from compiler.resources.values import decode

UNFIT_PROTOCOL: Final = Code(
    "unfit-protocol",
    Severity.WARNING,
    "a conf that has nothing for the protocol of any destination",
    "A MeshHealthCheck asks each destination by the check that fits its protocol: `http` where it speaks http or "
    "http2, `grpc` where it speaks grpc, `tcp` elsewhere, or where the fitting one is there and `disabled`. A "
    "destination that no check fits is not asked, as in Kuma. Here that is so of every destination that the item is "
    "about, with whatever other policies of its kind say of them, so it changes nothing.",
)
_CHECKS: Final = {"http2": "http", "tls": "tcp", "kafka": "tcp"}
"""What a check is called that fits a protocol of another name."""


def check_fitting(memo: Memo, kind: PolicyKind, policy: Resource) -> Iterator[Finding]:
    """Destinations are looked at up to the first that an item fits: most often that is the first of all."""
    for item in memo.ask(ITEMS, ((policy.key,), ("to",))) if kind.misses is not None else ():
        protocols = _missed(memo, kind, item)
        if protocols:
            spoken, wanted = (
                " and ".join(sorted(words)) for words in (protocols, {_CHECKS.get(one, one) for one in protocols})
            )
            message = f"all that it is about speaks {spoken}, for which it has no check: nothing is asked"
            yield Finding(join("", "to", item.index, "default"), UNFIT_PROTOCOL, message, f"add {wanted}", on_key=True)


def _missed(memo: Memo, kind: PolicyKind, item: Item) -> frozenset[str]:
    """The protocols of everything that an item is about; none where there is one that it does something for."""
    found = set[str]()
    for service, port in list_meant(memo, item):
        protocol = memo.ask(PORT_PROTOCOL, port)
        if not _misses(kind, item.conf, protocol) or _is_met(memo, kind, service, port, protocol):
            return frozenset()
        found.add(protocol)
    return frozenset(found)


def list_meant(memo: Memo, item: Item) -> Iterator[tuple[Resource, Port]]:
    """Ports, and of what is called by its tag in Kuma 2 all ports as one."""
    for key in services_of(memo, item.policy, item.target):
        service = memo.ask(SERVICE_RESOURCE, key)
        sections = [one.section for one in service_ports(service)] if service is not None else []
        for section in [*sections, ""] if memo.ask(OFFERED, key) else sections:
            if service is not None and refers(item.target, item.policy, service, section, key.name) is not None:
                yield service, Port(key, section)


def _is_met(memo: Memo, kind: PolicyKind, service: Resource, port: Port, protocol: str) -> bool:
    """Whether another item fits, or all together do: who says less may say it for one that says more."""
    policies = tuple(sorted(memo.read(KEYS, (kind.type, port.service.mesh))))
    items = items_about(memo, policies, (service.name, port.service.name))
    confs = [item.conf for item in outbound_items(items, service, port.section, port.service.name)]
    return any(not _misses(kind, conf, protocol) for conf in (*confs, merge_confs(confs)))


def _misses(kind: PolicyKind, conf: Conf, protocol: str) -> bool:
    return kind.misses is not None and kind.misses(decode(kind.conf, conf), protocol)
