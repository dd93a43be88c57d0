"""A ledger on the wire: one changelog record per user and period of 32 days (docs/concepts/durability.md).

Key: `L`, the period (two bytes, big-endian), the user id. Value, in little-endian words of 64 bits:

    version | cells << 8, lines | refunds << 32, cells (2 words), lines and refunds (10 words and a padded blob), CRC-32

The fixed words make encoding a copy; a user's segment is written at most once a commit interval, whole, so the newest
record of a key is the segment. A segment that has become empty is a tombstone. Lines lie in the segment of their own
day, refunds in that of theirs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.checksum import crc32
from processors.kernels import kernel
from processors.ledger import (
    CELLS,
    CURRENCY_SHIFT,
    DAY_SHIFT,
    L_ID,
    L_PLACE,
    LINES,
    N_LISTS,
    PERIOD_SHIFT,
    PERIODS,
    PRODUCT_MASK,
    R_DAY,
    R_LINE,
    REFUNDS,
    V_BLOB,
    V_LENGTHS,
    Arena,
    Ledger,
    blob_length,
    find_by_id,
    first_at,
    free_blob,
    new_blob,
    resize,
    touch,
)
from processors.names import Table, intern

VERSION = 1
KEY_PREFIX = ord("L")
KEY_HEAD = 3
"""Bytes of a key before the user id."""
_FIXED = 10
OK, TRUNCATED, BAD_VERSION, BAD_CHECKSUM, BAD_KEY = range(5)
"""Verdicts of `load_segments` on a record."""


class Records(NamedTuple):
    """Room for encoded records; [capacity + 1] ends give where each key and value ends."""

    keys: NDArray[np.uint8]
    key_end: NDArray[np.int64]
    words: NDArray[np.int64]
    value_end: NDArray[np.int64]
    """In words; equal to the end before it for a tombstone."""


@kernel
def period_range(arena: Arena, user: int, kind: int, field: int, period: int) -> tuple[int, int]:
    """Positions [i, j) of a sorted list's records that lie in a period."""
    start = arena.users[user, kind]
    n = arena.users[user, N_LISTS + kind]
    stride = 2 if kind == CELLS else 11
    low = np.int64(period) << (PERIOD_SHIFT + DAY_SHIFT)
    high = np.int64(period + 1) << (PERIOD_SHIFT + DAY_SHIFT)
    return first_at(arena.words, start, n, stride, field, low), first_at(arena.words, start, n, stride, field, high)


@kernel
def _put_version(ledger: Ledger, at: int, out: NDArray[np.int64], top: int) -> int:
    """Copy a line or refund without its blob's address, then the blob; returns the new top."""
    words = ledger.arena.words
    k = 0
    for i in range(11):
        if i != V_BLOB:
            out[top + k] = words[at + i]
            k += 1
    top += _FIXED
    text = ledger.blobs.bytes
    blob = words[at + V_BLOB] * 8
    length = blob_length(words[at + V_LENGTHS])
    for i in range(0, length, 8):
        word = np.uint64(0)
        for j in range(min(8, length - i)):
            word |= np.uint64(text[blob + i + j]) << np.uint64(8 * j)
        out[top] = np.int64(word)
        top += 1
    return top


@kernel
def _put_segment(ledger: Ledger, user: int, period: int, out: NDArray[np.int64], top: int) -> int:
    """Encode a segment at out[top:]; returns the new top, unchanged when the segment is empty."""
    arena = ledger.arena
    words = arena.words
    i, j = period_range(arena, user, CELLS, 0, period)
    a, b = period_range(arena, user, LINES, L_PLACE, period)
    begin = top
    top += 2
    start = arena.users[user, CELLS]
    for k in range(start + 2 * i, start + 2 * j):
        out[top] = words[k]
        top += 1
    start = arena.users[user, LINES]
    for line in range(a, b):
        top = _put_version(ledger, start + line * 11, out, top)
    refunds = 0
    start = arena.users[user, REFUNDS]
    for r in range(arena.users[user, N_LISTS + REFUNDS]):
        if (words[start + r * 11 + R_DAY] & PRODUCT_MASK) >> PERIOD_SHIFT == period:
            top = _put_version(ledger, start + r * 11, out, top)
            refunds += 1
    if top == begin + 2:
        return begin
    out[begin] = np.int64(VERSION) | (np.int64(j - i) << 8)
    out[begin + 1] = np.int64(b - a) | (np.int64(refunds) << 32)
    return top


