"""A bulk producer for tools: simulation, replay, dead letters, benchmarks and tests. Workers have their own
(transport).

Records are laid into whole batches, one open batch a partition, and handed to aiokafka a batch at a time: no task and
no future for a single record. Idempotent, acks=all; a record's partition is that of its key, exactly as Kafka's own
producers place it. Records of one key keep their order.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import repeat
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError

from processors.decode.murmur import partition_of
from schemas.errors import SmartError
from stream.routing import Headers

_BATCH_BYTES: Final = 512 * 1024
_REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
_NO_HEADERS: Final[list[tuple[str, bytes]]] = []
_KEYS_REMEMBERED: Final = 1 << 18
_METADATA_SECONDS_MAX: Final = 5.0
_AWAY_SECONDS_MAX: Final = 60.0
"""So long a broker may be away while partitions of a topic are asked for."""


class ProduceError(SmartError):
    """Records could not be written; the message says how many, or where to, and why."""


class BulkProducer:
    """Sends records in bulk. An async context manager; only what a `flush` has returned for has been written."""

    def __init__(
        self,
        brokers: str,
        *,
        client_id: str = "smart-tools",
        compression: str | None = "zstd",  # aiokafka packs lz4 at its slowest level: three times the CPU
        partitioner: str = "murmur2",
        batch_bytes: int = _BATCH_BYTES,
        batch_records: int | None = None,
    ) -> None:
        """batch_bytes, batch_records: what one batch holds at most, before compression."""
        self._brokers = brokers
        self._options: dict[str, Any] = {
            "bootstrap_servers": brokers,
            "client_id": client_id,
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": compression,
            "max_batch_size": batch_bytes,
            "max_request_size": _REQUEST_BYTES_MAX,
        }
        self._batch_records = batch_records or sys.maxsize
        self._partition_of = lru_cache(_KEYS_REMEMBERED)(partial(partition_of, partitioner=partitioner))
        self._partitions: dict[str, int] = {}
        self._open: dict[tuple[str, int], Any] = {}
        self._under_way: set[asyncio.Future[Any]] = set()
        self._unwritten = 0
        self._first_error: BaseException | None = None
        self.sent: Counter[str] = Counter()
        """Topic → records taken so far."""

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(**self._options)
        try:
            await self._producer.start()
        except KafkaConnectionError as error:
            await self._producer.stop()
            raise ProduceError(
                f"no Kafka broker answers at {self._brokers}; start one with 'smart demo', or set SMART_BROKERS"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            await self._producer.stop()

    async def send(self, topic: str, keys: Sequence[bytes], values: Iterable[bytes | None]) -> None:
        """Records of one topic, placed by their keys; a value of None is a tombstone."""
        await self.send_mixed(repeat(topic, len(keys)), keys, values)

    async def send_mixed(
        self,
        topics: Iterable[str],
        keys: Sequence[bytes | None],
        values: Iterable[bytes | None],
        headers: Iterable[Headers] | None = None,
    ) -> None:
        """Records of any topics, in order; `headers` belong to the record of the same place.

        A key of None says that the record names no user: it is placed by its value.
        Returns once all lie in batches, which go out when they are full or with `submit` or `flush`; waits where the
        broker does not keep up. Raises ProduceError where a topic does not exist.
        """
        now_ms = time.time_ns() // 1_000_000
        open_batches, partitions = self._open, self._partitions
        extras, full = repeat((), len(keys)) if headers is None else headers, self._batch_records
        for topic, key, value, extra in zip(topics, keys, values, extras, strict=True):
            if topic not in partitions:
                partitions[topic] = await self._count_partitions(topic)
            # A record without a key belongs nowhere: wherever it lands, it lands there again.
            placed_by = key if key is not None else value or b""
            place = (topic, self._partition_of(placed_by, partitions[topic]))
            batch = open_batches.get(place)
            if batch is None:
                batch = open_batches[place] = self._producer.create_batch()
            if (
                batch.record_count() >= full
                or batch.append(timestamp=now_ms, key=key, value=value, headers=list(extra) if extra else _NO_HEADERS)
                is None
            ):
                await self._submit(place)
                batch = open_batches[place] = self._producer.create_batch()
                batch.append(timestamp=now_ms, key=key, value=value, headers=list(extra) if extra else _NO_HEADERS)

    async def submit(self) -> None:
        """Sends off the open batches, however small, without waiting for the broker's answer."""
        for place in list(self._open):
            await self._submit(place)

    async def flush(self) -> None:
        """Waits until everything taken so far has been written. Raises ProduceError where something was not."""
        await self.submit()
        if self._under_way:
            await asyncio.wait(self._under_way)
            await asyncio.sleep(0)  # lets the batches' callbacks run
        if self._first_error is not None:
            error, unwritten = self._first_error, self._unwritten
            self._first_error, self._unwritten = None, 0
            raise ProduceError(f"{unwritten} records were not written: {error}") from error

    async def _submit(self, place: tuple[str, int]) -> None:
        batch = self._open.pop(place)
        topic, partition = place
        n = batch.record_count()
        self.sent[topic] += n
        try:
            written = await self._producer.send_batch(batch, topic, partition=partition)
        except KafkaError as error:
            self._note(error, n)
            return
        self._under_way.add(written)
        written.add_done_callback(partial(self._done, n=n))

    def _done(self, written: asyncio.Future[Any], n: int) -> None:
        self._under_way.discard(written)
        if not written.cancelled() and (error := written.exception()) is not None:
            self._note(error, n)

    def _note(self, error: BaseException, n: int) -> None:
        self._unwritten += n
        self._first_error = self._first_error or error

    async def _count_partitions(self, topic: str) -> int:
        """A broker that is away for a moment is waited for: only one that answers can say that a topic is not there."""
        client, deadline = self._producer.client, time.monotonic() + _AWAY_SECONDS_MAX
        while True:
            try:
                async with asyncio.timeout(_METADATA_SECONDS_MAX):
                    return len(await self._producer.partitions_for(topic))
            except (TimeoutError, UnknownTopicOrPartitionError) as error:
                answers = await client.force_metadata_update()
                if answers and topic not in client.cluster.topics():
                    raise ProduceError(
                        f"topic {topic} does not exist at {self._brokers}; create the topics with 'smart topics create'"
                    ) from error
                if not answers and time.monotonic() > deadline:
                    raise ProduceError(f"no Kafka broker has answered at {self._brokers} for a minute") from error
