"""Which topic an action is sent to. For routing alone: any event topic accepts any action, the action decides."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.event import Action

Headers = Sequence[tuple[str, bytes]]


class Messages(NamedTuple):
    """Records to send, in order: sequences of one length. A key of None is a record that names no user."""

    topics: Sequence[str]
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    headers: Sequence[Headers] | None = None
    """None: no record has any."""


TOPIC_OF_ACTION: Final[dict[Action, str]] = {
    **dict.fromkeys(
        (Action.VIEW, Action.FAVOURITE, Action.SHARE, Action.FOLLOW, Action.SEARCH, Action.LIKE, Action.COMMENT),
        "events.browse",
    ),
    **dict.fromkeys((Action.CART, Action.CART_REMOVE), "events.cart"),
    **dict.fromkeys((Action.ORDER, Action.PURCHASE, Action.REFUND), "events.purchase"),
    Action.TOUCH: "events.touch",
}
