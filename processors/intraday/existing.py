"""What existing users count for by the minute (docs/concepts/intraday.md).

In a minute t a user is existing in a scope if a counted line of theirs lies there in the 365 dates before the date of
t. So the class is one for a whole stretch of a date, and a word of bits tells it of those that a fact can reach: the
k-th of the k-th stretch from the fact's own on, a day ahead.

What a user's runs count for is cut down to the minutes in which the user is existing: a run begins or ends there if it
does so in such a minute, and where the class turns within it, at a midnight, it begins or ends with the stretch.
"""

import numpy as np
from numpy.typing import NDArray

from processors.intraday.counts import (
    EXISTING_WORDS,
    FLOOR,
    ITEM,
    LONGEST,
    MARKET,
    MONEY_EXISTING_WORDS,
    N_RUNS,
    RUN_MINUTES,
    Counts,
    move_runs,
)
from processors.intraday.dates import Dates
from processors.intraday.lists import Lists
from processors.intraday.marks import MINUTE_SHIFT, SHOP_MASK, SHOP_SHIFT, Names, is_in_scope, place_of
from processors.kernels import inlined, kernel
from processors.ledger import (
    CHANNEL_MASK as CELL_CHANNEL_MASK,
)
from processors.ledger import (
    CHANNEL_SHIFT as CELL_CHANNEL_SHIFT,
)
from processors.ledger import (
    DAY_SHIFT,
    L_NET_QUANTITY,
    L_PLACE,
    L_PRODUCT,
    PRODUCT_MASK,
)
from processors.ledger import (
    SHOP_MASK as CELL_SHOP_MASK,
)
from processors.ledger import (
    SHOP_SHIFT as CELL_SHOP_SHIFT,
)
from processors.ranges import LOOKBACK_DAYS


@inlined
def zone_of(dates: Dates, kind: int, place: int) -> int:
    """The zone whose dates a fact's scope of a kind has: the shop's, or the market's."""
    return np.int64(dates.zone_of[0 if kind == MARKET else (place >> SHOP_SHIFT) & SHOP_MASK])


@kernel
def classes(
    words: NDArray[np.int64], start: int, n: int, names: Names, dates: Dates,
    kind: int, place: int, value: int, zone: int, first: int,
) -> int:  # fmt: skip
    """In which stretches, from the first-th on, a fact's user is existing in the fact's scope of a kind.

    The user's lines are the n at words[start], sorted by date.
    """
    last = np.int64(first)
    end = (place >> MINUTE_SHIFT) + LONGEST
    low = high = dates.day[zone, first]
    while dates.first[zone, last + 1] < end:
        last += 1
        low = min(low, dates.day[zone, last])
        high = max(high, dates.day[zone, last])
    whole = (np.int64(2) << (last - first)) - 1
    bits = np.int64(0)
    own_shop = (place >> SHOP_SHIFT) & SHOP_MASK
    for i in range(n - 1, -1, -1):
        at = start + 11 * i
        cell = words[at + L_PLACE]
        day = cell >> DAY_SHIFT
        if day < low - LOOKBACK_DAYS:
            break
        shop = (cell >> CELL_SHOP_SHIFT) & CELL_SHOP_MASK
        # Most lines are of other shops. What it takes to tell the rest lies far away in memory.
        if day >= high or (kind != MARKET and shop != own_shop) or words[at + L_NET_QUANTITY] <= 0:
            continue
        other = place_of(0, shop, (cell >> CELL_CHANNEL_SHIFT) & CELL_CHANNEL_MASK)
        item = np.int64(names.item[words[at + L_PRODUCT] & PRODUCT_MASK]) if kind == ITEM else np.int64(0)
        if not is_in_scope(names, kind, place, value, other, item):
            continue
        for k in range(last - first + 1):
            if day < dates.day[zone, first + k] <= day + LOOKBACK_DAYS:
                bits |= np.int64(1) << k
        if bits == whole:
            break
    return bits


@inlined
def is_existing(dates: Dates, zone: int, first: int, bits: int, minute: int) -> int:
    """1 where the user is existing in a minute, else 0."""
    k = np.int64(0)
    while dates.first[zone, first + k + 1] <= minute:
        k += 1
    return bits >> k & 1


@kernel
def _move(
    lists: Lists, floor: int, base: NDArray[np.int64], row: int, field: int, stride: int,
    minute: int, begin: int, end: int, v: int,
) -> None:  # fmt: skip
    # The base has a word where a line has two: runs begun and ended.
    column = (field - 1) >> 1
    move_runs(lists, floor, base, row, stride, field, column, minute, begin, end, v)


@kernel
def count_existing(
    c: Counts, dates: Dates, row: int, field: int, is_money: bool, minute: int, before: int, after: int,
    zone: int, first: int, bits: int, v: int,
) -> None:  # fmt: skip
    """`counts.count_minute` for the part of what a minute counts for that lies where its user is existing: `bits`, from
    the stretch of the minute on. Money is v times one minute without neighbours.
    """
    if row == 0 or bits == 0 or minute < c.control[FLOOR]:
        return
    stride = np.int64(MONEY_EXISTING_WORDS if is_money else EXISTING_WORDS)
    nothing = np.int64(0)
    begins = np.int64(0)
    ends = np.int64(0)
    ended_before = np.int64(0)
    began_after = np.int64(0)
    for w in range(N_RUNS):
        window = RUN_MINUTES[w]
        if after - before < window:
            continue
        if minute - before < window:
            ended_before |= is_existing(dates, zone, first, bits, before + window - 1) << w
            turns_from = before + window
        else:
            begins |= (bits & 1) << w
            turns_from = minute + 1
        if after - minute < window:
            began_after |= is_existing(dates, zone, first, bits, after) << w
            turns_to = after
        else:
            ends |= is_existing(dates, zone, first, bits, minute + window - 1) << w
            turns_to = minute + window - 1
        # The minutes on both sides of a midnight are in one run now: what differs between them begins or ends there.
        k = np.int64(1)
        while dates.first[zone, first + k] <= turns_to:
            turn = dates.first[zone, first + k]
            change = (bits >> k & 1) - (bits >> (k - 1) & 1)
            if turn >= turns_from and change != 0:
                bit = np.int64(1) << w
                _move(c.existing, c.control[FLOOR], c.existing_base, row, field, stride, turn, bit, nothing, v * change)
            k += 1
    if begins | ends:
        _move(c.existing, c.control[FLOOR], c.existing_base, row, field, stride, minute, begins, ends, v)
    if ended_before:
        _move(c.existing, c.control[FLOOR], c.existing_base, row, field, stride, before, nothing, ended_before, -v)
    if began_after:
        _move(c.existing, c.control[FLOOR], c.existing_base, row, field, stride, after, began_after, nothing, -v)
