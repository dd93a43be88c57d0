"""Format `retailrocket`: `timestamp,visitorid,event,itemid,transactionid`, milliseconds since the epoch, no prices.

The shop is given from outside. A transaction row is one piece of its order, amount 0 USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from schemas.adapters.rows import LineIds, Native, Row, RowError, Table, epoch_ms, native_of, required
from schemas.event import ActionWord, Event
from schemas.refusals import Code, Refusal

_COLUMNS = ("timestamp", "visitorid", "event", "itemid", "transactionid")
TABLE: Final = Table("retailrocket", layout=_COLUMNS, needed=_COLUMNS)
ACTIONS: Final[dict[str, ActionWord]] = {"view": "view", "addtocart": "cart", "transaction": "purchase"}


def retailrocket(lines: Iterable[str], shop_id: str) -> Iterator[Native | Refusal]:
    """Events of the rows."""
    line_ids = LineIds()
    for row in TABLE.rows(lines):
        if isinstance(row, Refusal):
            yield row
            continue
        try:
            yield native_of(_event(row, shop_id, line_ids))
        except RowError as error:
            yield Refusal(row.number, error.code, error.field)


def _event(row: Row, shop_id: str, line_ids: LineIds) -> Event:
    milliseconds, visitor, event, item, transaction = row.cells
    action = ACTIONS.get(event)
    if action is None:
        raise RowError(Code.UNKNOWN_ACTION, "action")
    is_purchase = action == "purchase"
    order = line = None
    if is_purchase:
        order = required(transaction, "order_id")
        line = line_ids.of(order, required(item, "item_id"))
    return Event(
        event_id=row.event_id,
        action=action,
        user_id=required(visitor, "user_id"),
        event_time=epoch_ms(milliseconds, unit_ms=1),
        shop_id=shop_id,
        item_id=item or None,
        quantity=1 if is_purchase else None,
        amount_minor=0 if is_purchase else None,
        currency="USD" if is_purchase else None,
        order_id=order,
        line_id=line,
    )
