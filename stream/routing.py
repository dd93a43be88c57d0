"""Which topic an action is sent to. For routing alone: any event topic accepts any action, the action decides."""

from typing import Final

from schemas.event import Action

TOPIC_OF_ACTION: Final[dict[Action, str]] = {
    **dict.fromkeys(
        (Action.VIEW, Action.FAVOURITE, Action.SHARE, Action.FOLLOW, Action.SEARCH, Action.LIKE, Action.COMMENT),
        "events.browse",
    ),
    **dict.fromkeys((Action.CART, Action.CART_REMOVE), "events.cart"),
    **dict.fromkeys((Action.ORDER, Action.PURCHASE, Action.REFUND), "events.purchase"),
    Action.TOUCH: "events.touch",
}
