"""What the transport has to be told. Times carry their unit; policy comes from the settings, nothing is read here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """Options of `BatchApp`.

    brokers: host:port, several with commas between them.
    expected_topics: topic → number of partitions that it must have when the worker starts.
    fetch_min_bytes and fetch_max_wait_ms trade latency for processor time: each chunk costs about 1 ms whatever its
    size.
    session_timeout_ms: after this silence the broker gives the worker's partitions to others.
    transaction_timeout_ms: must outlast a broker's restart, or a healthy owner is fenced by it.
    stop_wait_ms: a worker that is asked to stop while no broker answers ends after this without a last commit.
    """

    brokers: str
    expected_topics: Mapping[str, int] = field(default_factory=dict)
    commit_interval_ms: int = 250
    max_chunk_records: int = 4096
    fetch_max_wait_ms: int = 20
    fetch_min_bytes: int = 1 << 20
    fetch_max_bytes: int = 16 << 20
    partition_fetch_bytes: int = 2 << 20
    session_timeout_ms: int = 10_000
    rebalance_timeout_ms: int = 60_000
    transaction_timeout_ms: int = 60_000
    reconnect_pause_ms: int = 250
    stop_wait_ms: int = 15_000
    compression: str | None = None

    def faust_settings(self) -> dict[str, Any]:
        """Keyword arguments for `faust.App` that make it use this transport."""
        session_s = self.session_timeout_ms / 1000
        return {
            "broker": [f"chunks://{broker.strip()}" for broker in self.brokers.split(",")],
            "TableManager": "stream.transport.recovery:LedgerTableManager",
            "broker_commit_interval": self.commit_interval_ms / 1000,
            "broker_session_timeout": session_s,
            "broker_rebalance_timeout": self.rebalance_timeout_ms / 1000,
            "broker_heartbeat_interval": max(0.5, session_s / 6),
            "broker_request_timeout": max(40.0, session_s + 10),
            # The consumer is not polled while tables are recovered; a worker that hangs is seen by its lag.
            "broker_max_poll_interval": 24 * 3600.0,
            "consumer_auto_offset_reset": "earliest",
            "consumer_max_fetch_size": self.partition_fetch_bytes,
            "stream_recovery_delay": 0.0,
            "stream_wait_empty": False,
            "store": "memory://",
            "topic_allow_declare": False,
            "topic_disable_leader": True,
            "producer_compression_type": self.compression,
            "web_enabled": False,
        }
