"""How Envoy asks the agent, and what tells the agent what to decide by."""

from collections.abc import Iterator
from typing import Any, Final, cast

from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from google.protobuf.message import Message

from compiler.envoy.clusters import HTTP
from compiler.envoy.common import set_duration
from compiler.envoy.outside import outside_cluster
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Hooks, Policy, Site, Stage, StagedHttpFilter
from compiler.envoy.resources import ResourceType
from compiler.envoy.told import document_listener, document_routes
from compiler.mesh.policy import Need, PolicyKind, Reached
from compiler.mesh.value import Owner
from compiler.policies.mesh_opa.agent import read_settings, render_document
from compiler.policies.mesh_opa.checks import check
from compiler.policies.mesh_opa.conf import DENY, Authorization
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix

FILTER: Final = "envoy.filters.http.ext_authz"
CLUSTER: Final = "system_opa"
_CONFIG: Final = "system_dynamicconfig_opa"
_SOCKET: Final = "opa.sock"
_PATH: Final = "/opa"


def ask_agent(conf: Authorization, site: Site) -> Iterator[StagedHttpFilter]:
    """Only what others call is judged; it stands in the chain for as long as a policy wants it (docs/rebuilds.md).

    A filter that is always there would name a cluster that proxies without an agent do not have.
    """
    if site.direction is not Direction.INBOUND:
        return
    asking = conf.auth_config
    message = ExtAuthz(transport_api_version=ApiVersion.V3, include_peer_certificate=True)
    message.grpc_service.envoy_grpc.cluster_name = CLUSTER
    set_duration(message.grpc_service.timeout, asking.timeout)
    message.failure_mode_allow = asking.on_agent_failure != DENY
    message.status_on_error.code = cast(Any, asking.status_on_error)
    if asking.request_body.max_size:
        message.with_request_body.max_request_bytes = asking.request_body.max_size
        message.with_request_body.allow_partial_message = True
        message.with_request_body.pack_as_bytes = asking.request_body.send_raw_body
    yield Stage.AUTHORIZATION, HttpFilter(name=FILTER, typed_config=pack(message))


def add_agent(conf: Authorization, _: Owner | None) -> Iterator[tuple[ResourceType, Message]]:
    """Where the agent is, and a document for it, which comes by a route: a new module changes no listener."""
    settings = read_settings(conf.agent_config.text if conf.agent_config is not None else "")
    yield ResourceType.CLUSTER, outside_cluster(CLUSTER, *settings.address, http2=True)
    yield ResourceType.LISTENER, document_listener(_CONFIG, _SOCKET)
    yield ResourceType.ROUTE, document_routes(_CONFIG, _PATH, render_document(conf))


def idle(_: PolicySpec, reached: Reached) -> str:
    """The agent judges requests, whichever inbound they come to."""
    asked = reached.spoken & HTTP
    return "" if asked else "no inbound of a proxy that it selects takes requests: the agent is asked nothing"


def _is_sent(conf: Authorization) -> bool | None:
    body = conf.auth_config.request_body
    return body.max_size > 0 if body.send_raw_body else None


POLICY: Final = Policy(
    PolicyKind(
        type="MeshOPA",
        conf=Authorization,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            listeners=False,
        ),
        whole=True,
        check=check,
        idle=idle,
        needs=(
            Need(
                ("authConfig", "requestBody", "sendRawBody"),
                _is_sent,
                "no policy that holds here says how much of a body is sent: the agent sees none",
                "add maxSize",
            ),
        ),
    ),
    Hooks(http_filters=ask_agent, resources=add_agent),
)
