"""The figures of many scopes at one date, from their total pages (docs/concepts/breakdown.md).

The total pages of a scope hold differences, the first from zero on, so a value at T is the sum of all differences up
to T. Here one pass over the pages of many scopes gives their values at one T, without an array of all T for each.

The pages come **packed**: for each scope the number of its pages, then for each page its number, its length in bytes
and the bytes; all three numbers are 4 bytes, little-endian.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.calendar import date_of
from processors.checksum import crc32
from processors.counters import N_COUNTS, N_MONEY, PAGE_SHIFT, PAID_LINES
from processors.figures import Provenance, record
from processors.kernels import kernel
from processors.pages import VERSION, decode_page
from schemas.factors import NO_CURRENCY, FactorRecord

_CURRENCY_BYTES = 4
_MAX_CURRENCIES = 256
_PAGE_HEAD, _PAGE_TAIL = 6, 4


class Values(NamedTuple):
    """Values of n scopes at one T."""

    counts: NDArray[np.int64]
    """[n, counters, windows]."""
    money: dict[str, NDArray[np.int64]]
    """Currency → [n, counters of money, windows]."""
    is_used: dict[str, NDArray[np.bool_]]
    """Currency → [n] whether a line of it counts at any T: then it is a currency of the scope."""


def pack_pages(scopes: Iterable[Mapping[int, bytes]]) -> bytes:
    """The pages of scopes, packed. `scopes`: page number → total page, for each."""
    parts = []
    for pages in scopes:
        parts.append(struct.pack("<i", len(pages)))
        for number, page in pages.items():
            parts += (struct.pack("<ii", number, len(page)), page)
    return b"".join(parts)


@kernel
def _int32(text: NDArray[np.uint8], at: int) -> int:
    value = np.int64(text[at]) | np.int64(text[at + 1]) << 8 | np.int64(text[at + 2]) << 16
    return value | np.int64(np.int8(text[at + 3])) << 24


@kernel
def _currency_index(
    text: NDArray[np.uint8], at: int, length: int, names: NDArray[np.uint8], count: NDArray[np.int64]
) -> int:
    """Index of the name text[at : at + length], given on first use; -1 where there is no room for it."""
    if length > names.shape[1]:
        return -1
    for i in range(count[0]):
        same = True
        for k in range(names.shape[1]):
            same = same and names[i, k] == (text[at + k] if k < length else 0)
        if same:
            return i
    if count[0] == len(names):
        return -1
    for k in range(length):
        names[count[0], k] = text[at + k]
    count[0] += 1
    return count[0] - 1


@kernel
def _find_currencies(
    text: NDArray[np.uint8], scopes: int, windows: int, names: NDArray[np.uint8], count: NDArray[np.int64]
) -> int:
    """Check all pages and list the currencies of their lanes. Returns where a page begins that cannot be
    read, or -1.
    """
    top = np.int64(0)
    for _ in range(scopes):
        pages = _int32(text, top)
        top += 4
        for _ in range(pages):
            size = _int32(text, top + 4)
            top += 8
            end = top + size - _PAGE_TAIL
            if size < _PAGE_HEAD + _PAGE_TAIL or text[top] != VERSION or text[top + 1] != windows:
                return top
            if crc32(text, top, end) != _int32(text, end) & 0xFFFFFFFF:
                return top
            at = top + _PAGE_HEAD
            while at < end:
                length = np.int64(text[at])
                if length > 0 and _currency_index(text, at + 1, length, names, count) < 0:
                    return top
                at += 1 + length
                at += 2 + (np.int64(text[at]) | np.int64(text[at + 1]) << 8)
            top += size
    return np.int64(-1)


@kernel
def _add_up(
    text: NDArray[np.uint8],
    scopes: int,
    day: int,
    names: NDArray[np.uint8],
    count: NDArray[np.int64],
    counts: NDArray[np.int64],
    money: NDArray[np.int64],
    is_used: NDArray[np.bool_],
) -> None:
    """Add the differences up to `day` to counts [scopes, counters * windows] and money [scopes, currencies, counters
    * windows]; is_used [scopes, currencies] is set where a line of the currency counts on any day.
    """
    windows = counts.shape[1] // N_COUNTS
    top = np.int64(0)
    for scope in range(scopes):
        pages = _int32(text, top)
        top += 4
        for _ in range(pages):
            days = day + 1 - (_int32(text, top) << PAGE_SHIFT)  # so many of the page's days are not after T
            size = _int32(text, top + 4)
            top += 8
            at, end = top + _PAGE_HEAD, top + size - _PAGE_TAIL
            while at < end:
                length = np.int64(text[at])
                currency = _currency_index(text, at + 1, length, names, count) if length > 0 else -1
                width = (N_MONEY if length > 0 else N_COUNTS) * windows
                at += 1 + length
                stop = at + 2 + (np.int64(text[at]) | np.int64(text[at + 1]) << 8)
                at += 2
                k = np.int64(0)
                while at < stop:
                    gap, shift = np.int64(0), np.int64(0)
                    while text[at] >= 128:
                        gap |= np.int64(text[at] & 127) << shift
                        shift += 7
                        at += 1
                    k += gap | np.int64(text[at]) << shift
                    at += 1
                    code, shift = np.int64(0), np.int64(0)
                    while text[at] >= 128:
                        code |= np.int64(text[at] & 127) << shift
                        shift += 7
                        at += 1
                    code |= np.int64(text[at]) << shift
                    at += 1
                    value = (code >> 1) if code & 1 == 0 else -((code + 1) >> 1)
                    place = k % width
                    is_past = k < days * width
                    if currency < 0:
                        if is_past:
                            counts[scope, place] += value
                    else:
                        if is_past:
                            money[scope, currency, place] += value
                        if place == (PAID_LINES + 1) * windows - 1:
                            is_used[scope, currency] = True
            top += size


def values_at(packed: bytes, scopes: int, windows: int, day: int) -> Values:
    """Values of so many scopes at T = `day`, from their packed pages.

    Raises PageError for a page of another version or other windows, or a damaged one.
    """
    text = np.frombuffer(packed, np.uint8)
    names = np.zeros((_MAX_CURRENCIES, _CURRENCY_BYTES), np.uint8)
    count = np.zeros(1, np.int64)
    bad = int(_find_currencies(text, scopes, windows, names, count))
    if bad >= 0:
        size = struct.unpack_from("<i", packed, bad - 4)[0]
        decode_page(packed[bad : bad + size], windows)
        message = f"a page names a currency that is none, or is one of more than {_MAX_CURRENCIES}"
        raise ValueError(message)
    n = int(count[0])
    counts = np.zeros((scopes, N_COUNTS * windows), np.int64)
    money = np.zeros((scopes, n, N_MONEY * windows), np.int64)
    is_used = np.zeros((scopes, n), np.bool_)
    _add_up(text, scopes, day, names, count, counts, money, is_used)
    words = [names[i].tobytes().rstrip(b"\0").decode() for i in range(n)]
    return Values(
        counts.reshape(scopes, N_COUNTS, windows),
        {word: money[:, i].reshape(scopes, N_MONEY, windows) for i, word in enumerate(words)},
        {word: is_used[:, i] for i, word in enumerate(words)},
    )


def records_at(
    scopes: Sequence[str], values: Values, windows: Sequence[int], window_days: int, day: int, provenance: Provenance
) -> list[FactorRecord]:
    """The records of one window of those scopes, in their order, by currency; rows of zeros are left out."""
    w = list(windows).index(window_days)
    as_of = date_of(day).isoformat()
    counts = values.counts[:, :, w].tolist()
    moneys = [
        (currency, values.is_used[currency].tolist(), values.money[currency][:, :PAID_LINES, w].tolist())
        for currency in sorted(values.money)
    ]
    found = []
    for i, scope in enumerate(scopes):
        if not any(counts[i]):
            continue
        own = [(currency, amounts[i]) for currency, is_used, amounts in moneys if is_used[i]]
        for currency, amounts in own or [(NO_CURRENCY, (0, 0))]:
            found.append(record(scope, window_days, as_of, counts[i], currency, amounts, provenance))
    return found
