"""What is counted of every minute, for each scope (docs/concepts/intraday.md).

A user's active minutes in a scope, less than W minutes apart from one to the next, make a **run** of W: the user is
among the distinct users of the trailing W minutes from the run's first minute to W - 1 minutes after its last. So

    S(W, T) = runs begun up to T - runs whose last minute is T - W or before

and a minute's **line** holds how many runs begin with it and how many end with it, for each W. A minute that comes,
late or not, touches its own line and those of its two neighbours. Lines before the floor are summed into the row's
base and forgotten: from `floor + 1440` on nothing depends on them any more. Buyers are counted alike, from the minutes
of their counted purchase lines; cart adds and money belong to their minute alone.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.intraday.lists import AT, COUNT, Lists, cut_out, first_from, new_lists, open_hole
from processors.kernels import inlined, kernel
from processors.names import mixed
from processors.pool import grown, reserve

WINDOWS: Final = (1, 5, 60, 1440)
"""Minutes that the distinct users of a figure are taken over."""
LONGEST: Final = WINDOWS[-1]
N_RUNS: Final = len(WINDOWS) - 1
"""Windows of more than a minute: those that have runs."""

# Words of a line: the minute, then S and B (of the minute alone, runs begun, runs ended, of each longer window), cart
# adds. A money row's line is the minute and its GMV.
MINUTE, S, B, CARTS = 0, 1, 8, 15
LINE_WORDS, MONEY_WORDS = 16, 2

SHOP, CHANNEL, ITEM, MARKET = range(4)
"""Kinds of scopes; a channel is its first level."""
KIND_SHIFT, SHOP_SHIFT, VALUE_MASK = 56, 32, 0xFFFFFFFF
_MONEY_BIT = 1 << 55

FLOOR, ROWS, DIRTY, REFUSED, LATE, TOUCHED = range(6)
"""Words of `Counts.control`: the first minute that is kept, number of rows, rows in `dirty`, rows that were refused
for the bound, events that were too late, entries of the list of touched days."""
NEVER_BEFORE, NEVER_AFTER = -(1 << 40), 1 << 40
HOUR: Final = 60
_W: Final = np.array(WINDOWS[1:], np.int64)


class Counts(NamedTuple):
    """Rows of scopes, from 1 on, and their lines. A row's own money rows are chained to it."""

    slots: NDArray[np.int64]
    """[power of two] row + 1 per hash slot, 0 = empty."""
    key: NDArray[np.int64]
    """[rows] kind << 56 | shop << 32 | value; of a money row, its counts row << 32 | a bit of its own | currency."""
    next_money: NDArray[np.int32]
    """[rows] the next money row of the same scope, 0 at the end."""
    base: NDArray[np.int64]
    """[rows, 2 * N_RUNS] runs of users, then of buyers, that go on over the floor."""
    dirty_from: NDArray[np.int64]
    """[rows] first hour whose page has changed."""
    dirty_to: NDArray[np.int64]
    """[rows] last one; 0 = none has."""
    dirty: NDArray[np.int32]
    """Rows with changed pages, each once."""
    lines: Lists
    control: NDArray[np.int64]


def new_counts(max_rows: int) -> Counts:
    """No rows yet; the bound reserves address space only, but for the hash slots."""
    control = np.zeros(8, np.int64)
    control[ROWS] = 1  # row 0 means "none"
    return Counts(
        grown(np.zeros(0, np.int64), 2 * max_rows + 2),
        reserve((max_rows + 1,), np.int64),
        reserve((max_rows + 1,), np.int32),
        reserve((max_rows + 1, 2 * N_RUNS), np.int64),
        reserve((max_rows + 1,), np.int64),
        reserve((max_rows + 1,), np.int64),
        reserve((max_rows + 1,), np.int32),
        new_lists(max_rows + 1, 1 << 33),
        control,
    )


@inlined
def row_of(c: Counts, key: int) -> int:
    """The row of a key, made on first use; 0 where there is no room for one more."""
    mask = len(c.slots) - 1
    i = mixed(key) & mask
    while c.slots[i] != 0:
        if c.key[c.slots[i] - 1] == key:
            return c.slots[i] - 1
        i = (i + 1) & mask
    row = c.control[ROWS]
    if row >= len(c.key):
        c.control[REFUSED] += 1
        return np.int64(0)
    c.control[ROWS] = row + 1
    c.slots[i] = row + 1
    c.key[row] = key
    return row


