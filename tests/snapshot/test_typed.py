import importlib
import pkgutil
import subprocess
import sys
from typing import Any

import envoy.config as envoy_config
import envoy.extensions as envoy_extensions
import pytest
import udpa.type as udpa_type
import xds.core as xds_core
import xds.type as xds_type
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from xds.type.v3.typed_struct_pb2 import TypedStruct

from compiler.envoy.packing import pack
from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.typed import LACKING, UndefinedTypeError, decode, load, roundtrips, unpack

from .arbitrary import messages
from .sidecar import INBOUND, inbound_listener, sidecar

RESOURCES = [render(kind, name, each) for kind, some in sidecar().messages.items() for name, each in some.items()]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: each.name)
def test_the_second_decoder_reads_and_writes_the_same_message(resource: Rendered) -> None:
    assert roundtrips(resource)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(cluster=messages(ResourceType.CLUSTER.type_url, depth=2))
def test_the_second_decoder_agrees_on_arbitrary_clusters(cluster: Message) -> None:
    assert roundtrips(render(ResourceType.CLUSTER, "it", cluster))


def test_a_resource_is_a_dataclass_and_what_is_packed_inside_too() -> None:
    listener: Any = load(render(ResourceType.LISTENER, INBOUND, inbound_listener()))
    manager: Any = unpack(listener.filter_chains[0].filters[0].typed_config)

    assert listener.address.socket_address.port_value == 8080
    assert [each.name for each in manager.http_filters][-1] == "envoy.filters.http.router"


def test_a_type_that_it_lacks_is_refused_by_name_and_kept_as_it_is_inside_another() -> None:
    struct = TypedStruct(type_url="type.googleapis.com/it")
    struct.value.update({"b": 1, "a": 2})
    extension = TypedExtensionConfig(name="it", typed_config=pack(struct))

    assert roundtrips(render(ResourceType.EXTENSION, "it", extension))
    with pytest.raises(UndefinedTypeError, match=r"xds\.type\.v3\.TypedStruct"):
        decode("type.googleapis.com/xds.type.v3.TypedStruct", b"")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the API's deprecated messages say so when they are made
def test_the_list_of_lacking_types_is_exact() -> None:
    """A new release of either library changes the list here first."""
    assert {name for name in _configuration_types() if _is_undefined(name)} == LACKING


def _configuration_types() -> set[str]:
    """Messages that may stand in a configuration: not what services and annotations of the API are made of."""
    names: set[str] = set()
    for package in (envoy_config, envoy_extensions, udpa_type, xds_core, xds_type):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("_pb2") and not _is_outdated(module.name):
                file = importlib.import_module(module.name).DESCRIPTOR
                names.update(descriptor.full_name for descriptor in file.message_types_by_name.values())
    return names


def _is_outdated(module: str) -> bool:
    """Earlier versions of Envoy's own API, which Envoy no longer reads."""
    parts = module.split(".")
    return parts[0] == "envoy" and "v3" not in parts


def _is_undefined(name: str) -> bool:
    try:
        decode(f"type.googleapis.com/{name}", b"")
    except UndefinedTypeError:
        return True
    return False


def test_the_hot_path_does_not_import_it() -> None:
    program = "import compiler.snapshot.typed, sys; assert 'betterproto2' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
