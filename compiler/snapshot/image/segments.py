"""What an image holds, for whoever reads it: resources that are shared, and the newest generation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from compiler.envoy.resources import ResourceType
from compiler.mesh.trust import Trusted
from compiler.snapshot.image.frames import ImageDamaged
from compiler.snapshot.image.records import (
    FileRecord,
    GenerationRecord,
    ProxyEntry,
    Record,
    ResourceRecord,
)
from compiler.snapshot.image.served import ServedGeneration, ServedProxy, ServedResource, Touched
from compiler.snapshot.names import NodeId, SecretName

__all__ = ["Segments"]

_SECRETS: Final = ResourceType.SECRET.file
_TYPE_URLS: Final = {kind.file: kind.type_url for kind in ResourceType}


class Segments:
    """What an image holds, for the reader. `known` is what it served before: equal proxies and resources are reused."""

    def __init__(self, known: ServedGeneration | None = None) -> None:
        self.resources: list[tuple[str, ServedResource]] = []
        self.generation: ServedGeneration | None = None
        self._files: dict[bytes, tuple[str, Mapping[str, ServedResource], tuple[SecretName, ...]]] = {}
        self._trusted: dict[tuple[Trusted, ...], tuple[Trusted, ...]] = {}
        self._known_proxies = known.proxies if known else {}
        self._known_bodies = _bodies(known) if known else {}
        self._touched: set[str] = set()
        self._handed_out: tuple[int, str] | None = None

    def apply(self, record: Record) -> None:
        """Raises `ImageDamaged` for a reference to what is not there."""
        try:
            match record:
                case ResourceRecord():
                    self.resources.extend(self._resource(*one) for one in record.resources)
                case FileRecord():
                    self._add_file(record)
                case GenerationRecord():
                    self.generation = self._advance(record)
        except LookupError as error:
            raise ImageDamaged(f"a record refers to {error}, which is not in the image") from error

    def forget_known(self) -> None:
        """Once the newest generation is read, what it was compared with may go."""
        self._known_proxies, self._known_bodies = {}, {}

    def _resource(self, name: str, version: str, body: bytes) -> tuple[str, ServedResource]:
        return name, ServedResource(version, self._known_bodies.get(body, body))

    def _add_file(self, record: FileRecord) -> None:
        resources = dict([self.resources[place] for place in record.resources])
        secrets = tuple([self._secret(named) for named in record.secrets])
        self._files[record.blob] = (_TYPE_URLS[record.kind], resources, secrets)

    def _secret(self, named: SecretName) -> SecretName:
        """Whom to trust is the same for all of a mesh, and long."""
        trusted = self._trusted.setdefault(named.trusted, named.trusted)
        return named if trusted is named.trusted else named._replace(trusted=trusted)

    def hand_out(self) -> ServedGeneration | None:
        """The newest generation, with the nodes that were touched since the one that was handed out before it."""
        if self.generation is not None and self._touched:
            since, nodes = self._handed_out, frozenset(self._touched)
            self.generation = replace(self.generation, touched=Touched(since, nodes) if since else None)
            self._touched.clear()
        if self.generation is not None:
            self._handed_out = self.generation.number, self.generation.digest
        return self.generation

    def _advance(self, record: GenerationRecord) -> ServedGeneration:
        proxies = dict(self.generation.proxies) if self.generation else {}
        self._touched.update(record.removed)
        for removed in record.removed:
            proxies.pop(removed, None)
        for entry in record.changed:
            former = proxies[entry.name] if entry.node is None else None
            node = entry.node or cast(ServedProxy, former).node
            proxies[entry.name] = self._known_proxy(node, entry) or self._proxy(node, entry, former)
            self._touched.add(entry.name)
        return ServedGeneration(record.number, record.commit, record.digest, proxies)

    def _known_proxy(self, node: NodeId, entry: ProxyEntry) -> ServedProxy | None:
        known = self._known_proxies.get(entry.name)
        return known if known is not None and known.digest == entry.digest and known.node == node else None

    def _proxy(self, node: NodeId, entry: ProxyEntry, former: ServedProxy | None) -> ServedProxy:
        """One look at each file that is told: a generation may change thousands of proxies, and they wait."""
        resources = dict(former.resources) if former is not None else {}
        secrets = former.secrets if former is not None else ()
        for kind in entry.gone:
            secrets = () if kind == _SECRETS else secrets
            resources.pop(_TYPE_URLS[kind], None)
        for file in entry.files:
            type_url, held, named = self._files[file]
            secrets = named or secrets
            if held:
                resources[type_url] = held
            else:
                resources.pop(type_url, None)
        return ServedProxy(node, entry.digest, resources, secrets)


def _bodies(generation: ServedGeneration) -> dict[bytes, bytes]:
    resources = (held for proxy in generation.proxies.values() for held in proxy.resources.values())
    return {one.body: one.body for named in resources for one in named.values()}
