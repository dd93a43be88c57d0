"""Events into ledgers: join each one, and count what it has changed (processors.counting).

A duplicate joins to nothing new and counts nothing; a newer version of a line takes the older one back first; a refund
counts its line anew. So the order and the repetition of events never matter.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.calendar import ZoneArrays, day_in_zone
from processors.counters import (
    Counters,
    apply_operations,
)
from processors.counting import LIVE, OPERATIONS_AT_A_TIME, Scratch, count_active, count_line
from processors.kernels import kernel
from processors.ledger import (
    CELLS,
    CURRENCY_SHIFT,
    DAY_SHIFT,
    L_AMOUNT,
    L_BLOB,
    L_LENGTHS,
    L_NET_AMOUNT,
    L_NET_QUANTITY,
    L_PLACE,
    L_PRODUCT,
    L_QUANTITY,
    LINES,
    N_LISTS,
    PRODUCT_MASK,
    R_AMOUNT,
    R_BLOB,
    R_DAY,
    R_LENGTHS,
    R_LINE,
    R_QUANTITY,
    R_SHOP,
    REFUNDS,
    Arena,
    Ledger,
    blob_length,
    close_hole,
    find_by_id,
    first_at,
    free_blob,
    is_newer,
    net_of_line,
    open_hole,
    place,
    put_cell,
    set_version,
    touch,
)
from processors.membership import Facets
from processors.names import hash_128, mixed
from schemas.event import N_ACTIVE, Action

PURCHASE, REFUND = int(Action.PURCHASE), int(Action.REFUND)
_N_ACTIVE = int(N_ACTIVE)


class Batch(NamedTuple):
    """A batch of accepted events with all names interned; [n] each."""

    user: NDArray[np.int32]
    shop: NDArray[np.int32]
    product: NDArray[np.int32]
    channel: NDArray[np.int32]
    currency: NDArray[np.int32]
    action: NDArray[np.int8]
    event_ms: NDArray[np.int64]
    quantity: NDArray[np.int64]
    amount_minor: NDArray[np.int64]
    spans: NDArray[np.int32]
    raw: NDArray[np.int32]
    buffer: NDArray[np.uint8]


@kernel
def is_known_line(known: NDArray[np.int64], user: int, high: int, low: int) -> bool:
    """Whether the line may have been seen before (it certainly has not if False); notes that it now has."""
    key = mixed(low ^ (high + user))
    key = key if key != 0 else np.int64(1)
    mask = len(known) - 1
    i = key & mask
    while known[i] != 0:
        if known[i] == key:
            return True
        i = (i + 1) & mask
    known[i] = key
    return False


@kernel
def note_lines(known: NDArray[np.int64], identities: NDArray[np.int64]) -> None:
    """Note lines given as rows of (user, identity)."""
    for i in range(len(identities)):
        is_known_line(known, identities[i, 0], identities[i, 1], identities[i, 2])


@kernel
def fold_purchase(
    c: Counters,
    ledger: Ledger,
    facets: Facets,
    scratch: Scratch,
    k: int,
    user: int,
    word0: int,
    mask: int,
    b: Batch,
    i: int,
) -> int:
    """Join a purchase event: a new line, a newer version of one, or nothing new. Returns the next operation."""
    arena = ledger.arena
    words = arena.words
    spans = b.spans[i]
    high, low = hash_128(b.buffer, spans[2], spans[8], spans[9])
    line = np.int64(-1)
    if is_known_line(scratch.lines, user, high, low):
        line = find_by_id(arena, user, LINES, high, low)
    if line >= 0:
        at = arena.users[user, LINES] + line * 11
        if not is_newer(ledger, at, b.event_ms[i], b.buffer, spans[0], b.raw[i]):
            return k
        touch(arena, ledger.touched, user, words[at + L_PLACE] >> DAY_SHIFT)
        amount, quantity = words[at + L_NET_AMOUNT], words[at + L_NET_QUANTITY]
        k = count_line(
            c, arena, facets, scratch, k, user, line, mask, amount, quantity, np.int64(0), np.int64(0), np.int64(LIVE)
        )
        free_blob(ledger.blobs, words[at + L_BLOB], blob_length(words[at + L_LENGTHS]))
        close_hole(arena, user, LINES, line)
    start = arena.users[user, LINES]
    n = arena.users[user, N_LISTS + LINES]
    line = np.int64(n)
    if n > 0 and words[start + (n - 1) * 11 + L_PLACE] > word0:
        line = first_at(words, start, n, 11, L_PLACE, word0 + 1)
    at = open_hole(arena, user, LINES, line)
    words[at] = high
    words[at + 1] = low
    words[at + L_PLACE] = word0
    words[at + L_PRODUCT] = np.int64(b.product[i]) | (np.int64(b.currency[i]) << CURRENCY_SHIFT)
    words[at + L_AMOUNT] = b.amount_minor[i]
    words[at + L_QUANTITY] = b.quantity[i]
    set_version(ledger, at, b.event_ms[i], b.buffer, spans[0], b.raw[i])
    amount, quantity = net_of_line(arena, user, at)
    words[at + L_NET_AMOUNT] = amount
    words[at + L_NET_QUANTITY] = quantity
    touch(arena, ledger.touched, user, word0 >> DAY_SHIFT)
    return count_line(
        c, arena, facets, scratch, k, user, line, mask, np.int64(0), np.int64(0), amount, quantity, np.int64(LIVE)
    )


@kernel
def settle_line(
    c: Counters, ledger: Ledger, facets: Facets, scratch: Scratch, k: int, user: int, mask: int, high: int, low: int
) -> int:
    """The refunds of a line have changed: count it anew, if it is known. Returns the next operation."""
    arena = ledger.arena
    line = find_by_id(arena, user, LINES, high, low)
    if line < 0:
        return k
    words = arena.words
    at = arena.users[user, LINES] + line * 11
    amount_0, quantity_0 = words[at + L_NET_AMOUNT], words[at + L_NET_QUANTITY]
    amount_1, quantity_1 = net_of_line(arena, user, at)
    words[at + L_NET_AMOUNT] = amount_1
    words[at + L_NET_QUANTITY] = quantity_1
    if amount_0 != amount_1 or quantity_0 != quantity_1:
        touch(arena, ledger.touched, user, words[at + L_PLACE] >> DAY_SHIFT)
        k = count_line(
            c, arena, facets, scratch, k, user, line, mask, amount_0, quantity_0, amount_1, quantity_1, np.int64(LIVE)
        )
    return k


@kernel
def fold_refund(
    c: Counters,
    ledger: Ledger,
    facets: Facets,
    scratch: Scratch,
    k: int,
    user: int,
    day: int,
    mask: int,
    b: Batch,
    i: int,
) -> int:
    """Join a refund event: a new refund, a newer version of one, or nothing new. It waits if its line is unknown.

    Returns the next operation.
    """
    arena = ledger.arena
    words = arena.words
    spans = b.spans[i]
    id_high, id_low = hash_128(b.buffer, spans[0], spans[0], spans[0])
    high, low = hash_128(b.buffer, spans[2], spans[8], spans[9])
    position = find_by_id(arena, user, REFUNDS, id_high, id_low)
    old_high = high
    old_low = low
    if position >= 0:
        at = arena.users[user, REFUNDS] + position * 11
        if not is_newer(ledger, at, b.event_ms[i], b.buffer, spans[0], b.raw[i]):
            return k
        old_high = words[at + R_LINE]
        old_low = words[at + R_LINE + 1]
        touch(arena, ledger.touched, user, words[at + R_DAY] & PRODUCT_MASK)
        free_blob(ledger.blobs, words[at + R_BLOB], blob_length(words[at + R_LENGTHS]))
    else:
        at = open_hole(arena, user, REFUNDS, arena.users[user, N_LISTS + REFUNDS])
    words[at] = id_high
    words[at + 1] = id_low
    words[at + R_LINE] = high
    words[at + R_LINE + 1] = low
    words[at + R_AMOUNT] = b.amount_minor[i]
    words[at + R_QUANTITY] = b.quantity[i]
    words[at + R_DAY] = day | (np.int64(b.currency[i]) << CURRENCY_SHIFT)
    words[at + R_SHOP] = b.shop[i]
    set_version(ledger, at, b.event_ms[i], b.buffer, spans[0], b.raw[i])
    touch(arena, ledger.touched, user, day)
    if old_high != high or old_low != low:
        k = settle_line(c, ledger, facets, scratch, k, user, mask, old_high, old_low)
    return settle_line(c, ledger, facets, scratch, k, user, mask, high, low)


@kernel
def fetch_ledgers(arena: Arena, user: NDArray[np.int32]) -> int:
    """Bring the users' lines and the ends of their cells into the cache.

    In the fold each miss would be waited for in turn; loads that depend on nothing overlap. The sum only keeps the
    compiler from dropping them.
    """
    total = np.int64(0)
    for i in range(len(user)):
        total += arena.users[user[i], N_LISTS + CELLS]
    for i in range(len(user)):
        u = user[i]
        total += arena.words[arena.users[u, CELLS] + 2 * arena.users[u, N_LISTS + CELLS]]
    return total


@kernel
def fold_batch(
    c: Counters,
    ledger: Ledger,
    facets: Facets,
    scratch: Scratch,
    zones: ZoneArrays,
    shop_zone: NDArray[np.int32],
    b: Batch,
    first: int,
    mask: int,
    marks: NDArray[np.int64],
) -> int:
    """Fold events first … n - 1; returns the index of the first one that needs more scratch or pool room, n when done.

    `marks` holds the first day whose activity, and the first whose purchases, are kept; and, updated, the first (0 =
    none) and the last day with data.
    """
    arena = ledger.arena
    fetch_ledgers(arena, b.user)
    scratch.noted[:] = -1
    k = np.int64(0)
    for i in range(first, len(b.user)):
        user = np.int64(b.user[i])
        action = b.action[i]
        if action >= _N_ACTIVE and action != REFUND:
            continue
        if arena.users[user, N_LISTS + LINES] + 2 > len(scratch.day):
            apply_operations(c, scratch.ops, k)
            return i
        shop = np.int64(b.shop[i])
        day = day_in_zone(zones.first, zones.since_ms, zones.offset_ms, shop_zone[shop], b.event_ms[i])
        marks[3] = max(marks[3], day)
        if marks[2] == 0 or day < marks[2]:
            marks[2] = day
        if action == REFUND:
            if day >= marks[1]:
                k = fold_refund(c, ledger, facets, scratch, k, user, day, mask, b, i)
        else:
            word0 = place(day, shop, b.channel[i])
            if day >= marks[0]:
                cell = word0 | (np.int64(1) << np.int64(action))
                position = put_cell(arena, ledger.touched, user, cell, np.int64(b.product[i]))
                if position >= 0:
                    k = count_active(c, arena, facets, scratch, k, user, position, mask, np.int64(LIVE))
            if action == PURCHASE and day >= marks[1]:
                k = fold_purchase(c, ledger, facets, scratch, k, user, word0, mask, b, i)
        if k >= OPERATIONS_AT_A_TIME:
            apply_operations(c, scratch.ops, k)
            k = 0
            scratch.noted[:] = -1
    apply_operations(c, scratch.ops, k)
    return len(b.user)