@kernel
def _room_needed(ledger: Ledger, user: int) -> int:
    """Words that all segments of a user take at most, headers and checksums of 64 periods included."""
    arena = ledger.arena
    need = 2 * arena.users[user, N_LISTS + CELLS] + 64 * 3
    for kind in (LINES, REFUNDS):
        for i in range(arena.users[user, N_LISTS + kind]):
            at = arena.users[user, kind] + i * 11
            need += 11 + (blob_length(arena.words[at + V_LENGTHS]) >> 3) + 1
    return need


@kernel
def encode_touched(ledger: Ledger, users: Table, latest_period: int, r: Records) -> int:
    """Encode segments of touched users and forget that they were; returns how many records.

    Stops when the room is used up: call again until no user is touched (`ledger.touched.count[0] == 0`). A user whose
    segments exceed all the room is encoded past it: words must be reserved, not allocated.
    """
    touched = ledger.touched
    n = 0
    top = np.int64(0)
    key_top = np.int64(0)
    capacity = len(r.key_end) - 1
    text = r.words.view(np.uint8)
    while touched.count[0] > 0:
        user = touched.users[touched.count[0] - 1]
        if n > 0 and (n + 64 > capacity or top + _room_needed(ledger, user) > len(r.words) >> 1):
            break
        touched.count[0] -= 1
        marks = ledger.arena.users[user, PERIODS]
        ledger.arena.users[user, PERIODS] = 0
        name = users.start[user]
        length = users.start[user + 1] - name
        for bit in range(64):
            if not (marks >> bit) & 1:
                continue
            period = latest_period - ((latest_period - bit) & 63)
            begin = top
            top = _put_segment(ledger, user, period, r.words, top)
            if top > begin:
                r.words[top] = crc32(text, begin * 8, top * 8)
                top += 1
            r.keys[key_top] = KEY_PREFIX
            r.keys[key_top + 1] = (period >> 8) & 255
            r.keys[key_top + 2] = period & 255
            for k in range(length):
                r.keys[key_top + KEY_HEAD + k] = users.text[name + k]
            key_top += KEY_HEAD + length
            n += 1
            r.key_end[n] = key_top
            r.value_end[n] = top
    return n


@kernel
def replace_range(arena: Arena, user: int, kind: int, i: int, j: int, n: int) -> int:
    """Let positions [i, j) of a list hold n records instead (their words undefined); returns the first one's word."""
    stride = 2 if kind == CELLS else 11
    count = arena.users[user, N_LISTS + kind]
    tail = (count - j) * stride
    start = np.int64(arena.users[user, kind])
    moved = count + n - (j - i)
    if moved > count:
        start = resize(arena, user, kind, moved)
    source = start + j * stride
    target = start + (i + n) * stride
    words = arena.words
    if target > source:
        for k in range(tail - 1, -1, -1):
            words[target + k] = words[source + k]
    elif target < source:
        for k in range(tail):
            words[target + k] = words[source + k]
    arena.users[user, N_LISTS + kind] = moved
    return start + i * stride


@kernel
def _get_version(ledger: Ledger, at: int, source: NDArray[np.int64], top: int) -> int:
    """Undo `_put_version`."""
    words = ledger.arena.words
    k = 0
    for i in range(11):
        if i != V_BLOB:
            words[at + i] = source[top + k]
            k += 1
    top += _FIXED
    length = blob_length(words[at + V_LENGTHS])
    blob = new_blob(ledger.blobs, length)
    words[at + V_BLOB] = blob
    text = ledger.blobs.bytes
    for i in range(0, length, 8):
        word = np.uint64(source[top])
        top += 1
        for j in range(min(8, length - i)):
            text[blob * 8 + i + j] = np.uint8((word >> np.uint64(8 * j)) & np.uint64(255))
    return top


@kernel
def _free_versions(ledger: Ledger, user: int, kind: int, i: int, j: int) -> None:
    words = ledger.arena.words
    for k in range(i, j):
        at = ledger.arena.users[user, kind] + k * 11
        free_blob(ledger.blobs, words[at + V_BLOB], blob_length(words[at + V_LENGTHS]))


@kernel
def _drop_refunds(ledger: Ledger, user: int, period: int) -> None:
    arena = ledger.arena
    i = 0
    while i < arena.users[user, N_LISTS + REFUNDS]:
        at = arena.users[user, REFUNDS] + i * 11
        if (arena.words[at + R_DAY] & PRODUCT_MASK) >> PERIOD_SHIFT == period:
            _free_versions(ledger, user, REFUNDS, i, i + 1)
            replace_range(arena, user, REFUNDS, i, i + 1, 0)
        else:
            i += 1


