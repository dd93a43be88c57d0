# ruff: noqa: SLF001
"""The one place that names what we use of Faust and aiokafka beyond their public surface.

Both are pinned (`PINNED`); `tests/transport/test_private_surface.py` fails when a pin or one of these names or
signatures changes, and then every user of the name is looked at anew. Nothing else in the project touches a private
name of theirs.

aiokafka
- `fetcher.PartitionRecords` and its `_unpack_records`, `_consume_aborted_up_to`, `_contains_abort_marker`, `_tp`,
  `_records`, `_key_deserializer`, `_isolation_level`, `_check_crcs`, `_aborted_producers`, `next_fetch_offset`: chunks
- `AIOKafkaClient._metadata_update`: a pause between failed attempts to reconnect
- `Sender._find_coordinator`, `AIOKafkaProducer._sender`, `Sender.sender_task`: a coordinator look-up that survives a
  lost connection, and to see a sender die
- `AIOKafkaConsumer._client`: partition counts at the start; `_coordinator.check_errors`: to see it give up its group

Faust
- consumer: `_commit_handler`, `force_commit`, `_to_message`, `_getmany`, `_wait_next_records`, `wait_first`,
  `_add_gap`, `perform_seek`, `_read_offset`,
  `_committed_offset`, `_unacked_messages`, `_waiting_for_ack`, `_thread`: offsets by chunk, commit after it
- consumer thread: `_create_worker_consumer`, `_assignor`, `_commit`, `_ensure_consumer`: fetch settings, read_committed
- `Recovery`: `_restart_recovery`, `_slurp_changelogs`, `_publish_stats`, `_generation_id`, `signal_recovery_start`:
  recovery in chunks
- `TableManager`: `_update_channels`, `_tables_finalized`, `_tables_registered`, `_recovery`: changelogs stay out of the
  consumer group
- app: `_fetcher`, `_on_agent_error`; producer: `_settings_default`, `_settings_auth`
"""

import asyncio
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.producer import AIOKafkaProducer
from aiokafka.producer.sender import Sender
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types.tuples import ack_lock

__all__ = [
    "PINNED",
    "READ_COMMITTED",
    "READ_UNCOMMITTED",
    "TRANSPORTS",
    "AIOKafkaClient",
    "AIOKafkaProducer",
    "CorruptRecordException",
    "DefaultSchedulingStrategy",
    "PartitionRecords",
    "Recovery",
    "Sender",
    "TableManager",
    "ack_lock",
    "driver",
    "faust_consumer",
    "fetcher",
    "partition_counts",
    "raise_group_errors",
    "sender_task",
    "start_fetcher",
    "use_sender",
]

PINNED: Final = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}


def use_sender(producer: AIOKafkaProducer, sender_class: type[Sender]) -> None:
    """Make the sender of a producer that has not been started an instance of `sender_class`."""
    producer._sender.__class__ = sender_class


async def partition_counts(consumer: AIOKafkaConsumer) -> dict[str, int]:
    """Topic → number of partitions of every topic of the cluster; asks a broker."""
    cluster = await consumer._client.fetch_all_metadata()
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}


def raise_group_errors(consumer: AIOKafkaConsumer) -> None:
    """Raise what made a started consumer give up its group: a refused session timeout, missing rights."""
    consumer._coordinator.check_errors()


async def start_fetcher(app: Any) -> None:
    """Start the task that moves what is fetched into the streams, unless it runs already."""
    await app._fetcher.maybe_start()


def sender_task(producer: AIOKafkaProducer) -> asyncio.Task[Any]:
    """Task that sends what a started producer has gathered; when it ends, nothing is sent any more."""
    task: asyncio.Task[Any] = producer._sender.sender_task
    return task
