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

N_COUNTS = 6
S, S_EXISTING, B, B_EXISTING, ITEMS, BUYER_DAYS = range(N_COUNTS)
"""Columns of the counts of a scope."""
N_MONEY = 2
GMV, GMV_EXISTING = range(N_MONEY)
"""Columns of the money of a scope in one currency, minor units."""

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
    window_days: int,
    first_day: int,
    counts: Amounts,
    money: Mapping[str, Amounts],
    provenance: Provenance,
) -> Iterator[FactorRecord]:
    """Records of n consecutive days T from `first_day` on: by T, then by currency; rows of zeros are left out.

    `counts`: int64[n, N_COUNTS]; `money`: currency → int64[n, N_MONEY], for every currency of the scope, empty where it
    has none.
    """
    moneys = [(currency, amounts.tolist()) for currency, amounts in sorted(money.items())]
    for index in np.flatnonzero(counts.any(axis=1)).tolist():
        as_of = date_of(first_day + index).isoformat()
        row = counts[index].tolist()
        if not moneys:
            yield record(scope, window_days, as_of, row, NO_CURRENCY, (0, 0), provenance)
        for currency, amounts in moneys:
            yield record(scope, window_days, as_of, row, currency, amounts[index], provenance)


def record(
    scope: str,
    window_days: int,
    as_of: str,
    counts: Sequence[int],
    currency: str,
    money: Sequence[int],
    provenance: Provenance,
) -> FactorRecord:
    """One record. `counts`: the N_COUNTS columns, `money`: the N_MONEY columns, all as Python integers."""
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
