"""A user's purchase dates change, and with them the class of what has been counted already.

Before the ledger takes a batch in, the lines of the users who buy or send something back in it are noted. Afterwards
old and new lines are compared: of each mark and purchase in whose reach the class has changed, what it counted for by
the old lines is taken back, and what it counts for by the new ones is added. Each counts for what it adds to those on
its left (`marks.near_marks`), so what has kept its class need not be looked at.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.intraday.counts import (
    B_EXISTING,
    FLOOR,
    LONGEST,
    S_EXISTING,
    VALUE_MASK,
    Counts,
    money_row_of,
    note_dirty,
    row_of,
)
from processors.intraday.dates import Dates, stretch_at
from processors.intraday.existing import classes, count_existing, zone_of
from processors.intraday.fold import PURCHASE, REFUND, Facts, count_existing_money
from processors.intraday.lists import AT, COUNT, OWN, Lists
from processors.intraday.marks import (
    MARK_WORDS,
    MINUTE_SHIFT,
    N_KINDS,
    P_AMOUNT,
    P_ITEM,
    P_PLACE,
    PURCHASE_WORDS,
    Names,
    key_of,
    near_marks,
    near_purchases,
    value_of,
)
from processors.kernels import inlined, kernel
from processors.ledger import (
    CURRENCY_SHIFT,
    DAY_SHIFT,
    L_NET_QUANTITY,
    L_PLACE,
    L_PRODUCT,
    LINES,
    N_LISTS,
    Arena,
)
from processors.ranges import LOOKBACK_DAYS

LINE = 11
"""Words of a line of the ledger."""


class Noted(NamedTuple):
    """Lines as they were before a batch."""

    users: NDArray[np.int64]
    """[room, 3] user, first word of the lines, number of lines; the own word of the user's list of purchases tells
    that it is here."""
    words: NDArray[np.int64]
    count: NDArray[np.int64]
    """[2] users, words."""


@inlined
def recent_lines(arena: Arena, user: int, floor: int) -> tuple[int, int]:
    """First word and number of the user's lines that decide a class in any minute from the floor on."""
    # A date is a day of UTC or one beside it; that of the floor has the number floor / 1440 + 1.
    oldest = np.int64(floor // LONGEST - LOOKBACK_DAYS)
    end = arena.users[user, N_LISTS + LINES]
    start = arena.users[user, LINES]
    first = end
    while first > 0 and arena.words[start + (first - 1) * LINE + L_PLACE] >> DAY_SHIFT >= oldest:
        first -= 1
    return start + first * LINE, end - first


@kernel
def note_lines(
    noted: Noted, facts: Facts, arena: Arena, user: NDArray[np.int32], action: NDArray[np.int8], floor: int
) -> None:
    """Note the lines of the users who may get others in a batch, and of whom anything has been counted."""
    marks, purchases = facts.marks, facts.purchases
    for i in range(len(user)):
        u = np.int64(user[i])
        if action[i] not in (PURCHASE, REFUND) or purchases.of[u, OWN] != 0:
            continue
        if marks.of[u, COUNT] == 0 and purchases.of[u, COUNT] == 0:
            continue
        at, n = recent_lines(arena, u, floor)
        start = noted.count[1]
        for k in range(n * LINE):
            noted.words[start + k] = arena.words[at + k]
        entry = noted.count[0]
        noted.users[entry, 0] = u
        noted.users[entry, 1] = start
        noted.users[entry, 2] = n
        noted.count[0] = entry + 1
        noted.count[1] = start + n * LINE
        purchases.of[u, OWN] = 1


@inlined
def are_alike(a: NDArray[np.int64], at: int, n: int, b: NDArray[np.int64], to: int, m: int) -> bool:
    """Whether two lists of lines decide the same classes."""
    if n != m:
        return False
    for i in range(n):
        k = i * LINE
        if (
            a[at + k + L_PLACE] != b[to + k + L_PLACE]
            or a[at + k + L_PRODUCT] != b[to + k + L_PRODUCT]
            or (a[at + k + L_NET_QUANTITY] > 0) != (b[to + k + L_NET_QUANTITY] > 0)
        ):
            return False
    return True


@kernel
def restate(counts: Counts, facts: Facts, noted: Noted, names: Names, dates: Dates, arena: Arena, mask: int) -> None:
    """Let what has been counted of the noted users have the class that their lines in the ledger say."""
    floor = counts.control[FLOOR]
    for entry in range(noted.count[0]):
        user = noted.users[entry, 0]
        facts.purchases.of[user, OWN] = 0
        was, n_was = noted.users[entry, 1], noted.users[entry, 2]
        now, n_now = recent_lines(arena, user, floor)
        if are_alike(noted.words, was, n_was, arena.words, now, n_now):
            continue
        lines = (was, n_was, now, n_now)
        for position in range(facts.marks.of[user, COUNT]):
            at = facts.marks.of[user, AT] + MARK_WORDS * position
            restate_fact(
                counts, facts, noted, names, dates, arena, user, position, lines,
                facts.marks.words[at], facts.marks.words[at + 1], mask, True,
            )  # fmt: skip
        for position in range(facts.purchases.of[user, COUNT]):
            at = facts.purchases.of[user, AT] + PURCHASE_WORDS * position
            restate_fact(
                counts, facts, noted, names, dates, arena, user, position, lines,
                facts.purchases.words[at + P_PLACE], facts.purchases.words[at + P_ITEM] & VALUE_MASK, mask, False,
            )  # fmt: skip
    noted.count[:] = 0


@kernel
def restate_fact(
    counts: Counts, facts: Facts, noted: Noted, names: Names, dates: Dates, arena: Arena, user: int, position: int,
    lines: tuple[int, int, int, int], place: int, item: int, mask: int, is_mark: bool,
) -> None:  # fmt: skip
    """Restate the mark or the purchase at a position where its class is another one.

    lines: first word and number of the user's lines, as noted and as they are.
    """
    was, n_was, now, n_now = lines
    if place >> MINUTE_SHIFT < counts.control[FLOOR]:
        return
    for kind in range(N_KINDS):
        if not mask >> kind & 1:
            continue
        value = value_of(names, kind, place, item)
        if value < 0:
            continue
        zone = zone_of(dates, kind, place)
        first = stretch_at(dates, zone, place >> MINUTE_SHIFT)
        old = classes(noted.words, was, n_was, names, dates, kind, place, value, zone, first)
        new = classes(arena.words, now, n_now, names, dates, kind, place, value, zone, first)
        if old == new:
            continue
        if is_mark:
            restate_mark(counts, facts.marks, names, dates, user, position, kind, value, zone, first, old, new)
        else:
            restate_purchase(counts, facts.purchases, names, dates, user, position, kind, value, zone, first, old, new)


@kernel
def restate_mark(
    counts: Counts, marks: Lists, names: Names, dates: Dates, user: int, position: int, kind: int, value: int,
    zone: int, first: int, old: int, new: int,
) -> None:  # fmt: skip
    """The class of a mark changes in its scope of a kind."""
    is_first, before, after = near_marks(marks, names, user, position, kind, value, False)
    if not is_first:
        return
    place = marks.words[marks.of[user, AT] + MARK_WORDS * position]
    minute = place >> MINUTE_SHIFT
    row = row_of(counts, key_of(kind, place, value))
    field = np.int64(S_EXISTING)
    for bits, v in ((old, np.int64(-1)), (new, np.int64(1))):
        count_existing(counts, dates, row, field, False, minute, before, after, zone, first, bits, v)
    if row != 0:
        note_dirty(counts, row, minute, minute + LONGEST - 1)


@kernel
def restate_purchase(
    counts: Counts, purchases: Lists, names: Names, dates: Dates, user: int, position: int, kind: int, value: int,
    zone: int, first: int, old: int, new: int,
) -> None:  # fmt: skip
    """The class of a purchase changes in its scope of a kind."""
    at = purchases.of[user, AT] + PURCHASE_WORDS * position
    place = purchases.words[at + P_PLACE]
    minute = place >> MINUTE_SHIFT
    row = row_of(counts, key_of(kind, place, value))
    if row == 0:
        return
    is_alone, before, after = near_purchases(purchases, names, user, position, place, kind, value)
    field = np.int64(B_EXISTING)
    for bits, v in ((old, np.int64(-1)), (new, np.int64(1))):
        if is_alone:
            count_existing(counts, dates, row, field, False, minute, before, after, zone, first, bits, v)
    amount = purchases.words[at + P_AMOUNT]
    if amount != 0:
        money = money_row_of(counts, row, purchases.words[at + P_ITEM] >> CURRENCY_SHIFT)
        count_existing_money(counts, dates, row, money, minute, zone, first, old, -amount)
        count_existing_money(counts, dates, row, money, minute, zone, first, new, amount)
    note_dirty(counts, row, minute, minute + LONGEST - 1)
