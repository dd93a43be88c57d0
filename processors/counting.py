"""What one fact changes in the counters of every scope that it belongs to.

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
from numpy.typing import NDArray

from processors.counters import (
    B_EXISTING,
    BUYER_DAYS,
    GMV,
    GMV_EXISTING,
    ITEMS,
    N_KINDS,
    PAID_LINES,
    S_EXISTING,
    SHOP,
    B,
    Counters,
    S,
    apply_operations,
    emit,
    mark,
    money_row,
    move_operations,
)
from processors.kernels import inlined, kernel
from processors.ledger import (
    CELLS,
    CURRENCY_SHIFT,
    DAY_SHIFT,
    L_NET_AMOUNT,
    L_NET_QUANTITY,
    L_PLACE,
    L_PRODUCT,
    LINES,
    N_LISTS,
    PRODUCT_MASK,
    Arena,
    first_at,
)
from processors.membership import Facets, row_for, scopes_of, shared
from processors.ranges import (
    NEVER_AFTER,
    NEVER_BEFORE,
    existing_by,
    existing_only_by,
    newly_covered,
)

# numba compiles a function once more for every literal that it is called with: kernels hand on variables of one type.
LIVE, FROM_THE_LEFT = np.int64(1), np.int64(0)
"""Whether what lies to the right of a fact (later in the sorted list) is there already."""
OPERATIONS_AT_A_TIME = 1 << 14
"""Operations are applied when so many have gathered, while they are still in the cache."""


class Scratch(NamedTuple):
    """Room to work in."""

    day: NDArray[np.int64]
    """One user's purchase days in one scope."""
    before: NDArray[np.int64]
    """[kinds] the previous active day of a scope."""
    after: NDArray[np.int64]
    ops: NDArray[np.int64]
    """[room, 6] operations on counters that are still to be applied; far more room than one event can use."""
    noted: NDArray[np.int64]
    """[kinds * windows] the operation on S that was noted last for a kind and window, or -1."""
    lines: NDArray[np.int64]
    """[2 * slots] identities of known lines, as a hash set: most purchases are new and need no search."""
    profile: NDArray[np.int32]
    """[users] code of the user's profile; 0 = nothing is known."""


@kernel
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


@kernel
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


@inlined
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


@inlined
def extend(scratch: Scratch, k: int, place: int, row: int, cell: int, first: int, last: int, marked: int) -> int:
    """Note "row's cell += 1 on first … last"; where that goes on from the operation noted last at `place`, it becomes
    longer: a user's days that are near each other cover one range. Returns the next k.

    marked: what `mark` will write on it; operations of other profiles are not the same.
    """
    ops = scratch.ops
    before = scratch.noted[place]
    if first > last:
        return k
    if (
        before >= 0
        and ops[before, 3] + 1 == first
        and ops[before, 0] == row
        and ops[before, 1] == cell
        and ops[before, 5] == marked
    ):
        ops[before, 3] = last
        return k
    scratch.noted[place] = k
    return emit(ops, k, row, cell, first, last, 1)


@inlined
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
    mask = scopes_of(mask, facets, word0, product)
    fresh = neighbours(arena, facets, user, position, mask, forward, before, after)
    day = word0 >> DAY_SHIFT
    lines = arena.users[user, N_LISTS + LINES]
    profile = np.int64(scratch.profile[user])
    kind = 0
    while fresh:
        if fresh & 1:
            noted = k
            marked = profile + 1 if kind == SHOP else np.int64(0)
            row = row_for(c.rows, c.control, facets, kind, word0, product)
            n = 0
            if lines > 0:
                n, _ = purchase_days(arena, facets, user, lines, 1 << kind, word0, product, np.int64(-1), scratch.day)
            for w in range(len(windows)):
                first, last = newly_covered(day, before[kind], after[kind], windows[w])
                if n == 0:
                    place = kind * len(windows) + w
                    k = extend(scratch, k, place, row, S * len(windows) + w, first, last, marked)
                else:
                    k = split(scratch.ops, k, row, np.int64(S), w, windows, first, last, np.int64(1), scratch.day, n)
            if kind == SHOP:
                mark(scratch.ops, noted, k, profile)
        fresh >>= 1
        kind += 1
    return k


