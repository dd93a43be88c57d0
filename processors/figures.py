"""From exact counts and money to factor records: every figure of definitions §3 that is a ratio or a difference.

Counts and money come as integers from the counters; the ratios are correctly rounded doubles of those integers, so they
are computed on Python's integers and not on arrays (int64 → float64 rounds before it divides). An empty denominator is
null, never 0 and never NaN. A buyer is always in S, so the new ones of S are the new buyers.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.calendar import date_of
from schemas.factors import NO_CURRENCY, FactorRecord

Amounts = NDArray[np.int64]


class Provenance(NamedTuple):
    """What is said beside each figure about where it comes from; texts as they stand in the record."""

    history_from: str | None = None
    """The first business date with data."""
    complete_through: str | None = None
    """The instant up to which everything has been applied."""
    computed_at: str | None = None


def records(
    scope: str,
    windows: Sequence[int],
    first_day: int,
    counts: Amounts,
    money: Mapping[str, Amounts],
    provenance: Provenance,
) -> Iterator[FactorRecord]:
    """Records of n consecutive days T from `first_day` on: by T, window and currency; rows of zeros are left out.

    `counts`: int64[n, 6, windows]; `money`: currency → int64[n, 2, windows], for every currency of the
    scope, empty where it has none. These are the arrays that a partition answers with.
    """
    rows = counts.transpose(0, 2, 1).tolist()
    moneys = [(currency, amounts.transpose(0, 2, 1).tolist()) for currency, amounts in sorted(money.items())]
    for index, by_window in enumerate(rows):
        as_of = date_of(first_day + index).isoformat()
        for w, window_days in enumerate(windows):
            row = by_window[w]
            if not any(row):
                continue
            if not moneys:
                yield record(scope, window_days, as_of, row, NO_CURRENCY, (0, 0), provenance)
            for currency, amounts in moneys:
                yield record(scope, window_days, as_of, row, currency, amounts[index][w], provenance)


def record(
    scope: str,
    window_days: int,
    as_of: str,
    counts: Sequence[int],
    currency: str,
    money: Sequence[int],
    provenance: Provenance,
) -> FactorRecord:
    """One record, of Python integers.

    `counts`: S, S_existing, B, B_existing, items, purchase days; `money`: GMV, GMV_existing in minor units.
    """
    s, s_existing, b, b_existing, items, buyer_days = counts
    gmv, gmv_existing = money
    b_new, gmv_new = b - b_existing, gmv - gmv_existing
    return FactorRecord(
        scope=scope,
        as_of=as_of,
        window_days=window_days,
        s=s,
        s_potential=s - s_existing - b_new,
        s_new=b_new,
        s_existing=s_existing,
        b=b,
        b_new=b_new,
        b_existing=b_existing,
        gmv_minor=gmv,
        gmv_new_minor=gmv_new,
        gmv_existing_minor=gmv_existing,
        currency=currency,
        items=items,
        buyer_days=buyer_days,
        m=ratio(b, s),
        m_new=ratio(b_new, s - s_existing),
        m_existing=ratio(b_existing, s_existing),
        art_minor=ratio(gmv, b),
        art_new_minor=ratio(gmv_new, b_new),
        art_existing_minor=ratio(gmv_existing, b_existing),
        a=ratio(items, b),
        r=ratio(buyer_days, b),
        history_from=provenance.history_from,
        complete_through=provenance.complete_through,
        computed_at=provenance.computed_at,
    )


def ratio(numerator: int, denominator: int) -> float | None:
    """The nearest double of numerator / denominator; None ("no value") where the denominator is 0.

    >>> ratio(3, 2), ratio(0, 0)
    (1.5, None)
    """
    return numerator / denominator if denominator else None
