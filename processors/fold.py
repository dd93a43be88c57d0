"""Events into ledgers and counters: what one fact changes in every scope it belongs to.

The rules, for one scope and one window of w days (A: the user's active days in the scope, P: days with a counted line;
the ranges are those of processors.ranges):

- a new active day d: S on the T it newly covers; S_existing on the part where some p in P makes the user existing;
- money or items of day d change: GMV, items on [d, d + w - 1]; GMV_existing on the existing part;
- d becomes a purchase day, or is none any more: B on the T it newly covers, B_existing on the existing part, purchase
  days on [d, d + w - 1]; and where d alone makes the user existing, later activity, buyers and money change class.

A late event, a refund, a new version of a line are the same calls with other numbers.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processors.calendar import ZoneArrays, day_in_zone
from processors.counters import (
    B_EXISTING,
    BRAND,
    BUYER_DAYS,
    GMV,
    GMV_EXISTING,
    ITEMS,
    MARKET,
    MARKET_CATEGORY,
    N_KINDS,
    PAID_LINES,
    S_EXISTING,
    SHOP,
    SHOP_BRAND,
    SHOP_CATEGORY,
    SHOP_CHANNEL_1,
    SHOP_CHANNEL_2,
    SHOP_ITEM,
    B,
    Counters,
    Rows,
    S,
    apply_operations,
    emit,
    money_row,
    scope_key,
    scope_row,
)
from processors.ledger import (
    CELLS,
    CHANNEL_MASK,
    CHANNEL_SHIFT,
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
    SHOP_MASK,
    SHOP_SHIFT,
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
from processors.names import hash_128, mixed
from processors.ranges import (
    NEVER_AFTER,
    NEVER_BEFORE,
    existing_by,
    existing_only_by,
    newly_covered,
)
from schemas.event import N_ACTIVE, Action

PURCHASE, REFUND = int(Action.PURCHASE), int(Action.REFUND)
_N_ACTIVE = int(N_ACTIVE)
CROSSES = (
    (1 << SHOP_CATEGORY)
    | (1 << SHOP_ITEM)
    | (1 << SHOP_BRAND)
    | (1 << SHOP_CHANNEL_1)
    | (1 << SHOP_CHANNEL_2)
    | (1 << BRAND)
    | (1 << MARKET_CATEGORY)
)


class Facets(NamedTuple):
    """What a product and a channel stand for."""

    item: NDArray[np.int32]
    """[products]"""
    category: NDArray[np.int32]
    brand: NDArray[np.int32]
    parent: NDArray[np.int32]
    """[channels] level 1 of a channel; a level-1 channel is its own."""


class Scratch(NamedTuple):
    """Room to work in."""

    day: NDArray[np.int64]
    """One user's purchase days in one scope."""
    before: NDArray[np.int64]
    """[kinds] the previous active day of a scope."""
    after: NDArray[np.int64]
    ops: NDArray[np.int64]
    """[room, 5] operations on counters that are still to be applied; far more room than one event can use."""
    lines: NDArray[np.int64]
    """[2 * slots] identities of known lines, as a hash set: most purchases are new and need no search."""


# numba compiles a function once more for every literal that it is called with: kernels hand on variables of one type.
LIVE, FROM_THE_LEFT = np.int64(1), np.int64(0)
"""Whether what lies to the right of a fact (later in the sorted list) is there already."""
OPERATIONS_AT_A_TIME = 1 << 14
"""Operations are applied when so many have gathered, while they are still in the cache."""


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


@njit(cache=True, nogil=True, inline="always")
def scopes_of(mask: int, facets: Facets, product: int, channel: int) -> int:
    """The kept kinds of scopes that a fact belongs to: a cross needs the facet it crosses with."""
    if mask & CROSSES == 0:
        return mask
    if facets.category[product] == 0:
        mask &= ~((1 << SHOP_CATEGORY) | (1 << MARKET_CATEGORY))
    if facets.item[product] == 0:
        mask &= ~(1 << SHOP_ITEM)
    if facets.brand[product] == 0:
        mask &= ~((1 << SHOP_BRAND) | (1 << BRAND))
    if channel == 0:
        mask &= ~(1 << SHOP_CHANNEL_1)
    if channel == 0 or facets.parent[channel] == channel:
        mask &= ~(1 << SHOP_CHANNEL_2)
    return mask


