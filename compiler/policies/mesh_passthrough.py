"""MeshPassthrough: which calls to the outside of the mesh are let through (kuma-policies §2.9)."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from compiler.envoy.policy import Policy
from compiler.mesh.policy import PolicyKind, Reached
from compiler.mesh.proxy import PassthroughMatch, Transparent
from compiler.resources.findings import (
    BAD_VALUE,
    DUPLICATE_NAME,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    Finding,
    join,
)
from compiler.resources.model import Conf, Spec
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix

_REQUESTS: Final = frozenset({"http", "http2", "grpc"})
_NAMELESS: Final = frozenset({"tcp", "mysql"})
_DOMAIN: Final = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class Match(Spec, frozen=True):
    type: str
    value: str
    port: int = 0
    protocol: str = "tcp"


class Passthrough(Spec, frozen=True):
    passthrough_mode: str = "Matched"
    append_match: tuple[Match, ...] = ()


def shape(conf: Passthrough, transparent: Transparent) -> Transparent:
    """The policy counts before what the Mesh says."""
    matches = {PassthroughMatch(one.type, _canonical(one), one.port, one.protocol): None for one in conf.append_match}
    matched = conf.passthrough_mode == "Matched"
    return replace(
        transparent, passthrough=conf.passthrough_mode == "All", matches=tuple(sorted(matches)) if matched else ()
    )


def _canonical(match: Match) -> str:
    """One text for one network, since Envoy takes only one chain for it."""
    if match.type == "Domain":
        return match.value.lower()
    return _network(match.value) if match.type == "CIDR" else str(ipaddress.ip_address(match.value))


def _network(value: str) -> str:
    """A network of one address is that address."""
    network = ipaddress.ip_network(value, strict=False)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def check(policy: PolicySpec) -> Iterator[Finding]:
    conf = policy.default or {}
    matches = conf.get("appendMatch") or ()
    mode = conf.get("passthroughMode", "Matched")
    if matches and mode != "Matched":
        message = f"matches say nothing where passthroughMode is {mode}"
        yield Finding("/default/appendMatch", EXCLUSIVE_FIELDS, message, "take them out, or say Matched", on_key=True)
    for index, match in enumerate(matches):
        pointer = join("/default/appendMatch", index)
        yield from _check_protocol(match, pointer)
        yield from _check_value(match["type"], match["value"], join(pointer, "value"))
    yield from _check_together(matches)


def _check_protocol(match: Conf, pointer: str) -> Iterator[Finding]:
    protocol, kind = match.get("protocol", "tcp"), match["type"]
    if protocol == "mysql" and "port" not in match:
        yield Finding(pointer, MISSING_FIELD, "mysql needs a port: its servers speak first", "add the port")
    if kind == "Domain" and protocol in _NAMELESS:
        at = join(pointer, "protocol") if "protocol" in match else pointer
        message = f"{protocol} names no domain on the wire"
        yield Finding(at, BAD_VALUE, message, "use tls, http, http2 or grpc, or match by IP or CIDR")
    if kind == "Domain" and match["value"].startswith("*.") and protocol in _REQUESTS and "port" not in match:
        message = "a wildcard of requests needs a port: Envoy takes one wildcard in a name"
        yield Finding(pointer, MISSING_FIELD, message, "add the port")


def _check_value(kind: str, value: str, pointer: str) -> Iterator[Finding]:
    if kind == "Domain":
        if not _DOMAIN.fullmatch(value):
            message = f"{value} is no domain name"
            yield Finding(pointer, BAD_VALUE, message, "a name such as api.example.com or *.example.com")
        return
    try:
        ipaddress.ip_address(value) if kind == "IP" else ipaddress.ip_network(value, strict=False)
    except ValueError:
        example = "10.0.0.1" if kind == "IP" else "10.0.0.0/16"
        yield Finding(pointer, BAD_VALUE, f"{value} is no {kind}", f"such as {example}")
        return
    if kind == "CIDR" and "/" not in value:
        yield Finding(pointer, BAD_VALUE, f"{value} is no CIDR", "such as 10.0.0.0/16")


def _check_together(matches: Sequence[Conf]) -> Iterator[Finding]:
    """Envoy refuses two chains that match the same, and tells no two of the protocols of requests apart on a port."""
    seen: set[tuple[str, str, int]] = set()
    spoken: dict[int, str] = {}
    quiet = {match.get("port") for match in matches if match.get("protocol") == "mysql"}
    for index, match in enumerate(matches):
        port, protocol = match.get("port", 0), match.get("protocol", "tcp")
        key = (
            "request" if protocol in _REQUESTS else "raw" if protocol in _NAMELESS else protocol,
            match["value"],
            port,
        )
        pointer = join("/default/appendMatch", index)
        if port in quiet and protocol not in _NAMELESS:
            message = f"nothing of port {port} is read, for mysql servers speak first: {protocol} cannot be told there"
            yield Finding(join(pointer, "protocol"), NO_EFFECT, message, "give the servers of mysql another port")
        if protocol in _REQUESTS and spoken.setdefault(port, protocol) != protocol:
            message = f"{protocol} and {spoken[port]} cannot be told apart on one port"
            at = join(pointer, "protocol")
            yield Finding(at, EXCLUSIVE_FIELDS, message, "keep one of http, http2 and grpc for a port")
        elif key in seen:
            yield Finding(pointer, DUPLICATE_NAME, f"{match['value']} stands here twice", "keep one of the two")
        seen.add(key)


def idle(_: PolicySpec, reached: Reached) -> str:
    """Without redirection a workload calls the outside past its proxy."""
    redirected = reached.proxy.networking.transparent_proxying is not None
    return "" if redirected else "no proxy that it selects has transparentProxying: nothing passes through it"


POLICY: Final = Policy(
    PolicyKind(
        type="MeshPassthrough",
        conf=Passthrough,
        targets=TargetMatrix(top=frozenset({"Mesh", "MeshSubset", "Dataplane"})),
        whole=True,
        beside=True,
        shape_transparent=shape,
        check=check,
        idle=idle,
    )
)
