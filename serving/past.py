"""Figures of past dates, read from the total pages of a scope. Pure: pages in, records out."""

import datetime as dt
from collections.abc import Mapping, Sequence

from processors.calendar import day_of
from processors.counters import PAGE_DAYS, PAID_LINES
from processors.figures import Provenance, records
from processors.pages import currencies_of, total_series
from schemas.factors import FactorRecord


def figures_between(  # what is asked for
    scope: str,
    pages: Mapping[int, bytes],
    windows: Sequence[int],
    first: dt.date,
    last: dt.date,
    provenance: Provenance,
) -> list[FactorRecord]:
    """Records of the dates first … last, by date, window and currency; none for a window in which nothing has happened.

    `pages`: page number → total page, all of the scope. `windows` must be those of the workers. Raises PageError for
    pages of another version or other windows.
    """
    known = dict(sorted(pages.items()))
    end = max(day_of(last), (max(known, default=0) + 1) * PAGE_DAYS - 1)
    start, counts = total_series(known, len(windows), "", end)
    first_day = max(day_of(first), start)
    at = slice(first_day - start, max(day_of(last) - start + 1, 0))
    money = {}
    for currency in currencies_of(known.values(), len(windows)):
        series = total_series(known, len(windows), currency, end)[1]
        # A currency is the scope's while a line of it counts at any T: the longest window sees them all.
        if series[:, PAID_LINES, -1].any():
            money[currency] = series[at, :PAID_LINES]
    return list(records(scope, windows, first_day, counts[at], money, provenance))
