"""What is known of a user's last days, minute by minute.

| list      | one record is                                               | joined by             | survives in        |
|-----------|-------------------------------------------------------------|-----------------------|--------------------|
| marks     | active in (minute, shop, channel, item), and whether it was | a set; OR of the flag | records of its own |
|           | put into a cart                                             |                       |                    |
| purchases | a counted line of the ledger: its minute, place, item, net  | copied from there     | the ledger         |
|           | amount and currency                                         |                       |                    |

So order, duplicates and replays of events change nothing, and a refund or a newer version restates the minute of the
purchase. Where no item has figures of its own, only marks with the flag name the item: a minute of browsing is one
mark.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.intraday.counts import CHANNEL, ITEM, LONGEST, MARKET, NEVER_AFTER, NEVER_BEFORE, SHOP, VALUE_MASK
from processors.intraday.lists import AT, COUNT, Lists, first_from, open_hole
from processors.kernels import inlined, kernel

# Word 0 of a mark, from the high bits: minute since 1970 27, shop 20, channel 12, flags 4. Word 1: the item.
MINUTE_SHIFT, SHOP_SHIFT, CHANNEL_SHIFT, FLAGS = 36, 16, 4, 15
SHOP_MASK, CHANNEL_MASK = 0xFFFFF, 0xFFF
IN_CART = 1
MARK_WORDS = 2
# Words of a purchase: the line's identity, its place (as word 0 of a mark), item | currency << 32, net amount.
P_ID, P_PLACE, P_ITEM, P_AMOUNT = 0, 2, 3, 4
PURCHASE_WORDS = 5
N_KINDS = 4


class Names(NamedTuple):
    """What the numbers of names stand for."""

    item: NDArray[np.int32]
    """[products]"""
    parent: NDArray[np.int32]
    """[channels] level 1 of a channel."""
    bounds: NDArray[np.int64]
    """[1] items numbered higher have their figures under `_other`."""


@inlined
def place_of(minute: int, shop: int, channel: int) -> int:
    """Word 0 of a mark, without flags."""
    return (np.int64(minute) << MINUTE_SHIFT) | (np.int64(shop) << SHOP_SHIFT) | (np.int64(channel) << CHANNEL_SHIFT)


@inlined
def value_of(names: Names, kind: int, place: int, item: int) -> int:
    """What a fact's scope of a kind is crossed with: a channel or an item, -1 where the fact names none; else 0."""
    value = np.int64(0)
    if kind == CHANNEL:
        channel = (place >> CHANNEL_SHIFT) & CHANNEL_MASK
        value = np.int64(names.parent[channel]) if channel != 0 else np.int64(-1)
    elif kind == ITEM:
        value = np.int64(item) if item != 0 else np.int64(-1)
        if item > names.bounds[0]:
            value = np.int64(1)
    return value


@inlined
def key_of(kind: int, place: int, value: int) -> int:
    """Key of the row of a fact's scope (`processors.intraday.counts`)."""
    shop = np.int64(0) if kind == MARKET else (place >> SHOP_SHIFT) & SHOP_MASK
    return (np.int64(kind) << 56) | (shop << 32) | value


@inlined
def is_in_scope(names: Names, kind: int, place: int, value: int, other: int, other_item: int) -> bool:
    """Whether another fact stands in the same scope as one at `place` with this value."""
    same = kind == MARKET or (place >> SHOP_SHIFT) & SHOP_MASK == (other >> SHOP_SHIFT) & SHOP_MASK
    if same and kind not in (SHOP, MARKET):
        same = value_of(names, kind, other, other_item) == value
    return same


