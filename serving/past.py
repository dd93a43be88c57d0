"""Figures of a past date, read from the total pages of a scope. Pure: pages in, records out."""

import datetime as dt
from collections.abc import Mapping, Sequence

from processors.calendar import day_of
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
    first, counts = total_series(known, len(windows), "", day)
    if not len(counts) or first > day:
        return []
    last = slice(len(counts) - 1, len(counts))
    money = {
        currency: total_series(known, len(windows), currency, day)[1][last]
        for currency in currencies_of(known.values(), len(windows))
    }
    return list(records(scope, windows, day, counts[last], money, provenance))
