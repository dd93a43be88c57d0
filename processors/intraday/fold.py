"""Events into marks, lines of the ledger into purchases; and what either changes in the minutes of its scopes.

Who is existing is looked up in the ledger, with each mark and purchase that comes or goes. So whatever has been counted
has been counted by the ledger as it is, once `restating.restate` has been told of the users whose lines may change.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.intraday.counts import (
    B_EXISTING,
    FLOOR,
    GMV_EXISTING,
    LATE,
    LONGEST,
    NEVER_AFTER,
    NEVER_BEFORE,
    S_EXISTING,
    TOUCHED,
    VALUE_MASK,
    B,
    Counts,
    S,
    count_cart,
    count_minute,
    count_money,
    note_dirty,
    row_of,
)
from processors.intraday.dates import MINUTE_MS, Dates, stretch_at
from processors.intraday.existing import classes, count_existing, zone_of
from processors.intraday.lists import AT, COUNT, OWN, Lists, cut_out, open_hole
from processors.intraday.marks import (
    IN_CART,
    MARK_WORDS,
    MINUTE_SHIFT,
    N_KINDS,
    P_AMOUNT,
    P_ITEM,
    P_PLACE,
    PURCHASE_WORDS,
    Names,
    is_new_in_cart,
    key_of,
    near_marks,
    near_purchases,
    place_of,
    put_mark,
    value_of,
)
from processors.kernels import inlined, kernel
from processors.ledger import (
    CHANNEL_MASK as CELL_CHANNEL_MASK,
)
from processors.ledger import (
    CHANNEL_SHIFT as CELL_CHANNEL_SHIFT,
)
from processors.ledger import (
    CURRENCY_SHIFT,
    L_ID,
    L_NET_AMOUNT,
    L_NET_QUANTITY,
    L_PLACE,
    L_PRODUCT,
    L_TIME,
    LINES,
    N_LISTS,
    PRODUCT_MASK,
    Arena,
)
from processors.ledger import (
    SHOP_MASK as CELL_SHOP_MASK,
)
from processors.ledger import (
    SHOP_SHIFT as CELL_SHOP_SHIFT,
)
from schemas.event import N_ACTIVE, Action

CART, PURCHASE, REFUND = int(Action.CART), int(Action.PURCHASE), int(Action.REFUND)
_N_ACTIVE = int(N_ACTIVE)
ITEM_BIT = 1 << 2
"""Of a mask of kinds: items have figures of their own, so every mark names its item."""


class Facts(NamedTuple):
    """What a partition knows of its users' last days."""

    marks: Lists
    purchases: Lists
    touched: NDArray[np.int64]
    """user << 32 | day since 1970 UTC of marks that changed; now and then one twice. The day of a user that was listed
    last, + 1, is the own word of the list of marks.
    """
    copied: NDArray[np.int64]
    """Room for the purchases of one user."""


@inlined
def touch(facts: Facts, counts: Counts, user: int, minute: int) -> None:
    """Note that the user's marks of the minute's day have changed."""
    day = minute // LONGEST
    if facts.marks.of[user, OWN] != day + 1:
        facts.marks.of[user, OWN] = day + 1
        facts.touched[counts.control[TOUCHED]] = (np.int64(user) << 32) | day
        counts.control[TOUCHED] += 1


@kernel
def count_mark(
    counts: Counts, facts: Facts, names: Names, dates: Dates, arena: Arena, user: int, position: int, mask: int,
    is_new: bool, forward: bool,
) -> None:  # fmt: skip
    """The mark at a position has come (is_new), or is counted again from the left (with forward = False); its cart flag
    has come in any case if it is set and forward, or is_new.
    """
    at = facts.marks.of[user, AT] + 2 * position
    place = facts.marks.words[at]
    item = facts.marks.words[at + 1]
    minute = place >> MINUTE_SHIFT
    one = np.int64(1)
    for kind in range(N_KINDS):
        if not mask >> kind & 1:
            continue
        value = value_of(names, kind, place, item)
        if value < 0:
            continue
        row = np.int64(-1)
        if is_new:
            is_first, before, after = near_marks(facts.marks, names, user, position, kind, value, forward)
            if is_first:
                row = row_of(counts, key_of(kind, place, value))
                count_minute(counts, row, np.int64(S), minute, before, after, one)
                zone, first, bits = class_now(names, dates, arena, user, kind, place, value)
                if bits != 0:
                    field = np.int64(S_EXISTING)
                    count_existing(
                        counts, dates, row, field, False, minute, before, after, zone, first, bits, one
                    )  # fmt: skip
        if place & IN_CART and is_new_in_cart(facts.marks, names, user, position, kind, value, forward):
            if row < 0:
                row = row_of(counts, key_of(kind, place, value))
            count_cart(counts, row, minute)