@kernel
def put_mark(marks: Lists, user: int, place: int, item: int, flag: int) -> tuple[int, bool, bool]:
    """Join a mark: its position, whether it is new, and whether its flag is."""
    words = marks.words
    n = marks.of[user, COUNT]
    start = marks.of[user, AT]
    i = n
    if n > 0 and words[start + MARK_WORDS * (n - 1)] >= place:
        i = first_from(marks, user, np.int64(MARK_WORDS), place)
        while i < n and words[start + 2 * i] & ~np.int64(FLAGS) == place and words[start + 2 * i + 1] < item:
            i += 1
        if i < n and words[start + 2 * i] & ~np.int64(FLAGS) == place and words[start + 2 * i + 1] == item:
            is_new_flag = flag & ~words[start + 2 * i] != 0
            words[start + 2 * i] |= flag
            return i, False, is_new_flag
    at = open_hole(marks, user, np.int64(MARK_WORDS), i)
    words[at] = place | flag
    words[at + 1] = item
    return i, True, flag != 0


@inlined
def near_marks(
    marks: Lists, names: Names, user: int, position: int, kind: int, value: int, forward: bool
) -> tuple[bool, int, int]:
    """Whether the minute of the mark at a position is new in its scope of a kind, and the scope's minutes before and
    after it, less than a day away. With forward = False marks to the right do not count as there.
    """
    words = marks.words
    start = marks.of[user, AT]
    place = words[start + 2 * position]
    minute = place >> MINUTE_SHIFT
    before = np.int64(NEVER_BEFORE)
    after = np.int64(NEVER_AFTER)
    i = position - 1
    while i >= 0:
        other = words[start + 2 * i]
        if minute - (other >> MINUTE_SHIFT) >= LONGEST:
            break
        if is_in_scope(names, kind, place, value, other, words[start + 2 * i + 1]):
            before = other >> MINUTE_SHIFT
            break
        i -= 1
    if before == minute:
        return False, before, after
    i = position + 1 if forward else marks.of[user, COUNT]
    while i < marks.of[user, COUNT]:
        other = words[start + 2 * i]
        if (other >> MINUTE_SHIFT) - minute >= LONGEST:
            break
        if is_in_scope(names, kind, place, value, other, words[start + 2 * i + 1]):
            after = other >> MINUTE_SHIFT
            break
        i += 1
    return after != minute, before, after


@kernel
def is_new_in_cart(marks: Lists, names: Names, user: int, position: int, kind: int, value: int, forward: bool) -> bool:
    """Whether no other mark says that the item was put into a cart in the same minute and scope."""
    words = marks.words
    start = marks.of[user, AT]
    place = words[start + 2 * position]
    item = words[start + 2 * position + 1]
    minute = place >> MINUTE_SHIFT
    i = position - 1
    step = np.int64(-1)
    while True:
        if step < 0 and (i < 0 or words[start + 2 * i] >> MINUTE_SHIFT != minute):
            i = position + 1
            step = np.int64(1)
        if step > 0 and (not forward or i >= marks.of[user, COUNT] or words[start + 2 * i] >> MINUTE_SHIFT != minute):
            return True
        other = words[start + 2 * i]
        if other & IN_CART and words[start + 2 * i + 1] == item and is_in_scope(names, kind, place, value, other, item):
            return False
        i += step


@kernel
def near_purchases(
    purchases: Lists, names: Names, user: int, n: int, place: int, kind: int, value: int
) -> tuple[bool, int, int]:
    """The same as `near_marks` for a purchase that is not among the first n of the list; they are in no order of
    minutes.
    """
    words = purchases.words
    start = purchases.of[user, AT]
    minute = place >> MINUTE_SHIFT
    before = np.int64(NEVER_BEFORE)
    after = np.int64(NEVER_AFTER)
    for i in range(n):
        at = start + i * PURCHASE_WORDS
        other = words[at + P_PLACE]
        if is_in_scope(names, kind, place, value, other, words[at + P_ITEM] & VALUE_MASK):
            m = other >> MINUTE_SHIFT
            if m == minute:
                return False, before, after
            if m < minute:
                before = max(before, m)
            else:
                after = min(after, m)
    return True, before, after
