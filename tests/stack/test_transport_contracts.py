"""What a reader of chunks gets from a real broker: every record, exact offsets, whatever the producers did."""

import asyncio
import os

import aiokafka
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from stream.control import ControlReader
from stream.transport import ExitCode, TopicsError
from stream.transport.changelog import read_changelog
from stream.transport.driver import install
from stream.transport.unpack import ChunkFormat
from tests.stack.transport_rig import COMPACTED, PARTITIONS, Rig

pytestmark = pytest.mark.stack


@pytest.fixture
async def rig(stack, tmp_path):
    async with Rig(stack.bootstrap_servers, tmp_path) as rig:
        yield rig


@pytest.fixture
async def producer_of(rig):
    """Makes started producers that are stopped afterwards."""
    made = []

    async def make(**options):
        producer = AIOKafkaProducer(bootstrap_servers=rig.brokers, max_request_size=4 << 20, **options)
        await producer.start()
        made.append(producer)
        return producer

    yield make
    for producer in made:
        await producer.stop()


async def chunks_of(rig, topic, partition=0, *, max_records=4096, compacted=()):
    """All chunks of a partition, read as the worker reads its sources."""
    install()
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=rig.brokers, key_deserializer=ChunkFormat(max_records, frozenset(compacted)),
        isolation_level="read_committed", auto_offset_reset="earliest", enable_auto_commit=False,
        max_partition_fetch_bytes=4 << 20,
    )  # fmt: skip
    await consumer.start()
    try:
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_beginning(tp)
        chunks = []
        async with asyncio.timeout(20):
            while not chunks or chunks[-1].last + 1 < end:
                chunks += (await consumer.getmany(timeout_ms=200)).get(tp, [])
        assert [chunk.last + 1 for chunk in chunks[:-1]] == [chunk.first for chunk in chunks[1:]]
        return chunks
    finally:
        await consumer.stop()


def joined(chunks, field):
    return [entry for chunk in chunks for entry in getattr(chunk, field)]


@pytest.mark.parametrize("codec", [None, "gzip", "lz4", "zstd", "snappy"])
async def test_batches_of_one_and_of_ten_thousand_records_arrive_in_every_compression(rig, producer_of, codec):
    producer = await producer_of(compression_type=codec, max_batch_size=2 << 20)
    for n in range(30):
        await producer.send_and_wait(rig.topic, b"small %d" % n, key=b"k", partition=0)
    batch = producer.create_batch()
    for n in range(10_000):
        assert batch.append(key=b"k", value=b"large %d" % n, timestamp=None)
    batch.close()
    await (await producer.send_batch(batch, rig.topic, partition=0))
    chunks = await chunks_of(rig, rig.topic, max_records=4096)
    expected = [b"small %d" % n for n in range(30)] + [b"large %d" % n for n in range(10_000)]
    assert joined(chunks, "values") == expected
    assert joined(chunks, "offsets") == list(range(10_030))
    assert [len(chunk) for chunk in chunks] == [30, 4096, 4096, 1808]


async def test_null_and_empty_values_headers_and_megabytes_arrive_as_they_are(rig, producer_of):
    producer = await producer_of(max_batch_size=2 << 20)
    big = os.urandom(1_000_000)
    headers = [("ce_id", b"1"), ("empty", None)]
    for key, value, found in ((b"a", None, []), (None, b"", headers), (b"", big, []), (b"d", b"x", [("h", b"")])):
        await producer.send_and_wait(rig.topic, value, key=key, partition=0, headers=found)
    chunks = await chunks_of(rig, rig.topic)
    assert joined(chunks, "values") == [None, b"", big, b"x"]
    assert joined(chunks, "keys") == [b"a", None, b"", b"d"]
    headers_at = {chunk.offsets[index]: found for chunk in chunks for index, found in chunk.headers.items()}
    assert headers_at == {1: headers, 3: [("h", b"")]}
    assert all(time_ms > 1_600_000_000_000 for time_ms in joined(chunks, "timestamps_ms"))


async def test_aborted_records_and_markers_are_passed_over(rig, producer_of):
    producer = await producer_of(transactional_id=rig.name)
    for n in range(4):
        await producer.begin_transaction()
        await producer.send_and_wait(rig.topic, b"%d" % n, partition=0)
        await (producer.abort_transaction() if n % 2 else producer.commit_transaction())
    chunks = await chunks_of(rig, rig.topic)
    assert joined(chunks, "values") == [b"0", b"2"]
    assert joined(chunks, "offsets") == [0, 4]
    assert (chunks[0].first, chunks[-1].last) == (0, 7)


