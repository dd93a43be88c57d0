"""Control records: what all workers know alike, read from compacted topics with one partition each.

`shops` (key: shop id) says in which zone and currency a shop keeps its books. `clock` (key: partition number) says how
far each partition has come, so that every worker computes the same clock.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.currency import CURRENCY_CODES
from schemas.event import Id

DEFAULT_ZONE: Final = "Asia/Shanghai"


@cache
def zone_names() -> frozenset[str]:
    """All IANA time zone names, as the packaged zone data lists them (not what the machine happens to have)."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


class ShopRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shop as its owner declares it. Raises ValueError for an unknown zone or currency.

    The zone is fixed at the shop's first event; a later change needs a rebuild. `tier_band` is the size band in which
    the shop is compared with its peers ("" = none); `opt_ins` are the comparisons that it takes part in.
    """

    shop_id: Id
    zone: Annotated[str, Meta(description="IANA time zone of the shop's business dates.")] = DEFAULT_ZONE
    currency: Annotated[str | None, Meta(description="ISO 4217 code that the shop reports in.")] = None
    tier_band: str = ""
    opt_ins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.zone not in zone_names():
            raise ValueError(f"zone {self.zone!r} of shop {self.shop_id!r} is not an IANA time zone")
        if self.currency is not None and self.currency not in CURRENCY_CODES:
            raise ValueError(f"currency {self.currency!r} of shop {self.shop_id!r} is not an ISO 4217 code")

    def encode(self) -> bytes:
        """Compact JSON in UTF-8."""
        return _ENCODER.encode(self)

    def key(self) -> bytes:
        """The record key: the shop id."""
        return self.shop_id.encode()


class ClockRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How far one partition has come. Times are milliseconds since the epoch UTC, None before the first event.

    `watermark_ms` is the greatest event time applied and durable, `accepted_ms` the greatest one accepted so far (the
    partition's say in the event clock), `first_date` its first business date with data (days since 1970-01-01),
    `caught_up` whether it had no lag when this was written, at `at_ms` of the worker's clock. `crossed_ms` is the
    greatest event time that its pages of crossed scopes include; None where they include all.
    """

    partition: Annotated[int, Meta(ge=0)]
    watermark_ms: int | None = None
    accepted_ms: int | None = None
    first_date: int | None = None
    caught_up: bool = False
    at_ms: int = 0
    crossed_ms: int | None = None

    def encode(self) -> bytes:
        """Compact JSON in UTF-8."""
        return _ENCODER.encode(self)

    def key(self) -> bytes:
        """The record key: the partition number in decimal digits."""
        return str(self.partition).encode()


_ENCODER: Final = msgspec.json.Encoder()
_SHOP_DECODER: Final = msgspec.json.Decoder(ShopRecord)
_CLOCK_DECODER: Final = msgspec.json.Decoder(ClockRecord)


def decode_shop(value: bytes) -> ShopRecord:
    """The shop record of its JSON. Raises msgspec.DecodeError, which names the field."""
    return _SHOP_DECODER.decode(value)


def decode_clock(value: bytes) -> ClockRecord:
    """The clock record of its JSON. Raises msgspec.DecodeError, which names the field."""
    return _CLOCK_DECODER.decode(value)
