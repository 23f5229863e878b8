"""The bounds of the xDS server: what one stream, or all of them, may cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. A dead peer is noticed after `keepalive_time + keepalive_timeout`, or at once when written to.

    A ping costs some 0.15 ms of CPU, so 10,000 proxies that are asked every 20 s would cost 7 % of a core.
    A write may last `write`, or `crowded_write` while others wait for their share of the bytes in flight; messages of
    at most `small_bytes` have a share of their own. gRPC copies what it is handed, so it costs twice the bytes.
    Of streams that were not looked at yet gRPC refuses some from 1,000 on unless told otherwise (`opening_streams`,
    `opening_seconds`), and a fleet comes back at once.
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
    opening_streams: int = 100_000
    opening_seconds: int = 60

    def list_channel_options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", self.metadata_bytes),
            ("grpc.absolute_max_metadata_size", self.metadata_bytes),
            ("grpc.keepalive_time_ms", int(self.keepalive_time * 1000)),
            ("grpc.keepalive_timeout_ms", int(self.keepalive_timeout * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.server_handshake_timeout_ms", int(self.handshake * 1000)),
            ("grpc.max_concurrent_streams", 100),
            ("grpc.server.max_pending_requests", self.opening_streams),
            ("grpc.server.max_pending_requests_hard_limit", self.opening_streams),
            ("grpc.server_max_unrequested_time_in_server", self.opening_seconds),
            ("grpc.so_reuseport", 0),
        ]
