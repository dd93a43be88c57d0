"""New-product power: how well a shop's new items draw traffic, by channel and beside its tier."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.factors import Count, Date, Ratio

Power = Annotated[float, Meta(ge=0, le=100, description="0 to 100; a step of the tier has five other shops or more.")]


class PowerBlock(msgspec.Struct, frozen=True, kw_only=True):
    """The power of all shops in the period that ends at `as_of`; published once."""

    as_of: Date
    window_days: Annotated[int, Meta(ge=1)]
    powers: dict[str, Power]
    """Shop → its power; absent where it has none."""
    shops: dict[str, Count]
    """The same shops → how many of their tier have a lift."""

    def encode(self) -> bytes:
        """Compact JSON in UTF-8."""
        return _ENCODER.encode(self)


class ChannelPower(msgspec.Struct, frozen=True, kw_only=True):
    """What new items draw in one channel (its first level)."""

    channel: str
    s: Annotated[Count, Meta(description="Active users of the channel.")]
    s_new_items: Annotated[Count, Meta(description="Those of them who were active on new items.")]
    share: Annotated[Ratio | None, Meta(description="s_new_items / s.")]
    lift: Annotated[Ratio | None, Meta(description="share / expected_share.")]
    weight: Annotated[Ratio | None, Meta(description="The channel's part of the sum of s.")]


class PowerRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="power"):
    """The new-product power of a shop over a period that is complete, and what it is made of.

    `item_days` are the items on sale added up over the days of the period, `new_item_days` those of them that were
    new; `expected_share` is the one by the other. `lift` is the mean of the channels' by weight. `power` is null where
    the shop has no lift, or fewer than ten others of its tier have one.
    """

    scope: str
    as_of: Date
    window_days: Annotated[int, Meta(ge=1)]
    power: Power | None
    tier_shops: Annotated[Count | None, Meta(description="Shops of the tier that have a lift.")]
    lift: Ratio | None
    expected_share: Ratio | None
    item_days: Count
    new_item_days: Count
    channels: list[ChannelPower]

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, no spaces, fields in the order above."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(PowerBlock)


def decode_power_block(value: bytes) -> PowerBlock:
    """The block of its JSON. Raises msgspec.DecodeError."""
    return _DECODER.decode(value)
