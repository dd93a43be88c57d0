"""The catalogue's record of an item: whose it is, where it stands, since when and whether it is on sale.

`items` (key: item id, compacted) holds one record an item; the newest by `updated_at` counts, whatever order they come
in, and of two of one instant the one with the greater digest. An event's own category and brand stand: the catalogue
adds the path above the leaf.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from schemas.event import AMOUNT_MINOR_MAX, Currency, EventTimeMs, EventTimeText, Id
from schemas.factors import Date

PATH_LEVELS_MAX: Final = 16


class ItemRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item of a shop as the catalogue has it. What is absent or null is unknown; unknown fields are ignored."""

    item_id: Id
    updated_at: EventTimeText | EventTimeMs
    shop_id: Annotated[Id, Meta(description="The shop on whose sale the item is.")]
    category_path: Annotated[
        tuple[Id, ...], Meta(max_length=PATH_LEVELS_MAX, description="Categories from the root to the leaf.")
    ] = ()
    listed_on: Annotated[Date | None, Meta(description="The date, in the shop's zone, from which it was offered.")] = (
        None
    )
    price_minor: Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)] | None = None
    currency: Annotated[Currency | None, Meta(description="ISO 4217, of price_minor.")] = None
    on_sale: bool = True

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, absent fields left out."""
        return msgspec.json.encode(self)

    def key(self) -> bytes:
        """The record key: the item."""
        return self.item_id.encode()


class Item(NamedTuple):
    """An item as the core keeps it."""

    item_id: bytes
    updated_ms: int
    shop_id: str
    path: tuple[str, ...]
    """From the root to the leaf."""
    listed_on: str | None
    price_minor: int | None
    currency: str | None
    is_on_sale: bool

    def record(self) -> ItemRecord:
        """The record of it; of two that say the same it is the same."""
        return ItemRecord(
            item_id=self.item_id.decode(),
            updated_at=self.updated_ms,
            shop_id=self.shop_id,
            category_path=self.path,
            listed_on=self.listed_on,
            price_minor=self.price_minor,
            currency=self.currency,
            on_sale=self.is_on_sale,
        )

    def digest(self) -> int:
        """Of what the record says: decides between two of one instant. 63 bits."""
        return int.from_bytes(hashlib.blake2b(self.record().encode(), digest_size=8).digest(), "little") >> 1
