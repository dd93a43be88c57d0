"""Format `taobao`: user behaviour of a marketplace, `user_id,item_id,category_id,behavior,ts`, a header or none.

The shop is given from outside. A `buy` is an order of its own with no price: quantity 1, amount 0 CNY.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from schemas.adapters.rows import Native, Row, RowError, Table, epoch_ms, native_of, required
from schemas.event import ActionWord, Event
from schemas.refusals import Code, Refusal

_COLUMNS = ("user_id", "item_id", "category_id", "behavior", "ts")
TABLE: Final = Table("taobao", layout=_COLUMNS, needed=_COLUMNS)
ACTIONS: Final[dict[str, ActionWord]] = {"pv": "view", "fav": "favourite", "cart": "cart", "buy": "purchase"}


def taobao(lines: Iterable[str], shop_id: str) -> Iterator[Native | Refusal]:
    """Events of the rows; `ts` is in seconds since the epoch."""
    for row in TABLE.rows(lines):
        if isinstance(row, Refusal):
            yield row
            continue
        try:
            yield native_of(_event(row, shop_id))
        except RowError as error:
            yield Refusal(row.number, error.code, error.field)


def _event(row: Row, shop_id: str) -> Event:
    user, item, category, behaviour, seconds = row.cells
    action = ACTIONS.get(behaviour)
    if action is None:
        raise RowError(Code.UNKNOWN_ACTION, "action")
    is_purchase = action == "purchase"
    return Event(
        event_id=row.event_id,
        action=action,
        user_id=required(user, "user_id"),
        event_time=epoch_ms(seconds, unit_ms=1000),
        shop_id=shop_id,
        item_id=item or None,
        category_id=category or None,
        quantity=1 if is_purchase else None,
        amount_minor=0 if is_purchase else None,
        currency="CNY" if is_purchase else None,
        order_id=row.event_id if is_purchase else None,
    )