@njit(cache=True, nogil=True, inline="always")
def shared(mask: int, facets: Facets, word0: int, product: int, other0: int, other_product: int) -> int:
    """The kinds of scopes in `mask` in which two facts (cells or lines) stand together."""
    together = mask & (1 << MARKET)
    same_shop = (word0 >> SHOP_SHIFT) & SHOP_MASK == (other0 >> SHOP_SHIFT) & SHOP_MASK
    if same_shop:
        together |= mask & (1 << SHOP)
    if mask & CROSSES == 0:
        return together
    if facets.category[product] == facets.category[other_product]:
        together |= mask & (1 << MARKET_CATEGORY)
        if same_shop:
            together |= mask & (1 << SHOP_CATEGORY)
    if facets.brand[product] == facets.brand[other_product]:
        together |= mask & (1 << BRAND)
        if same_shop:
            together |= mask & (1 << SHOP_BRAND)
    if same_shop:
        if facets.item[product] == facets.item[other_product]:
            together |= mask & (1 << SHOP_ITEM)
        a = (word0 >> CHANNEL_SHIFT) & CHANNEL_MASK
        b = (other0 >> CHANNEL_SHIFT) & CHANNEL_MASK
        if a == b:
            together |= mask & (1 << SHOP_CHANNEL_2)
        if facets.parent[a] == facets.parent[b]:
            together |= mask & (1 << SHOP_CHANNEL_1)
    return together


@njit(cache=True, nogil=True)
def row_for(rows: Rows, control: NDArray[np.int64], facets: Facets, kind: int, word0: int, product: int) -> int:
    """The counts row of a fact in a kind of scope."""
    shop = (word0 >> SHOP_SHIFT) & SHOP_MASK
    channel = (word0 >> CHANNEL_SHIFT) & CHANNEL_MASK
    value = 0
    if kind in (SHOP_CATEGORY, MARKET_CATEGORY):
        value = facets.category[product]
    elif kind == SHOP_ITEM:
        value = facets.item[product]
    elif kind in (SHOP_BRAND, BRAND):
        value = facets.brand[product]
    elif kind == SHOP_CHANNEL_1:
        value = facets.parent[channel]
    elif kind == SHOP_CHANNEL_2:
        value = channel
    if kind in (BRAND, MARKET, MARKET_CATEGORY):
        shop = 0
    return scope_row(rows, control, scope_key(kind, shop, value))


@njit(cache=True, nogil=True)
def split(
    ops: NDArray[np.int64],
    k: int,
    row: int,
    counter: int,
    w: int,
    windows: NDArray[np.int64],
    first: int,
    last: int,
    v: int,
    days: NDArray[np.int64],
    n: int,
) -> int:
    """`counter` += v on first … last, and the counter after it on the part where one of the n purchase days makes
    existing.

    The purchase days are ascending. Notes operations from the k-th on and returns the next k.
    """
    if first > last:
        return k
    cell = counter * len(windows) + w
    k = emit(ops, k, row, cell, first, last, v)
    cell += len(windows)
    # Pieces of successive purchase days that meet are one range: `start … end` is the one being grown.
    start = np.int64(0)
    end = np.int64(-1)
    for i in range(n):
        a, b = existing_by(days[i], windows[w])
        a = max(a, first)
        b = min(b, last)
        if a > b:
            continue
        if start <= end and a <= end + 1:
            end = max(end, b)
            continue
        k = emit(ops, k, row, cell, start, end, v)
        start = a
        end = b
    return emit(ops, k, row, cell, start, end, v)