@kernel
def money_row_of(c: Counts, row: int, currency: int) -> int:
    """The money row of a counts row in a currency, made on first use; 0 where there is no room."""
    before = c.control[ROWS]
    money = row_of(c, (np.int64(row) << SHOP_SHIFT) | _MONEY_BIT | np.int64(currency))
    if money == before:
        c.next_money[money] = c.next_money[row]
        c.next_money[row] = money
    return money


@inlined
def line_of(lines: Lists, row: int, stride: int, minute: int) -> int:
    """First word of a row's line of a minute, made on first use."""
    n = lines.of[row, COUNT]
    last = lines.of[row, AT] + (n - 1) * stride
    if n > 0 and lines.words[last] == minute:
        return last
    position = n
    if n > 0 and lines.words[last] > minute:
        position = first_from(lines, row, stride, minute)
        at = lines.of[row, AT] + position * stride
        if lines.words[at] == minute:
            return at
    at = open_hole(lines, row, stride, position)
    lines.words[at] = minute
    for k in range(1, stride):
        lines.words[at + k] = 0
    return at


@inlined
def note_dirty(c: Counts, row: int, first: int, last: int) -> None:
    """The values of a row may have changed for T in the minutes first … last."""
    a = first // HOUR
    b = last // HOUR
    if c.dirty_to[row] == 0:
        c.dirty[c.control[DIRTY]] = row
        c.control[DIRTY] += 1
        c.dirty_from[row] = a
        c.dirty_to[row] = b
    c.dirty_from[row] = min(c.dirty_from[row], a)
    c.dirty_to[row] = max(c.dirty_to[row], b)


@inlined
def _move_runs(c: Counts, row: int, minute: int, field: int, begin: int, end: int, v: int) -> None:
    """Runs that begin and that end with a minute += v, of the windows in two masks; before the floor there is only the
    base.
    """
    if minute < c.control[FLOOR]:
        column = np.int64(N_RUNS if field == B else 0)
        for w in range(N_RUNS):
            c.base[row, column + w] += v * ((begin >> w & 1) - (end >> w & 1))
    else:
        at = line_of(c.lines, row, np.int64(LINE_WORDS), minute) + field + 1
        for w in range(N_RUNS):
            c.lines.words[at + w] += v * (begin >> w & 1)
            c.lines.words[at + N_RUNS + w] += v * (end >> w & 1)


@inlined
def count_minute(c: Counts, row: int, field: int, minute: int, before: int, after: int, v: int) -> None:
    """A minute comes (v = 1) among a user's minutes of a scope, or goes (v = -1); before < minute < after are the
    neighbours, as far as they are less than a day away. `field` is S or B.
    """
    if row == 0:
        return
    # Windows of which a run begins or ends with the minute, or does so no more with a neighbour.
    begins = np.int64(0)
    ends = np.int64(0)
    ended_before = np.int64(0)
    began_after = np.int64(0)
    for w in range(N_RUNS):
        if after - before < _W[w]:
            continue  # in the middle of a run
        if minute - before < _W[w]:
            ended_before |= np.int64(1) << w
        else:
            begins |= np.int64(1) << w
        if after - minute < _W[w]:
            began_after |= np.int64(1) << w
        else:
            ends |= np.int64(1) << w
    if minute >= c.control[FLOOR]:
        at = line_of(c.lines, row, np.int64(LINE_WORDS), minute)
        c.lines.words[at + field] += v
    if begins | ends:
        _move_runs(c, row, minute, field, begins, ends, v)
    if ended_before:
        _move_runs(c, row, before, field, np.int64(0), ended_before, -v)
    if began_after:
        _move_runs(c, row, after, field, began_after, np.int64(0), -v)
    note_dirty(c, row, minute, minute + LONGEST - 1)


@kernel
def count_cart(c: Counts, row: int, minute: int) -> None:
    """An item more was put into a cart in this minute."""
    if row != 0 and minute >= c.control[FLOOR]:
        at = line_of(c.lines, row, np.int64(LINE_WORDS), minute)
        c.lines.words[at + CARTS] += 1
        note_dirty(c, row, minute, minute)


