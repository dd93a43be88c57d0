"""The native event: its fields, their limits, its actions and touch kinds.

`Event` is the one source of the form: JSON Schema is generated from it, adapters and the simulator build it, and both
decoders (`processors/decode/`) take their limits from here. One record is one JSON object in UTF-8, its key is the
`user_id`. Unknown fields are ignored; a field that is `null` counts as absent; every field that is added later has a
default. Money is in integer minor units, times in milliseconds since the epoch UTC or RFC 3339 with an offset.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

ID_CHARS_MAX: Final = 128
"""An id has 1 to 128 Unicode characters, none of them a control character (category Cc)."""
RECORD_BYTES_MAX: Final = 64 * 1024
"""A longer record value is refused (`too_large`) unread."""
NESTING_MAX: Final = 64
"""Objects and arrays within each other, the event itself included; deeper is `not_json`, so that no parser decides."""
QUANTITY_MAX: Final = 10**6
AMOUNT_MINOR_MAX: Final = 10**13
DWELL_MS_MAX: Final = 10**13
EVENT_MS_MIN: Final = 0
"""1970-01-01T00:00:00.000Z."""
EVENT_MS_MAX: Final = 4_102_444_799_999
"""2099-12-31T23:59:59.999Z."""
CHANNEL_PATTERN: Final = "[a-z0-9_]+(/[a-z0-9_]+)?"
TIME_AHEAD_MS_MAX: Final = 5 * 60 * 1000
"""Wall clock: how far an event time may lie after the append time of its record."""
TIME_BEHIND_MS_MAX: Final = 1460 * 24 * 60 * 60 * 1000
"""Wall clock: how far an event time may lie before the append time of its record."""
LINE_ID_DEFAULT: Final = "1"
"""The line of a purchase or refund that names neither `line_id` nor `item_id`."""
CART_QUANTITY_DEFAULT: Final = 1


class Action(IntEnum):
    """What the user did. Values below `N_ACTIVE` are active behaviour (definitions: they count in S)."""

    VIEW = 0
    FAVOURITE = 1
    SHARE = 2
    FOLLOW = 3
    SEARCH = 4
    LIKE = 5
    COMMENT = 6
    CART = 7
    ORDER = 8
    PURCHASE = 9
    CART_REMOVE = 10
    REFUND = 11
    TOUCH = 12

    @property
    def word(self) -> str:
        """The action as it stands in an event: `Action.CART_REMOVE.word == "cart_remove"`."""
        return self.name.lower()


N_ACTIVE: Final = 10
ACTIONS: Final[dict[str, Action]] = {action.word: action for action in Action}
"""Word of an event → action."""


class Touch(IntEnum):
    """What kind of contact a `touch` event tells of; 0 is kept for "no touch"."""

    AD_IMPRESSION = 1
    AD_CLICK = 2
    COUPON_RECEIVED = 3
    LIVE_ROOM_ENTRY = 4
    CAMPAIGN_VISIT = 5
    CONTENT_VIEW = 6

    @property
    def word(self) -> str:
        """The kind as it stands in an event."""
        return self.name.lower()


NO_TOUCH: Final = 0
TOUCHES: Final[dict[str, Touch]] = {touch.word: touch for touch in Touch}
"""Word of an event → touch kind."""

REQUIRED_FIELDS: Final = ("event_id", "action", "user_id", "event_time", "shop_id")

OPTIONAL_FIELDS: Final = (
    "item_id",
    "category_id",
    "brand_id",
    "channel",
    "dwell_ms",
    "touch",
    "source",
    "quantity",
    "amount_minor",
    "currency",
    "order_id",
    "line_id",
)
REQUIRED_BY_ACTION: Final[dict[Action, tuple[str, ...]]] = {
    Action.PURCHASE: ("quantity", "amount_minor", "currency", "order_id"),
    Action.REFUND: ("order_id",),
    Action.TOUCH: ("touch",),
}
"""What an action requires besides REQUIRED_FIELDS."""
COUNTED_ACTIONS: Final = (Action.CART, Action.PURCHASE, Action.CART_REMOVE)
"""Actions whose quantity is at least 1; any other quantity may be 0."""
FIELDS: Final = REQUIRED_FIELDS + OPTIONAL_FIELDS
"""All known fields, in the order in which a decoder checks them."""

Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=ID_CHARS_MAX,
        pattern="^[^\\u0000-\\u001F\\u007F-\\u009F]*$",
        description="1 to 128 characters, no control characters.",
    ),
]
EventTimeText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$",
        description="RFC 3339 with an offset; finer than a millisecond is cut off. 1970-01-01 to 2099-12-31 UTC.",
    ),
]
EventTimeMs = Annotated[int, Meta(ge=EVENT_MS_MIN, le=EVENT_MS_MAX, description="Milliseconds since the epoch, UTC.")]
ActionWord = Literal[
    "view",
    "favourite",
    "share",
    "follow",
    "search",
    "like",
    "comment",
    "cart",
    "order",
    "purchase",
    "cart_remove",
    "refund",
    "touch",
]
TouchWord = Literal["ad_impression", "ad_click", "coupon_received", "live_room_entry", "campaign_visit", "content_view"]
Channel = Annotated[
    str, Meta(max_length=ID_CHARS_MAX, pattern=f"^{CHANNEL_PATTERN}$", description="level1 or level1/level2.")
]
Quantity = Annotated[
    int,
    Meta(
        ge=0,
        le=QUANTITY_MAX,
        description="Pieces; at least 1 for purchase, cart and cart_remove (which default to 1); a refund may say 0.",
    ),
]
AmountMinor = Annotated[
    int, Meta(ge=0, le=AMOUNT_MINOR_MAX, description="Minor units of the currency, for the whole line.")
]
DwellMs = Annotated[int, Meta(ge=0, le=DWELL_MS_MAX, description="How long the user stayed, in milliseconds.")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of one user: something that was seen, carted, ordered, paid, refunded or that reached them.

    A purchase needs order_id, quantity, amount_minor and currency; its line_id defaults to item_id, then "1". A refund
    needs order_id; quantity and amount_minor say what is taken back, both absent = the whole line, one absent = 0 of
    it. A touch needs touch. What a type cannot say is checked by the decoder (`processors.decode.reference`).
    """

    event_id: Id
    action: ActionWord
    user_id: Id
    event_time: EventTimeText | EventTimeMs
    shop_id: Id
    item_id: Id | None = None
    category_id: Id | None = None
    brand_id: Id | None = None
    channel: Channel | None = None
    dwell_ms: DwellMs | None = None
    touch: TouchWord | None = None
    source: Id | None = None
    quantity: Quantity | None = None
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None
    order_id: Id | None = None
    line_id: Id | None = None

    def encode(self) -> bytes:
        """The record value: compact JSON in UTF-8, absent fields left out."""
        return msgspec.json.encode(self)

    def key(self) -> bytes:
        """The record key: the user."""
        return self.user_id.encode()