@njit(cache=True, nogil=True)
def purchase_days(
    arena: Arena,
    facets: Facets,
    user: int,
    upto: int,
    kind_bit: int,
    word0: int,
    product: int,
    skip: int,
    days: NDArray[np.int64],
) -> tuple[int, bool]:
    """Purchase days of the fact's scope among the first `upto` lines, ascending and distinct, without line `skip` and
    its day.

    Returns how many, and whether another counted line stands on that day. With skip = -1 every day is listed.
    """
    words = arena.words
    start = arena.users[user, LINES]
    own_day = np.int64(0) if skip < 0 else word0 >> DAY_SHIFT
    n = 0
    other = False
    for i in range(upto):
        at = start + i * 11
        if words[at + L_NET_QUANTITY] <= 0 or i == skip:
            continue
        p = words[at + L_PRODUCT] & PRODUCT_MASK
        if shared(kind_bit, facets, word0, product, words[at + L_PLACE], p) == 0:
            continue
        day = words[at + L_PLACE] >> DAY_SHIFT
        if day == own_day:
            other = True
        elif n == 0 or days[n - 1] != day:
            days[n] = day
            n += 1
    return n, other


@njit(cache=True, nogil=True, inline="always")
def neighbours(
    arena: Arena,
    facets: Facets,
    user: int,
    position: int,
    mask: int,
    forward: int,
    before: NDArray[np.int64],
    after: NDArray[np.int64],
) -> int:
    """For the cell at a position: per kind of scope in `mask` the previous and next active day (within 364 days).

    Returns the kinds in which its own day is new. With forward = False cells to the right do not count as there.
    """
    words = arena.words
    start = arena.users[user, CELLS]
    n = arena.users[user, N_LISTS + CELLS]
    word0 = words[start + 2 * position]
    product = words[start + 2 * position + 1]
    day = word0 >> DAY_SHIFT
    for k in range(N_KINDS):
        before[k] = NEVER_BEFORE
        after[k] = NEVER_AFTER
    missing = mask
    i = position - 1
    while missing and i >= 0:
        other = words[start + 2 * i]
        other_day = other >> DAY_SHIFT
        if other_day < day - 364:
            break
        together = shared(missing, facets, word0, product, other, words[start + 2 * i + 1])
        if together:
            missing &= ~together
            if other_day == day:
                mask &= ~together
            else:
                for k in range(N_KINDS):
                    if together >> k & 1:
                        before[k] = other_day
        i -= 1
    if not forward:
        return mask
    missing = mask
    i = position + 1
    while missing and i < n:
        other = words[start + 2 * i]
        other_day = other >> DAY_SHIFT
        if other_day > day + 364:
            break
        together = shared(missing, facets, word0, product, other, words[start + 2 * i + 1])
        if together:
            missing &= ~together
            if other_day == day:
                mask &= ~together
            else:
                for k in range(N_KINDS):
                    if together >> k & 1:
                        after[k] = other_day
        i += 1
    return mask


@njit(cache=True, nogil=True)
def count_active(
    c: Counters,
    arena: Arena,
    facets: Facets,
    scratch: Scratch,
    k: int,
    user: int,
    position: int,
    mask: int,
    forward: int,
) -> int:
    """A cell has come (or, with forward = False, is counted again from the left): S and S_existing of its scopes.

    Notes operations from the k-th on and returns the next k.
    """
    words = arena.words
    windows = c.windows
    before = scratch.before
    after = scratch.after
    at = arena.users[user, CELLS] + 2 * position
    word0 = words[at]
    product = words[at + 1]
    mask = scopes_of(mask, facets, product, (word0 >> CHANNEL_SHIFT) & CHANNEL_MASK)
    fresh = neighbours(arena, facets, user, position, mask, forward, before, after)
    day = word0 >> DAY_SHIFT
    lines = arena.users[user, N_LISTS + LINES]
    kind = 0
    while fresh:
        if fresh & 1:
            row = row_for(c.rows, c.control, facets, kind, word0, product)
            n = 0
            if lines > 0:
                n, _ = purchase_days(arena, facets, user, lines, 1 << kind, word0, product, np.int64(-1), scratch.day)
            for w in range(len(windows)):
                first, last = newly_covered(day, before[kind], after[kind], windows[w])
                if n == 0:
                    k = emit(scratch.ops, k, row, S * len(windows) + w, first, last, 1)
                else:
                    k = split(scratch.ops, k, row, np.int64(S), w, windows, first, last, np.int64(1), scratch.day, n)
        fresh >>= 1
        kind += 1
    return k


