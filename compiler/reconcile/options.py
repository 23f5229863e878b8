"""What `serve` was asked to do: plain values, which the supervisor hands to its children as one line of JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """When a child is beyond help; bytes and seconds."""

    worker_memory: int = 2048 * MIB
    silence: float = 3.0
    start: float = 60.0
    fetch: float = 30.0
    publish: float = 60.0
    answer: float = 5.0
    compile_base: float = 5.0
    compile_factor: float = 3.0
    first_compile: float = 60.0
    server_silence: float = 20.0
    stop: float = 6.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The flags of `meshwright serve`; `path` is a folder in the repository.

    Each `ca` is `file:PATH` or `env:NAME`, one for a mesh or a MeshIdentity; `secrets` is a folder of users' own.
    Without `admin` its socket is DATA/admin.sock.
    `offline` reads no repository at all, and needs none; with a `zone` only its proxies are compiled and served.
    `transport` is a name of `xds.transports`.
    """

    data: str
    repo: str = ""
    ref: str = "main"
    path: str = ""
    xds: str = "127.0.0.1:5678"
    http: str = "127.0.0.1:5681"
    health: str = "127.0.0.1:5680"
    admin: str | None = None
    interval: float = 1.0
    offline: bool = False
    insecure: bool = False
    transport: str = "http2"
    ca: tuple[str, ...] = ()
    secrets: str = ""
    debug: bool = False
    zone: str | None = None
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_hello(cls, hello: Mapping[str, object]) -> "ServeOptions":
        """From the first line that a child is sent; raises TypeError for anything else."""
        options = hello.get("options")
        if not isinstance(options, Mapping):
            raise TypeError("the first line of a child's input holds no options")
        return cls.from_json(options)

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "ServeOptions":
        """The inverse of `to_json`; raises TypeError for anything else."""
        limits, ca = value.get("limits"), value.get("ca")
        if not isinstance(limits, Mapping) or not isinstance(ca, Iterable):
            raise TypeError("the first line of a child's input is not a set of options")
        return cls(**{**value, "limits": Limits(**limits), "ca": tuple(ca)})  # type: ignore[arg-type]  # made by to_json
