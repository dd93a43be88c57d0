"""The spend record: what buyers of a shop spend, on what, and how concentrated that is."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.factors import Count, Date, FactorRecord, Money, Ratio


class SpendPart(msgspec.Struct, frozen=True, kw_only=True):
    """One category, channel or item."""

    value: str
    gmv_minor: Money
    gmv_share: Ratio | None
    """Of the shop's GMV."""


class Concentration(msgspec.Struct, frozen=True, kw_only=True):
    """How the shop's GMV is spread over its categories, channels of level 1, or items."""

    by: Annotated[str, Meta(pattern="^(category|channel|item)$")]
    total: Count
    """Those with GMV."""
    gmv_minor: Money
    """Of all of them; what is sold without a name of this kind is missing from it."""
    gmv_share: Ratio | None
    """Of the shop's GMV."""
    herfindahl: Annotated[float, Meta(ge=0, le=1, description="Σ (GMV of one / GMV of all of them)².")] | None
    top_10_share: Ratio | None
    """GMV of the ten greatest / GMV of all of them."""
    for_80_percent: Count
    """So many, the greatest first, make up 80 % of the GMV of all of them."""
    top: list[SpendPart]


class SpendBand(msgspec.Struct, frozen=True, kw_only=True):
    """Items of which a buyer buys about as much, or about as often."""

    above: Ratio
    up_to: Ratio | None
    """Inclusive; null: no bound."""
    items: Annotated[int, Meta(ge=0, description="So many different items.")]
    gmv_minor: Money
    gmv_share: Ratio | None
    """Of the GMV of all items."""


class SpendRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="spend"):
    """Spend analysis of a shop for one period and currency, computed from factor records (docs/concepts/spend.md)."""

    scope: str
    as_of: Date
    window_days: Annotated[int, Meta(ge=1)]
    currency: str
    figures: FactorRecord
    gmv_new_share: Ratio | None
    gmv_existing_share: Ratio | None
    item_price_minor: Ratio | None
    """GMV / items."""
    day_spend_minor: Ratio | None
    """GMV / purchase days: what a buyer spends on a day on which he buys."""
    day_items: Ratio | None
    """Items / purchase days."""
    concentrations: list[Concentration]
    not_kept: list[str]
    """Kinds of which the deployment keeps no figures, or has none."""
    quantity_bands: list[SpendBand]
    """Items by A, the pieces that one of their buyers buys; empty where figures of items are not kept."""
    frequency_bands: list[SpendBand]
    """Items by R, the days on which one of their buyers buys them."""

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, no spaces, fields in the order above."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
