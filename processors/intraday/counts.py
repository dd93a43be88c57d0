"""What is counted of every minute, for each scope (docs/concepts/intraday.md).

A user's active minutes in a scope, less than W minutes apart from one to the next, make a **run** of W: the user is
among the distinct users of the trailing W minutes from the run's first minute to W - 1 minutes after its last. So

    S(W, T) = runs begun up to T - runs whose last minute is T - W or before

and a minute's **line** holds how many runs begin with it and how many end with it, for each W. A minute that comes,
late or not, touches its own line and those of its two neighbours. Lines before the floor are summed into the row's
base and forgotten: from `floor + 1440` on nothing depends on them any more. Buyers are counted alike, from the minutes
of their counted purchase lines; cart adds and money belong to their minute alone.

Of existing users there are lines of their own (`processors.intraday.existing`): what they count for begins and ends at
midnights too. Money is there for its windows, like a user who is active in one minute.
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
# Words of a line of existing users: the minute, then S and B (runs begun, runs ended, of each longer window). A money
# row's has one such field.
S_EXISTING, B_EXISTING, GMV_EXISTING = 1, 1 + 2 * N_RUNS, 1
EXISTING_WORDS, MONEY_EXISTING_WORDS = 1 + 4 * N_RUNS, 1 + 2 * N_RUNS

SHOP, CHANNEL, ITEM, MARKET = range(4)
"""Kinds of scopes; a channel is its first level."""
KIND_SHIFT, SHOP_SHIFT, VALUE_MASK = 56, 32, 0xFFFFFFFF
_MONEY_BIT = 1 << 55

FLOOR, ROWS, DIRTY, REFUSED, LATE, TOUCHED = range(6)
"""Words of `Counts.control`: the first minute that is kept, number of rows, rows in `dirty`, rows that were refused
for the bound, events that were too late, entries of the list of touched days."""
NEVER_BEFORE, NEVER_AFTER = -(1 << 40), 1 << 40
HOUR: Final = 60
RUN_MINUTES: Final = np.array(WINDOWS[1:], np.int64)


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
    existing_base: NDArray[np.int64]
    """[rows, 2 * N_RUNS] the same of existing ones; of a money row their money, in the first N_RUNS."""
    dirty_from: NDArray[np.int64]
    """[rows] first hour whose page has changed."""
    dirty_to: NDArray[np.int64]
    """[rows] last one; 0 = none has."""
    dirty: NDArray[np.int32]
    """Rows with changed pages, each once."""
    lines: Lists
    existing: Lists
    """Lines of existing users, of a row where there are any."""
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
        reserve((max_rows + 1, 2 * N_RUNS), np.int64),
        reserve((max_rows + 1,), np.int64),
        reserve((max_rows + 1,), np.int64),
        reserve((max_rows + 1,), np.int32),
        new_lists(max_rows + 1, 1 << 33),
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
def move_runs(
    lists: Lists, floor: int, base: NDArray[np.int64], row: int, stride: int, field: int, column: int,
    minute: int, begin: int, end: int, v: int,
) -> None:  # fmt: skip
    """Runs that begin and that end with a minute += v, of the windows in two masks; before the floor there is only the
    base. field: word of a line at which the runs begun stand, before those ended; column: of the base.
    """
    if minute < floor:
        for w in range(N_RUNS):
            base[row, column + w] += v * ((begin >> w & 1) - (end >> w & 1))
    else:
        at = line_of(lists, row, stride, minute) + field
        for w in range(N_RUNS):
            lists.words[at + w] += v * (begin >> w & 1)
            lists.words[at + N_RUNS + w] += v * (end >> w & 1)


@inlined
def _move(c: Counts, row: int, minute: int, field: int, begin: int, end: int, v: int) -> None:
    """`move_runs` of all users or buyers of a row."""
    column = np.int64(N_RUNS if field == B else 0)
    stride = np.int64(LINE_WORDS)
    move_runs(c.lines, c.control[FLOOR], c.base, row, stride, field + 1, column, minute, begin, end, v)


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
        if after - before < RUN_MINUTES[w]:
            continue  # in the middle of a run
        if minute - before < RUN_MINUTES[w]:
            ended_before |= np.int64(1) << w
        else:
            begins |= np.int64(1) << w
        if after - minute < RUN_MINUTES[w]:
            began_after |= np.int64(1) << w
        else:
            ends |= np.int64(1) << w
    if minute >= c.control[FLOOR]:
        at = line_of(c.lines, row, np.int64(LINE_WORDS), minute)
        c.lines.words[at + field] += v
    if begins | ends:
        _move(c, row, minute, field, begins, ends, v)
    if ended_before:
        _move(c, row, before, field, np.int64(0), ended_before, -v)
    if began_after:
        _move(c, row, after, field, began_after, np.int64(0), -v)
    note_dirty(c, row, minute, minute + LONGEST - 1)


@kernel
def count_cart(c: Counts, row: int, minute: int) -> None:
    """An item more was put into a cart in this minute."""
    if row != 0 and minute >= c.control[FLOOR]:
        at = line_of(c.lines, row, np.int64(LINE_WORDS), minute)
        c.lines.words[at + CARTS] += 1
        note_dirty(c, row, minute, minute)


@kernel
def count_money(c: Counts, row: int, currency: int, minute: int, v: int) -> int:
    """GMV of a minute += v, minor units of the currency. Returns the money row, 0 where there is none."""
    if row == 0 or v == 0 or minute < c.control[FLOOR]:
        return np.int64(0)
    money = money_row_of(c, row, currency)
    if money != 0:
        at = line_of(c.lines, money, np.int64(MONEY_WORDS), minute)
        c.lines.words[at + 1] += v
        note_dirty(c, row, minute, minute)
    return money


@kernel
def is_money(c: Counts, row: int) -> bool:
    """Whether a row holds money, not counts."""
    return c.key[row] & _MONEY_BIT != 0


@kernel
def _sum_runs(lists: Lists, row: int, stride: int, n: int, field: int, base: NDArray[np.int64], column: int) -> None:
    """Sum the runs of a row's first n lines into its base; field and column as in `move_runs`."""
    for i in range(n):
        at = lists.of[row, AT] + i * stride + field
        for w in range(N_RUNS):
            base[row, column + w] += lists.words[at + w] - lists.words[at + N_RUNS + w]


