"""What a running system shows, held to a recount: every difference, in words. Pure; the reading is done elsewhere.

Figures are shown in three places: records in the topic, those of today in the serving store, and total pages in the
store, of which any past date is read. Dates before the horizon are not kept up and so not compared.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from processors.calendar import date_of
from processors.counters import PAID_LINES
from processors.figures import Provenance
from processors.figures import records as records_of
from processors.pages import PageError, currencies_of, total_series
from processors.recount import Recount
from schemas.factors import NO_CURRENCY, FactorRecord, record_key
from schemas.scopes import Scope

LIVE: Final = "factors.live"
STORE: Final = "store"
PAGES: Final = "store pages"
PROVENANCE_FIELDS: Final = frozenset({"history_from", "complete_through", "computed_at"})
"""What a record says about itself; no figure."""

Shown = dict[tuple[int, int, str], FactorRecord]
"""(day, window, currency) → the record that is shown of a scope."""


class Difference(NamedTuple):
    """Something that is shown otherwise than it should be."""

    place: str
    key: str
    text: str


def audit_live(
    recount: Recount, scope: Scope, shown: Shown, days: Iterable[int], windows: Sequence[int], first_kept: int
) -> Iterator[Difference]:
    """Differences of a scope's records of these days. All of them must be there; rows of zeros may be.

    first_kept: the first day number of the horizon. A currency whose lines count at no date from then on may be shown
    with its zeros, or not at all.
    """
    by_row: dict[tuple[int, int], dict[str, FactorRecord]] = {}
    for (day, window, currency), record in shown.items():
        by_row.setdefault((day, window), {})[currency] = record
    for day in days:
        for window in windows:
            found = by_row.get((day, window), {})
            expected = _expected(recount, scope, window, day, found, first_kept - max(windows) + 1)
            for currency in sorted(expected.keys() | found.keys()):
                text = unlike(expected.get(currency), found.get(currency))
                if text:
                    key = record_key(scope.name, window, date_of(day).isoformat(), currency)
                    yield Difference(LIVE, key, "; ".join(text))


def _expected(
    recount: Recount, scope: Scope, window: int, day: int, found: Container[str], since: int
) -> dict[str, FactorRecord]:
    """Currency → the record that should be shown; of currencies with no line since then, only those found."""
    surely = {record.currency: record for record in recount.records(scope, window, day, lines_since=since)}
    maybe = {record.currency: record for record in recount.records(scope, window, day) if record.currency in found}
    if maybe and NO_CURRENCY not in maybe:
        surely.pop(NO_CURRENCY, None)
    return maybe | surely


def audit_store(
    recount: Recount,
    scope: Scope,
    stored: Iterable[FactorRecord],
    windows: Sequence[int],
    today: int,
    first_kept: int,
) -> Iterator[Difference]:
    """Differences of what the store shows of a scope. Windows that are empty today may show zeros of any date."""
    date, by_window = date_of(today).isoformat(), dict[int, dict[str, FactorRecord]]()
    for record in stored:
        by_window.setdefault(record.window_days, {})[record.currency] = record
    for window in windows:
        found = by_window.get(window, {})
        expected = _expected(recount, scope, window, today, found, first_kept - max(windows) + 1)
        for currency in sorted(expected.keys() | found.keys()):
            there = found.get(currency)
            if there is not None and there.as_of != date and not (there.s or there.b):
                there = None
            text = unlike(expected.get(currency), there)
            if text:
                yield Difference(STORE, record_key(scope.name, window, date, currency), "; ".join(text))


def audit_pages(
    recount: Recount,
    scope: Scope,
    pages: Mapping[int, bytes],
    days: Sequence[int],
    windows: Sequence[int],
    first_kept: int,
) -> Iterator[Difference]:
    """Differences of a scope's total pages for these days, which are ascending."""
    found: dict[tuple[int, int, str], FactorRecord] = {}
    try:
        known = dict(sorted(pages.items()))
        first, counts = total_series(known, len(windows), "", days[-1])
        series = {
            c: total_series(known, len(windows), c, days[-1])[1] for c in currencies_of(known.values(), len(windows))
        }
    except PageError as error:
        yield Difference(PAGES, scope.name, str(error))
        return
    money = {currency: lane[:, :PAID_LINES] for currency, lane in series.items() if lane[:, PAID_LINES].any()}
    for day in days:
        if day >= first and len(counts):
            at = slice(day - first, day - first + 1)
            amounts = {currency: lane[at] for currency, lane in money.items()}
            for record in records_of(scope.name, windows, day, counts[at], amounts, Provenance()):
                found[day, record.window_days, record.currency] = record
    for difference in audit_live(recount, scope, found, days, windows, first_kept):
        yield difference._replace(place=PAGES)


def unlike(expected: FactorRecord | None, found: FactorRecord | None) -> list[str]:
    """In what two records of one key differ, in words; [] where all figures are the same."""
    if expected is None or found is None:
        one = expected or found
        return [] if one is None or not (one.s or one.b) else ["missing" if found is None else "should not be there"]
    return [
        f"{name} is {there!r}, should be {should!r}"
        for name in expected.__struct_fields__
        if name not in PROVENANCE_FIELDS and (there := getattr(found, name)) != (should := getattr(expected, name))
    ]