@kernel
def count_money(c: Counts, row: int, currency: int, minute: int, v: int) -> None:
    """GMV of a minute += v, minor units of the currency."""
    if row == 0 or v == 0 or minute < c.control[FLOOR]:
        return
    money = money_row_of(c, row, currency)
    if money != 0:
        at = line_of(c.lines, money, np.int64(MONEY_WORDS), minute)
        c.lines.words[at + 1] += v
        note_dirty(c, row, minute, minute)


@kernel
def is_money(c: Counts, row: int) -> bool:
    """Whether a row holds money, not counts."""
    return c.key[row] & _MONEY_BIT != 0


@kernel
def raise_floor(c: Counts, floor: int) -> None:
    """Sum the lines before a minute into the bases and forget them."""
    words = c.lines.words
    for row in range(1, c.control[ROWS]):
        if is_money(c, row):
            cut_out(c.lines, row, np.int64(MONEY_WORDS), 0, first_from(c.lines, row, np.int64(MONEY_WORDS), floor))
            continue
        n = first_from(c.lines, row, np.int64(LINE_WORDS), floor)
        for i in range(n):
            at = c.lines.of[row, AT] + i * LINE_WORDS
            for w in range(N_RUNS):
                c.base[row, w] += words[at + S + 1 + w] - words[at + S + 1 + N_RUNS + w]
                c.base[row, N_RUNS + w] += words[at + B + 1 + w] - words[at + B + 1 + N_RUNS + w]
        cut_out(c.lines, row, np.int64(LINE_WORDS), 0, n)
    c.control[FLOOR] = floor


@kernel
def reach_hour(c: Counts, hour: int) -> None:
    """An hour comes: every row in which somebody is still counted has a page of it."""
    for row in range(1, c.control[ROWS]):
        n = c.lines.of[row, COUNT]
        if n > 0 and not is_money(c, row):
            oldest = c.lines.words[c.lines.of[row, AT]]
            newest = c.lines.words[c.lines.of[row, AT] + (n - 1) * LINE_WORDS]
            goes_on = False
            for w in range(2 * N_RUNS):
                goes_on = goes_on or c.base[row, w] != 0
            if newest + LONGEST > hour * HOUR and (goes_on or oldest < (hour + 1) * HOUR):
                note_dirty(c, row, hour * HOUR, hour * HOUR)


@kernel
def read_hour(c: Counts, row: int, hour: int, out: NDArray[np.int64]) -> None:
    """Fill out [60, 9], zeros before, with a row's page of an hour (`processors.intraday.pages` says what is in it)."""
    words = c.lines.words
    first = hour * HOUR
    for field in (S, B):
        column = 0 if field == S else N_RUNS + 1
        for w in range(N_RUNS):
            out[0, column + 1 + w] += c.base[row, (N_RUNS if field == B else 0) + w]
        for i in range(c.lines.of[row, COUNT]):
            at = c.lines.of[row, AT] + i * LINE_WORDS
            t = words[at] - first
            if t >= HOUR:
                break
            if t >= 0:
                out[t, column] = words[at + field]
            for w in range(N_RUNS):
                out[max(t, 0), column + 1 + w] += words[at + field + 1 + w]
                end = t + _W[w]
                if end < HOUR:
                    out[max(end, 0), column + 1 + w] -= words[at + field + 1 + N_RUNS + w]
    for i in range(first_from(c.lines, row, np.int64(LINE_WORDS), first), c.lines.of[row, COUNT]):
        at = c.lines.of[row, AT] + i * LINE_WORDS
        if words[at] >= first + HOUR:
            break
        out[words[at] - first, 2 * N_RUNS + 2] = words[at + CARTS]


@kernel
def read_money(c: Counts, money: int, hour: int, out: NDArray[np.int64]) -> None:
    """Fill out [60], zeros before, with the GMV of an hour's minutes."""
    first = hour * HOUR
    for i in range(first_from(c.lines, money, np.int64(MONEY_WORDS), first), c.lines.of[money, COUNT]):
        at = c.lines.of[money, AT] + i * MONEY_WORDS
        if c.lines.words[at] >= first + HOUR:
            break
        out[c.lines.words[at] - first] = c.lines.words[at + 1]
