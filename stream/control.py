"""Control topics (shops, clock, …): small, compacted, read wholly before the sources start, then followed.

Every worker needs all of them, so they are read by a plain consumer of its own, outside of the consumer group. `start`
returns when everything that was committed at that moment has been handed on; await it before the first partition is
taken over, in the committer's `assigned` at the latest. From then on a task follows the topics until `stop`. While no
broker answers it waits: nothing is lost, the records are only later.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from schemas.refusals import Code, Refusal, dead_letter_headers
from schemas.topics import dead_letter_topic
from stream.transport.chunk import Header
from stream.transport.committer import Outgoing
from stream.transport.exits import ExitCode, die
from stream.transport.private import partition_counts
from stream.transport.reconnect import FIRST_PAUSE_S, pause_between_reconnects, say_once, start_patiently
from stream.transport.topics import TopicsError

log = logging.getLogger(__name__)

WAIT_MS = 500
FETCH_MAX_WAIT_MS = 200


class ControlRecord(NamedTuple):
    """One record of a control topic; a `value` of None deletes the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    offset: int = 0
    timestamp_ms: int | None = None
    headers: Sequence[Header] = ()


def dead_letter(record: ControlRecord, code: Code, field: str, *, connector_name: str) -> Outgoing:
    """A control record that is refused, as it goes to the dead letters: bytes, key and time are its own."""
    headers = dead_letter_headers(
        Refusal(0, code, field),
        topic=record.topic,
        partition=0,
        offset=record.offset,
        connector_name=connector_name,
        original=[(name, value or b"") for name, value in record.headers],
    )
    return Outgoing(dead_letter_topic(record.topic), 0, record.key, record.value, headers, record.timestamp_ms)


class ControlReader:
    """Hands the committed records of `topics` to `on_records`, in batches and in the order of each partition.

    on_records: called from the event loop that runs `start`; must not block. When it raises, the process ends with
    SOFTWARE: a worker that does not know its shops must not count.
    """

    def __init__(
        self,
        topics: Sequence[str],
        on_records: Callable[[Sequence[ControlRecord]], None],
        *,
        brokers: str,
        auth: Mapping[str, Any] | None = None,
    ) -> None:
        """`brokers`: host:port, several with commas. `auth`: security arguments of `aiokafka.AIOKafkaConsumer`."""
        self._topics = tuple(topics)
        self._on_records = on_records
        self._brokers = brokers
        self._auth = dict(auth or {})
        self._consumer: aiokafka.AIOKafkaConsumer | None = None
        self._follower: asyncio.Task[None] | None = None
        self.is_ready = asyncio.Event()  # everything up to the end has been handed on

    async def start(self) -> None:
        """Connect, however long it takes, and read to the end; raises TopicsError when a topic does not exist."""
        pause_between_reconnects()
        say_once()
        consumer = await start_patiently(self._new_consumer, what="control topics", brokers=self._brokers)
        self._consumer = consumer
        partitions = await self._partitions(consumer)
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        n = 0
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            n += await self._hand_on(consumer)
        log.info("control topics %s: %d records", ", ".join(self._topics), n)
        self.is_ready.set()
        self._follower = asyncio.create_task(self._follow(consumer))

    async def stop(self) -> None:
        """Stop following and disconnect."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        if self._consumer is not None:
            await self._consumer.stop()

    async def _partitions(self, consumer: aiokafka.AIOKafkaConsumer) -> list[TopicPartition]:
        counts = await partition_counts(consumer)
        missing = sorted(set(self._topics) - counts.keys())
        if missing:
            await consumer.stop()
            raise TopicsError(f"control topics {', '.join(missing)} do not exist; run 'smart topics create'")
        return [TopicPartition(topic, partition) for topic in self._topics for partition in range(counts[topic])]

    async def _follow(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        while True:
            try:
                await self._hand_on(consumer)
            except KafkaError as error:
                log.warning("control topics cannot be read (%s); trying again", error)
                await asyncio.sleep(FIRST_PAUSE_S)

    async def _hand_on(self, consumer: aiokafka.AIOKafkaConsumer) -> int:
        """One fetch; return the number of records handed on."""
        fetched = await consumer.getmany(timeout_ms=WAIT_MS)
        records = [
            ControlRecord(tp.topic, record.key, record.value, record.offset, record.timestamp, record.headers)
            for tp in sorted(fetched)
            for record in fetched[tp]
        ]
        if records:
            try:
                self._on_records(records)
            except Exception as error:  # noqa: BLE001  # see the class
                die(ExitCode.SOFTWARE, "control records could not be taken in", error)
        return len(records)

    def _new_consumer(self) -> aiokafka.AIOKafkaConsumer:
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self._brokers.split(","),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            **self._auth,
        )
