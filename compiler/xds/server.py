"""The ADS server: streams of both protocols on one port, woken when their proxy's configuration changes."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import ModuleType

from compiler.http2.calls import Application, Call, Open
from compiler.http2.status import Status
from compiler.xds import delta, sotw
from compiler.xds.admission import Conversation, RefusedError
from compiler.xds.limits import Limits
from compiler.xds.metrics import Metrics
from compiler.xds.node import Node
from compiler.xds.remembered import Remembered, UnrepairedNack, remember
from compiler.xds.sources import (
    Admit,
    Change,
    ConfigSource,
    NackRecords,
    SecretSource,
    admit_as_claimed,
)
from compiler.xds.status import Delivery, ProxyStatus, describe_types
from compiler.xds.stream import Stream, Surroundings
from compiler.xds.subscription import Subscription
from compiler.xds.transports import Carry, carry_http2
from compiler.xds.writing import Writes

_TOLD_AT_ONCE = 32
"""Streams that hear of a generation in one turn of the event loop."""

_BETWEEN_ROTATIONS = 0.001
"""Seconds; it takes a third of them, so most turns of the event loop are left to others."""

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_PROTOCOLS = {f"/{SERVICE}/{protocol.METHOD}": protocol for protocol in (delta, sotw)}


class XdsServer:
    """Everything runs on the event loop that `serve` was called on."""

    def __init__(
        self,
        configs: ConfigSource,
        *,
        secrets: SecretSource | None = None,
        admit: Admit = admit_as_claimed,
        records: NackRecords | None = None,
        metrics: Metrics | None = None,
        limits: Limits | None = None,
        carry: Carry = carry_http2,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.delivery: Delivery | None = None
        self.opened = 0
        """Streams that were ever opened."""
        self._configs = configs
        self._secrets = secrets
        self._admit = admit
        self._records = records
        self._limits = limits or Limits()
        self._writes = Writes(self._limits)
        self._around = self._make_surroundings()
        self._streams: dict[str, Stream] = {}
        self._untold: dict[str, None] = {}
        self._telling: asyncio.Handle | None = None
        self._acked: dict[str, str] = {}
        self._memories: dict[str, Remembered] = {}
        self._saved: dict[str, UnrepairedNack] = {}
        self._delivered = asyncio.Condition()
        self._unsubscribe: list[Callable[[], None]] = []
        self._transport = carry(
            {path: self._make_method(protocol) for path, protocol in _PROTOCOLS.items()}, self._limits
        )
        self._audit: asyncio.Task[None] | None = None
        self._stopping = False

    async def serve(self, address: str, *, tls: ssl.SSLContext | None = None) -> int:
        """Returns the bound port. Whether plaintext is allowed at this address is the caller's to check."""
        self._unsubscribe.append(self._configs.subscribe(self._on_change))
        if self._secrets is not None:
            self._unsubscribe.append(self._secrets.subscribe(self._on_rotation))
        port = await self._transport.serve(address, tls=tls)
        self._audit = asyncio.create_task(self._audit_forever())
        return port

    async def stop(self, grace: float = 5.0) -> None:
        """Streams end with UNAVAILABLE, so that proxies keep what they have and come back."""
        self._stopping = True
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe.clear()
        if self._audit is not None:
            self._audit.cancel()
        if self._telling is not None:
            self._telling.cancel()
        for stream in tuple(self._streams.values()):
            stream.end(Status.UNAVAILABLE, "shutting down")
        await self._transport.stop(grace)

    def disconnect(self, node_id: str, reason: str) -> bool:
        """Cut a live stream: its proof was revoked or has expired."""
        stream = self._streams.get(node_id)
        if stream is not None:
            stream.end(Status.PERMISSION_DENIED, reason)
        return stream is not None

    def list_proxies(self) -> tuple[ProxyStatus, ...]:
        return tuple(self.iterate_proxies())

    def iterate_proxies(self, after: str = "", limit: int | None = None) -> Iterator[ProxyStatus]:
        """In the order of their names, each as it is when it is asked for, so that its caller may yield in between."""
        for node in sorted(node for node in self._streams if node > after)[:limit]:
            stream = self._streams.get(node)
            if stream is not None:
                yield self._describe(stream)

    @property
    def is_idle(self) -> bool:
        """Nobody is being written to: in a storm somebody always is."""
        return self._writes.is_idle

    @property
    def connected(self) -> frozenset[str]:
        return frozenset(self._streams)

    def count_proxies(self) -> Mapping[str, int]:
        """Of the connected: who is in no commit, who has ACKed all it should hold, who has refused something of it."""
        machines = [stream.machine for stream in self._streams.values()]
        return {
            "connected": len(machines),
            "current": sum(each.config is not None and each.converged is each.config for each in machines),
            "refusing": sum(bool(each.memory.nacks) for each in machines),
            "unknown": sum(self._configs.get(node) is None for node in self._streams),
        }

    def take_acked(self) -> Mapping[str, str]:
        """The digests that nodes have wholly ACKed since this was last asked."""
        acked, self._acked = self._acked, {}
        return acked

    def find_machine(self, node_id: str) -> Subscription | None:
        """The state of one proxy's stream, to be read only."""
        stream = self._streams.get(node_id)
        return stream.machine if stream is not None else None

    async def wait_delivered(self, digest: str, seconds: float) -> bool:
        """Until every proxy that was connected when this generation came has ACKed all of it; else False."""
        try:
            async with asyncio.timeout(seconds), self._delivered:
                await self._delivered.wait_for(lambda: self._is_delivered(digest))
        except TimeoutError:
            return False
        return True

    # Streams.

    def _make_method(self, protocol: ModuleType) -> Open:
        def converse(call: Call) -> Application:
            return Conversation(
                call,
                protocol,
                seconds=self._limits.first_request,
                enter=self._enter,
                leave=self._close_stream,
                refused=lambda code: self.metrics.ended.labels(code.name).inc(),
            )

        return converse

    async def _enter(self, claimed: Node | None, call: Call, protocol: ModuleType) -> Stream:
        if self._stopping:
            raise RefusedError(Status.UNAVAILABLE, "shutting down")
        if claimed is None:
            raise RefusedError(Status.INVALID_ARGUMENT, "the first request carries no node")
        node_id = await self._admit(claimed, call.caller)
        if node_id is None:
            raise RefusedError(Status.PERMISSION_DENIED, "not proven to be this node")
        node = Node(node_id, claimed.cluster, claimed.version, claimed.metadata)
        return self._open_stream(node, protocol, call)

    def _open_stream(self, node: Node, protocol: ModuleType, call: Call) -> Stream:
        """A new stream of a node takes over at once; the old one's machine is closed before its memory is used."""
        former = self._streams.get(node.id)
        if former is not None:
            former.end(Status.ABORTED, "another stream of this node took over")
        machine = Subscription(self._recall(node.id), full_state=protocol is sotw)
        config = self._configs.get(node.id)
        if config is not None:
            machine.on_config(config)
        stream = Stream(node, machine, protocol, call, self._around)
        self._streams[node.id] = stream
        self.opened += 1
        self.metrics.streams.labels(_name_protocol(protocol)).inc()
        return stream

    def _close_stream(self, stream: Stream) -> None:
        """A node that no commit knows leaves nothing behind."""
        self.metrics.streams.labels(_name_protocol(stream.protocol)).dec()
        if self._streams.get(stream.node.id) is not stream:
            return
        del self._streams[stream.node.id]
        self._untold.pop(stream.node.id, None)
        if self._configs.get(stream.node.id) is None:
            self._memories.pop(stream.node.id, None)
            self._saved.pop(stream.node.id, None)
        if self.delivery is not None:
            self.delivery.note_departure(stream.node.id)
            self._announce_delivery()

    def _recall(self, node_id: str) -> Remembered:
        memory = self._memories.get(node_id)
        if memory is None:
            record = self._records.load(node_id) if self._records is not None else None
            fallback = self._configs.find(node_id, record.fallback_digest) if record is not None else None
            memory = remember(node_id, record, fallback)
            self._memories[node_id] = memory
        memory.previous = self._configs.get_previous(node_id)
        return memory

    def _describe(self, stream: Stream) -> ProxyStatus:
        machine, node = stream.machine, stream.node
        fallback = machine.memory.fallback
        return ProxyStatus(
            node=node.id,
            mesh=node.id.partition(".")[0],
            known=self._configs.get(node.id) is not None,
            digest=machine.config.digest if machine.config is not None else None,
            acked_digest=fallback.digest if fallback is not None else None,
            fully_acked=machine.config is not None and machine.converged is machine.config,
            protocol=_name_protocol(stream.protocol),
            version=node.version,
            connected_since=stream.since,
            types=describe_types(machine),
        )

    # Events.

    def _make_surroundings(self) -> Surroundings:
        return Surroundings(
            limits=self._limits,
            metrics=self.metrics,
            writes=self._writes,
            secrets=self._secrets,
            on_write=self._on_write,
            on_event=self._on_event,
            wall_clock=time.time,
        )

    def _on_change(self, change: Change) -> None:
        """Only streams with something new are woken; a proxy that left the commit keeps what it has."""
        concerned = self._streams.keys() & change.nodes
        self.delivery = Delivery(
            number=change.generation.number,
            digest=change.generation.digest,
            published=time.monotonic(),
            pending={*concerned, *self._list_undelivered()},
        )
        for node in change.gone:
            if node not in self._streams:
                self._memories.pop(node, None)
                self._saved.pop(node, None)
        self._untold.update(dict.fromkeys(sorted(concerned)))
        self._announce_delivery()
        if self._telling is None:
            self._tell_on()

    def _tell_on(self) -> None:
        """Some streams a turn: the first are written to before the last are told, and each is told of the newest."""
        self._telling = None
        for node in tuple(islice(self._untold, _TOLD_AT_ONCE)):
            del self._untold[node]
            stream, config = self._streams.get(node), self._configs.get(node)
            if stream is not None and config is not None:
                stream.set_config(config)
        if self._untold:
            self._telling = asyncio.get_running_loop().call_soon(self._tell_on)

    def _list_undelivered(self) -> set[str]:
        """Who has not ACKed the last generation yet, and did not refuse it: a refusal is not waited for twice."""
        pending = self.delivery.pending if self.delivery is not None else ()
        return {node for node in pending if node in self._streams and not self._streams[node].machine.memory.nacks}

    def _on_rotation(self, node_id: str | None) -> None:
        """One after the other where it is all of them: to issue a certificate takes a while."""
        loop = asyncio.get_running_loop()
        for number, stream in enumerate(self._list_streams(node_id)):
            loop.call_later(number * _BETWEEN_ROTATIONS, stream.refresh_secrets)

    def _on_write(self, stream: Stream) -> None:
        if self.delivery is not None:
            self.delivery.note_push(stream.node.id, time.monotonic())

    def _on_event(self, stream: Stream) -> None:
        machine = stream.machine
        self._save_record(machine.memory)
        if machine.converged is None or machine.converged is not machine.config or stream.node.id in self._untold:
            return
        if stream.acked is not machine.converged:
            stream.acked = machine.converged
            self._acked[stream.node.id] = machine.converged.digest
        now = time.monotonic()
        if self.delivery is not None and self.delivery.note_ack(stream.node.id, now):
            self.metrics.delivery.observe(now - self.delivery.published)
            if not self.delivery.pending:
                self._announce_delivery()

    def _save_record(self, memory: Remembered) -> None:
        """Before the repair is written: a crash in between must not forget that it is owed."""
        if self._records is None:
            return
        record = memory.record
        if record != self._saved.get(memory.node):
            self._records.save(memory.node, record)
            if record is None:
                del self._saved[memory.node]
            else:
                self._saved[memory.node] = record

    def _list_streams(self, node_id: str | None) -> Iterable[Stream]:
        if node_id is None:
            return tuple(self._streams.values())
        stream = self._streams.get(node_id)
        return () if stream is None else (stream,)

    def _is_delivered(self, digest: str) -> bool:
        return self.delivery is not None and self.delivery.digest == digest and self.delivery.is_complete

    def _announce_delivery(self) -> None:
        if self.delivery is not None and self.delivery.is_complete:
            asyncio.get_running_loop().create_task(self._notify_delivered())

    async def _notify_delivered(self) -> None:
        async with self._delivered:
            self._delivered.notify_all()

    async def _audit_forever(self) -> None:
        """What was sent is compared with what is owed, a stream at a time, so that none waits for the others."""
        while True:
            await asyncio.sleep(self._limits.audit_interval)
            for stream in tuple(self._streams.values()):
                stream.audit()
                await asyncio.sleep(0)


def _name_protocol(protocol: ModuleType) -> str:
    return "sotw" if protocol is sotw else "delta"