@inlined
def class_now(
    names: Names, dates: Dates, arena: Arena, user: int, kind: int, place: int, value: int
) -> tuple[int, int, int]:
    """The zone and the stretch of a fact's minute, and in which ones from there on its user is existing in its scope of
    a kind, as the ledger has it.
    """
    n = arena.users[user, N_LISTS + LINES]
    zone = np.int64(0)
    first = np.int64(0)
    bits = np.int64(0)
    if n > 0:
        zone = zone_of(dates, kind, place)
        first = stretch_at(dates, zone, place >> MINUTE_SHIFT)
        bits = classes(arena.words, arena.users[user, LINES], n, names, dates, kind, place, value, zone, first)
    return zone, first, bits


@kernel
def count_purchase(
    counts: Counts, facts: Facts, names: Names, dates: Dates, arena: Arena, user: int, place: int, item: int,
    amount: int, mask: int, sign: int,
) -> None:  # fmt: skip
    """A counted line (item | currency << 32) comes (sign = 1) or goes; it is not in the list of purchases."""
    minute = place >> MINUTE_SHIFT
    for kind in range(N_KINDS):
        if not mask >> kind & 1:
            continue
        value = value_of(names, kind, place, item & VALUE_MASK)
        if value < 0:
            continue
        row = row_of(counts, key_of(kind, place, value))
        n = facts.purchases.of[user, COUNT]
        is_alone, before, after = near_purchases(facts.purchases, names, user, n, place, kind, value)
        zone, first, bits = class_now(names, dates, arena, user, kind, place, value)
        if is_alone:
            count_minute(counts, row, np.int64(B), minute, before, after, sign)
            if bits != 0:
                field = np.int64(B_EXISTING)
                count_existing(
                    counts, dates, row, field, False, minute, before, after, zone, first, bits, sign
                )  # fmt: skip
        money = count_money(counts, row, item >> CURRENCY_SHIFT, minute, sign * amount)
        if bits != 0 and money != 0:
            count_existing_money(counts, dates, row, money, minute, zone, first, bits, sign * amount)


@kernel
def count_existing_money(
    counts: Counts, dates: Dates, row: int, money: int, minute: int, zone: int, first: int, bits: int, v: int
) -> None:
    """GMV of existing buyers, of the windows that a minute is in, += v where the class says so."""
    before = np.int64(NEVER_BEFORE)
    after = np.int64(NEVER_AFTER)
    count_existing(
        counts, dates, money, np.int64(GMV_EXISTING), True, minute, before, after, zone, first, bits, v
    )  # fmt: skip
    note_dirty(counts, row, minute, minute + LONGEST - 1)


@kernel
def copy_lines(arena: Arena, facts: Facts, names: Names, user: int, floor: int) -> int:
    """Copy the user's counted lines from the floor on into `facts.copied`, in the ledger's order; returns how many."""
    words, out = arena.words, facts.copied
    start = arena.users[user, LINES]
    # Lines are sorted by business date; two of a date, in the first zone and the last, are 50 hours apart at most.
    first = arena.users[user, N_LISTS + LINES]
    oldest_ms = (floor - 3 * LONGEST) * MINUTE_MS
    while first > 0 and words[start + (first - 1) * 11 + L_TIME] >= oldest_ms:
        first -= 1
    n = 0
    for i in range(first, arena.users[user, N_LISTS + LINES]):
        at = start + i * 11
        minute = words[at + L_TIME] // MINUTE_MS
        if minute < floor or words[at + L_NET_QUANTITY] <= 0:
            continue
        cell = words[at + L_PLACE]
        product = words[at + L_PRODUCT]
        to = n * PURCHASE_WORDS
        out[to] = words[at + L_ID]
        out[to + 1] = words[at + L_ID + 1]
        out[to + P_PLACE] = place_of(
            minute, (cell >> CELL_SHOP_SHIFT) & CELL_SHOP_MASK, (cell >> CELL_CHANNEL_SHIFT) & CELL_CHANNEL_MASK
        )
        out[to + P_ITEM] = np.int64(names.item[product & PRODUCT_MASK]) | (product >> CURRENCY_SHIFT << CURRENCY_SHIFT)
        out[to + P_AMOUNT] = words[at + L_NET_AMOUNT]
        n += 1
    return n


@inlined
def is_same(a: NDArray[np.int64], at: int, b: NDArray[np.int64], to: int) -> bool:
    """Whether two purchases are equal in every word."""
    same = True
    for k in range(PURCHASE_WORDS):
        same = same and a[at + k] == b[to + k]
    return same


