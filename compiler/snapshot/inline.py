"""A proxy's resources as one static bootstrap, for `envoy --mode validate`: nothing is left to be discovered.

RDS and ECDS are folded in, EDS clusters carry their endpoints, secrets are made up. So Envoy's own judgement covers
what it would otherwise look at only when it is served.
"""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from google.protobuf.message import Message

from compiler.envoy.packing import rewrite
from compiler.envoy.resources import EnvoyResources, ResourceType
from compiler.snapshot.cluster_names import rename_clusters
from compiler.snapshot.made_up_secrets import made_up_secret, secret_kind

_FIRST_ADDRESS = IPv4Address("127.0.0.1")
_PORTS = 60_000
_TIMEOUT_SECONDS = 120


@dataclass(slots=True)
class _Fold:
    """One proxy on its way into a static bootstrap."""

    resources: EnvoyResources
    prefix: str
    secrets: dict[str, str] = field(default_factory=dict)

    def of(self, kind: ResourceType) -> Mapping[str, Message]:
        return self.resources.messages.get(kind, {})


def inline(resources: EnvoyResources) -> Bootstrap:
    """One proxy's bootstrap; a route, extension or load assignment that is missing stays out: `check_references`."""
    bootstrap = Bootstrap()
    _add(bootstrap, _Fold(resources, prefix=""))
    return _complete(bootstrap)


def inline_all(proxies: Mapping[str, EnvoyResources]) -> Bootstrap:
    """Many proxies in one bootstrap, so that Envoy starts once.

    Their clusters, listeners and secrets are called `<key>/<name>`, and each listener gets an address of its own: two
    names on one address, allowed on two hosts, are not on one.
    """
    bootstrap = Bootstrap()
    for key in sorted(proxies):
        _add(bootstrap, _Fold(proxies[key], prefix=f"{key}/"))
    for index, listener in enumerate(bootstrap.static_resources.listeners):
        _move(listener, index)
    return _complete(bootstrap)


def validate_with_envoy(bootstrap: Bootstrap, envoy_binary: str | Path) -> str | None:
    """Envoy's objection, None where it has none; it names only the first. Raises OSError and TimeoutExpired.

    It opens the files of access logs, so it runs where those with relative paths are thrown away.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bootstrap.pb")
        file.write_bytes(bootstrap.SerializeToString(deterministic=True))
        binary = str(Path(envoy_binary).absolute())
        command = [binary, "--mode", "validate", "--disable-hot-restart", "-l", "error", "-c", str(file)]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
        output = (run.stdout + run.stderr).replace(str(file), "bootstrap")
    return None if run.returncode == 0 else output.strip() or f"exit code {run.returncode}"


def _complete(bootstrap: Bootstrap) -> Bootstrap:
    bootstrap.node.id = bootstrap.node.cluster = "validate"
    return bootstrap


def _add(bootstrap: Bootstrap, fold: _Fold) -> None:
    """Secrets last: which of them are keys and which are authorities shows only where they are used."""
    static = bootstrap.static_resources
    for name in sorted(fold.of(ResourceType.CLUSTER)):
        static.clusters.append(_cluster(fold.of(ResourceType.CLUSTER)[name], fold))
    for name in sorted(fold.of(ResourceType.LISTENER)):
        listener: Any = _folded(fold.of(ResourceType.LISTENER)[name], fold)
        listener.name = fold.prefix + listener.name
        static.listeners.append(listener)
    for name, kind in sorted(fold.secrets.items()):
        static.secrets.append(made_up_secret(fold.prefix + name, kind))


def _cluster(message: Message, fold: _Fold) -> Any:
    cluster: Any = _folded(message, fold)
    if cluster.type == Cluster.EDS:
        service = cluster.eds_cluster_config.service_name or cluster.name
        assignment = fold.of(ResourceType.ENDPOINT).get(service)
        cluster.ClearField("eds_cluster_config")
        cluster.type = Cluster.STATIC
        if assignment is not None:
            cluster.load_assignment.CopyFrom(assignment)
        cluster.load_assignment.cluster_name = cluster.name
    cluster.name = fold.prefix + cluster.name
    return cluster


def _folded(message: Message, fold: _Fold) -> Message:
    """A copy with everything discovered put in; the original is shared with what is served."""
    copy = type(message)()
    copy.CopyFrom(message)
    rewrite(copy, lambda found: _fold_in(found, fold))
    if fold.prefix:
        rename_clusters(copy, lambda name: fold.prefix + name)
    return copy


def _fold_in(message: Message, fold: _Fold) -> None:
    edit = _EDITS.get(message.DESCRIPTOR.full_name)
    if edit is not None:
        edit(message, fold)


def _fold_route(manager: Any, fold: _Fold) -> None:
    route = fold.of(ResourceType.ROUTE).get(manager.rds.route_config_name) if manager.HasField("rds") else None
    if route is not None:
        manager.route_config.CopyFrom(route)


def _fold_extension(slot: Any, fold: _Fold) -> None:
    """A network filter, an HTTP filter or a listener filter: what comes by ECDS stands where its slot stood."""
    extension: Any = fold.of(ResourceType.EXTENSION).get(slot.name) if slot.HasField("config_discovery") else None
    if isinstance(extension, TypedExtensionConfig):
        slot.typed_config.CopyFrom(extension.typed_config)


def _fold_tls(owner: Any, fold: _Fold) -> None:
    """A secret with no source is looked up among the static ones, under the proxy's prefix."""
    for slot, value in owner.ListFields():
        if slot.message_type is not None and slot.message_type.full_name == _SDS:
            for secret in value if slot.is_repeated else (value,):
                fold.secrets.setdefault(secret.name, secret_kind(slot.name))
                secret.ClearField("sds_config")
                secret.name = fold.prefix + secret.name


_SDS = "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig"
_TLS = "envoy.extensions.transport_sockets.tls.v3"
_EDITS: dict[str, Callable[[Any, _Fold], None]] = {
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": _fold_route,
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": _fold_extension,
    "envoy.config.listener.v3.Filter": _fold_extension,
    "envoy.config.listener.v3.ListenerFilter": _fold_extension,
    f"{_TLS}.CommonTlsContext": _fold_tls,
    f"{_TLS}.CommonTlsContext.CombinedCertificateValidationContext": _fold_tls,
    f"{_TLS}.DownstreamTlsContext": _fold_tls,
    "envoy.extensions.filters.http.oauth2.v3.OAuth2Credentials": _fold_tls,
    "envoy.extensions.http.injected_credentials.generic.v3.Generic": _fold_tls,
}


def _move(listener: Any, index: int) -> None:
    """An IPv4 loopback address that no other listener of the bootstrap has."""
    listener.ClearField("additional_addresses")
    socket = listener.address.socket_address
    socket.address = str(_FIRST_ADDRESS + index // _PORTS)
    socket.port_value = 1 + index % _PORTS
    socket.ipv4_compat = False
