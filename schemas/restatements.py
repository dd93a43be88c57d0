"""The restatement record: how published figures of past dates have changed.

Topic `factors.restatements`, key `scope|window|currency`, in the transaction of the figures that it is about. The
serving store keeps the newest of each scope. Compact JSON in this very order of fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from schemas.factors import Count, Date, Instant, Money

FIGURES: Final = (
    "s", "s_existing", "b", "b_existing", "items", "buyer_days", "gmv_minor", "gmv_existing_minor",
)  # fmt: skip
"""What a figure is made of; all its other fields follow from these."""
Counts = Annotated[list[Count] | None, Meta(description="One for each date; absent where none of them has changed.")]
Amounts = Annotated[list[Money] | None, Meta(description="One for each date; absent where none of them has changed.")]


class Figures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Columns of figures, as the factor record names them, a value for each date."""

    s: Counts = None
    s_existing: Counts = None
    b: Counts = None
    b_existing: Counts = None
    items: Counts = None
    buyer_days: Counts = None
    gmv_minor: Amounts = None
    gmv_existing_minor: Amounts = None


class RestatementRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="restatement"):
    """What the figures of one scope, period and currency said `before` and say `after`, for each date of `as_of`.

    Restated is a date before today whose figure had been published. Columns of which no value has changed are left
    out. `number` counts the restatements of the scope, so `scope` and `number` are the record's identity.
    """

    scope: str
    number: Annotated[int, Meta(ge=1)]
    window_days: Annotated[int, Meta(ge=1)]
    currency: str
    restated_at: Instant
    as_of: list[Date]
    """Ascending."""
    before: Figures
    after: Figures

    @property
    def key(self) -> str:
        """The record key: `scope|window|currency`."""
        return f"{self.scope}|{self.window_days}|{self.currency}"

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, no spaces, fields in the order above."""
        return _ENCODER.encode(self)

    def changes(self) -> Iterator[Change]:
        """Every value that has changed, by date and in the order of FIGURES."""
        columns = [
            (name, before, getattr(self.after, name))
            for name in FIGURES
            if (before := getattr(self.before, name)) is not None
        ]
        for i, as_of in enumerate(self.as_of):
            for name, before, after in columns:
                if before[i] != after[i]:
                    yield Change(as_of, name, before[i], after[i])


class Change(NamedTuple):
    """One value of one date."""

    as_of: str
    figure: str
    before: int
    after: int


def columns(before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> tuple[Figures, Figures]:
    """Figures of the values [8][n] of before and after, in the order of FIGURES; equal columns are left out.

    >>> columns([[1, 2], [0, 0]], [[1, 3], [0, 0]])[1]
    Figures(s=[1, 3], s_existing=None, b=None, b_existing=None, items=None, buyer_days=None, gmv_minor=None, \
gmv_existing_minor=None)
    """
    moved = [(name, was, now) for name, was, now in zip(FIGURES, before, after, strict=False) if was != now]
    return Figures(**{name: was for name, was, _ in moved}), Figures(**{name: now for name, _, now in moved})  # type: ignore[arg-type]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(RestatementRecord)


def decode_restatement(value: bytes) -> RestatementRecord:
    """The record of its JSON. Raises msgspec.DecodeError (ValidationError where a field is wrong)."""
    return _DECODER.decode(value)
