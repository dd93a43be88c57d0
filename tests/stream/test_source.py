"""A partition of an event topic takes every record in once, and none is passed over in silence."""

import numpy as np
import pytest

from processors.partition import Partition
from schemas.settings import Settings
from stream.source import MissingRecordsError, SourcePartition
from stream.transport.chunk import Chunk
from stream.world import core_config, source_options
from tests.events import DAY_0, encode, view

TOPIC = "events.browse"
VALUES = [encode(view(f"u{n}")) for n in range(30)]


def source():
    settings = Settings(partitions=1)
    today = DAY_0.toordinal()
    state = Partition(core_config(settings), today, number=0, zone_of=lambda _shop: "Asia/Shanghai")
    return SourcePartition(state, source_options(settings))


def chunk(first, end, topic=TOPIC):
    return Chunk(
        topic,
        0,
        first=first,
        last=end - 1,
        values=VALUES[first:end],
        keys=[b"u%d" % n for n in range(first, end)],
        offsets=range(first, end),
        timestamps_ms=np.zeros(end - first, np.int64),
        headers={},
    )


def taken(source):
    source.fold(source.read())
    return {
        topic: (totals.next_offset, totals.accepted + sum(totals.refused.values()))
        for topic, totals in source.totals.topics.items()
    }


def test_chunks_are_taken_in_once_however_often_they_come():
    reading = source()
    assert reading.take_in(chunk(0, 10)) == 10
    assert reading.take_in(chunk(5, 12)) == 12
    assert reading.goes_on_at(TOPIC) == 12
    assert taken(reading) == {TOPIC: (12, 12)}
    assert reading.take_in(chunk(0, 12)) == 0
    assert reading.take_in(chunk(10, 20)) == 8
    assert taken(reading) == {TOPIC: (20, 20)}


def test_a_chunk_that_does_not_join_what_was_taken_in_is_refused():
    reading = source()
    reading.take_in(chunk(0, 10))
    with pytest.raises(MissingRecordsError, match="offsets 10 to 14"):
        reading.take_in(chunk(15, 20))
    assert taken(reading) == {TOPIC: (10, 10)}
    with pytest.raises(MissingRecordsError, match="offsets 10 to 11"):
        reading.take_in(chunk(12, 20))


def test_topics_of_a_partition_are_read_apart():
    reading = source()
    reading.take_in(chunk(0, 10))
    with pytest.raises(MissingRecordsError, match=r"events\.cart: offsets 0 to 9"):
        reading.take_in(chunk(10, 20, "events.cart"))
