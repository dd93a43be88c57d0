"""Chunks hold what aiokafka itself would have delivered, record by record, and tile the log."""

import random
import struct

import numpy as np
import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from stream.transport.private import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from stream.transport.unpack import ChunkFormat, ChunkRecords

TP = TopicPartition("t", 3)
APPEND_TIME, CONTROL = 0x08, 0x20
ABORT, COMMIT = struct.pack(">hh", 0, 0), struct.pack(">hh", 0, 1)


def batch(base, records, *, codec=0, producer=-1, transactional=False, attributes=0, append_ms=None):
    """Bytes of one batch; records: (offset, timestamp, key, value, headers) with offsets from `base` up."""
    builder = DefaultRecordBatchBuilder(2, codec, int(transactional), producer, 0, 0, 1 << 24)
    for offset, timestamp, key, value, headers in records:
        builder.append(offset - base, timestamp, key, value, headers)
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, base)
    (flags,) = struct.unpack_from(">h", raw, 21)
    struct.pack_into(">h", raw, 21, flags | attributes | (APPEND_TIME if append_ms else 0))
    if append_ms:
        struct.pack_into(">q", raw, 35, append_ms)
    struct.pack_into(">I", raw, 17, calc_crc32c(bytes(raw[21:])))
    return bytes(raw)


def marker(offset, producer, kind):
    return batch(offset, [(offset, 1, kind, b"\0" * 6, [])], producer=producer, transactional=True, attributes=CONTROL)


def records_from(draw, base, n, *, holes):
    offset = base
    for _ in range(n):
        key = draw.choice([None, b"", b"k%d" % offset])
        value = draw.choice([None, b"", b"v%d" % offset])
        headers = [("h", b"%d" % offset), ("empty", None)] if draw.random() < 0.2 else []
        yield offset, 1_000 + offset * 7 % 13, key, value, headers
        offset += 2 if holes and draw.random() < 0.3 else 1


def random_log(draw, *, holes):
    """Bytes of a log that begins at 100, its aborted transactions, and where it ends."""
    log, aborted, open_transactions, offset = b"", [], {}, 100
    for _ in range(draw.randrange(1, 25)):
        if open_transactions and draw.random() < 0.3:
            producer, (first, fate) = open_transactions.popitem()
            log += marker(offset, producer, fate)
            aborted += [(producer, first)] if fate == ABORT else []
            offset += 1
        found = list(records_from(draw, offset, draw.choice([1, 1, 2, 5, 40]), holes=holes))
        producer = draw.choice([-1, -1, 7, 8])
        if producer >= 0:
            open_transactions.setdefault(producer, (offset, draw.choice([ABORT, COMMIT])))
        log += batch(
            offset, found, codec=draw.randrange(5), producer=producer, transactional=producer >= 0,
            append_ms=draw.choice([None, 5_000_000]),
        )  # fmt: skip
        offset = found[-1][0] + 1
    for producer, (first, fate) in open_transactions.items():
        log += marker(offset, producer, fate)
        aborted += [(producer, first)] if fate == ABORT else []
        offset += 1
    return log, aborted, offset


def unpack(cls, log, start, aborted=(), *, chunk_format=None, isolation=READ_COMMITTED):
    return cls(TP, MemoryRecords(log), list(aborted), start, chunk_format, None, True, isolation)


def flatten(chunks):
    for chunk in chunks:
        assert len(chunk.values) == len(chunk.keys) == len(chunk.offsets) == len(chunk.timestamps_ms) == len(chunk)
        rows = zip(chunk.offsets, chunk.timestamps_ms, chunk.keys, chunk.values, strict=True)
        for index, (offset, timestamp, key, value) in enumerate(rows):
            yield int(offset), int(timestamp), key, value, tuple(chunk.headers.get(index, ()))


@pytest.mark.parametrize("holes", [False, True])
def test_chunks_hold_exactly_what_aiokafka_delivers_one_by_one(holes):
    draw = random.Random(5)
    for _ in range(400):
        log, aborted, end = random_log(draw, holes=holes)
        start = draw.choice([100, draw.randrange(100, end)])
        limit = draw.choice([1, 5, 20, 1000])
        isolation = draw.choice([READ_COMMITTED, READ_UNCOMMITTED])
        expected = [
            (record.offset, record.timestamp, record.key, record.value, tuple(record.headers))
            for record in unpack(PartitionRecords, log, start, aborted, isolation=isolation)
            if record.offset >= start  # it forgets the start on its way over a marker; a broker sends nothing before it
        ]
        chunk_format = ChunkFormat(limit, frozenset({"t"}) if holes else frozenset())
        reader = unpack(ChunkRecords, log, start, aborted, chunk_format=chunk_format, isolation=isolation)
        chunks = []
        for chunk in reader:
            assert reader.next_fetch_offset == chunk.last + 1
            assert len(chunk) <= limit
            chunks.append(chunk)
        assert list(flatten(chunks)) == expected
        assert [chunks[0].first, *(chunk.last + 1 for chunk in chunks)] == [*(c.first for c in chunks), end]


def test_one_answer_of_markers_only_gives_one_empty_chunk_that_reaches_the_end():
    log = marker(100, 7, COMMIT) + marker(101, 8, COMMIT)
    (chunk,) = unpack(ChunkRecords, log, 100, chunk_format=ChunkFormat())
    assert (len(chunk), chunk.first, chunk.last) == (0, 100, 101)


def test_records_of_an_aborted_transaction_are_covered_but_not_delivered():
    good = [(102, 1, b"k", b"good", [])]
    log = (
        batch(100, [(100, 1, b"k", b"bad", [])], producer=7, transactional=True)
        + marker(101, 7, ABORT)
        + batch(102, good, producer=7, transactional=True)
        + marker(103, 7, COMMIT)
    )
    (chunk,) = unpack(ChunkRecords, log, 100, [(7, 100)], chunk_format=ChunkFormat())
    assert (chunk.values, list(chunk.offsets), chunk.first, chunk.last) == ([b"good"], [102], 100, 103)


def test_a_damaged_batch_is_refused():
    log = bytearray(batch(100, [(100, 1, b"k", b"value", [])]))
    log[-2] ^= 1
    with pytest.raises(CorruptRecordException, match="wrong checksum"):
        list(unpack(ChunkRecords, bytes(log), 100, chunk_format=ChunkFormat()))


def test_holes_in_a_topic_that_was_not_declared_compacted_are_refused_rather_than_miscounted():
    log = batch(100, [(100, 1, b"k", b"v", []), (102, 1, b"k", b"v", [])])
    with pytest.raises(CorruptRecordException, match="declare its topic as compacted"):
        list(unpack(ChunkRecords, log, 100, chunk_format=ChunkFormat()))


def test_consumers_that_do_not_ask_for_chunks_get_records():
    log = batch(100, [(100, 1, b"k", b"v", [])])
    (record,) = unpack(ChunkRecords, log, 100)
    assert (record.key, record.value, record.offset) == (b"k", b"v", 100)


def test_offsets_without_holes_are_a_range_and_merged_batches_stay_one():
    log = b"".join(batch(100 + n, [(100 + n, 1, None, b"v", [])]) for n in range(50))
    (chunk,) = unpack(ChunkRecords, log, 100, chunk_format=ChunkFormat())
    assert chunk.offsets == range(100, 150)
    assert chunk.timestamps_ms.dtype == np.int64
