"""How the GMV of a scope has changed and why, read from its total pages. Pure: pages in, records out."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.figures import Provenance
from processors.growth import CLASSES, FACTORS, Levels, contributions, levels, recommended
from schemas.factors import NO_CURRENCY, FactorRecord
from schemas.growth import GrowthRecord, GrowthStep, Recommended
from serving.past import figures_between

_NOTHING: Final[Levels] = np.zeros((len(CLASSES), 3), np.int64)


def growth_at(  # what is asked for
    scope: str,
    pages: Mapping[int, bytes],
    windows: Sequence[int],
    date: dt.date,
    against: dt.date | None,
    horizon_days: int,
    history_from: dt.date | None = None,
    *,
    with_steps: bool = False,
) -> list[GrowthRecord]:
    """Growth of every window and currency of the scope, for the periods that end at `date`.

    against: last date of the periods to compare with; None: the periods just before. horizon_days: so many dates back
    is the factor looked for that is recommended, in periods that do not begin before history_from, the first date with
    data. with_steps: with the contributions of each of these periods. Arguments and errors else as of
    `serving.past.figures_between`.
    """
    first = min(date - dt.timedelta(days=horizon_days - 1), against or date)
    by_key: dict[tuple[int, str], dict[str, FactorRecord]] = {}
    for record in figures_between(scope, pages, windows, first, date, Provenance()):
        by_key.setdefault((record.window_days, record.currency), {})[record.as_of] = record
    found = []
    for (window_days, currency), records in sorted(by_key.items()):
        before = against or date - dt.timedelta(days=window_days)
        if currency != NO_CURRENCY and (date.isoformat() in records or before.isoformat() in records):
            best = _recommended(records, date, window_days, history_from, with_steps=with_steps)
            found.append(_growth(scope, window_days, currency, records, date, before, best))
    return found


def _growth(  # what a record is made of
    scope: str,
    window_days: int,
    currency: str,
    records: Mapping[str, FactorRecord],
    date: dt.date,
    against: dt.date,
    best: Recommended | None,
) -> GrowthRecord:
    before, after = _level(records, against), _level(records, date)
    parts = contributions(before, after)
    named = {
        f"{factor}_{name}_part_minor": int(parts[c, f])
        for f, factor in enumerate(FACTORS)
        for c, name in enumerate(CLASSES)
    }
    sums = {f"{factor}_part_minor": int(parts[:, f].sum()) for f, factor in enumerate(FACTORS)}
    gmv_before, gmv = int(before[:, 2].sum()), int(after[:, 2].sum())
    return GrowthRecord(
        scope=scope,
        as_of=date.isoformat(),
        against=against.isoformat(),
        window_days=window_days,
        currency=currency,
        gmv_minor=gmv,
        gmv_before_minor=gmv_before,
        gmv_change_minor=gmv - gmv_before,
        recommended=best,
        **named,
        **sums,
    )


def _level(records: Mapping[str, FactorRecord], date: dt.date) -> Levels:
    record = records.get(date.isoformat())
    return levels([record])[0] if record is not None else _NOTHING


def _recommended(
    records: Mapping[str, FactorRecord],
    date: dt.date,
    window_days: int,
    history_from: dt.date | None,
    *,
    with_steps: bool,
) -> Recommended | None:
    """Over the periods that end at `date`, a period earlier, and so on, as far back as there are figures."""
    earliest = dt.date.fromisoformat(min(records))
    if history_from is not None:
        earliest = max(earliest, history_from + dt.timedelta(days=window_days - 1))
    dates = [date - dt.timedelta(days=n * window_days) for n in range((date - earliest).days // window_days + 1)][::-1]
    if not dates:
        return None
    periods = np.stack([_level(records, each) for each in dates])
    best = recommended(periods)
    if best is None:
        return None
    parts = best.steps.sum(axis=0).tolist()
    return Recommended(
        factor=best.factor,
        part_minor=best.part_minor,
        gmv_change_minor=best.change_minor,
        first=dates[0].isoformat(),
        last=date.isoformat(),
        periods=len(dates),
        s_part_minor=parts[0],
        m_part_minor=parts[1],
        art_part_minor=parts[2],
        steps=_steps(dates, periods, best.steps) if with_steps else None,
    )


def _steps(dates: Sequence[dt.date], periods: Levels, parts: NDArray[np.int64]) -> list[GrowthStep]:
    gmv = periods[:, :, 2].sum(axis=1)
    rows = zip(dates[1:], gmv[1:].tolist(), np.diff(gmv).tolist(), parts.tolist(), strict=True)
    return [
        GrowthStep(
            as_of=date.isoformat(),
            gmv_minor=value,
            gmv_change_minor=change,
            s_part_minor=s,
            m_part_minor=m,
            art_part_minor=art,
        )
        for date, value, change, (s, m, art) in rows
    ]
