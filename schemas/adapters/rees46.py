"""Format `rees46`: behaviour of a multi-category shop, with sessions, brands and prices in USD; times in UTC.

The shop is given from outside. Purchases of one session are one order; each row is one piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from schemas.adapters.local_time import local_times
from schemas.adapters.money import amount_minor
from schemas.adapters.rows import LineIds, Native, Row, RowError, Table, native_of, required
from schemas.event import ActionWord, Event
from schemas.refusals import Code, Refusal

_COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
TABLE: Final = Table("rees46", layout=_COLUMNS, needed=tuple(name for name in _COLUMNS if name != "category_code"))
ACTIONS: Final[dict[str, ActionWord]] = {
    "view": "view",
    "cart": "cart",
    "remove_from_cart": "cart_remove",
    "purchase": "purchase",
}
CURRENCY: Final = "USD"
_UTC_MS: Final = local_times("UTC")


def rees46(lines: Iterable[str], shop_id: str) -> Iterator[Native | Refusal]:
    """Events of the rows; the price of a cart row is kept where it can be read."""
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
    at, event_type, product, category, brand, price, user, session = row.cells
    action = ACTIONS.get(event_type)
    if action is None:
        raise RowError(Code.UNKNOWN_ACTION, "action")
    is_purchase = action == "purchase"
    has_amount = is_purchase or (action in {"cart", "cart_remove"} and price != "")
    order = line = None
    if is_purchase:
        order = required(session, "order_id")
        line = line_ids.of(order, required(product, "item_id"))
    return Event(
        event_id=row.event_id,
        action=action,
        user_id=required(user, "user_id"),
        event_time=_UTC_MS(at.removesuffix(" UTC")),
        shop_id=shop_id,
        item_id=product or None,
        category_id=category or None,
        brand_id=brand or None,
        quantity=1 if has_amount else None,
        amount_minor=amount_minor(price) if has_amount else None,
        currency=CURRENCY if has_amount else None,
        order_id=order,
        line_id=line,
    )