@kernel
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


@kernel
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
    mask = scopes_of(mask, facets, word0, product)
    upto = arena.users[user, N_LISTS + LINES] if forward else line
    for kind in range(N_KINDS):
        if not mask >> kind & 1:
            continue
        noted = k
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
        if kind == SHOP:
            mark(ops, noted, k, np.int64(scratch.profile[user]))
    return k


@inlined
def count_user(c: Counters, arena: Arena, facets: Facets, scratch: Scratch, k: int, user: int, mask: int) -> int:
    """All that a user's ledger counts for: every cell, then every line, from the left. Returns the next k.

    `scratch.day` must hold the user's lines.
    """
    for position in range(arena.users[user, N_LISTS + CELLS]):
        k = count_active(c, arena, facets, scratch, k, user, position, mask, np.int64(FROM_THE_LEFT))
    words = arena.words
    start = arena.users[user, LINES]
    nothing = np.int64(0)
    for line in range(arena.users[user, N_LISTS + LINES]):
        at = start + line * 11
        if words[at + L_NET_QUANTITY] > 0:
            amount, quantity = words[at + L_NET_AMOUNT], words[at + L_NET_QUANTITY]
            left = np.int64(FROM_THE_LEFT)
            k = count_line(c, arena, facets, scratch, k, user, line, mask, nothing, nothing, amount, quantity, left)
    return k


@kernel
def recount(c: Counters, arena: Arena, facets: Facets, scratch: Scratch, first: int, end: int, mask: int) -> None:
    """Counters of users first … end - 1 from their ledgers. `scratch.day` holds the longest list of lines."""
    k = np.int64(0)
    scratch.noted[:] = -1
    for user in range(first, end):
        k = count_user(c, arena, facets, scratch, k, user, mask)
        if k >= OPERATIONS_AT_A_TIME:
            apply_operations(c, scratch.ops, k)
            k = 0
            scratch.noted[:] = -1
    apply_operations(c, scratch.ops, k)


@kernel
def count_some(
    c: Counters, arena: Arena, facets: Facets, scratch: Scratch, users: NDArray[np.int64], mask: int, sign: int
) -> None:
    """Add all that some users count for in these kinds of scopes (sign 1), or take it out (sign -1), by facets as they
    are. The kinds are none of those that are crossed with profiles; `scratch.day` holds the longest list of lines.
    """
    for i in range(len(users)):
        scratch.noted[:] = -1
        k = count_user(c, arena, facets, scratch, np.int64(0), users[i], mask)
        for n in range(k):
            scratch.ops[n, 4] *= sign
        apply_operations(c, scratch.ops, k)


@kernel
def regrade(
    c: Counters, arena: Arena, facets: Facets, scratch: Scratch, users: NDArray[np.int64], codes: NDArray[np.int64]
) -> None:
    """Users get other profiles: all that they count for in their shops moves from the rows of the one to those of the
    other. `scratch.day` holds the longest of their lists of lines.
    """
    for i in range(len(users)):
        user = users[i]
        before = np.int64(scratch.profile[user])
        scratch.noted[:] = -1
        k = count_user(c, arena, facets, scratch, np.int64(0), user, np.int64(1) << SHOP)
        move_operations(c, scratch.ops, k, before, codes[i])
        scratch.profile[user] = codes[i]


@kernel
def most_lines(arena: Arena, users: int) -> int:
    """The longest list of lines of any user."""
    most = 0
    for user in range(1, users + 1):
        most = max(most, arena.users[user, N_LISTS + LINES])
    return most
