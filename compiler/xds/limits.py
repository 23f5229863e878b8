"""The bounds of the xDS server: what one stream, or all of them, may cost."""

from dataclasses import dataclass

from compiler.http2.bounds import Bounds


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. A dead peer is noticed after `keepalive_time + keepalive_timeout`, or at once when written to.

    A ping costs some 0.15 ms of CPU, so 10,000 proxies that are asked every 20 s would cost 7 % of a core.
    A write may last `write`, or `crowded_write` while others wait for their share of the bytes in flight; messages of
    at most `small_bytes` have a share of their own.
    """

    first_request: float = 15.0
    write: float = 30.0
    crowded_write: float = 2.0
    patience: float = 1.0
    secret_retry: float = 1.0
    audit_interval: float = 300.0
    bytes_in_flight: int = 96 * 1024 * 1024
    small_bytes: int = 128 * 1024
    small_bytes_in_flight: int = 64 * 1024 * 1024
    message_bytes: int = 4 * 1024 * 1024
    metadata_bytes: int = 32 * 1024
    keepalive_time: float = 180.0
    keepalive_timeout: float = 15.0
    handshake: float = 10.0

    def list_bounds(self) -> Bounds:
        """What of this is the transport's to hold."""
        return Bounds(
            message_bytes=self.message_bytes,
            metadata_bytes=self.metadata_bytes,
            keepalive_time=self.keepalive_time,
            keepalive_timeout=self.keepalive_timeout,
            handshake=self.handshake,
        )
