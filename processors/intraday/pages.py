"""An hour of a scope on the wire (docs/concepts/intraday.md).

A page has the form of `processors.pages`, with the number of columns for that of windows: positions of the lane of
counts run over [60 minutes][15 columns]

    s, s_5, s_60, s_1440, b, b_5, b_60, b_1440, carts, s_existing_5, … _60, … _1440, b_existing_5, … _60, … _1440

where s, b and carts are those of the minute, and the others, the distinct users of the trailing minutes, stand as
differences from one minute to the next; the first minute's from zero. A currency's lane has [60 minutes][4 columns]:
the GMV of each minute, and that of existing buyers in the trailing 5, 60 and 1440 as differences.
So pages add up, and an hour needs no other one to be read. Its number is that of the hour since 1970, UTC.

What a page says of minutes that have not come is what they will show if nothing more happens.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.checksum import crc32
from processors.intraday.counts import HOUR, N_RUNS, VALUE_MASK, WINDOWS, Counts, read_hour, read_money
from processors.kernels import kernel
from processors.names import Table
from processors.pages import VERSION, add_lane, decode_page, encode_lanes, put_lane

S_COLUMN, B_COLUMN, CARTS_COLUMN = 0, len(WINDOWS), 2 * len(WINDOWS)
S_EXISTING_COLUMN = CARTS_COLUMN + 1
B_EXISTING_COLUMN = S_EXISTING_COLUMN + N_RUNS
N_COLUMNS = B_EXISTING_COLUMN + N_RUNS
N_MONEY_COLUMNS = 1 + N_RUNS

_RUNS = tuple(
    slice(column, column + N_RUNS) for column in (S_COLUMN + 1, B_COLUMN + 1, S_EXISTING_COLUMN, B_EXISTING_COLUMN)
)
_MONEY_RUNS = (slice(1, N_MONEY_COLUMNS),)
"""Columns that stand as differences."""

MAX_HOUR_BYTES = 1 << 19
"""More than a page of counts and a hundred currencies can take."""
_HEAD = 6
_LANES_MAX = 200
"""Currencies of a page; there are fewer codes."""


@kernel
def encode_hours(
    c: Counts,
    rows: NDArray[np.int64],
    hours: NDArray[np.int64],
    currencies: Table,
    order: NDArray[np.int64],
    lane: NDArray[np.int64],
    out: NDArray[np.uint8],
    end: NDArray[np.int64],
) -> None:
    """Encode the page of hours[i] of counts row rows[i] into out[end[i] : end[i + 1]]; an empty one takes no bytes.

    `order` lists the currencies' numbers in the order of their names; lane: [60, 15] room.
    """
    top = np.int64(0)
    flat = lane.reshape(HOUR * N_COLUMNS)
    for i in range(len(rows)):
        begin = top
        out[top] = VERSION
        out[top + 1] = N_COLUMNS
        for k in range(4):
            out[top + 2 + k] = 0
        top += _HEAD
        flat[:] = 0
        read_hour(c, rows[i], hours[i], lane)
        top = put_lane(out, top, flat, 0, HOUR * N_COLUMNS, currencies.text[:0])
        if c.next_money[rows[i]] != 0:
            for currency in order:
                money = np.int64(c.next_money[rows[i]])
                while money != 0 and c.key[money] & VALUE_MASK != currency:
                    money = np.int64(c.next_money[money])
                if money != 0:
                    flat[: HOUR * N_MONEY_COLUMNS] = 0
                    read_money(c, money, hours[i], flat[: HOUR * N_MONEY_COLUMNS].reshape(HOUR, N_MONEY_COLUMNS))
                    name = currencies.text[currencies.start[currency] : currencies.start[currency + 1]]
                    top = put_lane(out, top, flat, 0, HOUR * N_MONEY_COLUMNS, name)
        if top == begin + _HEAD:
            top = begin
        else:
            check = crc32(out, begin, top)
            for k in range(4):
                out[top + k] = (check >> (8 * k)) & 255
            top += 4
        end[i + 1] = top


@kernel
def add_pages(
    text: NDArray[np.uint8], ends: NDArray[np.int64], counts: NDArray[np.int64], named: NDArray[np.int64]
) -> int:
    """Add the counts of pages text[ends[i] : ends[i + 1]] up, and list their lanes of currencies in named[:, 0:4].

    A lane is listed as start and end of its name, start and end of its entries. Returns how many; it stops where there
    is no room.
    """
    n = 0
    for i in range(len(ends) - 1):
        top = ends[i] + _HEAD
        while top < ends[i + 1] - 4 and n < len(named):
            name_end = top + 1 + np.int64(text[top])
            start = name_end + 2
            stop = start + np.int64(text[name_end]) + (np.int64(text[name_end + 1]) << 8)
            if name_end == top + 1:
                add_lane(text, start, stop, 1, counts)
            else:
                named[n, 0] = top + 1
                named[n, 1] = name_end
                named[n, 2] = start
                named[n, 3] = stop
                n += 1
            top = stop
    return n


@kernel
def check_pages(text: NDArray[np.uint8], ends: NDArray[np.int64], good: NDArray[np.bool_]) -> None:
    """good[i] = whether text[ends[i] : ends[i + 1]] is a page of this version, of these columns, and whole."""
    for i in range(len(good)):
        start, stop = ends[i], ends[i + 1] - 4
        if stop < start + _HEAD or text[start] != VERSION or text[start + 1] != N_COLUMNS:
            continue
        check = np.int64(0)
        for k in range(4):
            check |= np.int64(text[stop + k]) << (8 * k)
        good[i] = np.int64(crc32(text, start, stop)) == check


class Minutes(NamedTuple):
    """The figures of successive minutes."""

    first: int
    """Minute since 1970, UTC."""
    counts: NDArray[np.int64]
    """[minutes, 15] values."""
    gmv: dict[str, NDArray[np.int64]]
    """Currency → [minutes] minor units of each minute."""
    gmv_existing: dict[str, NDArray[np.int64]]
    """Currency → [minutes, 3] minor units of existing buyers in the trailing minutes: 5, 60 and 1440."""


def encode_hour(lanes: Mapping[str, NDArray[np.int64]]) -> bytes | None:
    """The page of an hour's lanes ("" = counts, as differences); None where nothing is in them."""
    kept = {name: lane for name, lane in lanes.items() if lane.any()}
    return encode_lanes(kept, N_COLUMNS) if kept else None


