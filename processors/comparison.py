"""By how much have figures changed? Absolute and relative changes of all of them at once (docs/concepts/comparison.md).

Counts and money are compared as integers, ratios as the doubles that they are published as. What has no value, or
nothing to be compared with, is null: NaN in the arrays.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.comparison import Compared
from schemas.factors import FactorRecord

INTEGERS: Final = (
    "s", "s_potential", "s_new", "s_existing", "b", "b_new", "b_existing", "gmv_minor", "gmv_new_minor",
    "gmv_existing_minor", "items", "buyer_days",
)  # fmt: skip
RATIOS: Final = ("m", "m_new", "m_existing", "art_minor", "art_new_minor", "art_existing_minor", "a", "r")
FIGURES: Final = INTEGERS + RATIOS
OF_A_CLASS: Final = frozenset(
    name for name in FIGURES if name.removesuffix("_minor").endswith(("_potential", "_new", "_existing"))
)
"""Those that tell customers by what they did in the year before the period."""


class Columns(NamedTuple):
    """The figures of n records."""

    integers: NDArray[np.int64]
    """[n, INTEGERS]."""
    ratios: NDArray[np.float64]
    """[n, RATIOS]; NaN is null."""


class Changes(NamedTuple):
    """How the figures of n records differ from those of n others."""

    absolute: Columns
    relative: NDArray[np.float64]
    """[n, FIGURES] of the former value; NaN where that is 0 or null."""


def columns(records: Sequence[FactorRecord]) -> Columns:
    """The figures of records, in their order."""
    integers = [[getattr(record, name) for name in INTEGERS] for record in records]
    ratios = [[getattr(record, name) for name in RATIOS] for record in records]
    return Columns(
        np.array(integers, np.int64).reshape(-1, len(INTEGERS)),
        np.array(ratios, np.float64).reshape(-1, len(RATIOS)),  # None becomes NaN
    )


def changes(after: Columns, before: Columns) -> Changes:
    """Element by element; the two have the same shapes."""
    absolute = Columns(after.integers - before.integers, after.ratios - before.ratios)
    change = np.concatenate([absolute.integers, absolute.ratios], axis=-1)
    former = np.concatenate([before.integers, before.ratios], axis=-1)
    relative = np.full(change.shape, np.nan)
    np.divide(change, former, out=relative, where=former != 0)
    return Changes(absolute, relative)


class Former(NamedTuple):
    """A period to compare with."""

    record: FactorRecord
    has_lookback: bool
    """The year before it is covered by the history."""


def compared(now: FactorRecord, previous: Former | None, year: Former | None) -> dict[str, Compared]:
    """Every figure of a record beside those of two former periods; None: the history does not reach it."""
    values = _by_name(columns([now]))
    told: dict[str, dict[str, int | float | None]] = {name: {"value": values[name]} for name in FIGURES}
    for word, former in (("previous", previous), ("year", year)):
        if former is None:
            continue
        before = columns([former.record])
        change = changes(columns([now]), before)
        growth = dict(zip(FIGURES, change.relative[0].tolist(), strict=True))
        was, by = _by_name(before), _by_name(change.absolute)
        for name, figure in told.items():
            figure[word] = was[name]
            if former.has_lookback or name not in OF_A_CLASS:
                figure[f"{word}_change"] = by[name]
                figure[f"{word}_growth"] = None if np.isnan(growth[name]) else growth[name]
    return {name: Compared(**figure) for name, figure in told.items()}


def _by_name(one: Columns) -> dict[str, int | float | None]:
    """Name → figure of the only record."""
    integers, ratios = one.integers[0].tolist(), one.ratios[0].tolist()
    values = [*integers, *(None if np.isnan(ratio) else ratio for ratio in ratios)]
    return dict(zip(FIGURES, values, strict=True))
