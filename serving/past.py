"""Figures of a past date, read from the total pages of a scope. Pure: pages in, records out."""

import datetime as dt
from collections.abc import Mapping, Sequence

from processors.calendar import day_of
from processors.counters import PAGE_DAYS, PAID_LINES
from processors.figures import Provenance, records
from processors.pages import currencies_of, total_series
from schemas.factors import FactorRecord


def figures_at(
    scope: str, pages: Mapping[int, bytes], windows: Sequence[int], date: dt.date, provenance: Provenance
) -> list[FactorRecord]:
    """Records of the date, by window and currency; [] where nothing has happened in any window.

    `pages`: page number → total page, all of the scope. `windows` must be those of the workers. Raises PageError for
    pages of another version or other windows.
    """
    day = day_of(date)
    known = dict(sorted(pages.items()))
    last = max(day, (max(known, default=0) + 1) * PAGE_DAYS - 1)
    first, counts = total_series(known, len(windows), "", last)
    if day < first:
        return []
    at = slice(day - first, day - first + 1)
    money = {}
    for currency in currencies_of(known.values(), len(windows)):
        series = total_series(known, len(windows), currency, last)[1]
        # A currency is the scope's while a line of it counts at any T: the longest window sees them all.
        if series[:, PAID_LINES, -1].any():
            money[currency] = series[at, :PAID_LINES]
    return list(records(scope, windows, day, counts[at], money, provenance))
