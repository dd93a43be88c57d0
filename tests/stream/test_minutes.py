"""Hours of scopes are the sums of the newest pages of all partitions; what is old is forgotten."""

import numpy as np

from processors.intraday.pages import N_COLUMNS, N_MONEY_COLUMNS, add_hours, encode_hour
from stream.minutes import HourPartition
from stream.transport.chunk import Chunk

HOUR = 498_600
NOW_MS = HOUR * 3_600_000 + 600_000


def page(s, gmv=0):
    counts = np.zeros((60, N_COLUMNS), np.int64)
    counts[3] = s
    return encode_hour({"": counts, "CNY": np.full((60, N_MONEY_COLUMNS), gmv)})


def chunk(*records):
    """(scope, partition, hour, page) as the topic brings them."""
    return Chunk(
        "intraday.pages",
        0,
        first=0,
        last=len(records) - 1,
        values=[value for *_, value in records],
        keys=[f"{scope}|{partition}|{hour}".encode() for scope, partition, hour, _ in records],
        offsets=range(len(records)),
        timestamps_ms=np.zeros(len(records), np.int64),
        headers={},
    )


def partition(*records):
    made = HourPartition(kept_hours=48, history_hours=24 * 400)
    made.apply(chunk(*records))
    return made


def told(hours):
    """(scope, hour) → users in its third minute, GMV of one of its minutes."""
    found = {}
    for scope, hour, value in hours:
        lanes = add_hours([value] if value else [])
        found[scope, hour - HOUR] = (int(lanes[""][3 * N_COLUMNS]), int(lanes.get("CNY", [0])[0]))
    return found


def test_the_newest_page_of_each_partition_counts_once():
    hours = partition(("shop=s1", 0, HOUR, page(5, 7)), ("shop=s1", 1, HOUR, page(2)), ("shop=s1", 0, HOUR, page(6, 8)))
    assert told(hours.collect(NOW_MS)) == {("shop=s1", 0): (8, 8)}
    assert hours.collect(NOW_MS) == []
    hours.apply(chunk(("shop=s1", 1, HOUR, page(3, 1))))
    assert told(hours.collect(NOW_MS)) == {("shop=s1", 0): (9, 9)}


def test_a_tombstone_takes_a_partition_out():
    hours = partition(("shop=s1", 0, HOUR, page(5)), ("shop=s1", 0, HOUR, None))
    assert [one.page for one in hours.collect(NOW_MS)] == [None]


def test_hours_wait_until_shortly_before_they_come():
    hours = partition(("shop=s1", 0, HOUR + 1, page(5)))
    assert hours.collect(NOW_MS) == []
    assert told(hours.collect(NOW_MS + 46 * 60_000)) == {("shop=s1", 1): (5, 0)}


def test_a_store_that_has_lost_all_is_given_every_hour_once():
    hours = partition(("shop=s1", 0, HOUR, page(5)), ("shop=s1", 0, HOUR - 1, page(4)))
    assert [one.hour for one in hours.collect(NOW_MS)] == [HOUR, HOUR - 1]
    assert hours.collect_lost() == []
    hours.refresh()
    assert told(hours.collect_lost()) == {("shop=s1", 0): (5, 0), ("shop=s1", -1): (4, 0)}
    assert hours.collect_lost() == []


def test_old_hours_are_forgotten_and_come_back_no_more():
    old = ("shop=s1", 0, HOUR - 97, page(5))
    hours = partition(old)
    assert hours.bytes > 0
    assert hours.collect(NOW_MS) == []
    assert (hours.bytes, len(hours)) == (0, 0)
    hours.apply(chunk(old))
    assert hours.collect(NOW_MS) == []


def test_a_page_that_cannot_be_read_is_left_out_and_counted():
    hours = partition(("shop=s1", 0, HOUR, page(5)[:-1] + b"x"), ("shop=s1", 1, HOUR, page(2)))
    assert hours.unreadable == 1
    assert told(hours.collect(NOW_MS)) == {("shop=s1", 0): (2, 0)}


def test_the_store_keeps_the_hours_of_shops_longer_than_those_of_their_crosses():
    hours = partition()
    assert (hours.gone_with("shop=s1", HOUR)[-1], hours.gone_with("shop=s1|channel=a", HOUR)[-1]) == (
        HOUR - 24 * 400 - 1,
        HOUR - 96 - 1,
    )
    assert [hours.is_new_hour("shop=s1", hour) for hour in (HOUR, HOUR, HOUR - 1, HOUR + 1)] == [
        True,
        False,
        False,
        True,
    ]
