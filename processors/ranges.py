"""Which end dates T does one fact count for?

A window of `w` days ending at T covers day d iff d <= T <= d + w - 1. A user is counted once per T, so a new active
day adds only the T that its neighbours do not cover already; and a user is *existing* at T iff T lies in [p + w, p +
w + 364] for some purchase day p. So every fact counts on a contiguous range of T, whatever is past or future, early
or late (docs/concepts/ranges.md). Days are day numbers (processors.calendar).
"""

from processors.kernels import inlined

LOOKBACK_DAYS = 365
NEVER_BEFORE = -(1 << 40)
NEVER_AFTER = 1 << 40


@inlined
def newly_covered(day: int, before: int, after: int, window_days: int) -> tuple[int, int]:
    """First and last T (inclusive) that become covered when `day` joins `before` < day < `after`; empty when first >
    last.

    >>> newly_covered(10, 8, NEVER_AFTER, 7)   # 8 covers 8…14 already
    (15, 16)
    """
    return max(day, before + window_days), min(day + window_days - 1, after - 1)


@inlined
def existing_by(purchase_day: int, window_days: int) -> tuple[int, int]:
    """First and last T at which a purchase on this day lies in the 365 days before the window.

    >>> existing_by(10, 7)
    (17, 381)
    """
    return purchase_day + window_days, purchase_day + window_days + LOOKBACK_DAYS - 1


@inlined
def existing_only_by(day: int, before: int, after: int, window_days: int) -> tuple[int, int]:
    """The T at which `day` alone makes the user existing, `before` < day < `after` being the neighbouring purchase
    days.

    >>> existing_only_by(10, 4, 20, 7)
    (376, 26)
    """
    first = max(day, before + LOOKBACK_DAYS) + window_days
    return first, min(day + LOOKBACK_DAYS - 1, after - 1) + window_days
