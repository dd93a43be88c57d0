"""The growth record: how GMV has changed between two periods of equal length, and what each factor contributed."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.factors import Date, Money

Change = Annotated[int, Meta(description="Minor units of the record's currency; may be negative.")]


class Recommended(msgspec.Struct, frozen=True, kw_only=True):
    """The factor whose growth has contributed most to the growth of GMV over the scope's history."""

    factor: Annotated[str, Meta(pattern="^(s|m|art)$")]
    part_minor: Change
    gmv_change_minor: Change
    first: Date
    """Last date of the first period that was looked at."""
    last: Date
    periods: Annotated[int, Meta(ge=2)]


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
