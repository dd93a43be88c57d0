"""The factor record: what is published for a scope, a window, a last date and a currency.

One form everywhere: topic `factors.live`, the serving store, the API and the backtest. Compact JSON in this very order
of fields. Ratios are IEEE doubles of exact integers, `null` where the denominator is 0. Money is integer minor units.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

NO_CURRENCY: Final = "-"
"""The currency of a record of a scope that has seen no money."""

Count = Annotated[int, Meta(ge=0)]
Money = Annotated[int, Meta(ge=0, description="Minor units of the record's currency.")]
Ratio = Annotated[float, Meta(ge=0)]
Date = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="A business date.")]
Instant = Annotated[str, Meta(description="RFC 3339 in UTC, to the millisecond.")]


class FactorRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="factors"):
    """The SMART factors of one scope over the `window_days` business dates that end at `as_of`.

    Counts are of distinct users (s…, b…), of items net of refunds, and of (buyer, purchase date) pairs. Where a scope
    has several currencies there is a record for each: its money, the counts over all of them. `history_from` is the
    first business date with data; `complete_through` the smallest, over partitions, of the greatest applied event
    time; `computed_at` the instant of publication.
    """

    scope: str
    as_of: Date
    window_days: Annotated[int, Meta(ge=1)]
    s: Count = 0
    s_potential: Count = 0
    s_new: Count = 0
    s_existing: Count = 0
    b: Count = 0
    b_new: Count = 0
    b_existing: Count = 0
    gmv_minor: Money = 0
    gmv_new_minor: Money = 0
    gmv_existing_minor: Money = 0
    currency: str = NO_CURRENCY
    items: Count = 0
    buyer_days: Count = 0
    m: Ratio | None = None
    m_new: Ratio | None = None
    m_existing: Ratio | None = None
    art_minor: Ratio | None = None
    art_new_minor: Ratio | None = None
    art_existing_minor: Ratio | None = None
    a: Ratio | None = None
    r: Ratio | None = None
    history_from: Date | None = None
    complete_through: Instant | None = None
    computed_at: Instant | None = None

    @property
    def key(self) -> str:
        """The record key: `scope|window|as_of|currency`; the scope itself may hold a `|`, so split from the right."""
        return record_key(self.scope, self.window_days, self.as_of, self.currency)

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, no spaces, fields in the order above."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(FactorRecord)


def record_key(scope: str, window_days: int, as_of: str, currency: str) -> str:
    """Key of a record in `factors.live`.

    >>> record_key("shop=s1|item=i1", 7, "2026-11-11", "CNY")
    'shop=s1|item=i1|7|2026-11-11|CNY'
    """
    return f"{scope}|{window_days}|{as_of}|{currency}"


def decode_record(value: bytes) -> FactorRecord:
    """The record of its JSON. Raises msgspec.DecodeError (ValidationError where a field is wrong)."""
    return _DECODER.decode(value)


def decode_records(lines: bytes) -> list[FactorRecord]:
    """The records of JSON lines. Raises msgspec.DecodeError."""
    return _DECODER.decode_lines(lines)
