"""Why has GMV changed? What S, M and ART have each contributed, by class of customer (docs/concepts/growth.md).

For a class of customers GMV = S × M × ART. Between two periods each of the three is given the part

    ΔGMV_factor = L(GMV₁, GMV₀) · ln(factor₁ / factor₀),    L(a, b) = (a - b) / ln(a / b),  L(a, a) = a

(the logarithmic mean Divisia index, LMDI-I), so that the parts of a class add up to its ΔGMV without a rest, whichever
period comes first. The classes are those who had bought in the year before the period (existing) and all others
(new); the part of a factor is the sum of its parts by class.

Where GMV was or becomes 0 the logarithms have limits: the first of S, M, ART that is 0 takes the whole change.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.factors import FactorRecord

FACTORS: Final = ("s", "m", "art")
CLASSES: Final = ("new", "existing")

Levels = NDArray[np.int64]
"""[..., classes, 3]: S, B and GMV in minor units of each class; S of the new ones is everybody who is not existing."""
Parts = NDArray[np.float64]
"""[..., classes, factors] in minor units."""


class Recommendation(NamedTuple):
    """The factor whose growth has contributed most to the growth of GMV."""

    factor: str
    part_minor: int
    """What it has contributed over all steps."""
    change_minor: int
    """ΔGMV from the first to the last period."""
    steps: NDArray[np.int64]
    """[periods - 1, factors] what each has contributed to the change from one period to the next."""


def levels(records: Sequence[FactorRecord]) -> Levels:
    """[n, classes, 3] of n records, all of one currency."""
    return np.array(
        [
            ((r.s - r.s_existing, r.b_new, r.gmv_new_minor), (r.s_existing, r.b_existing, r.gmv_existing_minor))
            for r in records
        ],
        np.int64,
    ).reshape(-1, len(CLASSES), 3)


def decompose(before: Levels, after: Levels) -> Parts:
    """Parts of ΔGMV = GMV(after) - GMV(before) by class and factor; element by element over leading dimensions.

    GMV must be below 2^53 minor units. The parts of a class add up to its ΔGMV within a relative 1e-9 of the larger
    GMV.
    """
    low, high = before.astype(np.float64), after.astype(np.float64)
    change = high[..., 2] - low[..., 2]
    parts = np.zeros(np.broadcast_shapes(low.shape, high.shape))
    both = (low[..., 2] > 0) & (high[..., 2] > 0)
    # Of the larger over the smaller one, whichever that is: near -1 log1p loses its digits, and the way back differs.
    smaller = np.minimum(low, high)
    growth = np.zeros_like(parts)
    np.log1p(np.abs(high - low) / np.where(smaller > 0, smaller, 1), out=growth, where=both[..., None])
    growth *= np.sign(high - low)
    mean = np.where(growth[..., 2] == 0, high[..., 2], 0)
    np.divide(change, growth[..., 2], out=mean, where=growth[..., 2] != 0)
    chained = np.diff(growth, axis=-1, prepend=0)  # ln S, ln M = ln B - ln S, ln ART = ln GMV - ln B
    parts[both] = (mean[..., None] * chained)[both]
    empty = np.where((low[..., 2] > 0)[..., None], high, low)  # the end at which GMV is 0
    first_zero = (empty == 0).argmax(axis=-1)
    one = ~both & (change != 0)
    parts[one, first_zero[one]] = change[one]
    return parts


def whole_minor_units(parts: Parts, totals: NDArray[np.int64]) -> NDArray[np.int64]:
    """Parts [..., k] rounded so that they add up to the totals [...]: the largest remainders are rounded up."""
    down = np.floor(parts).astype(np.int64)
    k = parts.shape[-1]
    each, rest = np.divmod(totals - down.sum(axis=-1), k)
    order = np.argsort(np.argsort(-(parts - down), axis=-1, kind="stable"), axis=-1)
    return down + each[..., None] + (order < rest[..., None])


def contributions(before: Levels, after: Levels) -> NDArray[np.int64]:
    """[..., classes, factors] whole minor units of ΔGMV; they add up to the ΔGMV of each class."""
    return whole_minor_units(decompose(before, after), after[..., 2] - before[..., 2])


def recommended(steps: Levels) -> Recommendation | None:
    """From the levels of successive periods [periods, classes, 3]; None where no factor has contributed to growth.

    The contributions of the steps are added up: those of one long step would only see its two ends.
    """
    if len(steps) < 2:
        return None
    by_step = contributions(steps[:-1], steps[1:]).sum(axis=1)
    parts = by_step.sum(axis=0)
    best = int(parts.argmax())
    if parts[best] <= 0:
        return None
    return Recommendation(FACTORS[best], int(parts[best]), int(steps[-1, :, 2].sum() - steps[0, :, 2].sum()), by_step)
