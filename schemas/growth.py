"""The growth record: how GMV has changed between two periods of equal length, and what each factor contributed."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.factors import Date, Money

Change = Annotated[int, Meta(description="Minor units of the record's currency; may be negative.")]


class GrowthStep(msgspec.Struct, frozen=True, kw_only=True):
    """What each factor has contributed to the change of GMV from the period before to the one that ends at `as_of`."""

    as_of: Date
    gmv_minor: Money
    gmv_change_minor: Change
    s_part_minor: Change
    m_part_minor: Change
    art_part_minor: Change


class Recommended(msgspec.Struct, frozen=True, kw_only=True):
    """The factor whose growth has contributed most to the growth of GMV over the scope's history.

    `part_minor` is the greatest of the three `_part_minor`; each of these is the sum of those of the steps.
    """

    factor: Annotated[str, Meta(pattern="^(s|m|art)$")]
    part_minor: Change
    gmv_change_minor: Change
    first: Date
    """Last date of the first period that was looked at."""
    last: Date
    periods: Annotated[int, Meta(ge=2)]
    s_part_minor: Change = 0
    m_part_minor: Change = 0
    art_part_minor: Change = 0
    steps: list[GrowthStep] | None = None
    """From each period to the next, the oldest first; null where they were not asked for."""


class GrowthRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="growth"):
    """GMV of the `window_days` dates that end at `as_of`, against those that end at `against`.

    `s_part_minor + m_part_minor + art_part_minor = gmv_change_minor`, to the minor unit, and each part is the sum of
    its `_new_` and `_existing_` part (docs/concepts/growth.md).
    """

    scope: str
    as_of: Date
    against: Date
    window_days: Annotated[int, Meta(ge=1)]
    currency: str
    gmv_minor: Money
    gmv_before_minor: Money
    gmv_change_minor: Change
    s_part_minor: Change
    s_new_part_minor: Change
    s_existing_part_minor: Change
    m_part_minor: Change
    m_new_part_minor: Change
    m_existing_part_minor: Change
    art_part_minor: Change
    art_new_part_minor: Change
    art_existing_part_minor: Change
    recommended: Recommended | None = None

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, no spaces, fields in the order above."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
