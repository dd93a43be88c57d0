"""The fast path: one pass over the joined values of a chunk, straight into the columns.

It takes only what is plainly good: a flat object without escapes or duplicates in what it reads, known fields in any
order and of plain form, every rule of the reference kept. Unknown fields may hold anything that is JSON. All other
records are left to the reference (`taken` = 0), which alone refuses. So the scanner has no error codes; it must only
never take what the reference refuses, nor differ in a column (tests/processors/decode/test_agreement.py).

Two steps a record: `_read` finds the fields (lexical), `_fill` holds them to the rules and writes the columns. Between
them `cells` [fields, 2] holds for each field its position and length, or its value and NUMBER. Nothing is allocated
per event; all arrays are handed in.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.decode.columns import ABSENT, LINE_ID, N_SPANS
from processors.decode.lexical import (
    FAILED,
    eight,
    plain_string,
    skip_container,
    skip_literal,
    skip_scalar,
    skip_space,
    small_int,
)
from processors.decode.murmur import crc32_partition, murmur2_partition
from processors.decode.words import (
    ACTION_WORDS,
    FIELD_WORDS,
    FIRST_FACTOR,
    MAX_AHEAD_MS,
    MAX_AMOUNT_MINOR,
    MAX_BEHIND_MS,
    MAX_DWELL_MS,
    MAX_EVENT_MS,
    MAX_ID_CHARS,
    MAX_QUANTITY,
    MIN_EVENT_MS,
    N_SLOTS,
    TOUCH_WORDS,
    WORD_BYTES_MAX,
)
from processors.kernels import inlined, kernel
from schemas.event import FIELDS, Action

_EVENT_ID: Final = FIELDS.index("event_id")
_ACTION: Final = FIELDS.index("action")
_USER_ID: Final = FIELDS.index("user_id")
_EVENT_TIME: Final = FIELDS.index("event_time")
_SHOP_ID: Final = FIELDS.index("shop_id")
_ITEM_ID: Final = FIELDS.index("item_id")
_CHANNEL: Final = FIELDS.index("channel")
_DWELL_MS: Final = FIELDS.index("dwell_ms")
_TOUCH: Final = FIELDS.index("touch")
_QUANTITY: Final = FIELDS.index("quantity")
_AMOUNT_MINOR: Final = FIELDS.index("amount_minor")
_CURRENCY: Final = FIELDS.index("currency")
_ORDER_ID: Final = FIELDS.index("order_id")
_LINE_ID: Final = FIELDS.index("line_id")
N_FIELDS: Final = len(FIELDS)

_REQUIRED: Final = 1 << _EVENT_ID | 1 << _ACTION | 1 << _USER_ID | 1 << _EVENT_TIME | 1 << _SHOP_ID
_REQUIRED_PURCHASE: Final = 1 << _ORDER_ID | 1 << _QUANTITY | 1 << _AMOUNT_MINOR | 1 << _CURRENCY
_NUMBERS: Final = 1 << _DWELL_MS | 1 << _QUANTITY | 1 << _AMOUNT_MINOR

_CART: Final = int(Action.CART)
_PURCHASE: Final = int(Action.PURCHASE)
_CART_REMOVE: Final = int(Action.CART_REMOVE)
_REFUND: Final = int(Action.REFUND)
_TOUCHED: Final = int(Action.TOUCH)

NUMBER: Final = -1
"""In place of a length: the field is a number, and its value stands in place of the position."""

UNPLACED, BY_MURMUR2, BY_CRC32 = range(3)
"""How keys are checked: not at all (files), or against the partition that one of the partitioners gives them."""


@inlined
def _first(word: np.uint64, n: int) -> np.uint64:
    """The first `n` of eight bytes, 1 ≤ n ≤ 8, the others zero."""
    return word & (np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - 8 * n))


@inlined
def _look_up(buffer: NDArray[np.uint8], start: int, length: int, words: NDArray[np.uint64], vocabulary: int) -> int:
    """Value of the word `buffer[start : start + length]` in a vocabulary, FAILED where it is none of its words."""
    if length < 2 or length > WORD_BYTES_MAX:
        return FAILED
    slot = (length + FIRST_FACTOR * np.int64(buffer[start]) + np.int64(buffer[start + 1])) % N_SLOTS
    if words[vocabulary, slot, 0] != np.uint64(length):
        return FAILED
    q = np.uint64(start)
    if words[vocabulary, slot, 2] != _first(eight(buffer, q), min(length, 8)):
        return FAILED
    if length > 8 and words[vocabulary, slot, 3] != _first(eight(buffer, q + np.uint64(8)), length - 8):
        return FAILED
    return np.int64(words[vocabulary, slot, 1])


@kernel
def _are_equal(a: NDArray[np.uint8], p: int, b: NDArray[np.uint8], q: int, length: int) -> bool:
    """Do `a[p : p + length]` and `b[q : q + length]` hold the same bytes? Both buffers are padded."""
    for i in range(0, length, 8):
        n = min(length - i, 8)
        if _first(eight(a, np.uint64(p + i)), n) != _first(eight(b, np.uint64(q + i)), n):
            return False
    return True


@kernel
def _two(buffer: NDArray[np.uint8], p: int) -> int:
    """The two digits at `p` as a number, or a million where they are no digits (more than any bound)."""
    high = np.int64(buffer[p]) - 0x30
    low = np.int64(buffer[p + 1]) - 0x30
    if high < 0 or high > 9 or low < 0 or low > 9:
        return 1_000_000
    return high * 10 + low


@kernel
def instant_ms(buffer: NDArray[np.uint8], start: int, length: int) -> int:
    """Milliseconds since the epoch UTC of an RFC 3339 time with an offset; negative for any other text, for a leap
    second and for times before 1970.
    """
    if length < 20:
        return -1
    p = start
    end = start + length
    if buffer[p + 4] != 0x2D or buffer[p + 7] != 0x2D or buffer[p + 13] != 0x3A or buffer[p + 16] != 0x3A:
        return -1
    between = buffer[p + 10]
    if between not in (0x54, 0x74, 0x20):
        return -1
    century, year2, month, day = _two(buffer, p), _two(buffer, p + 2), _two(buffer, p + 5), _two(buffer, p + 8)
    hour, minute, second = _two(buffer, p + 11), _two(buffer, p + 14), _two(buffer, p + 17)
    year = century * 100 + year2
    if year < 1969 or year > 2100 or month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 59:
        return -1
    month_days = 31
    if month == 2:
        month_days = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    elif month in (4, 6, 9, 11):
        month_days = 30
    if day > month_days:
        return -1
    p += 19
    fraction_ms = 0
    if buffer[p] == 0x2E:
        p += 1
        weight = 100
        first = p
        while p < end and 0x30 <= buffer[p] <= 0x39:
            fraction_ms += (np.int64(buffer[p]) - 0x30) * weight
            weight //= 10
            p += 1
        if p == first:
            return -1
    offset_minutes = 0
    if p == end - 1 and buffer[p] | 0x20 == 0x7A:
        pass
    elif p == end - 6 and (buffer[p] == 0x2B or buffer[p] == 0x2D) and buffer[p + 3] == 0x3A:
        offset_hour, offset_minute = _two(buffer, p + 1), _two(buffer, p + 4)
        if offset_hour > 23 or offset_minute > 59:
            return -1
        offset_minutes = offset_hour * 60 + offset_minute
        if buffer[p] == 0x2D:
            offset_minutes = -offset_minutes
    else:
        return -1
    # Days since the epoch; a year is counted from March, so that its leap day is its last.
    if month <= 2:
        year -= 1
        month += 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719_469
    return ((days * 24 + hour) * 60 + minute - offset_minutes) * 60_000 + second * 1000 + fraction_ms


@kernel
def _is_channel(buffer: NDArray[np.uint8], start: int, length: int) -> bool:
    """Is it `[a-z0-9_]+(/[a-z0-9_]+)?`?"""
    slashes = 0
    for p in range(start, start + length):
        c = buffer[p]
        if c == 0x2F:
            slashes += 1
            if slashes > 1 or p == start or p == start + length - 1:
                return False
        elif not (0x61 <= c <= 0x7A or 0x30 <= c <= 0x39 or c == 0x5F):
            return False
    return True


@kernel
def _is_currency(buffer: NDArray[np.uint8], start: int, length: int, currencies: NDArray[np.bool_]) -> bool:
    """Is it an ISO 4217 code?"""
    if length != 3:
        return False
    index = 0
    for p in range(start, start + 3):
        letter = np.int64(buffer[p]) - 0x41
        if letter < 0 or letter > 25:
            return False
        index = index * 26 + letter
    return bool(currencies[index])


@kernel
def _read(
    buffer: NDArray[np.uint8],
    p: int,
    end: int,
    words: NDArray[np.uint64],
    id_chars_max: int,
    cells: NDArray[np.int64],
) -> int:
    """Read one record into `cells`: the set of the fields that are there (bit = index in FIELDS), FAILED if unusual."""
    p = skip_space(buffer, p, end)
    if p >= end or buffer[p] != 0x7B:
        return FAILED
    p = skip_space(buffer, p + 1, end)
    named = 0
    present = 0
    while True:
        if p >= end or buffer[p] != 0x22:
            return FAILED
        start = p + 1
        p, _ = plain_string(buffer, start, end)
        if p == FAILED:
            return FAILED
        field = _look_up(buffer, start, p - start, words, FIELD_WORDS)
        p = skip_space(buffer, p + 1, end)
        if p >= end or buffer[p] != 0x3A:
            return FAILED
        p = skip_space(buffer, p + 1, end)
        if p >= end:
            return FAILED
        c = buffer[p]
        if field == FAILED:
            p = skip_container(buffer, p, end) if c in (0x7B, 0x5B) else skip_scalar(buffer, p, end)
        else:
            bit = 1 << field
            if named & bit:
                return FAILED
            named |= bit
            if c == 0x22:
                if _NUMBERS & bit:
                    return FAILED
                start = p + 1
                p, chars = plain_string(buffer, start, end)
                if p == FAILED or ((chars == 0 or chars > id_chars_max) and field != _EVENT_TIME):
                    return FAILED
                cells[field, 0] = start
                cells[field, 1] = p - start
                present |= bit
                p += 1
            elif 0x30 <= c <= 0x39:
                if not _NUMBERS & bit and field != _EVENT_TIME:
                    return FAILED
                p, value = small_int(buffer, p, end)
                cells[field, 0] = value
                cells[field, 1] = NUMBER
                present |= bit
            elif c == 0x6E:  # null = absent
                p = skip_literal(buffer, p, end)
            else:
                return FAILED
        if p == FAILED:
            return FAILED
        p = skip_space(buffer, p, end)
        if p >= end:
            return FAILED
        if buffer[p] == 0x2C:
            p = skip_space(buffer, p + 1, end)
        elif buffer[p] == 0x7D:
            return present if skip_space(buffer, p + 1, end) == end else FAILED
        else:
            return FAILED


@kernel
def _is_at_home(
    buffer: NDArray[np.uint8],
    start: int,
    length: int,
    keys: NDArray[np.uint8],
    key_start: int,
    key_length: int,
    placing: int,
    partition: int,
    partitions: int,
    crc_table: NDArray[np.uint32],
) -> bool:
    """Is the key the user, and does it belong to this partition?"""
    if key_length != length or not _are_equal(buffer, start, keys, key_start, length):
        return False
    if placing == BY_MURMUR2:
        return murmur2_partition(buffer, start, length, partitions) == partition
    return crc32_partition(buffer, start, length, partitions, crc_table) == partition


@kernel
def _number(cells: NDArray[np.int64], present: int, field: int) -> int:
    return cells[field, 0] if present & (1 << field) else ABSENT


@kernel
def scan(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    keys: NDArray[np.uint8],
    key_starts: NDArray[np.int64],
    append_ms: NDArray[np.int64],
    placing: int,
    partition: int,
    partitions: int,
    default_line: int,
    words: NDArray[np.uint64],
    currencies: NDArray[np.bool_],
    limits: NDArray[np.int64],
    span_fields: NDArray[np.int64],
    crc_table: NDArray[np.uint32],
    cells: NDArray[np.int64],
    taken: NDArray[np.bool_],
    action_column: NDArray[np.int8],
    event_ms_column: NDArray[np.int64],
    quantity_column: NDArray[np.int64],
    amount_minor_column: NDArray[np.int64],
    dwell_ms_column: NDArray[np.int64],
    touch_column: NDArray[np.int8],
    spans: NDArray[np.int32],
) -> int:
    """Decode the plainly good records of a chunk of n; how many they are.

    `starts` [n + 1] bounds the values in `buffer`, `key_starts` [n + 1] the keys in `keys` (not read if `placing` is
    UNPLACED); `append_ms` [n], or [0] where age is not judged; `default_line` is where the line "1" stands in `buffer`.
    The tables come from `lexical`, `words` and `murmur`. Columns are [n] (`spans` [n, N_SPANS, 2]), written where
    `taken`; the rest of them keeps what it held.
    """
    n_taken = 0
    for i in range(len(starts) - 1):
        taken[i] = False
        present = _read(buffer, starts[i], starts[i + 1], words, limits[MAX_ID_CHARS], cells)
        if present == FAILED or present & _REQUIRED != _REQUIRED:
            continue
        action = _look_up(buffer, cells[_ACTION, 0], cells[_ACTION, 1], words, ACTION_WORDS)
        if action == FAILED:
            continue
        if cells[_EVENT_TIME, 1] == NUMBER:
            event_ms = cells[_EVENT_TIME, 0]
        else:
            event_ms = instant_ms(buffer, cells[_EVENT_TIME, 0], cells[_EVENT_TIME, 1])
        if event_ms < limits[MIN_EVENT_MS] or event_ms > limits[MAX_EVENT_MS]:
            continue
        if len(append_ms) > 0 and append_ms[i] >= 0:
            ahead_ms = event_ms - append_ms[i]
            if ahead_ms > limits[MAX_AHEAD_MS] or -ahead_ms > limits[MAX_BEHIND_MS]:
                continue

        quantity = _number(cells, present, _QUANTITY)
        amount_minor = _number(cells, present, _AMOUNT_MINOR)
        dwell_ms = _number(cells, present, _DWELL_MS)
        if (
            quantity > limits[MAX_QUANTITY]
            or amount_minor > limits[MAX_AMOUNT_MINOR]
            or dwell_ms > limits[MAX_DWELL_MS]
        ):
            continue
        if action == _PURCHASE:
            if present & _REQUIRED_PURCHASE != _REQUIRED_PURCHASE or quantity == 0:
                continue
        elif action in (_CART, _CART_REMOVE):
            if quantity == 0:
                continue
            if quantity == ABSENT:
                quantity = 1
        elif action == _REFUND and not present & (1 << _ORDER_ID):
            continue
        touch = 0
        if present & (1 << _TOUCH):
            touch = _look_up(buffer, cells[_TOUCH, 0], cells[_TOUCH, 1], words, TOUCH_WORDS)
            if touch == FAILED:
                continue
        elif action == _TOUCHED:
            continue
        if present & (1 << _CHANNEL) and not _is_channel(buffer, cells[_CHANNEL, 0], cells[_CHANNEL, 1]):
            continue
        if present & (1 << _CURRENCY) and not _is_currency(
            buffer, cells[_CURRENCY, 0], cells[_CURRENCY, 1], currencies
        ):
            continue
        if placing != UNPLACED and not _is_at_home(
            buffer,
            cells[_USER_ID, 0],
            cells[_USER_ID, 1],
            keys,
            key_starts[i],
            key_starts[i + 1] - key_starts[i],
            placing,
            partition,
            partitions,
            crc_table,
        ):
            continue

        for column in range(N_SPANS):
            field = span_fields[column]
            if present & (1 << field):
                spans[i, column, 0] = cells[field, 0]
                spans[i, column, 1] = cells[field, 1]
            else:
                spans[i, column, 0] = 0
                spans[i, column, 1] = 0
        if action in (_PURCHASE, _REFUND) and not present & (1 << _LINE_ID):
            if present & (1 << _ITEM_ID):
                spans[i, LINE_ID, 0] = cells[_ITEM_ID, 0]
                spans[i, LINE_ID, 1] = cells[_ITEM_ID, 1]
            else:
                spans[i, LINE_ID, 0] = default_line
                spans[i, LINE_ID, 1] = 1
        action_column[i] = action
        event_ms_column[i] = event_ms
        quantity_column[i] = quantity
        amount_minor_column[i] = amount_minor
        dwell_ms_column[i] = dwell_ms
        touch_column[i] = touch
        taken[i] = True
        n_taken += 1
    return n_taken