@njit(cache=True, nogil=True)
def move_class(
    c: Counters,
    arena: Arena,
    facets: Facets,
    scratch: Scratch,
    k: int,
    n: int,
    user: int,
    line: int,
    kind: int,
    row: int,
    w: int,
    first: int,
    last: int,
    sign: int,
) -> int:
    """Where the line's day alone makes the user existing (T in first … last), what lies later changes class.

    `scratch.day` holds the n other purchase days. Notes operations from the k-th on and returns the next k.
    """
    words = arena.words
    ops = scratch.ops
    days = scratch.day
    at = arena.users[user, LINES] + line * 11
    word0 = words[at + L_PLACE]
    product = words[at + L_PRODUCT] & PRODUCT_MASK
    day = word0 >> DAY_SHIFT
    window = c.windows[w]
    nw = len(c.windows)
    start = arena.users[user, CELLS]
    count = arena.users[user, N_LISTS + CELLS]
    covered = first
    for i in range(first_at(words, start, count, 2, 0, (day + 1) << DAY_SHIFT), count):
        other = words[start + 2 * i]
        active = other >> DAY_SHIFT
        if active > last:
            break
        if (
            active + window - 1 < covered
            or shared(1 << kind, facets, word0, product, other, words[start + 2 * i + 1]) == 0
        ):
            continue
        b = min(active + window - 1, last)
        k = emit(ops, k, row, S_EXISTING * nw + w, max(active, covered), b, sign)
        covered = max(covered, b + 1)
    covered = first
    for i in range(n):
        if days[i] > day:
            b = min(days[i] + window - 1, last)
            k = emit(ops, k, row, B_EXISTING * nw + w, max(days[i], covered), b, sign)
            covered = max(covered, b + 1)
    start = arena.users[user, LINES]
    for i in range(line + 1, arena.users[user, N_LISTS + LINES]):
        other = start + i * 11
        paid = words[other + L_PLACE] >> DAY_SHIFT
        if paid > last:
            break
        if paid == day or words[other + L_NET_QUANTITY] <= 0 or words[other + L_NET_AMOUNT] == 0:
            continue
        p = words[other + L_PRODUCT] & PRODUCT_MASK
        if shared(1 << kind, facets, word0, product, words[other + L_PLACE], p) == 0:
            continue
        money = money_row(c.rows, c.control, row, words[other + L_PRODUCT] >> CURRENCY_SHIFT)
        v = sign * words[other + L_NET_AMOUNT]
        k = emit(ops, k, money, GMV_EXISTING * nw + w, max(paid, first), min(paid + window - 1, last), v)
    return k


