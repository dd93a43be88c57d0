"""Window counters for every end date T, kept as differences over T (docs/concepts/ranges.md).

A **row** belongs to a scope. Its counts row holds S, S_existing, B, B_existing, items and purchase days; each
currency in which the scope has counted lines adds a money row with GMV, GMV_existing and their number. For window w,

    value(w, T) = base[w] + Σ differences[w][t] for floor <= t <= T

so a range of T costs two additions, past and future are alike, and everything commutes. Differences lie in pages of 8
days, made on first use; what lies before the floor (the oldest T that is kept) is summed into the base. A page is a
pure function of the ledgers: counters rebuilt after a crash equal the published ones byte for byte.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.kernels import inlined, kernel
from processors.names import mixed
from processors.pool import grown, reserve
from schemas.profile import MASKS, SHIFTS

S, S_EXISTING, B, B_EXISTING, ITEMS, BUYER_DAYS = range(6)
GMV, GMV_EXISTING, PAID_LINES = range(3)
N_COUNTS, N_MONEY = 6, 3

PAGE_SHIFT = 3
PAGE_DAYS = 1 << PAGE_SHIFT
BASE_PAGE = -1
"""Stands for the base among page numbers (a page's number is its first day / 8)."""

# Kinds of scopes that the ledger alone decides. A row's key is kind | shop | value.
SHOP, SHOP_CATEGORY, SHOP_ITEM, SHOP_BRAND, SHOP_CHANNEL_1, SHOP_CHANNEL_2, BRAND, MARKET, MARKET_CATEGORY = range(9)
SHOP_NEW = 9
"""A shop's new items by first level of channel."""
N_KINDS = 10
# Kinds that the profile of the user decides, in the order of `schemas.profile.ATTRIBUTES`; the value is its number.
SHOP_GROUP, SHOP_POWER, SHOP_AGE, SHOP_GENDER = range(N_KINDS, N_KINDS + 4)
N_ATTRIBUTES = 4
_SHIFTS, _MASKS = SHIFTS, MASKS
_SLOTS = (0, 32, 40, 48)
"""First slot of each attribute in `Rows.crossed`."""
_N_SLOTS = 52
KIND_SHIFT, KEY_SHOP_SHIFT = 56, 32
KEY_VALUE_MASK = 0xFFFFFFFF
_SHOP_MASK = (1 << KIND_SHIFT - KEY_SHOP_SHIFT) - 1

_DIRTY_PAGE, _WAITING_PAGE = 1, 2
_FLOOR, _ROWS, _TOP, _DIRTY = range(4)
_FREE_COUNTS, _FREE_MONEY, _ATTRIBUTES = 4, 5, 6
_UNIT = 8  # words: a page's address counts cache lines, so that it fits 32 bits


class Rows(NamedTuple):
    """Scopes to rows."""

    slots: NDArray[np.int64]
    """[power of two] row + 1 per hash slot, 0 = empty."""
    key: NDArray[np.int64]
    """[rows] kind << 56 | shop << 32 | value of a counts row; of a money row the currency."""
    parent: NDArray[np.int32]
    """[rows] a money row's counts row; a counts row is its own."""
    next_money: NDArray[np.int32]
    """[rows] the next money row of the same scope, 0 at the end."""
    crossed: NDArray[np.int32]
    """[rows, attribute values] of a shop's row: its row crossed with a value of a profile; 0 = not made yet."""


class Counters(NamedTuple):
    """Rows, their pages and which pages have changed."""

    rows: Rows
    words: NDArray[np.int64]
    """Pages: [8 days][counters][windows]."""
    table: NDArray[np.int32]
    """[rows, slots] address of the page of a day, in cache lines; 0 = none."""
    base: NDArray[np.int64]
    """[rows, 6 * windows] sums of the differences before the floor."""
    dirty: NDArray[np.uint8]
    """[rows, slots] whether the page (of the scope, counts and money) stands in `dirty_pages`: 1, and 2 where it has
    been told that it waits."""
    dirty_pages: NDArray[np.int64]
    """row << 32 | page number, each once."""
    control: NDArray[np.int64]
    """Floor day, number of rows, first unused word, number of dirty pages, heads of the two free lists, kept attributes
    of profiles (a bit each)."""
    windows: NDArray[np.int64]


class Turn(NamedTuple):
    """Whose pages are taken: of all scopes, but of these kinds only those of one of several slices."""

    kinds: int
    """One bit a kind that has to wait for its turn."""
    slices: int
    """Rows are dealt out to so many slices …"""
    number: int
    """… and this one's turn it is; -1: none's."""


EVERYBODY: Final = Turn(0, 1, 0)


def new_counters(
    windows: tuple[int, ...], floor_day: int, ring_days: int, max_rows: int, max_words: int, attributes: int
) -> Counters:
    """No rows yet. Pages cover [floor, floor + ring_days); ring_days is a power of two. Bounds reserve address space
    only. attributes: a bit for each attribute of profiles that shops are crossed with.
    """
    slots = ring_days >> PAGE_SHIFT
    control = np.zeros(8, np.int64)
    control[_FLOOR] = floor_day & ~(PAGE_DAYS - 1)
    control[_ROWS], control[_TOP] = 1, _UNIT  # row 0 and address 0 mean "none"
    control[_ATTRIBUTES] = attributes
    rows = Rows(
        np.zeros(64, np.int64),
        reserve((max_rows,), np.int64),
        reserve((max_rows,), np.int32),
        reserve((max_rows,), np.int32),
        reserve((max_rows, _N_SLOTS), np.int32),
    )
    return Counters(
        rows,
        reserve((max_words,), np.int64),
        reserve((max_rows, slots), np.int32),
        reserve((max_rows, N_COUNTS * len(windows)), np.int64),
        reserve((max_rows, slots), np.uint8),
        reserve((max_rows * slots,), np.int64),
        control,
        np.array(windows, np.int64),
    )


def with_room(counters: Counters, new_rows: int) -> Counters:
    """The same counters, their hash table at most half full after `new_rows` more rows."""
    rows, count = counters.rows, int(counters.control[_ROWS])
    if 2 * (count + new_rows) <= len(rows.slots):
        return counters
    slots = grown(rows.slots, 4 * (count + new_rows))
    _rehash(rows, count, slots)
    return counters._replace(rows=rows._replace(slots=slots))


def row_count(counters: Counters) -> int:
    """Rows in use are 1 … row_count - 1."""
    return int(counters.control[_ROWS])


def floor_day(counters: Counters) -> int:
    """The first day whose differences stand in pages."""
    return int(counters.control[_FLOOR])


def dirty_count(counters: Counters) -> int:
    """Pages that have changed since they were last taken."""
    return int(counters.control[_DIRTY])


@kernel
def scope_key(kind: int, shop: int, value: int) -> int:
    """Key of a counts row."""
    return (np.int64(kind) << KIND_SHIFT) | (np.int64(shop) << KEY_SHOP_SHIFT) | np.int64(value)


@kernel
def _slot_of(rows: Rows, parent: int, key: int) -> int:
    """Slot of a row: a counts row has parent 0 here, a money row its counts row."""
    mask = len(rows.slots) - 1
    i = mixed(key * 31 + parent) & mask
    while rows.slots[i] != 0:
        row = rows.slots[i] - 1
        own = rows.parent[row]
        if rows.key[row] == key and (own == parent or (parent == 0 and own == row)):
            return i
        i = (i + 1) & mask
    return i


@kernel
def _rehash(rows: Rows, count: int, slots: NDArray[np.int64]) -> None:
    mask = len(slots) - 1
    for row in range(1, count):
        parent = 0 if rows.parent[row] == row else rows.parent[row]
        i = mixed(rows.key[row] * 31 + parent) & mask
        while slots[i] != 0:
            i = (i + 1) & mask
        slots[i] = row + 1


@kernel
def find_row(rows: Rows, key: int) -> int:
    """The counts row of a scope, 0 when it has none."""
    return max(rows.slots[_slot_of(rows, 0, key)] - 1, 0)


@inlined
def scope_row(rows: Rows, control: NDArray[np.int64], key: int) -> int:
    """The counts row of a scope, made on first use."""
    i = _slot_of(rows, 0, key)
    if rows.slots[i] == 0:
        row = control[_ROWS]
        control[_ROWS] = row + 1
        rows.slots[i] = row + 1
        rows.key[row] = key
        rows.parent[row] = row
    return rows.slots[i] - 1


@kernel
def money_row(rows: Rows, control: NDArray[np.int64], scope: int, currency: int) -> int:
    """The money row of a scope (its counts row) in a currency, made on first use."""
    i = _slot_of(rows, scope, currency)
    if rows.slots[i] == 0:
        row = control[_ROWS]
        control[_ROWS] = row + 1
        rows.slots[i] = row + 1
        rows.key[row] = currency
        rows.parent[row] = scope
        rows.next_money[row] = rows.next_money[scope]
        rows.next_money[scope] = row
    return rows.slots[i] - 1


@inlined
def emit(ops: NDArray[np.int64], n: int, row: int, cell: int, first: int, last: int, v: int) -> int:
    """Note "row's cell += v for every T in first … last" as operation n; returns the next n (nothing if first > last).

    A cell is counter * windows + window.
    """
    if first <= last:
        ops[n, 0] = row
        ops[n, 1] = cell
        ops[n, 2] = first
        ops[n, 3] = last
        ops[n, 4] = v
        ops[n, 5] = 0
        n += 1
    return n


@inlined
def mark(ops: NDArray[np.int64], first: int, end: int, profile: int) -> None:
    """Operations first … end - 1, of a shop's own rows, hold for the rows crossed with this profile as well."""
    for i in range(first, end):
        ops[i, 5] = profile + 1


@kernel
def crossed_row(rows: Rows, control: NDArray[np.int64], row: int, attribute: int, profile: int) -> int:
    """The row of a shop's row (counts or money) crossed with one attribute of a profile, made on first use."""
    value = (profile >> _SHIFTS[attribute]) & _MASKS[attribute]
    slot = _SLOTS[attribute] + value
    if rows.crossed[row, slot] == 0:
        scope = np.int64(rows.parent[row])
        counts = np.int64(rows.crossed[scope, slot])
        if counts == 0:
            shop = (rows.key[scope] >> KEY_SHOP_SHIFT) & _SHOP_MASK
            counts = scope_row(rows, control, scope_key(SHOP_GROUP + attribute, shop, value))
            rows.crossed[scope, slot] = counts
        if scope != row:
            rows.crossed[row, slot] = money_row(rows, control, counts, rows.key[row])
    return np.int64(rows.crossed[row, slot])


@inlined
def add_range(c: Counters, row: int, cell: int, first: int, last: int, v: int) -> None:
    """A row's cell += v for every T in first … last: two additions, into pages that are made on first use."""
    table, control = c.table, c.control
    windows = len(c.windows)
    floor = control[_FLOOR]
    ring = np.int64(table.shape[1] - 1)
    scope = np.int64(c.rows.parent[row])
    counters = np.int64(N_COUNTS if scope == row else N_MONEY)
    for end in range(2):
        t = first if end == 0 else last + 1
        v = v if end == 0 else -v
        if t < floor:
            # The slot before the floor's holds no page, since facts reach no further: it stands for the base.
            page = np.int64(BASE_PAGE)
            slot = ((floor >> PAGE_SHIFT) - 1) & ring
            c.base[row, cell] += v
        else:
            page = t >> PAGE_SHIFT
            slot = page & ring
            at = np.int64(table[row, slot]) * _UNIT
            if at == 0:
                at = _new_page(c.words, control, PAGE_DAYS * counters * windows, counters == N_COUNTS)
                table[row, slot] = at // _UNIT
            c.words[at + (t & (PAGE_DAYS - 1)) * counters * windows + cell] += v
        if c.dirty[scope, slot] == 0:
            c.dirty[scope, slot] = 1
            c.dirty_pages[control[_DIRTY]] = (scope << 32) | (page & KEY_VALUE_MASK)
            control[_DIRTY] += 1


@kernel
def apply_operations(c: Counters, ops: NDArray[np.int64], n: int) -> None:
    """Carry out n noted operations, on the rows crossed with the user's profile too where they are marked."""
    floor = c.control[_FLOOR]
    attributes = c.control[_ATTRIBUTES]
    for i in range(n):
        first = ops[i, 2]
        last = ops[i, 3]
        if last + 1 < floor:
            continue
        add_range(c, ops[i, 0], ops[i, 1], first, last, ops[i, 4])
        if ops[i, 5] == 0 or attributes == 0:
            continue
        for attribute in range(N_ATTRIBUTES):
            if (attributes >> attribute) & 1:
                row = crossed_row(c.rows, c.control, ops[i, 0], attribute, ops[i, 5] - 1)
                add_range(c, row, ops[i, 1], first, last, ops[i, 4])


@kernel
def move_operations(c: Counters, ops: NDArray[np.int64], n: int, before: int, after: int) -> None:
    """Take what n operations on a shop's own rows have added out of the rows crossed with one profile, and add it to
    those of another, where the two differ.
    """
    floor = c.control[_FLOOR]
    for i in range(n):
        if ops[i, 3] + 1 < floor:
            continue
        for attribute in range(N_ATTRIBUTES):
            differs = ((before ^ after) >> _SHIFTS[attribute]) & _MASKS[attribute]
            if (c.control[_ATTRIBUTES] >> attribute) & 1 and differs:
                for side in range(2):
                    row = crossed_row(c.rows, c.control, ops[i, 0], attribute, before if side == 0 else after)
                    v = -ops[i, 4] if side == 0 else ops[i, 4]
                    add_range(c, row, ops[i, 1], ops[i, 2], ops[i, 3], v)


@kernel
def _new_page(words: NDArray[np.int64], control: NDArray[np.int64], size: int, counts: bool) -> int:
    """First word of a page of zeros."""
    head = _FREE_COUNTS if counts else _FREE_MONEY
    at = control[head]
    if at != 0:
        control[head] = words[at]
        words[at] = 0
    else:
        at = control[_TOP]
        control[_TOP] = at + ((size + _UNIT - 1) // _UNIT) * _UNIT
    return at


@kernel
def read_series(
    c: Counters, row: int, n: int, first: int, last: int, total: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    """out[T - first, counter, w] = value(w, T) for T in first … last (first >= floor - 1); n counters a row.

    total: [n * windows] the row's base; overwritten.
    """
    nw = len(c.windows)
    t = c.control[_FLOOR]
    while t <= last:
        at = np.int64(c.table[row, (t >> PAGE_SHIFT) & (c.table.shape[1] - 1)]) * _UNIT
        if at == 0 and t + PAGE_DAYS <= first and t & (PAGE_DAYS - 1) == 0:
            t += PAGE_DAYS
            continue
        if at != 0:
            at += (t & (PAGE_DAYS - 1)) * n * nw
            for k in range(n * nw):
                total[k] += c.words[at + k]
        if t >= first:
            for k in range(n * nw):
                out[t - first, k // nw, k % nw] = total[k]
        t += 1


@kernel
def has_lines(c: Counters, money: int) -> bool:
    """Whether a money row counts a line at any T from the floor on."""
    nw = len(c.windows)
    if c.base[money, PAID_LINES * nw + nw - 1] != 0:
        return True
    for slot in range(c.table.shape[1]):
        at = np.int64(c.table[money, slot]) * _UNIT
        if at != 0:
            for day in range(PAGE_DAYS):
                if c.words[at + (day * N_MONEY + PAID_LINES) * nw + nw - 1] != 0:
                    return True
    return False


@kernel
def raise_floor(c: Counters, new_floor: int) -> None:
    """Sum the pages before `new_floor` (a multiple of 8) into the bases and free them: T before it are forgotten.

    Every base becomes dirty, and so does every freed page, which is empty from now on.
    """
    nw = len(c.windows)
    control = c.control
    ring = np.int64(c.table.shape[1] - 1)
    first = control[_FLOOR] >> PAGE_SHIFT
    end = new_floor >> PAGE_SHIFT
    kept = 0
    for i in range(control[_DIRTY]):
        scope = c.dirty_pages[i] >> 32
        page = np.int64(np.int32(c.dirty_pages[i] & KEY_VALUE_MASK))
        if page >= end:
            c.dirty_pages[kept] = c.dirty_pages[i]
            kept += 1
        elif page == BASE_PAGE or page >= first:
            c.dirty[scope, (first - 1 if page == BASE_PAGE else page) & ring] = 0
    for row in range(1, control[_ROWS]):
        counts = c.rows.parent[row] == row
        n = N_COUNTS if counts else N_MONEY
        for page in range(first, min(end, first + ring + 1)):
            at = np.int64(c.table[row, page & ring]) * _UNIT
            if at == 0:
                continue
            for k in range(PAGE_DAYS * n * nw):
                c.base[row, k % (n * nw)] += c.words[at + k]
                c.words[at + k] = 0
            head = _FREE_COUNTS if counts else _FREE_MONEY
            c.words[at] = control[head]
            control[head] = at
            c.table[row, page & ring] = 0
            if counts:
                c.dirty_pages[kept] = (np.int64(row) << 32) | page
                kept += 1
        if counts:
            c.dirty[row, (end - 1) & ring] = 1
            c.dirty_pages[kept] = (np.int64(row) << 32) | (np.int64(BASE_PAGE) & KEY_VALUE_MASK)
            kept += 1
    control[_FLOOR] = new_floor
    control[_DIRTY] = kept


@kernel
def take_dirty(
    c: Counters, through_page: int, turn: Turn, scopes: NDArray[np.int64], pages: NDArray[np.int64]
) -> tuple[int, int]:
    """Move the dirty pages numbered at most `through_page` into the first entries of both outputs; later ones stay, and
    so do those that have to wait for their turn: they are told at the end of both outputs, backwards, once.

    Returns (how many were taken, how many wait that did not before).
    """
    taken = 0
    kept = 0
    told = 0
    ring = np.int64(c.table.shape[1] - 1)
    first = c.control[_FLOOR] >> PAGE_SHIFT
    nobody_waits = turn.kinds == 0
    if not nobody_waits:
        for i in range(c.control[_DIRTY]):
            # What the floor has moved is one change of many pages: half of it must not be seen.
            nobody_waits |= np.int64(np.int32(c.dirty_pages[i] & KEY_VALUE_MASK)) < first
    for i in range(c.control[_DIRTY]):
        entry = c.dirty_pages[i]
        scope = entry >> 32
        page = np.int64(np.int32(entry & KEY_VALUE_MASK))
        kind = c.rows.key[scope] >> KIND_SHIFT
        waits = not nobody_waits and (turn.kinds >> kind) & 1 != 0 and scope % turn.slices != turn.number
        if page > through_page or waits:
            c.dirty_pages[kept] = entry
            kept += 1
            if page <= through_page and c.dirty[scope, page & ring] == _DIRTY_PAGE:
                c.dirty[scope, page & ring] = _WAITING_PAGE
                told += 1
                scopes[len(scopes) - told] = c.rows.key[scope]
                pages[len(pages) - told] = page
            continue
        if page == BASE_PAGE or page >= first:
            c.dirty[scope, (first - 1 if page == BASE_PAGE else page) & ring] = 0
        scopes[taken] = scope
        pages[taken] = page
        taken += 1
    c.control[_DIRTY] = kept
    return taken, told


@kernel
def note_waiting(c: Counters, keys: NDArray[np.int64], pages: NDArray[np.int64]) -> None:
    """These pages of scopes (by key; a row is made where there is none) wait for their turn, as a former owner of the
    partition has told.
    """
    control = c.control
    ring = np.int64(c.table.shape[1] - 1)
    first = control[_FLOOR] >> PAGE_SHIFT
    for i in range(len(keys)):
        scope = scope_row(c.rows, control, keys[i])
        page = pages[i]
        if page >= first:
            if c.dirty[scope, page & ring] != 0:
                continue
            c.dirty[scope, page & ring] = _WAITING_PAGE
        c.dirty_pages[control[_DIRTY]] = (scope << 32) | (page & KEY_VALUE_MASK)
        control[_DIRTY] += 1
