"""What is told of minutes: a minute's own figures, and those of the minutes that trail it. Compact JSON, no spaces."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.factors import Count, Instant, Ratio

GmvMinor = Annotated[dict[str, int], Meta(description="Currency → minor units; currencies are never added up.")]


class MinuteRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="minute"):
    """What happened in one minute, by event time: `at` is its first instant."""

    scope: str
    at: Instant
    s: Count
    b: Count
    carts: Count
    gmv_minor: GmvMinor

    def encode(self) -> bytes:
        """Compact JSON in UTF-8."""
        return _ENCODER.encode(self)


class TrailingRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="trailing"):
    """The `minutes` minutes that end with the minute that begins at `at`, itself included."""

    scope: str
    at: Instant
    minutes: Annotated[int, Meta(ge=1)]
    s: Annotated[int, Meta(ge=0, description="Distinct users with active behaviour.")]
    b: Annotated[int, Meta(ge=0, description="Distinct users with a counted purchase line.")]
    carts: Annotated[int, Meta(ge=0, description="Items put into carts: one a user, item and minute.")]
    gmv_minor: GmvMinor
    m: Ratio | None = None
    s_existing: Annotated[
        int, Meta(ge=0, description="Those of s who had bought in the 365 dates before the date of this minute.")
    ]
    b_existing: Annotated[int, Meta(ge=0, description="Those of b who had.")]
    gmv_existing_minor: GmvMinor
    m_existing: Ratio | None = None

    def encode(self) -> bytes:
        """Compact JSON in UTF-8."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