@kernel
def _set_segment(ledger: Ledger, user: int, period: int, source: NDArray[np.int64], top: int, end: int) -> None:
    """Replace a user's segment by the one encoded at source[top:end] (empty: by nothing)."""
    arena = ledger.arena
    cells = 0
    lines = 0
    refunds = 0
    if end > top:
        cells = source[top] >> 8
        lines = source[top + 1] & PRODUCT_MASK
        refunds = source[top + 1] >> CURRENCY_SHIFT
        top += 2
    i, j = period_range(arena, user, CELLS, 0, period)
    at = replace_range(arena, user, CELLS, i, j, cells)
    for k in range(2 * cells):
        arena.words[at + k] = source[top]
        top += 1
    i, j = period_range(arena, user, LINES, L_PLACE, period)
    _free_versions(ledger, user, LINES, i, j)
    at = replace_range(arena, user, LINES, i, j, lines)
    for k in range(lines):
        top = _get_version(ledger, at + k * 11, source, top)
    if arena.users[user, N_LISTS + REFUNDS] > 0:
        _drop_refunds(ledger, user, period)
    if refunds > 0:
        count = np.int64(arena.users[user, N_LISTS + REFUNDS])
        at = replace_range(arena, user, REFUNDS, count, count, refunds)
        for k in range(refunds):
            top = _get_version(ledger, at + k * 11, source, top)


@kernel
def load_segments(
    ledger: Ledger,
    users: Table,
    keys: NDArray[np.uint8],
    key_end: NDArray[np.int64],
    words: NDArray[np.int64],
    value_end: NDArray[np.int64],
) -> tuple[int, int]:
    """Load encoded records in the order of the log; the ends have a leading 0, as in `Records`.

    Returns (index of the first refused record, its verdict), or (number of records, OK). The users' table must have
    room.
    """
    text = words.view(np.uint8)
    for r in range(len(key_end) - 1):
        start = key_end[r]
        if key_end[r + 1] - start <= KEY_HEAD or keys[start] != KEY_PREFIX:
            return r, BAD_KEY
        top = value_end[r]
        end = value_end[r + 1]
        if end > top:
            if end - top < 3:
                return r, TRUNCATED
            if words[top] & 255 != VERSION:
                return r, BAD_VERSION
            end -= 1
            if words[end] != crc32(text, top * 8, end * 8):
                return r, BAD_CHECKSUM
        period = (np.int64(keys[start + 1]) << 8) | np.int64(keys[start + 2])
        user = intern(users, keys, start + KEY_HEAD, key_end[r + 1] - start - KEY_HEAD)
        _set_segment(ledger, user, period, words, top, end)
    return len(key_end) - 1, OK


@kernel
def trim(ledger: Ledger, first: int, end: int, activity_period: int, purchase_period: int) -> None:
    """Drop what users first … end - 1 have of periods before these: cells, lines, and refunds whose line is gone."""
    arena = ledger.arena
    words = arena.words
    for user in range(first, end):
        for kind in (CELLS, LINES):
            field = 0 if kind == CELLS else L_PLACE
            stride = 2 if kind == CELLS else 11
            period = activity_period if kind == CELLS else purchase_period
            start = arena.users[user, kind]
            n = arena.users[user, N_LISTS + kind]
            j = first_at(words, start, n, stride, field, np.int64(period) << (PERIOD_SHIFT + DAY_SHIFT))
            for k in range(j):
                touch(arena, ledger.touched, user, words[start + k * stride + field] >> DAY_SHIFT)
            if kind == LINES:
                _free_versions(ledger, user, LINES, 0, j)
            if j > 0:
                replace_range(arena, user, kind, 0, j, 0)
        i = 0
        while i < arena.users[user, N_LISTS + REFUNDS]:
            at = arena.users[user, REFUNDS] + i * 11
            day = words[at + R_DAY] & PRODUCT_MASK
            if (
                day >> PERIOD_SHIFT < purchase_period
                and find_by_id(arena, user, LINES, words[at + R_LINE], words[at + R_LINE + 1]) < 0
            ):
                touch(arena, ledger.touched, user, day)
                _free_versions(ledger, user, REFUNDS, i, i + 1)
                replace_range(arena, user, REFUNDS, i, i + 1, 0)
            else:
                i += 1


@kernel
def line_identities(arena: Arena, users: int, out: NDArray[np.int64]) -> int:
    """Fill out[:, 0:3] with (user, identity) of every line, as far as it has room; returns how many there are."""
    n = 0
    for user in range(1, users + 1):
        start = arena.users[user, LINES]
        for i in range(arena.users[user, N_LISTS + LINES]):
            if n < len(out):
                out[n, 0] = user
                out[n, 1] = arena.words[start + i * 11 + L_ID]
                out[n, 2] = arena.words[start + i * 11 + L_ID + 1]
            n += 1
    return n
