"""An hour of a scope on the wire (docs/concepts/intraday.md).

A page has the form of `processors.pages`: positions of the lane of counts run over [60 minutes][9 columns]

    s, s_5, s_60, s_1440, b, b_5, b_60, b_1440, carts

where s, b and carts are those of the minute, and the others, the distinct users of the trailing minutes, stand as
differences from one minute to the next; the first minute's from zero. A currency's lane has the GMV of each minute.
So pages add up, and an hour needs no other one to be read. Its number is that of the hour since 1970, UTC.

What a page says of minutes that have not come is what they will show if nothing more happens.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.intraday.counts import HOUR, WINDOWS
from processors.pages import add_lane, decode_page, encode_lanes

N_COLUMNS = 2 * len(WINDOWS) + 1
S_COLUMN, B_COLUMN, CARTS_COLUMN = 0, len(WINDOWS), 2 * len(WINDOWS)


class Minutes(NamedTuple):
    """The figures of successive minutes."""

    first: int
    """Minute since 1970, UTC."""
    counts: NDArray[np.int64]
    """[minutes, 9] values."""
    gmv: dict[str, NDArray[np.int64]]
    """Currency → [minutes] minor units of each minute."""


def encode_hour(lanes: Mapping[str, NDArray[np.int64]]) -> bytes | None:
    """The page of an hour's lanes ("" = counts, as differences); None where nothing is in them."""
    kept = {name: lane for name, lane in lanes.items() if lane.any()}
    return encode_lanes(kept, len(WINDOWS)) if kept else None


def add_hours(pages: Iterable[bytes]) -> dict[str, NDArray[np.int64]]:
    """The lanes of several pages of one hour, added up. Raises PageError."""
    lanes: dict[str, NDArray[np.int64]] = {}
    for value in pages:
        page = decode_page(value, len(WINDOWS))
        for name, (start, end) in page.lanes.items():
            if name not in lanes:
                lanes[name] = np.zeros(HOUR if name else HOUR * N_COLUMNS, np.int64)
            add_lane(page.text, start, end, 1, lanes[name])
    return lanes


def read_minutes(pages: Mapping[int, bytes], first: int, last: int) -> Minutes:
    """The minutes first … last out of the pages of their hours; zeros where there is none. Raises PageError."""
    counts = np.zeros((last - first + 1, N_COLUMNS), np.int64)
    gmv: dict[str, NDArray[np.int64]] = {}
    for hour in range(first // HOUR, last // HOUR + 1):
        if hour not in pages:
            continue
        begin, end = max(first, hour * HOUR), min(last + 1, (hour + 1) * HOUR)
        of_page, of_all = slice(begin - hour * HOUR, end - hour * HOUR), slice(begin - first, end - first)
        for name, lane in add_hours([pages[hour]]).items():
            if name:
                gmv.setdefault(name, np.zeros(len(counts), np.int64))[of_all] = lane[of_page]
            else:
                values = lane.reshape(HOUR, N_COLUMNS)
                for column in (S_COLUMN, B_COLUMN):
                    runs = slice(column + 1, column + len(WINDOWS))
                    values[:, runs] = values[:, runs].cumsum(axis=0)
                counts[of_all] = values[of_page]
    return Minutes(first, counts, gmv)
