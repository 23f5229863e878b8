"""What a node is meant to hold now: its configuration, or the last good one where the configuration was refused."""

from collections.abc import Mapping
from typing import Final

from compiler.xds.remembered import Remembered
from compiler.xds.served import EDS, NOTHING, SDS, ProxyConfig, Resource
from compiler.xds.type_state import TypeState

_NOBODY: Final[frozenset[str]] = frozenset()


def choose_base(config: ProxyConfig, memory: Remembered) -> ProxyConfig:
    """A refused configuration is answered with the last one that was ACKed wholly, if there is one."""
    if memory.refused_digest == config.digest and memory.fallback is not None:
        return memory.fallback
    return config


def list_secrets(config: ProxyConfig, memory: Remembered) -> frozenset[str]:
    """The secrets that this proxy may be told: those that its present or its last good configuration names."""
    former = memory.fallback.secrets if memory.fallback is not None else ()
    return frozenset((*config.secrets, *former))


def aim_type(
    state: TypeState, config: ProxyConfig, memory: Remembered, secrets: Mapping[str, Resource]
) -> frozenset[str]:
    """Set one type's target; returns the names whose configured content was refused."""
    if not memory.refused and memory.refused_digest is None and state.type_url != SDS:
        state.aim(config.resources.get(state.type_url, NOTHING), _NOBODY)
        return _NOBODY
    wanted = _list_wanted(state.type_url, config, memory, secrets)
    refused = _list_refused(state.type_url, wanted, memory)
    if not refused:
        state.aim(wanted, _NOBODY)
        return refused
    found = {name: _find_former(state, name, memory) for name in refused}
    kept = {name: former for name, former in found.items() if former is not None}
    rest = {name: resource for name, resource in wanted.items() if name not in refused}
    state.aim({**rest, **kept}, refused.difference(kept))
    return refused


def _list_wanted(
    type_url: str, config: ProxyConfig, memory: Remembered, secrets: Mapping[str, Resource]
) -> Mapping[str, Resource]:
    if type_url == SDS:
        allowed = list_secrets(config, memory)
        return {name: secret for name, secret in secrets.items() if name in allowed}
    base = choose_base(config, memory)
    if type_url == EDS and base is not config:
        return _overlay_endpoints(base, config)
    return base.resources.get(type_url, NOTHING)


def _overlay_endpoints(base: ProxyConfig, config: ProxyConfig) -> Mapping[str, Resource]:
    """Endpoints are live: a proxy that refused a configuration must not keep sending to a pod that is gone."""
    newest = config.of(EDS)
    return {name: newest.get(name, former) for name, former in base.of(EDS).items()}


def _list_refused(type_url: str, wanted: Mapping[str, Resource], memory: Remembered) -> frozenset[str]:
    if not memory.refused:
        return frozenset()
    named = [(name, version) for url, name, version in memory.refused if url == type_url]
    return frozenset(
        name
        for name, version in named
        if (version == "" and name not in wanted) or (name in wanted and wanted[name].version == version)
    )


def _find_former(state: TypeState, name: str, memory: Remembered) -> Resource | None:
    """A resource changed into something bad keeps its old self, as far as its bytes are known."""
    fallback = memory.fallback.of(state.type_url).get(name) if memory.fallback is not None else None
    candidates = (fallback, memory.secrets.get(name) if state.type_url == SDS else None, state.replaced.get(name))
    usable = (each for each in candidates if each is not None and each.body)
    return next((each for each in usable if not memory.is_refused(state.type_url, each)), None)
