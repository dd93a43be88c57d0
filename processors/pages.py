"""Difference pages on the wire: the newest page of every partition, added up, is the scope's page
(docs/concepts/pages.md).

Key: `scope|partition|page`; the page number is its first day / 8, `base` for what lies before the floor. Value:

    version, number of windows, floor (4 bytes; of a base: pages before this day are in it), lanes, CRC-32 (4 bytes)

A lane is a currency (length and bytes; none for the counts), the bytes that its entries take (2 bytes) and the
entries: the gap to the next position and the difference, as varints (LEB128, differences zigzag). Positions run over
[day][counter][window], in a base over [counter][window]. Lanes are in the order of their currencies, so equal
counters have equal bytes. A page without entries is a tombstone.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.checksum import crc32
from processors.counters import (
    BASE_PAGE,
    N_COUNTS,
    N_MONEY,
    PAGE_DAYS,
    PAGE_SHIFT,
    Counters,
)
from processors.kernels import kernel
from processors.names import Table

VERSION = 1
_HEAD = 6
MAX_PAGE_BYTES = 1 << 16


class PageError(ValueError):
    """A page record that this version cannot read."""


@kernel
def _put_varint(out: NDArray[np.uint8], top: int, value: int) -> int:
    while value >= 128:
        out[top] = np.uint8((value & 127) | 128)
        value >>= 7
        top += 1
    out[top] = np.uint8(value)
    return top + 1


@kernel
def put_lane(
    out: NDArray[np.uint8], top: int, values: NDArray[np.int64], at: int, length: int, name: NDArray[np.uint8]
) -> int:
    """Encode the nonzero entries of values[at : at + length]; returns the new top, unchanged if there are none."""
    begin = top
    out[top] = len(name)
    top += 1
    for k in range(len(name)):
        out[top] = name[k]
        top += 1
    size = top
    top += 2
    last = 0
    for k in range(length):
        value = values[at + k]
        if value != 0:
            top = _put_varint(out, top, k - last)
            top = _put_varint(out, top, (value << 1) if value >= 0 else (((-value) << 1) - 1))
            last = k
    if top == size + 2:
        return begin
    out[size] = (top - size - 2) & 255
    out[size + 1] = (top - size - 2) >> 8
    return top


@kernel
def _put_row(
    c: Counters, row: int, n: int, page: int, name: NDArray[np.uint8], out: NDArray[np.uint8], top: int
) -> int:
    length = n * len(c.windows)
    if page == BASE_PAGE:
        return put_lane(out, top, c.base[row], 0, length, name)
    if page < c.control[0] >> PAGE_SHIFT:
        return top  # it has gone into the base, and its slot may serve a later page
    at = np.int64(c.table[row, page & (c.table.shape[1] - 1)]) * 8
    if at == 0:
        return top
    return put_lane(out, top, c.words, at, PAGE_DAYS * length, name)


@kernel
def encode_pages(
    c: Counters,
    scopes: NDArray[np.int64],
    pages: NDArray[np.int64],
    currencies: Table,
    order: NDArray[np.int64],
    out: NDArray[np.uint8],
    end: NDArray[np.int64],
) -> None:
    """Encode page pages[i] of counts row scopes[i] into out[end[i] : end[i + 1]]; an empty page takes no bytes.

    `order` lists the currencies' numbers in the order of their names.
    """
    top = np.int64(0)
    for i in range(len(scopes)):
        begin = top
        out[top] = VERSION
        out[top + 1] = len(c.windows)
        floor = c.control[0] if pages[i] == BASE_PAGE else 0
        for k in range(4):
            out[top + 2 + k] = (floor >> (8 * k)) & 255
        top += _HEAD
        top = _put_row(c, scopes[i], N_COUNTS, pages[i], currencies.text[:0], out, top)
        for currency in order:
            money = c.rows.next_money[scopes[i]]
            while money != 0 and c.rows.key[money] != currency:
                money = c.rows.next_money[money]
            if money != 0:
                name = currencies.text[currencies.start[currency] : currencies.start[currency + 1]]
                top = _put_row(c, money, N_MONEY, pages[i], name, out, top)
        if top == begin + _HEAD and pages[i] != BASE_PAGE:
            top = begin
        else:
            check = crc32(out, begin, top)
            for k in range(4):
                out[top + k] = (check >> (8 * k)) & 255
            top += 4
        end[i + 1] = top


@kernel
def _get_varint(text: NDArray[np.uint8], top: int) -> tuple[int, int]:
    value = np.int64(0)
    shift = 0
    while text[top] >= 128:
        value |= np.int64(text[top] & 127) << shift
        shift += 7
        top += 1
    return value | (np.int64(text[top]) << shift), top + 1


@kernel
def add_lane(text: NDArray[np.uint8], start: int, end: int, sign: int, out: NDArray[np.int64]) -> None:
    """out[position] += sign * difference for every entry in text[start:end]."""
    k = np.int64(0)
    while start < end:
        gap, start = _get_varint(text, start)
        value, start = _get_varint(text, start)
        k += gap
        out[k] += sign * ((value >> 1) if value & 1 == 0 else -((value + 1) >> 1))


class Page(NamedTuple):
    """An encoded page whose head and checksum have been read."""

    floor: int
    """Of a base: the day before which everything is in it; 0 otherwise."""
    text: NDArray[np.uint8]
    lanes: dict[str, tuple[int, int]]
    """Currency ("" for the counts) → where its entries stand in `text`."""

    def differences(self, currency: str, windows: int, *, base: bool) -> NDArray[np.int64]:
        """[days, counters, windows] of a lane; one "day" in a base."""
        shape = (1 if base else PAGE_DAYS, N_MONEY if currency else N_COUNTS, windows)
        out = np.zeros(shape, np.int64)
        if currency in self.lanes:
            add_lane(self.text, *self.lanes[currency], 1, out.reshape(-1))
        return out


EMPTY_PAGE = Page(0, np.frombuffer(b"\0", np.uint8), {})


def decode_page(value: bytes | None, windows: int) -> Page:
    """The page that a record holds (a tombstone holds an empty one).

    Raises PageError for another version, other windows or a broken checksum.
    """
    if value is None:
        return EMPTY_PAGE
    text = np.frombuffer(value, np.uint8)
    if len(value) < _HEAD + 4 or value[0] != VERSION:
        raise PageError(f"page record of {len(value)} bytes has version {value[0] if value else 'none'}, not {VERSION}")
    if value[1] != windows:
        raise PageError(
            f"page record has {value[1]} windows, expected {windows}: SMART_WINDOWS changed without a rebuild"
        )
    end = len(value) - 4
    if zlib.crc32(value[:end]) != int.from_bytes(value[end:], "little"):
        raise PageError("page record has a wrong checksum")
    top, lanes = _HEAD, {}
    while top < end:
        name_end = top + 1 + value[top]
        start = name_end + 2
        stop = start + int.from_bytes(value[name_end:start], "little")
        lanes[value[top + 1 : name_end].decode()] = (start, stop)
        top = stop
    return Page(int.from_bytes(value[2:_HEAD], "little"), text, lanes)


def page_key(scope: bytes, partition: int, page: int) -> bytes:
    """Key of a partition's page record."""
    return b"%b|%d|%b" % (scope, partition, b"base" if page == BASE_PAGE else b"%d" % page)