@kernel
def follow_ledger(counts: Counts, facts: Facts, names: Names, dates: Dates, arena: Arena, user: int, mask: int) -> None:
    """Let the user's purchases be the lines of the ledger; what differs is counted.

    Both lists are in the ledger's order: between what they begin and what they end with alike lies all that differs.
    """
    new, purchases = facts.copied, facts.purchases
    n_new = copy_lines(arena, facts, names, user, counts.control[FLOOR])
    n_old = purchases.of[user, COUNT]
    start = purchases.of[user, AT]
    first = np.int64(0)
    while first < min(n_old, n_new) and is_same(
        purchases.words, start + first * PURCHASE_WORDS, new, first * PURCHASE_WORDS
    ):
        first += 1
    tail = np.int64(0)
    while tail < min(n_old, n_new) - first and is_same(
        purchases.words,
        start + (n_old - 1 - tail) * PURCHASE_WORDS,
        new,
        (n_new - 1 - tail) * PURCHASE_WORDS,
    ):
        tail += 1
    for _ in range(n_old - tail - first):
        at = purchases.of[user, AT] + first * PURCHASE_WORDS
        place = purchases.words[at + P_PLACE]
        item = purchases.words[at + P_ITEM]
        amount = purchases.words[at + P_AMOUNT]
        cut_out(purchases, user, np.int64(PURCHASE_WORDS), first, first + 1)
        count_purchase(counts, facts, names, dates, arena, user, place, item, amount, mask, np.int64(-1))
    for i in range(first, n_new - tail):
        to = i * PURCHASE_WORDS
        place = new[to + P_PLACE]
        item = new[to + P_ITEM]
        amount = new[to + P_AMOUNT]
        count_purchase(counts, facts, names, dates, arena, user, place, item, amount, mask, np.int64(1))
        at = open_hole(purchases, user, np.int64(PURCHASE_WORDS), i)
        for k in range(PURCHASE_WORDS):
            purchases.words[at + k] = new[to + k]


@kernel
def fetch_facts(marks: Lists, arena: Arena, user: NDArray[np.int32]) -> int:
    """Bring the users' marks and lines, as far as live events look at them, into the cache: loads that depend on
    nothing overlap. The sum only keeps the compiler from dropping them.
    """
    total = np.int64(0)
    for i in range(len(user)):
        total += marks.of[user[i], COUNT] + arena.users[user[i], LINES]
    for i in range(len(user)):
        u = user[i]
        total += marks.words[marks.of[u, AT] + MARK_WORDS * marks.of[u, COUNT]]
        line = arena.users[u, LINES] + 11 * max(arena.users[u, N_LISTS + LINES] - 1, 0)
        total += arena.words[line + L_PLACE] + arena.words[line + L_NET_QUANTITY]
    return total


@kernel
def fold_minutes(
    counts: Counts,
    facts: Facts,
    names: Names,
    dates: Dates,
    arena: Arena,
    user: NDArray[np.int32],
    shop: NDArray[np.int32],
    product: NDArray[np.int32],
    channel: NDArray[np.int32],
    action: NDArray[np.int8],
    event_ms: NDArray[np.int64],
    mask: int,
) -> None:
    """Join a batch of events that the ledger has taken in already."""
    floor = counts.control[FLOOR]
    fetch_facts(facts.marks, arena, user)
    for i in range(len(user)):
        u = np.int64(user[i])
        minute = event_ms[i] // MINUTE_MS
        if action[i] < _N_ACTIVE:
            if minute < floor:
                counts.control[LATE] += 1
            else:
                flag = np.int64(IN_CART) if action[i] == CART else np.int64(0)
                item = np.int64(names.item[product[i]]) if flag or mask & ITEM_BIT else np.int64(0)
                place = place_of(minute, shop[i], channel[i])
                position, is_new, is_new_flag = put_mark(facts.marks, u, place, item, flag)
                if is_new or is_new_flag:
                    touch(facts, counts, u, minute)
                    count_mark(counts, facts, names, dates, arena, u, position, mask, is_new, True)
        if action[i] in (PURCHASE, REFUND):
            follow_ledger(counts, facts, names, dates, arena, u, mask)


@kernel
def recount(counts: Counts, facts: Facts, names: Names, dates: Dates, arena: Arena, users: int, mask: int) -> None:
    """Count every mark and every recent line of all users, from the left."""
    for user in range(1, users + 1):
        for position in range(facts.marks.of[user, COUNT]):
            count_mark(counts, facts, names, dates, arena, user, position, mask, True, False)
        follow_ledger(counts, facts, names, dates, arena, user, mask)
