"""All limits of the transport in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times are in seconds; what is past a bound ends its call or its connection, and nothing else."""

    handshake: float = 10.0
    """For TLS, the preface and the answer to our SETTINGS together."""

    linger: float = 5.0
    """How long a socket may take nothing after a call's end, and how long a closed one is still read from."""

    keepalive_time: float = 180.0
    """Without a byte received, after which the peer is pinged."""

    keepalive_timeout: float = 15.0
    """Without a byte received after that, after which the peer is gone."""

    idle: float = 300.0
    """Without a call, after which the connection is sent away."""

    streams: int = 100
    """Calls of one connection at once."""

    message_bytes: int = 4 * 1024 * 1024
    """Of one received message, as gRPC's own default."""

    unread_bytes: int = 8 * 1024 * 1024
    """Of begun and of held messages of one connection together."""

    all_unread_bytes: int = 128 * 1024 * 1024
    """Of begun and of held messages of all connections together."""

    metadata_bytes: int = 16 * 1024
    """Of one call's headers, each counted as RFC 9113 §6.5.2 does; twice as much ends the connection."""

    continuations: int = 8
    """Frames that one header block may go on in."""

    window: int = 256 * 1024
    """What a client may send of one call before it gets more room; at least 65,535."""

    connection_window: int = 1024 * 1024
    """The same for all calls of one connection; at least 65,535."""

    burst: int = 500
    """Frames that make work and move nothing (pings, settings, resets, …), beyond ten for each DATA frame of ours."""

    burst_rate: float = 100.0
    """Such frames a second that are forgiven."""

    reply_bytes: int = 64 * 1024
    """Replies that wait for a peer that does not read."""

    def __post_init__(self) -> None:
        """A peer may use the windows of RFC 9113 before it has read ours."""
        if min(self.window, self.connection_window) < 65_535 or max(self.window, self.connection_window) > 2**31 - 1:
            raise ValueError("a window is at least 65,535 and at most 2,147,483,647 bytes")