def check_hour(value: bytes) -> None:
    """Raise PageError for a page that this version cannot read."""
    decode_page(value, N_COLUMNS)


def are_readable(pages: Sequence[bytes | None]) -> list[bool]:
    """Of each page (None: a tombstone) whether this version can read it: what `check_hour` says, of many at once."""
    ends = np.zeros(len(pages) + 1, np.int64)
    np.cumsum([len(page or b"") for page in pages], out=ends[1:])
    good = np.zeros(len(pages), np.bool_)
    check_pages(np.frombuffer(b"".join(page or b"" for page in pages), np.uint8), ends, good)
    return [bool(one) or page is None for one, page in zip(good.tolist(), pages, strict=True)]


def add_hours(pages: Iterable[bytes]) -> dict[str, NDArray[np.int64]]:
    """The lanes of several pages of one hour, added up; `check_hour` has been asked of each."""
    values = list(pages)
    text = np.frombuffer(b"".join(values), np.uint8)
    ends = np.zeros(len(values) + 1, np.int64)
    np.cumsum([len(value) for value in values], out=ends[1:])
    lanes = {"": np.zeros(HOUR * N_COLUMNS, np.int64)}
    named = np.zeros((_LANES_MAX * len(values), 4), np.int64)
    n = add_pages(text, ends, lanes[""], named)
    for name, name_end, start, stop in named[:n].tolist():
        currency = text[name:name_end].tobytes().decode()
        add_lane(text, start, stop, 1, lanes.setdefault(currency, np.zeros(HOUR * N_MONEY_COLUMNS, np.int64)))
    return lanes


def read_minutes(pages: Mapping[int, bytes], first: int, last: int) -> Minutes:
    """The minutes first … last out of the pages of their hours; zeros where there is none. Raises PageError."""
    n = last - first + 1
    found = Minutes(first, np.zeros((n, N_COLUMNS), np.int64), {}, {})
    for hour in range(first // HOUR, last // HOUR + 1):
        if hour not in pages:
            continue
        begin, end = max(first, hour * HOUR), min(last + 1, (hour + 1) * HOUR)
        of_page, of_all = slice(begin - hour * HOUR, end - hour * HOUR), slice(begin - first, end - first)
        check_hour(pages[hour])
        for name, lane in add_hours([pages[hour]]).items():
            values = lane.reshape(HOUR, -1)
            for runs in _MONEY_RUNS if name else _RUNS:
                values[:, runs] = values[:, runs].cumsum(axis=0)
            if name:
                found.gmv.setdefault(name, np.zeros(n, np.int64))[of_all] = values[of_page, 0]
                found.gmv_existing.setdefault(name, np.zeros((n, N_RUNS), np.int64))[of_all] = values[of_page, 1:]
            else:
                found.counts[of_all] = values[of_page]
    return found