@njit(cache=True, nogil=True)
def count_line(
    c: Counters,
    arena: Arena,
    facets: Facets,
    scratch: Scratch,
    k: int,
    user: int,
    line: int,
    mask: int,
    amount_0: int,
    quantity_0: int,
    amount_1: int,
    quantity_1: int,
    forward: int,
) -> int:
    """A line's counted (amount, quantity) goes from 0 to 1 in all its scopes; it is a purchase while its quantity is >
    0.

    With forward = False lines to the right do not count as there yet, and nothing later changes class. Notes operations
    from the k-th on and returns the next k.
    """
    words = arena.words
    ops = scratch.ops
    days = scratch.day
    windows = c.windows
    nw = len(windows)
    at = arena.users[user, LINES] + line * 11
    word0 = words[at + L_PLACE]
    product = words[at + L_PRODUCT] & PRODUCT_MASK
    currency = words[at + L_PRODUCT] >> CURRENCY_SHIFT
    day = word0 >> DAY_SHIFT
    mask = scopes_of(mask, facets, product, (word0 >> CHANNEL_SHIFT) & CHANNEL_MASK)
    upto = arena.users[user, N_LISTS + LINES] if forward else line
    for kind in range(N_KINDS):
        if not mask >> kind & 1:
            continue
        row = row_for(c.rows, c.control, facets, kind, word0, product)
        money = money_row(c.rows, c.control, row, currency)
        n, other = purchase_days(arena, facets, user, upto, 1 << kind, word0, product, line, days)
        sign = np.int64(0) if other else np.int64(quantity_1 > 0) - np.int64(quantity_0 > 0)
        before = np.int64(NEVER_BEFORE)
        after = np.int64(NEVER_AFTER)
        for i in range(n):
            if days[i] < day:
                before = days[i]
            else:
                after = days[i]
                break
        for w in range(nw):
            window = windows[w]
            if amount_1 != amount_0:
                k = split(ops, k, money, np.int64(GMV), w, windows, day, day + window - 1, amount_1 - amount_0, days, n)
            if quantity_1 != quantity_0:
                k = emit(ops, k, row, ITEMS * nw + w, day, day + window - 1, quantity_1 - quantity_0)
            if (quantity_1 > 0) != (quantity_0 > 0):
                v = np.int64(quantity_1 > 0) - np.int64(quantity_0 > 0)
                k = emit(ops, k, money, PAID_LINES * nw + w, day, day + window - 1, v)
            if sign == 0:
                continue
            first, last = newly_covered(day, before, after, window)
            k = split(ops, k, row, np.int64(B), w, windows, first, last, sign, days, n)
            k = emit(ops, k, row, BUYER_DAYS * nw + w, day, day + window - 1, sign)
            if forward:
                first, last = existing_only_by(day, before, after, window)
                if first <= last:
                    k = move_class(c, arena, facets, scratch, k, n, user, line, kind, row, w, first, last, sign)
    return k


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def note_lines(known: NDArray[np.int64], identities: NDArray[np.int64]) -> None:
    """Note lines given as rows of (user, identity)."""
    for i in range(len(identities)):
        is_known_line(known, identities[i, 0], identities[i, 1], identities[i, 2])


@njit(cache=True, nogil=True)
def reinsert(keys: NDArray[np.int64], known: NDArray[np.int64]) -> None:
    """Move the keys of a smaller set of known lines into an empty larger one."""
    mask = len(known) - 1
    for key in keys:
        i = key & mask
        while known[i] != 0:
            i = (i + 1) & mask
        known[i] = key


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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
    apply_operations(c, scratch.ops, k)
    return len(b.user)


@njit(cache=True, nogil=True)
def recount(c: Counters, arena: Arena, facets: Facets, scratch: Scratch, first: int, end: int, mask: int) -> None:
    """Counters of users first … end - 1 from their ledgers: every cell, then every line, from the left.

    `scratch.day` holds the longest list of lines.
    """
    k = np.int64(0)
    for user in range(first, end):
        for position in range(arena.users[user, N_LISTS + CELLS]):
            k = count_active(c, arena, facets, scratch, k, user, position, mask, np.int64(FROM_THE_LEFT))
        words = arena.words
        start = arena.users[user, LINES]
        for line in range(arena.users[user, N_LISTS + LINES]):
            at = start + line * 11
            if words[at + L_NET_QUANTITY] > 0:
                amount, quantity = words[at + L_NET_AMOUNT], words[at + L_NET_QUANTITY]
                k = count_line(
                    c,
                    arena,
                    facets,
                    scratch,
                    k,
                    user,
                    line,
                    mask,
                    np.int64(0),
                    np.int64(0),
                    amount,
                    quantity,
                    np.int64(FROM_THE_LEFT),
                )
        if k >= OPERATIONS_AT_A_TIME:
            apply_operations(c, scratch.ops, k)
            k = 0
    apply_operations(c, scratch.ops, k)


@njit(cache=True, nogil=True)
def most_lines(arena: Arena, users: int) -> int:
    """The longest list of lines of any user."""
    most = 0
    for user in range(1, users + 1):
        most = max(most, arena.users[user, N_LISTS + LINES])
    return most