def parse_page_key(key: bytes) -> tuple[bytes, int, int]:
    """(scope, partition, page number) of a key. Raises PageError."""
    try:
        scope, partition, page = key.rsplit(b"|", 2)
        return scope, int(partition), BASE_PAGE if page == b"base" else int(page)
    except ValueError as error:
        raise PageError("page key is not 'scope|partition|page'") from error


def page_of(day: int) -> int:
    """Number of the page that holds a day."""
    return day >> PAGE_SHIFT


def encode_lanes(lanes: Mapping[str, NDArray[np.int64]], windows: int) -> bytes:
    """A page record of differences given as currency → [days, counters * windows] (no floor)."""
    out = np.zeros(_HEAD + sum(8 + 3 + 11 * lane.size for lane in lanes.values()), np.uint8)
    out[0], out[1] = VERSION, windows
    top = _HEAD
    for currency, lane in sorted(lanes.items()):
        name = np.frombuffer(currency.encode(), np.uint8)
        top = int(put_lane(out, top, np.ascontiguousarray(lane).reshape(-1), 0, lane.size, name))
    body = out[:top].tobytes()
    return body + zlib.crc32(body).to_bytes(4, "little")


def total_series(
    pages: Mapping[int, bytes], windows: int, currency: str, last_day: int
) -> tuple[int, NDArray[np.int64]]:
    """(first day, [T, counters, windows]) of a scope's values from its total pages, up to T = last day.

    `pages`: page number → record, as `Aggregate.take_pages` gave them. Raises PageError.
    """
    n = N_MONEY if currency else N_COUNTS
    if not pages:
        return last_day + 1, np.zeros((0, n, windows), np.int64)
    first = min(pages) << PAGE_SHIFT
    out = np.zeros((max(last_day + 1, (max(pages) + 1) << PAGE_SHIFT) - first, n, windows), np.int64)
    for number, value in pages.items():
        at = (number << PAGE_SHIFT) - first
        out[at : at + PAGE_DAYS] = decode_page(value, windows).differences(currency, windows, base=False)
    return first, np.cumsum(out, axis=0)[: max(last_day + 1 - first, 0)]


def currencies_of(pages: Iterable[bytes], windows: int) -> list[str]:
    """The currencies that page records have money in, ascending."""
    return sorted({currency for value in pages for currency in decode_page(value, windows).lanes if currency})
