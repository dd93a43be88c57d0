"""The comparison record: every figure of a period beside those of the period before and of a year earlier."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.factors import Date

Figure = Annotated[int | float | None, Meta(description="A count, money in minor units or a ratio, as in the record.")]
Growth = Annotated[float | None, Meta(description="change / value then; null where that is 0 or null.")]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. What cannot be known or has no value is null."""

    value: Figure = None
    previous: Figure = None
    previous_change: Figure = None
    previous_growth: Growth = None
    year: Figure = None
    year_change: Figure = None
    year_growth: Growth = None


class ComparisonRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="comparison"):
    """The `window_days` dates that end at `as_of`, against those just before them and the same dates 365 days earlier.

    `previous_as_of` and `year_as_of` are the last dates of those periods; null where the history does not reach back to
    their first date, and then all that would come from them is. Changes of figures by class are null, too, where the
    year before such a period is not covered (docs/concepts/comparison.md).
    """

    scope: str
    as_of: Date
    window_days: Annotated[int, Meta(ge=1)]
    currency: str
    previous_as_of: Date | None
    year_as_of: Date | None
    figures: dict[str, Compared]
    """Name of the figure, as in the factor record → its values."""
    history_from: Date | None = None

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, no spaces, fields in the order above."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
