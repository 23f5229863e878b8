"""A server around the state machine and a wire to a model client, both stepped by hand."""

from dataclasses import dataclass, field

from compiler.xds.events import Request, Response
from compiler.xds.remembered import Remembered, UnrepairedNack, remember
from compiler.xds.served import CDS, LDS, ProxyConfig
from compiler.xds.subscription import Subscription
from tests.xds.model_envoy import ModelEnvoy, read

PATIENT_STEPS = 3000


@dataclass
class World:
    """One server, one client. What is written to disk survives `restart_server`; nothing else of the server does."""

    full_state: bool
    client: ModelEnvoy = field(init=False)
    machine: Subscription = field(init=False)
    memory: Remembered = field(init=False)
    config: ProxyConfig | None = None
    previous: ProxyConfig | None = None
    disk: UnrepairedNack | None = None
    to_client: list[Response] = field(default_factory=list)
    to_server: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = ModelEnvoy(self.full_state)
        self.memory = Remembered("default.web")
        self._start_stream()

    def publish(self, config: ProxyConfig) -> None:
        if self.config is not None and self.config.digest != config.digest:
            self.previous = self.config
        self.config = config
        self.machine.on_config(config)

    def write(self) -> bool:
        response = self.machine.take()
        if response is None:
            return False
        self.to_client.append(response)
        return True

    def deliver_response(self) -> bool:
        if not self.to_client:
            return False
        self.client.receive(self.to_client.pop(0))
        self._collect()
        return True

    def deliver_request(self) -> bool:
        if not self.to_server:
            return False
        self.machine.on_request(self.to_server.pop(0))
        self.disk = self.memory.record
        return True

    def lose_patience(self) -> bool:
        if not self.machine.is_awaiting_subscriptions or self.to_server or self.to_client:
            return False
        self.machine.on_patience_lost()
        return True

    def give_up_warming(self) -> None:
        self.client.give_up_warming()
        self._collect()

    def reconnect(self) -> None:
        self.machine.close()
        self._start_stream()

    def restart_server(self) -> None:
        """Killed: the machine is not closed, what was in flight is forgotten."""
        known = [each for each in (self.config, self.previous) if each is not None]
        digest = self.disk.fallback_digest if self.disk is not None else None
        fallback = next((each for each in known if each.digest == digest), None)
        self.memory = remember("default.web", self.disk, fallback, self.previous)
        self._start_stream()

    def settle(self) -> None:
        """Until nothing moves; that it comes to rest at all is what rules out a storm."""
        for _ in range(PATIENT_STEPS):
            moved = self.write() or self.deliver_response() or self.deliver_request() or self.lose_patience()
            if not moved and self.client.warming:
                self.give_up_warming()
                moved = bool(self.to_server)
            if not moved:
                return
        raise AssertionError("the stream never comes to rest")

    def is_running(self, config: ProxyConfig) -> bool:
        return not self.list_differences(config)

    def list_differences(self, config: ProxyConfig) -> list[str]:
        """What the client runs that it should not, and the other way round."""
        applied = self.client.applied
        found = [
            f"{url}: {sorted(applied[url])} instead of {sorted(config.of(url))}"
            for url in (CDS, LDS)
            if applied[url].keys() != config.of(url).keys()
        ]
        for url, resources in config.resources.items():
            wanted = {
                name: each for name, each in resources.items() if url in (CDS, LDS) or name in self.client.names[url]
            }
            for name, resource in wanted.items():
                if applied[url].get(name) != read(resource):
                    found.append(f"{url} {name}: {applied[url].get(name)} instead of {resource.body!r}")
        return found

    def _start_stream(self) -> None:
        self.memory.previous = self.previous
        self.machine = Subscription(self.memory, full_state=self.full_state)
        if self.config is not None:
            self.machine.on_config(self.config)
        self.to_client.clear()
        self.to_server.clear()
        self.client.connect()
        self._collect()

    def _collect(self) -> None:
        self.to_server.extend(self.client.outbox)
        self.client.outbox.clear()
