"""The figures of a scope beside those of former periods, read from its total pages. Pure: pages in, records out."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from processors.calendar import day_of
from processors.comparison import Former, compared
from processors.counters import N_COUNTS
from processors.figures import Provenance, record
from processors.snapshot import pack_pages, records_at, values_at
from schemas.comparison import ComparisonRecord
from schemas.factors import FactorRecord

YEAR_DAYS: Final = 365
LOOKBACK_DAYS: Final = 365


class Reach(NamedTuple):
    """How far back figures can be compared with."""

    history_from: dt.date | None
    """The first date with data; None: not known, so nothing can."""
    first_date: dt.date
    """The first date that figures are kept for."""

    def covers(self, date: dt.date, window_days: int) -> bool:
        """Whether there are figures of the period that ends at `date`, and data of all of it."""
        first = date - dt.timedelta(days=window_days - 1)
        return self.history_from is not None and self.history_from <= first and self.first_date <= date

    def covers_lookback(self, date: dt.date, window_days: int) -> bool:
        """Whether there are data of the year before that period."""
        return self.covers(date, window_days + LOOKBACK_DAYS)


def compare_at(  # what is asked for
    scope: str,
    pages: Mapping[int, bytes],
    windows: Sequence[int],
    date: dt.date,
    reach: Reach,
) -> list[ComparisonRecord]:
    """Comparisons of every window and currency of the scope, for the periods that end at `date`, by both.

    None for a window in which nothing has happened now or then. Arguments and errors else as of
    `serving.past.figures_between`.
    """
    packed = pack_pages([pages])
    found = []
    for window_days in windows:
        dates = [date, date - dt.timedelta(days=window_days), date - dt.timedelta(days=YEAR_DAYS)]
        then = [_records(scope, packed, windows, window_days, each) for each in dates]
        for currency in sorted(set().union(*then)):
            records = [
                one.get(currency) or _nothing(scope, window_days, each, currency)
                for one, each in zip(then, dates, strict=True)
            ]
            found.append(_comparison(records, dates, reach))
    return found


def _records(
    scope: str, packed: bytes, windows: Sequence[int], window_days: int, date: dt.date
) -> dict[str, FactorRecord]:
    """Currency → record of one period."""
    values = values_at(packed, 1, len(windows), day_of(date))
    records = records_at([scope], values, windows, window_days, day_of(date), Provenance())
    return {record.currency: record for record in records}


def _nothing(scope: str, window_days: int, date: dt.date, currency: str) -> FactorRecord:
    """The record of a period in which nothing has happened."""
    return record(scope, window_days, date.isoformat(), [0] * N_COUNTS, currency, (0, 0), Provenance())


def _comparison(records: Sequence[FactorRecord], dates: Sequence[dt.date], reach: Reach) -> ComparisonRecord:
    now, *others = records
    former = [
        Former(other, reach.covers_lookback(date, now.window_days)) if reach.covers(date, now.window_days) else None
        for other, date in zip(others, dates[1:], strict=True)
    ]
    previous, year = former
    return ComparisonRecord(
        scope=now.scope,
        as_of=now.as_of,
        window_days=now.window_days,
        currency=now.currency,
        previous_as_of=previous.record.as_of if previous else None,
        year_as_of=year.record.as_of if year else None,
        figures=compared(now, previous, year),
        history_from=reach.history_from.isoformat() if reach.history_from else None,
    )
