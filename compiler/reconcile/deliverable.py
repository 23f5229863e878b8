"""From what the image holds to what the xDS server sends: framed at first use, and shared where the image shares."""

from collections.abc import Mapping
from typing import Final

from compiler.snapshot.image.served import ServedGeneration, ServedProxy, ServedResource
from compiler.xds.served import LDS, Generation, LazyTypes, ProxyConfig, Resource, Touched

_SLACK: Final = 10_000
"""Forgotten resources that may linger before they are swept out."""


class Deliverables:
    """Remembers what it made, so that an unchanged proxy, map or resource is the very same object as before."""

    def __init__(self) -> None:
        self._served: ServedGeneration | None = None
        self._configs: Mapping[str, ProxyConfig] = {}
        self._maps: dict[int, tuple[Mapping[str, ServedResource], Mapping[str, Resource]]] = {}
        self._resources: dict[tuple[str, str, str], Resource] = {}
        self._swept = 0
        self._replaced = False

    def convert(self, served: ServedGeneration) -> Generation:
        """Only the proxies that differ from the last one's are looked at, and nothing is framed yet."""
        former, differing = self._served, served.list_differing(self._served)
        configs = dict(self._configs)
        for node in differing:
            proxy = served.proxies.get(node)
            if proxy is None:
                del configs[node]
            else:
                configs[node] = self._proxy(node, proxy)
        self._served, self._configs = served, configs
        self._replaced = self._replaced or former is not None
        touched = Touched((former.number, former.digest), frozenset(differing)) if former is not None else None
        return Generation(served.number, served.commit or "", served.digest, configs, touched)

    def tidy(self) -> None:
        """What no proxy holds any more is forgotten, once there may be as much of it as of the rest."""
        if self._replaced and len(self._resources) + len(self._maps) > 2 * self._swept + _SLACK:
            self._sweep()

    def _proxy(self, node: str, proxy: ServedProxy) -> ProxyConfig:
        types = LazyTypes(proxy.resources, self._map)
        former = self._served.proxies.get(node) if self._served is not None else None
        if former is not None and former.secrets is proxy.secrets:
            return ProxyConfig(proxy.digest, types, self._configs[node].secrets)
        return ProxyConfig(proxy.digest, types, tuple([secret.name for secret in proxy.secrets]))

    def _map(self, type_url: str, held: Mapping[str, ServedResource]) -> Mapping[str, Resource]:
        known = self._maps.get(id(held))
        if known is None:
            made = {name: self._resource(type_url, name, resource) for name, resource in held.items()}
            known = self._maps[id(held)] = (held, made)
        return known[1]

    def _resource(self, type_url: str, name: str, held: ServedResource) -> Resource:
        key = (type_url, name, held.version)
        made = self._resources.get(key)
        if made is None:
            exclusive = listener_address(held.body) if type_url == LDS else None
            made = self._resources[key] = Resource(name, held.version, held.body, exclusive)
        return made

    def _sweep(self) -> None:
        """Only what the present proxies hold stays."""
        proxies = self._served.proxies.values() if self._served is not None else ()
        maps = {id(held) for proxy in proxies for held in proxy.resources.values()}
        self._maps = {key: known for key, known in self._maps.items() if key in maps}
        resources = {id(one) for _, made in self._maps.values() for one in made.values()}
        self._resources = {key: one for key, one in self._resources.items() if id(one) in resources}
        self._swept, self._replaced = len(self._resources) + len(self._maps), False


def listener_address(body: bytes) -> str | None:
    """The bytes of `Listener.address` inside a serialised Any, as text: listeners with the same one exclude each other.

    A listener was serialised by us with its fields in order, so its address is found behind its name, and nothing else
    needs to be decoded. None where there is none.
    """
    listener = _field(body, 2)
    address = _field(listener, 2) if listener is not None else None
    return address.hex() if address is not None else None


def _field(message: bytes, wanted: int) -> bytes | None:
    """A length-delimited field of a message whose fields before it are all length-delimited too."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 != 2 or tag >> 3 > wanted:
            return None
        length, position = _varint(message, position)
        if tag >> 3 == wanted:
            return message[position : position + length]
        position += length
    return None


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
