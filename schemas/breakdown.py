"""The breakdown record: the figures of everything of one kind in a shop or the market, side by side."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.factors import Count, Date, FactorRecord, Ratio


class BreakdownRow(msgspec.Struct, frozen=True, kw_only=True):
    """One item, category, channel …, with its factor record."""

    value: Annotated[str, Meta(description="The id itself, not encoded.")]
    gmv_share: Ratio | None = None
    """Its part of the GMV of the whole; null where that is 0."""
    is_exact: bool = True
    """False: names beyond a bound, counted together."""
    figures: FactorRecord


class BreakdownRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="breakdown"):
    """The scopes of one kind within a whole, in an order, for one period and currency.

    `total` of them have figures, the first ones stand in `rows`. `whole` is the record of the shop or the market.
    Without a currency (`-`) these are the ones without money where there are several currencies.
    """

    scope: str
    by: Annotated[str, Meta(pattern="^(category|item|brand|channel|group|power|age|gender)$")]
    as_of: Date
    window_days: Annotated[int, Meta(ge=1)]
    currency: str
    sort: str
    total: Count
    whole: FactorRecord | None = None
    rows: list[BreakdownRow] = msgspec.field(default_factory=list)

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, no spaces, fields in the order above."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
