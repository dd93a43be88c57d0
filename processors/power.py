"""How well do a shop's new items draw traffic? From figures of its channels to a number from 0 to 100.

For each channel, the share that users of new items have among its active users is held to the share that is to be
expected from the number of items on sale; the **lift** of a shop is the mean of these quotients, weighted by traffic.
The **power** is the place of the lift among the shops of the tier, in steps of at least five others
(docs/concepts/power.md, definitions §4).

All functions take arrays of shops and give NaN where there is no value.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.calendar import NO_DAY
from processors.membership import NEW_DAYS

OTHERS_A_STEP: Final = 5
"""So many other shops a step of the tier has, as peers have it."""
STEPS_MIN: Final = 2
STEPS_MAX: Final = 100

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def item_days(on_sale: Mapping[int, int], first_day: int, last_day: int) -> tuple[int, int]:
    """(items on sale, new ones among them), each added up over the days first … last.

    on_sale: day of listing, NO_DAY where it is not known → items. An item counts from its listing on.

    >>> item_days({10: 2, NO_DAY: 3}, 9, 11)
    (13, 4)
    """
    days = np.arange(first_day, last_day + 1)
    listed = np.array(list(on_sale.keys()), np.int64)[:, None]
    items = np.array(list(on_sale.values()), np.int64)
    is_there = listed <= days
    is_new = is_there & (listed != NO_DAY) & (days < listed + NEW_DAYS)
    return int(items @ is_there.sum(axis=1)), int(items @ is_new.sum(axis=1))


def shares(part: Ints, whole: Ints) -> Floats:
    """Quotients; NaN for an empty whole."""
    out = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out


def lifts(s: Ints, s_new_items: Ints, all_days: Ints, new_days: Ints) -> Floats:
    """[shops] the lift: Σ over channels of weight × (share / expected share).

    s, s_new_items: [shops, channels] active users, and those of new items; all_days, new_days: [shops] `item_days`.
    With weights s / Σ s the users of a channel cancel: what is left is (Σ s_new_items / Σ s) / (new_days / all_days),
    one quotient of integers, so that equal shops are equal.
    """
    return shares(s_new_items.sum(axis=1) * all_days, s.sum(axis=1) * new_days)


def powers(lift: Floats, tier: Ints) -> Floats:
    """[shops] 0 … 100 by the place of each lift among those of its tier; NaN without a lift, and where so few others
    have one that not even two steps of five are made.

    tier: [shops] a number; negative ones are in no tier. Equal lifts stand in the middle of their places.
    """
    out = np.full(len(lift), np.nan)
    for number in np.unique(tier[tier >= 0]).tolist():
        own = np.flatnonzero((tier == number) & ~np.isnan(lift))
        others = len(own) - 1
        steps = min(others // OTHERS_A_STEP, STEPS_MAX)
        if steps < STEPS_MIN:
            continue
        ordered = np.sort(lift[own])
        less = np.searchsorted(ordered, lift[own], side="left")
        equal = np.searchsorted(ordered, lift[own], side="right") - less - 1  # without itself
        # In integers: the place is (less + equal / 2) of all others, and falls into one of the steps.
        step = np.minimum((2 * less + equal) * steps // (2 * others), steps - 1)
        out[own] = 100 * (step + 0.5) / steps
    return out


def columns(found: Sequence[Mapping[str, int]], channels: Sequence[str]) -> Ints:
    """[shops, channels] of numbers by channel; 0 where there is none."""
    return np.array([[one.get(channel, 0) for channel in channels] for one in found], np.int64).reshape(
        len(found), len(channels)
    )
