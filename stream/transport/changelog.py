"""Read the changelog of some partitions from its first to its last committed record, in chunks.

A plain consumer without a group, beside the one that Faust runs: the changelog is needed only while a partition is
taken over, and nothing has to be delivered through streams. It ends at the log's end as it was when the reading
began, also when that end is made of transaction markers or of aborted records.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiokafka
from aiokafka.structs import TopicPartition

from stream.transport.chunk import Chunk
from stream.transport.reconnect import start_patiently
from stream.transport.unpack import ChunkFormat

log = logging.getLogger(__name__)

CHUNK_RECORDS = 8192
FETCH_BYTES = 4 << 20
WAIT_MS = 500


async def read_changelog(
    topic: str, partitions: frozenset[int], *, finished: Callable[[int], None], brokers: str, auth: Mapping[str, Any]
) -> AsyncIterator[Chunk]:
    """Yield the chunks of `partitions` up to their present ends; gives way to other tasks after each chunk.

    The partitions are read one after another, so that what follows can begin with the first ones while the last ones
    are read. `finished` is told each partition whose chunks have all been worked off.
    """
    if not partitions:
        return
    consumer = await start_patiently(lambda: _consumer(brokers, auth), what=f"reader of {topic}", brokers=brokers)
    try:
        tps = [TopicPartition(topic, partition) for partition in sorted(partitions)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        begins = await consumer.beginning_offsets(tps)
        consumer.pause(*tps)
        for tp in tps:
            if begins[tp] < ends[tp]:
                consumer.seek(tp, begins[tp])
                consumer.resume(tp)
                async for chunk in _until(consumer, tp, ends[tp]):
                    yield chunk
                consumer.pause(tp)
            finished(tp.partition)
    finally:
        await consumer.stop()


async def _until(consumer: aiokafka.AIOKafkaConsumer, tp: TopicPartition, end: int) -> AsyncIterator[Chunk]:
    last = -1
    while last + 1 < end:
        for chunk in (await consumer.getmany(tp, timeout_ms=WAIT_MS, max_records=4)).get(tp, []):
            last = chunk.last
            yield chunk
            await asyncio.sleep(0)


def _consumer(brokers: str, auth: Mapping[str, Any]) -> aiokafka.AIOKafkaConsumer:
    return aiokafka.AIOKafkaConsumer(
        bootstrap_servers=brokers.split(","),
        key_deserializer=ChunkFormat(CHUNK_RECORDS, _EveryTopic()),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
        **auth,
    )


class _EveryTopic(frozenset[str]):
    """A set of names that has them all: any changelog may have holes."""

    __slots__ = ()

    def __contains__(self, _name: object) -> bool:
        return True
