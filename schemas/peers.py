"""The peer record: a shop beside the mean of the shops of its size; and what is published of all tiers at once."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.factors import Count, Date, Ratio

Quartile = Annotated[int, Meta(ge=1, le=4, description="1: lowest quarter of the tier … 4: highest.")]


class PeerTier(msgspec.Struct, frozen=True, kw_only=True):
    """Shops of about the same size."""

    currency: str
    """Of the only currency of these shops; `-`: shops without money, or with several currencies."""
    shops: Annotated[int, Meta(ge=6)]
    size_from: Count
    size_to: Count | None
    """Exclusive; null: no bound. GMV in minor units, or S where there is no one currency, of the longest period."""
    means: dict[str, Ratio]
    """Name of the figure, as in the factor record → its mean, to three significant digits; absent if not told."""


class PeerBlock(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is published of the period that ends at `as_of`; published once (docs/concepts/peers.md)."""

    as_of: Date
    window_days: Annotated[int, Meta(ge=1)]
    tiers: list[PeerTier]
    members: dict[str, int]
    """Shop → index of its tier."""
    quartiles: dict[str, dict[str, Quartile]]
    """Shop → figure → its place; for tiers of 21 shops or more."""

    def encode(self) -> bytes:
        """Compact JSON in UTF-8."""
        return _ENCODER.encode(self)


class PeerFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the shop, and of its tier."""

    own: Ratio | None
    mean: Ratio
    quartile: Quartile | None = None
    """The shop's place in its tier; null in a tier of fewer than 21 shops."""


class PeerRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="peers"):
    """A shop and the mean of its tier, over a period that is complete."""

    scope: str
    as_of: Date
    window_days: Annotated[int, Meta(ge=1)]
    currency: str
    shops: Annotated[int, Meta(ge=6)]
    size_from: Count
    size_to: Count | None
    figures: dict[str, PeerFigure]
    """Name of the figure, as in the factor record; what the tier does not tell is absent."""

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, no spaces, fields in the order above."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(PeerBlock)


def decode_block(value: bytes) -> PeerBlock:
    """The block of its JSON. Raises msgspec.DecodeError."""
    return _DECODER.decode(value)
