"""The form in which decoded events travel on: columns, no objects.

Strings are spans into one buffer, so that nothing is copied or hashed before it is interned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.refusals import Refusal

(
    EVENT_ID,
    USER_ID,
    SHOP_ID,
    ITEM_ID,
    CATEGORY_ID,
    BRAND_ID,
    CHANNEL,
    CURRENCY,
    ORDER_ID,
    LINE_ID,
) = range(10)
N_SPANS: Final = 10
SPAN_FIELDS: Final = (
    "event_id",
    "user_id",
    "shop_id",
    "item_id",
    "category_id",
    "brand_id",
    "channel",
    "currency",
    "order_id",
    "line_id",
)
"""Field name of each column of `Decoded.spans`."""
ABSENT: Final = -1
"""Value of a number that the event does not have."""


@dataclass(slots=True)
class Decoded:
    """`n` accepted events in the order of the log, and what was refused; accepted + refused = records of the chunk."""

    buffer: NDArray[np.uint8]
    """The raw values one after another, then strings that are not in them as they are (unescaped, defaults)."""
    record: NDArray[np.int32]
    """[n] index of the record within the chunk, ascending."""
    action: NDArray[np.int8]
    """[n] value of schemas.event.Action."""
    event_ms: NDArray[np.int64]
    """[n] event time, milliseconds since the epoch UTC."""
    quantity: NDArray[np.int64]
    """[n] pieces, ABSENT where the event has none; the default of cart and cart_remove is applied."""
    amount_minor: NDArray[np.int64]
    """[n] minor units, ABSENT where the event has none."""
    dwell_ms: NDArray[np.int64]
    """[n] milliseconds, ABSENT where the event has none."""
    touch: NDArray[np.int8]
    """[n] value of schemas.event.Touch, 0 where absent."""
    spans: NDArray[np.int32]
    """[n, N_SPANS, 2] offset and length into `buffer`; length 0 = absent. The default line_id is applied."""
    raw: NDArray[np.int32]
    """[n, 2] offset and length of the record's own bytes in `buffer`."""
    refusals: list[Refusal] = field(default_factory=list)
    """One a refused record, in the order of the log."""
    undecodable: int = 0
    """How many refusals are of records that could not be read at all (not_json, too_large)."""

    def __len__(self) -> int:
        return len(self.record)

    def text(self, row: int, column: int) -> str:
        """The string of one accepted event; "" where absent. For tests and tools, not for the hot path."""
        offset, length = self.spans[row, column].tolist()
        return self.buffer[offset : offset + length].tobytes().decode()