@kernel
def raise_floor(c: Counts, floor: int) -> None:
    """Sum the lines before a minute into the bases and forget them."""
    for row in range(1, c.control[ROWS]):
        money = is_money(c, row)
        stride = np.int64(MONEY_WORDS if money else LINE_WORDS)
        n = first_from(c.lines, row, stride, floor)
        if not money:
            _sum_runs(c.lines, row, stride, n, S + 1, c.base, 0)
            _sum_runs(c.lines, row, stride, n, B + 1, c.base, N_RUNS)
        cut_out(c.lines, row, stride, 0, n)
        stride = np.int64(MONEY_EXISTING_WORDS if money else EXISTING_WORDS)
        n = first_from(c.existing, row, stride, floor)
        _sum_runs(c.existing, row, stride, n, S_EXISTING, c.existing_base, 0)
        if not money:
            _sum_runs(c.existing, row, stride, n, B_EXISTING, c.existing_base, N_RUNS)
        cut_out(c.existing, row, stride, 0, n)
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
def _read_runs(
    lists: Lists, row: int, stride: int, field: int, base: NDArray[np.int64], base_column: int, hour: int,
    out: NDArray[np.int64], column: int,
) -> None:  # fmt: skip
    """Add to out[60, column …] the trailing figures of an hour, as differences; field and base_column as in
    `move_runs`.
    """
    words = lists.words
    first = hour * HOUR
    for w in range(N_RUNS):
        out[0, column + w] += base[row, base_column + w]
    for i in range(lists.of[row, COUNT]):
        at = lists.of[row, AT] + i * stride
        t = words[at] - first
        if t >= HOUR:
            break
        for w in range(N_RUNS):
            out[max(t, 0), column + w] += words[at + field + w]
            end = t + RUN_MINUTES[w]
            if end < HOUR:
                out[max(end, 0), column + w] -= words[at + field + N_RUNS + w]


@kernel
def read_hour(c: Counts, row: int, hour: int, out: NDArray[np.int64]) -> None:
    """Fill out [60, 15], zeros before, with a row's page of an hour, as `processors.intraday.pages` says."""
    words = c.lines.words
    stride, existing_stride = np.int64(LINE_WORDS), np.int64(EXISTING_WORDS)
    _read_runs(c.lines, row, stride, S + 1, c.base, 0, hour, out, 1)
    _read_runs(c.lines, row, stride, B + 1, c.base, N_RUNS, hour, out, N_RUNS + 2)
    _read_runs(c.existing, row, existing_stride, S_EXISTING, c.existing_base, 0, hour, out, 2 * N_RUNS + 3)
    _read_runs(c.existing, row, existing_stride, B_EXISTING, c.existing_base, N_RUNS, hour, out, 3 * N_RUNS + 3)
    first = hour * HOUR
    for i in range(first_from(c.lines, row, stride, first), c.lines.of[row, COUNT]):
        at = c.lines.of[row, AT] + i * LINE_WORDS
        t = words[at] - first
        if t >= HOUR:
            break
        out[t, 0] = words[at + S]
        out[t, N_RUNS + 1] = words[at + B]
        out[t, 2 * N_RUNS + 2] = words[at + CARTS]


@kernel
def read_money(c: Counts, money: int, hour: int, out: NDArray[np.int64]) -> None:
    """Fill out [60, 4], zeros before, with the GMV of an hour's minutes, and the trailing one of existing buyers."""
    first = hour * HOUR
    for i in range(first_from(c.lines, money, np.int64(MONEY_WORDS), first), c.lines.of[money, COUNT]):
        at = c.lines.of[money, AT] + i * MONEY_WORDS
        if c.lines.words[at] >= first + HOUR:
            break
        out[c.lines.words[at] - first, 0] = c.lines.words[at + 1]
    stride = np.int64(MONEY_EXISTING_WORDS)
    _read_runs(c.existing, money, stride, GMV_EXISTING, c.existing_base, 0, hour, out, 1)
