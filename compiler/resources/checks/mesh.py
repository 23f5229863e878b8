"""What a Mesh must hold beyond its schema (kuma-core §2.1)."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from compiler.resources.certificates import check_given
from compiler.resources.checks.addresses import check_address, check_host_and_port
from compiler.resources.checks.identities import check_lifetime
from compiler.resources.checks.lists import repeated, without_effect
from compiler.resources.checks.metrics import check_prometheus
from compiler.resources.checks.sources import check_pair, check_source, only_secrets
from compiler.resources.checks.templates import check_common_name
from compiler.resources.findings import (
    BAD_VALUE,
    DANGLING_NAME,
    EXCLUSIVE_FIELDS,
    NO_EFFECT,
    Finding,
    join,
)
from compiler.resources.later import LEGACY_TYPES
from compiler.resources.model import SHORT_NAMES
from compiler.resources.suggest import did_you_mean, one_of


def check_mesh(mesh: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """The backends in force exist, and what changes nothing is said."""
    yield from _check_mtls(mesh.get("mtls", {}), join(pointer, "mtls"))
    yield from _check_routing(mesh, pointer)
    for index, kind in enumerate(mesh.get("skipCreatingInitialPolicies", ())):
        if kind != "*" and kind not in SHORT_NAMES and kind not in LEGACY_TYPES:
            at, hint = join(pointer, "skipCreatingInitialPolicies", index), did_you_mean(kind, SHORT_NAMES)
            yield Finding(at, NO_EFFECT, f"there is no type of policies {kind[:64]!r}", hint)
    if "metrics" in mesh:
        yield from _check_metrics(mesh["metrics"], join(pointer, "metrics"))
    if "logging" in mesh:
        yield from _check_logging(mesh["logging"], join(pointer, "logging"))
    if "tracing" in mesh:
        yield from _check_tracing(mesh["tracing"], join(pointer, "tracing"))


def _check_mtls(mtls: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    backends = mtls.get("backends", ())
    yield from _check_names(mtls, pointer, "enabledBackend")
    if backends and not mtls.get("enabledBackend"):
        message, hint = (
            "no backend is in force, so traffic is plaintext",
            f"set mtls.enabledBackend: {backends[0]['name']}",
        )
        yield Finding(join(pointer, "backends"), NO_EFFECT, message, hint, on_key=True)
    yield from without_effect(mtls, pointer, ("skipValidation",))
    for index, backend in enumerate(backends):
        at = join(pointer, "backends", index)
        yield from without_effect(backend, at, ("rootChain",))
        yield from _check_certificates(backend.get("dpCert", {}), join(at, "dpCert"))
        if backend["type"] == "builtin" and "caCert" in backend.get("conf", {}):
            message = "whoever starts the server makes the authority, so nothing here counts"
            yield Finding(join(at, "conf", "caCert"), NO_EFFECT, message, "take it out", on_key=True)
        if backend["type"] != "builtin":
            yield from _check_authority(backend["conf"], join(at, "conf"))


def _check_certificates(wanted: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from without_effect(wanted, pointer, ("requestTimeout",))
    if "expiration" in wanted.get("rotation", {}):
        yield from check_lifetime(wanted["rotation"]["expiration"], join(pointer, "rotation", "expiration"))


def _check_authority(conf: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Of a provided authority, or of one of Kong Mesh's."""
    vault, at = conf.get("fromCp", {}), join(pointer, "fromCp")
    access = vault.get("auth", {})
    if "cert" in conf:
        yield from check_pair(conf, pointer, ("cert", "key"))
        yield from only_secrets(conf, pointer, ("cert", "key"))
        yield from check_given(conf["cert"], join(pointer, "cert"))
    for values, place in ((conf, pointer), (vault, at)):
        yield from check_common_name(values.get("commonName", ""), join(place, "commonName"))
    yield from check_source(conf.get("caCert", {}), join(pointer, "caCert"))
    yield from check_source(vault.get("tls", {}).get("caCert", {}), join(at, "tls", "caCert"))
    yield from check_source(access.get("token", {}), join(at, "auth", "token"), private=True)
    if "tls" in access:
        yield from check_pair(access["tls"], join(at, "auth", "tls"))
    amazon = conf.get("auth", {}).get("awsCredentials", {})
    for name in amazon:
        yield from check_source(amazon[name], join(pointer, "auth", "awsCredentials", name), private=True)
    for other in list(access)[1:]:
        message = f"{other} and {next(iter(access))} are two ways to prove who asks"
        yield Finding(join(at, "auth", other), EXCLUSIVE_FIELDS, message, "keep one", on_key=True)


def _check_routing(mesh: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    routing = mesh.get("routing", {})
    if routing.get("zoneEgress") and not mesh.get("mtls", {}).get("enabledBackend"):
        message = "without mutual TLS no traffic goes through an egress: it could not know where to send it"
        yield Finding(join(pointer, "routing", "zoneEgress"), NO_EFFECT, message, "set mtls.enabledBackend")


def _check_metrics(metrics: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from _check_names(metrics, pointer, "enabledBackend")
    for index, backend in enumerate(metrics.get("backends", ())):
        yield from check_prometheus(backend.get("conf", {}), join(pointer, "backends", index, "conf"))


def _check_logging(logging: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from _check_names(logging, pointer, "defaultBackend")
    for index, backend in enumerate(logging.get("backends", ())):
        if "address" in backend["conf"]:
            yield from check_host_and_port(
                backend["conf"]["address"], join(pointer, "backends", index, "conf", "address")
            )


def _check_tracing(tracing: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from _check_names(tracing, pointer, "defaultBackend")
    for index, backend in enumerate(tracing.get("backends", ())):
        at = join(pointer, "backends", index, "conf")
        if "url" in backend["conf"]:
            yield from _check_url(backend["conf"]["url"], join(at, "url"))
        yield from check_address(backend["conf"].get("address", ""), join(at, "address"))


def _check_url(url: str, pointer: str) -> Iterator[Finding]:
    """An address of http or https whose port is written, since Envoy needs one."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and bool(parts.port)
    except ValueError:
        whole = False
    if not whole:
        message = "url must begin with http:// or https:// and name a host and a port"
        yield Finding(pointer, BAD_VALUE, message, "write it as http://zipkin:9411/api/v2/spans")


def _check_names(section: Mapping[str, Any], pointer: str, chosen: str) -> Iterator[Finding]:
    """Names of backends are their own, and the one in force is one of them."""
    names = [backend["name"] for backend in section.get("backends", ())]
    yield from repeated(names, join(pointer, "backends"), "name", "name")
    name = section.get(chosen, "")
    if name and name not in names:
        hint = did_you_mean(name, names) or f"the backends are: {one_of(names)}"
        yield Finding(join(pointer, chosen), DANGLING_NAME, f"{pointer.rpartition('/')[2]} has no backend {name}", hint)
