"""Small messages that many resources are made of: addresses, discovery through ADS, durations."""

from collections.abc import Iterable

from envoy.config.core.v3.address_pb2 import Address
from envoy.config.core.v3.config_source_pb2 import ApiVersion, ConfigSource
from google.protobuf.duration_pb2 import Duration as DurationMessage
from google.protobuf.struct_pb2 import Struct

from compiler.resources.values import Duration


def ads() -> ConfigSource:
    """The one stream that everything comes by."""
    source = ConfigSource(resource_api_version=ApiVersion.V3)
    source.ads.SetInParent()
    return source


def socket_address(address: str, port: int) -> Address:
    message = Address()
    message.socket_address.address = address
    message.socket_address.port_value = port
    return message


def set_duration(field: DurationMessage, value: Duration | None) -> None:
    """A conf that is silent leaves the field as it is."""
    if value is not None:
        field.FromNanoseconds(int(value))


def struct(pairs: Iterable[tuple[str, str]]) -> Struct:
    message = Struct()
    for key, value in sorted(pairs):
        message.fields[key].string_value = value
    return message