async def test_a_changelog_that_ends_in_markers_and_aborted_records_is_read_to_its_end(rig, producer_of):
    changelog = f"{rig.name}-counts-changelog"
    producer = await producer_of(transactional_id=rig.name)
    for commit in (True, False, False):
        await producer.begin_transaction()
        for partition in (0, 1):
            await producer.send_and_wait(changelog, b"1", key=b"ca", partition=partition)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    install()
    finished = []
    reading = read_changelog(changelog, frozenset({0, 1, 2}), finished=finished.append, brokers=rig.brokers, auth={})
    chunks = [chunk async for chunk in reading]
    assert sorted(finished) == [0, 1, 2]
    assert {(chunk.partition, *chunk.keys) for chunk in chunks if len(chunk)} == {(0, b"ca"), (1, b"ca")}


async def test_holes_of_a_compacted_topic_keep_their_offsets(rig, producer_of):
    topic = f"{rig.name}-compacted"
    quickly = {"min.cleanable.dirty.ratio": "0.001", "segment.ms": "100", "max.compaction.lag.ms": "100"}
    await rig.create({topic: {**COMPACTED, **quickly}})
    producer = await producer_of()
    for round_ in range(2):
        await asyncio.gather(
            *[await producer.send(topic, b"%d" % round_, key=b"k%d" % n, partition=0) for n in range(0, 50, 1 + round_)]
        )
        await asyncio.sleep(0.15)
    await producer.send_and_wait(topic, b"end", key=b"end", partition=0)  # rolls the segment
    expected = [b"0"] * 25 + [b"1"] * 25 + [b"end"]
    async with asyncio.timeout(25):
        while True:
            chunks = await chunks_of(rig, topic, compacted={topic})
            if len(joined(chunks, "values")) == len(expected):
                break
            await asyncio.sleep(0.5)
    assert joined(chunks, "values") == expected
    assert joined(chunks, "offsets") == [*range(1, 50, 2), *range(50, 75), 75]
    assert (chunks[0].first, chunks[-1].last) == (0, 75)


async def test_a_topic_read_from_the_start_is_read_wholly_again_and_never_committed_backwards(rig):
    worker = await rig.worker("first")
    await rig.send(100)
    await rig.all_committed()
    await worker.stop()
    worker = await rig.worker("second", FROM_START="1", SAY_CHUNKS="1")
    for partition in range(PARTITIONS):
        assert (await worker.until("chunk", partition=partition, first=0))["committed"] == 100
    await rig.all_committed()  # still what it was
    await rig.send(20)
    await rig.all_committed()
    await rig.check_books()
    await worker.stop()


async def test_offsets_that_retention_has_cut_are_told_and_reading_goes_on_at_the_oldest(rig):
    worker = await rig.worker("first")
    await rig.send(100)
    await rig.all_committed()
    await worker.stop()
    await rig.send(100)
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.brokers)
    await admin.start()
    await admin.delete_records({TopicPartition(rig.topic, 0): RecordsToDelete(before_offset=150)})
    await admin.close()
    worker = await rig.worker("second")
    await rig.all_committed()
    await worker.stop()
    assert "50 records before offset 150 are gone" in worker.log.read_text()
    rig.sent[0] -= 50
    await rig.check_books()


async def test_topics_with_another_number_of_partitions_are_refused_with_the_names(rig):
    await rig.create({f"{rig.name}-other": {}}, partitions=PARTITIONS + 1)
    rig.topic = f"{rig.name}-other"
    worker = await rig.worker("misled")
    assert await worker.ended() == ExitCode.CONFIG
    assert f"topic {rig.topic} has {PARTITIONS + 1} partitions, the settings say {PARTITIONS}" in worker.log.read_text()


async def test_a_worker_that_its_group_refuses_ends_instead_of_waiting_for_ever(rig):
    worker = await rig.worker("hasty", session_timeout_ms=500)
    assert await worker.ended() == ExitCode.CONFIG
    assert "the consumer group refuses this worker" in worker.log.read_text()


async def test_control_topics_are_read_wholly_then_followed(rig, producer_of):
    topic = f"{rig.name}-out"
    producer = await producer_of(transactional_id=rig.name)
    async with producer.transaction():
        for n in range(300):
            await producer.send(topic, b"%d" % n, key=b"k%d" % n, partition=n % PARTITIONS)
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"aborted", partition=0)
    await producer.abort_transaction()
    found = []
    reader = ControlReader([topic], found.extend, brokers=rig.brokers)
    await reader.start()
    assert sorted(int(record.value) for record in found) == list(range(300))
    async with producer.transaction():
        await producer.send(topic, None, key=b"k7", partition=0)
    await rig.eventually(lambda: len(found) == 301)
    assert found[-1][:3] == (topic, b"k7", None)
    await reader.stop()
    with pytest.raises(TopicsError, match="nowhere do not exist"):
        await ControlReader(["nowhere"], found.extend, brokers=rig.brokers).start()
