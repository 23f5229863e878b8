"""Small configurations for the tests: framed resources from Envoy messages, and sets of them."""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from compiler.xds.served import Generation, ProxyConfig, Resource

NODE = "default.web"


def frame(name: str, message: Message, exclusive: str | None = None) -> Resource:
    """As the worker frames a resource: the version is the hash of its content."""
    packed = Any()
    packed.Pack(message, deterministic=True)
    body = packed.SerializeToString(deterministic=True)
    return Resource(name, sha256(body).hexdigest()[:12], body, exclusive)


def plain(name: str, content: str, exclusive: str | None = None) -> Resource:
    """A resource whose body only a model client reads: its version is its content."""
    return Resource(name, content, f"{name}={content}".encode(), exclusive)


def config(digest: str, resources: Mapping[str, Iterable[Resource]], secrets: Iterable[str] = ()) -> ProxyConfig:
    return ProxyConfig(
        digest, {url: {each.name: each for each in kept} for url, kept in resources.items()}, tuple(secrets)
    )


def generation(number: int, proxies: Mapping[str, ProxyConfig]) -> Generation:
    digest = "+".join(each.digest for each in proxies.values())
    return Generation(number, f"commit{number}", digest, proxies)
