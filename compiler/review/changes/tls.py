"""Where a changed listener or cluster asks less of TLS than before."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.envoy.names import ALL_BUNDLES, TRUST_BUNDLE
from compiler.envoy.resources import ResourceType

__all__ = ["weakenings"]

_CONTEXTS: Final = ("UpstreamTlsContext", "DownstreamTlsContext")
_VERSIONS: Final = {"TLSv1_0": 0, "TLSv1_1": 1, "TLS_AUTO": 2, "TLSv1_2": 2, "TLSv1_3": 3}
"""Envoy's own minimum, where nothing is written, is TLS 1.2 for servers and for clients."""
_SPOKEN: Final = ("TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3")
_UNWRITTEN: Final = "TLS_AUTO"

Json = Mapping[str, Any]


def weakenings(kind: str, before: Json, after: Json) -> Iterator[str]:
    """What is weaker now, in words; a listener is asked about each way in, a cluster about its way out."""
    if kind == ResourceType.LISTENER.file and _takes_only_tls(before) and not _takes_only_tls(after):
        yield "takes plaintext from now on"
    old, new = (list(_contexts(side)) for side in (before, after))
    if old and not new and kind == ResourceType.CLUSTER.file:
        yield "calls in plaintext from now on"
    if len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            yield from _weaker(one, other)


def _takes_only_tls(listener: Json) -> bool:
    chains = listener.get("filterChains", ())
    return bool(chains) and all("transportSocket" in chain for chain in chains)


def _contexts(value: Any) -> Iterator[Json]:
    """In the order of the fields, which canonical JSON sorts."""
    if isinstance(value, dict):
        if str(value.get("@type", "")).endswith(_CONTEXTS):
            yield value
            return
        for each in value.values():
            yield from _contexts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _contexts(each)


def _weaker(before: Json, after: Json) -> Iterator[str]:
    if before.get("requireClientCertificate") and not after.get("requireClientCertificate"):
        yield "asks callers for no certificate any more"
    if _lowest(after) < _lowest(before):
        yield f"takes {_SPOKEN[_lowest(after)]} again"
    was, now = _validation(before), _validation(after)
    if was is not None and now is None:
        yield "checks no certificate of its peer any more"
    elif was is not None and now is not None and _names(was) and not _names(now):
        yield "takes any name in its peer's certificate"


def _lowest(context: Json) -> int:
    return _VERSIONS.get(_minimum(context), _VERSIONS[_UNWRITTEN])


def _minimum(context: Json) -> str:
    parameters = context.get("commonTlsContext", {}).get("tlsParams", {})
    return str(parameters.get("tlsMinimumProtocolVersion", _UNWRITTEN))


def _validation(context: Json) -> Json | None:
    common = context.get("commonTlsContext", {})
    names = ("combinedValidationContext", "validationContext", "validationContextSdsSecretConfig")
    return next((common[name] for name in names if name in common), None)


def _names(validation: Json) -> list[Any]:
    """One that goes by trust domains looks for a name by itself."""
    named = validation.get("validationContextSdsSecretConfig", {}).get("name", "")
    if named in {TRUST_BUNDLE, ALL_BUNDLES}:
        return [named]
    inner = validation.get("defaultValidationContext", validation)
    found: list[Any] = inner.get("matchTypedSubjectAltNames", [])
    return found
