"""Marks on the wire: one changelog record per user and day of UTC (docs/concepts/durability.md).

Key: `M`, the day since 1970 (two bytes, big-endian), the user id. Value, in little-endian words of 64 bits:

    version | marks << 8, marks (2 words each), CRC-32

The record of a day is written at most once a commit interval, whole. A day that is forgotten is a tombstone.
"""

import numpy as np
from numpy.typing import NDArray

from processors.checksum import crc32
from processors.intraday.counts import FLOOR, LONGEST, TOUCHED, Counts
from processors.intraday.fold import Facts, touch
from processors.intraday.lists import AT, COUNT, OWN, Lists, cut_out, first_from, open_hole
from processors.intraday.marks import MARK_WORDS, MINUTE_SHIFT, P_PLACE, PURCHASE_WORDS
from processors.kernels import kernel
from processors.names import Table, intern
from processors.segments import BAD_CHECKSUM, BAD_KEY, BAD_VERSION, KEY_HEAD, OK, TRUNCATED, Records
from schemas.durable import MARKS_PREFIX

VERSION = 1
_PREFIX = MARKS_PREFIX[0]


@kernel
def day_range(marks: Lists, user: int, day: int) -> tuple[int, int]:
    """Positions [i, j) of a user's marks of a day."""
    low = np.int64(day) * LONGEST << MINUTE_SHIFT
    high = np.int64(day + 1) * LONGEST << MINUTE_SHIFT
    return (
        first_from(marks, user, np.int64(MARK_WORDS), low),
        first_from(marks, user, np.int64(MARK_WORDS), high),
    )


@kernel
def encode_marks(counts: Counts, facts: Facts, users: Table, r: Records) -> int:
    """Encode days of users that were touched and forget that they were; returns how many records.

    Stops when the room is used up: call again until none is touched (`counts.control[TOUCHED] == 0`). A day that
    exceeds all the room is encoded past it: words must be reserved, not allocated.
    """
    text = r.words.view(np.uint8)
    n = 0
    top = np.int64(0)
    key_top = np.int64(0)
    capacity = len(r.key_end) - 1
    marks = facts.marks
    while counts.control[TOUCHED] > 0 and n < capacity and top < len(r.words) >> 1:
        counts.control[TOUCHED] -= 1
        entry = facts.touched[counts.control[TOUCHED]]
        user = entry >> 32
        day = entry & 0xFFFFFFFF
        facts.marks.of[user, OWN] = 0
        i, j = day_range(marks, user, day)
        if j > i:
            begin = top
            r.words[top] = np.int64(VERSION) | ((j - i) << 8)
            top += 1
            start = marks.of[user, AT]
            for k in range(start + MARK_WORDS * i, start + MARK_WORDS * j):
                r.words[top] = marks.words[k]
                top += 1
            r.words[top] = crc32(text, begin * 8, top * 8)
            top += 1
        r.keys[key_top] = _PREFIX
        r.keys[key_top + 1] = (day >> 8) & 255
        r.keys[key_top + 2] = day & 255
        name = users.start[user]
        length = users.start[user + 1] - name
        for k in range(length):
            r.keys[key_top + KEY_HEAD + k] = users.text[name + k]
        key_top += KEY_HEAD + length
        n += 1
        r.key_end[n] = key_top
        r.value_end[n] = top
    return n


@kernel
def load_marks(
    marks: Lists,
    users: Table,
    keys: NDArray[np.uint8],
    key_end: NDArray[np.int64],
    words: NDArray[np.int64],
    value_end: NDArray[np.int64],
) -> tuple[int, int]:
    """Load encoded records in the order of the log; arguments and answer as those of `segments.load_segments`."""
    text = words.view(np.uint8)
    for r in range(len(key_end) - 1):
        start = key_end[r]
        if key_end[r + 1] - start <= KEY_HEAD or keys[start] != _PREFIX:
            return r, BAD_KEY
        top = value_end[r]
        end = value_end[r + 1]
        n = np.int64(0)
        if end > top:
            if end - top < 2 or end - top != 2 + MARK_WORDS * (words[top] >> 8):
                return r, TRUNCATED
            if words[top] & 255 != VERSION:
                return r, BAD_VERSION
            if words[end - 1] != crc32(text, top * 8, (end - 1) * 8):
                return r, BAD_CHECKSUM
            n = words[top] >> 8
        day = (np.int64(keys[start + 1]) << 8) | np.int64(keys[start + 2])
        user = intern(users, keys, start + KEY_HEAD, key_end[r + 1] - start - KEY_HEAD)
        i, j = day_range(marks, user, day)
        cut_out(marks, user, np.int64(MARK_WORDS), i, j)
        for k in range(n):
            at = open_hole(marks, user, np.int64(MARK_WORDS), i + k)
            marks.words[at] = words[top + 1 + MARK_WORDS * k]
            marks.words[at + 1] = words[top + 2 + MARK_WORDS * k]
    return len(key_end) - 1, OK


@kernel
def forget_old(counts: Counts, facts: Facts, first: int, end: int) -> None:
    """Drop what users first … end - 1 did before the floor, and note the days that are gone."""
    floor = counts.control[FLOOR]
    marks, purchases = facts.marks, facts.purchases
    for user in range(first, end):
        start = marks.of[user, AT]
        if marks.of[user, COUNT] > 0 and marks.words[start] >> MINUTE_SHIFT < floor:
            n = first_from(marks, user, np.int64(MARK_WORDS), np.int64(floor) << MINUTE_SHIFT)
            for i in range(n):
                touch(facts, counts, user, marks.words[start + MARK_WORDS * i] >> MINUTE_SHIFT)
            cut_out(marks, user, np.int64(MARK_WORDS), 0, n)
        i = np.int64(0)
        while i < purchases.of[user, COUNT]:
            place = purchases.words[purchases.of[user, AT] + i * PURCHASE_WORDS + P_PLACE]
            if place >> MINUTE_SHIFT < floor:
                cut_out(purchases, user, np.int64(PURCHASE_WORDS), i, i + 1)
            else:
                i += 1


@kernel
def count_marks(marks: Lists, users: int) -> int:
    """How many marks there are."""
    n = np.int64(0)
    for user in range(1, users + 1):
        n += marks.of[user, COUNT]
    return n
