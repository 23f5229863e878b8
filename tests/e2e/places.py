"""Addresses and ports that nobody else has: other runs of these tests, and the demo, may be on this machine."""

import random
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_LOCK_PORT = 19_999
_PORTS = range(20_000, 32_000)
"""Below the ports that the system hands to whoever connects somewhere."""
_LATELY: deque[int] = deque(maxlen=1000)
"""Given to somebody who may not listen on it yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """An IP address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@contextmanager
def claim_network() -> Iterator[str]:
    """The first three numbers of 256 loopback addresses that are ours as long as the block runs."""
    for _ in range(1000):
        network = f"127.{random.randint(100, 250)}.{random.randint(1, 250)}"
        lock = socket.socket()
        try:
            lock.bind((f"{network}.255", _LOCK_PORT))
        except OSError:
            lock.close()
            continue
        with lock:
            yield network
        return
    raise AssertionError("no network of loopback addresses is free")


def free_port() -> int:
    """Free on every address of this machine, a moment ago; two that are asked for one after the other differ."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if port in _LATELY:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            _LATELY.append(port)
            return port
    raise AssertionError("no port is free")
