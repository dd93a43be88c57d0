"""Which business date is a minute of? Of the minutes that are kept: a handful of dates in each of a few zones.

The minutes of a zone fall into **stretches** of one date each. A stretch is a date, but for a clock that is put back
over midnight. A minute is of the date that its first instant is of.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.calendar import DAY_MS, transitions
from processors.intraday.counts import NEVER_AFTER, NEVER_BEFORE
from processors.kernels import inlined

MINUTE_MS: Final = 60_000


class Dates(NamedTuple):
    """The stretches of all zones, and which zone is whose."""

    first: NDArray[np.int64]
    """[zones, stretches] first minute, ascending; the first stretch reaches back and the last but one on without end,
    and what is after that never comes."""
    day: NDArray[np.int64]
    """[zones, stretches] day number."""
    zone_of: NDArray[np.int32]
    """[shops] number of a shop's zone; that of shop 0 is the market's."""


def stretches(zone: str, first: int, last: int) -> list[tuple[int, int]]:
    """(first minute, day number) of each stretch that any of the minutes first … last lies in.

    >>> stretches("Asia/Shanghai", 29_448_959, 29_448_961)   # until 2025-12-28 23:59 there, from 2025-12-29 00:00
    [(29448959, 20451), (29448960, 20452)]
    """
    offsets, found, minute = transitions(zone), list[tuple[int, int]](), first
    while minute <= last:
        i = bisect_right(offsets, minute * MINUTE_MS, key=lambda change: change[0]) - 1
        local_ms = minute * MINUTE_MS + offsets[i][1]
        if not found or found[-1][1] != local_ms // DAY_MS + 1:
            found.append((minute, local_ms // DAY_MS + 1))
        next_midnight = minute - (local_ms % DAY_MS - DAY_MS) // MINUTE_MS
        next_change = -(-offsets[i + 1][0] // MINUTE_MS) if i + 1 < len(offsets) else next_midnight
        minute = min(next_midnight, next_change)
    return found


def dates_of(zones: Sequence[str], zone_of: NDArray[np.int32], first: int, last: int) -> Dates:
    """The dates of the minutes first … last in zones that are numbered by their position."""
    found = [stretches(zone, first, last) for zone in zones]
    firsts = np.full((len(zones), max(map(len, found)) + 1), NEVER_AFTER, np.int64)
    days = np.zeros(firsts.shape, np.int64)
    for zone, pairs in enumerate(found):
        firsts[zone, : len(pairs)], days[zone, : len(pairs)] = zip(*pairs, strict=True)
    firsts[:, 0] = NEVER_BEFORE
    return Dates(firsts, days, zone_of)


@inlined
def stretch_at(dates: Dates, zone: int, minute: int) -> int:
    """The stretch of a minute. Live minutes are near the end."""
    i = np.int64(dates.first.shape[1] - 1)
    while dates.first[zone, i] > minute:
        i -= 1
    return i
