"""Which business date does an instant fall on?

A business date is the calendar date of the event time in the shop's time zone (docs/concepts/dates.md). Inside the
core a date is a **day number**: days since 1969-12-31, so that every instant from 1970 on has a positive one in any
zone (1970-01-01 is day 1). Zones are compiled once into flat arrays of transitions, which a kernel searches without
objects.
"""

import datetime as dt
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, reset_tzpath

import numpy as np
from numpy.typing import NDArray

from processors.kernels import kernel

DAY_MS = 86_400_000
DAY_ZERO_ORDINAL = dt.date(1969, 12, 31).toordinal()
NO_DAY = 0
"""Stands for "no such date" among day numbers; real ones are positive."""

_FIRST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LAST = dt.datetime(2100, 1, 2, tzinfo=dt.UTC)


# The zone data of the package that is locked with us, not those of the machine: every machine gives the same dates.
reset_tzpath(to=())


class UnknownZoneError(ValueError):
    """A time zone name that the IANA database does not have."""


def day_of(date: dt.date) -> int:
    """Day number of a calendar date.

    >>> day_of(dt.date(1970, 1, 1))
    1
    """
    return date.toordinal() - DAY_ZERO_ORDINAL


def date_of(day: int) -> dt.date:
    """Calendar date of a day number.

    >>> date_of(1).isoformat()
    '1970-01-01'
    """
    return dt.date.fromordinal(day + DAY_ZERO_ORDINAL)


class ZoneArrays(NamedTuple):
    """Transitions of all known zones, one zone after another; the form in which kernels take them."""

    first: NDArray[np.int64]
    """[zones + 1] index of a zone's first transition."""
    since_ms: NDArray[np.int64]
    """[transitions] instant from which the offset holds, ascending within a zone."""
    offset_ms: NDArray[np.int64]
    """[transitions] milliseconds to add to UTC."""


@lru_cache(maxsize=1024)
def transitions(zone: str) -> tuple[tuple[int, int], ...]:
    """(since_ms, offset_ms) pairs of a zone from 1970 to 2100, found by bisection of each day that changes the offset.

    Raises UnknownZoneError for a name that is not in the IANA database.
    """
    try:
        info = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"unknown time zone {zone!r}: expected an IANA name such as 'Asia/Shanghai'"
        raise UnknownZoneError(message) from error

    def offset_ms(second: int) -> int:
        delta = (_FIRST + dt.timedelta(seconds=second)).astimezone(info).utcoffset()
        return int((delta or dt.timedelta()).total_seconds() * 1000)

    found = [(-(1 << 62), offset_ms(0))]
    total = int((_LAST - _FIRST).total_seconds())
    for day_start in range(0, total, 86_400):
        low, high = day_start, day_start + 86_400
        if offset_ms(high) == found[-1][1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset_ms(middle) == found[-1][1] else (low, middle)
        found.append((high * 1000, offset_ms(high)))
    return tuple(found)


class Zones:
    """Numbers zones as they are met; a zone's number indexes `arrays`."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._arrays: ZoneArrays | None = None

    def number(self, zone: str) -> int:
        """The number of a zone, given on first use. Raises UnknownZoneError."""
        known = self._numbers.get(zone)
        if known is not None:
            return known
        transitions(zone)
        self._arrays = None
        return self._numbers.setdefault(zone, len(self._numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def names(self) -> list[str]:
        """The zones by their numbers."""
        return list(self._numbers)

    @property
    def arrays(self) -> ZoneArrays:
        """All zones numbered so far."""
        if self._arrays is None:
            tables = [transitions(zone) for zone in self._numbers]
            pairs = [pair for table in tables for pair in table]
            self._arrays = ZoneArrays(
                np.cumsum([0, *map(len, tables)], dtype=np.int64),
                np.array([since for since, _ in pairs], np.int64),
                np.array([offset for _, offset in pairs], np.int64),
            )
        return self._arrays

    def day_at(self, zone: str, instant_ms: int) -> int:
        """Day number of an instant in a zone."""
        return int(day_in_zone(*self._with(zone), instant_ms))

    def _with(self, zone: str) -> tuple[Any, ...]:
        number = self.number(zone)
        return (*self.arrays, number)


@kernel
def day_in_zone(
    first: NDArray[np.int64], since_ms: NDArray[np.int64], offset_ms: NDArray[np.int64], zone: int, instant_ms: int
) -> int:
    """Day number of an instant (ms since the epoch) in the zone numbered `zone`."""
    low = first[zone]
    high = first[zone + 1]
    while high - low > 1:
        middle = (low + high) >> 1
        if since_ms[middle] <= instant_ms:
            low = middle
        else:
            high = middle
    return (instant_ms + offset_ms[low]) // DAY_MS + 1
