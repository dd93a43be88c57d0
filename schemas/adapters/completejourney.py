"""Format `completejourney`: a year of grocery baskets of American households, in USD; times in America/New_York.

Every row of the transactions is a line of the order `basket_id`; its line id is `product_id#n`, the n-th row of that
product in the basket. What is paid is `sales_value`, what the shop received for the whole line: it stands whatever
coupons the rows tell of. A row of quantity 0 is no purchase and is refused; a value of 0 counts.

Categories come from the products, a table of its own that stands above the transactions in the input, or from a column
`product_category` of the transactions. A product that is in neither has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from schemas.adapters.local_time import local_times
from schemas.adapters.money import amount_minor
from schemas.adapters.rows import (
    LineIds,
    Native,
    Row,
    RowError,
    Table,
    native_of,
    required,
    rows_of,
    whole_number,
)
from schemas.event import QUANTITY_MAX, Event
from schemas.refusals import Code, Refusal

_NEEDED: Final = (
    "household_id",
    "store_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "transaction_timestamp",
)
TRANSACTIONS: Final = Table(
    "completejourney",
    layout=(
        "household_id",
        "store_id",
        "basket_id",
        "product_id",
        "quantity",
        "sales_value",
        "retail_disc",
        "coupon_disc",
        "coupon_match_disc",
        "week",
        "transaction_timestamp",
    ),
    needed=_NEEDED,
)
JOINED: Final = Table(
    "completejourney",
    layout=(*TRANSACTIONS.layout, "product_category"),
    needed=(*_NEEDED, "product_category"),
)
PRODUCTS: Final = Table(
    "completejourney",
    layout=(
        "product_id",
        "manufacturer_id",
        "department",
        "brand",
        "product_category",
        "product_type",
        "package_size",
    ),
    needed=("product_id", "product_category"),
)
TABLES: Final = (TRANSACTIONS, JOINED, PRODUCTS)
CURRENCY: Final = "USD"
ZONE: Final = "America/New_York"
_LOCAL_MS: Final = local_times(ZONE)
_UTC_MS: Final = local_times("UTC")


def completejourney(lines: Iterable[str], shop_id: str) -> Iterator[Native | Refusal]:
    """Purchases of the rows; `shop_id` is not used, as each row names its store."""
    del shop_id
    line_ids = LineIds()
    categories: dict[str, str] = {}
    for row in rows_of(lines, TABLES):
        if isinstance(row, Refusal):
            yield row
            continue
        try:
            if row.table is PRODUCTS:
                product, category = row.cells
                categories[required(product, "item_id")] = category
            else:
                yield native_of(_purchase(row, line_ids, categories))
        except RowError as error:
            yield Refusal(row.number, error.code, error.field)


def _purchase(row: Row, line_ids: LineIds, categories: dict[str, str]) -> Event:
    household, store, basket, product, quantity, value, at, *category = row.cells
    order, item = required(basket, "order_id"), required(product, "item_id")
    line = line_ids.of(order, item)
    pieces = whole_number(quantity, "quantity")
    if not 0 < pieces <= QUANTITY_MAX:
        raise RowError(Code.BAD_NUMBER, "quantity")
    return Event(
        event_id=row.event_id,
        action="purchase",
        user_id=required(household, "user_id"),
        event_time=_instant_ms(at),
        shop_id=required(store, "shop_id"),
        item_id=item,
        category_id=(category[0] if category else categories.get(item)) or None,
        quantity=pieces,
        amount_minor=amount_minor(value),
        currency=CURRENCY,
        order_id=order,
        line_id=line,
    )


def _instant_ms(at: str) -> int:
    """A time that ends in Z is one of UTC, as some programs export times; any other is what the store's clock shows."""
    return _UTC_MS(at.removesuffix("Z")) if at.endswith("Z") else _LOCAL_MS(at)
