"""Format `online-retail`: order lines of a British wholesaler in GBP, with cancellations; times in Europe/London.

Every row is a line of the order `InvoiceNo`; its line id is `StockCode#n`, the n-th row of that stock in the invoice.
An invoice `C…` takes pieces back and does not say of which order: they are taken from the newest earlier lines of the
same customer and stock, last in, first out, over several lines if need be. What finds no line is refused.

Rows come in the order of time; a cancellation sees the rows above it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Generator, Iterable, Iterator
from operator import itemgetter
from typing import Final, NamedTuple

from schemas.adapters.local_time import local_times
from schemas.adapters.money import amount_minor
from schemas.adapters.rows import (
    CELL_SEPARATOR,
    LineIds,
    Native,
    Row,
    RowError,
    Table,
    native_of,
    required,
    whole_number,
)
from schemas.event import QUANTITY_MAX, Event
from schemas.refusals import Code, Refusal

TABLE: Final = Table(
    "online-retail",
    layout=(
        "InvoiceNo",
        "StockCode",
        "Description",
        "Quantity",
        "InvoiceDate",
        "UnitPrice",
        "CustomerID",
        "Country",
    ),
    needed=("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"),
    aliases={"Invoice": "InvoiceNo", "Price": "UnitPrice", "Customer ID": "CustomerID"},  # the two-year edition's names
)
CURRENCY: Final = "GBP"
CANCELLATION_PREFIX: Final = "C"
_LONDON_MS: Final = local_times("Europe/London")


class _Sale(NamedTuple):
    """One readable row; `quantity` is above 0, also in a cancellation."""

    event_id: str
    user: str
    at_ms: int
    order: str
    stock: str
    quantity: int
    price: str


_OpenLine = tuple[int, str, str, int]
"""(time of the order in ms, order, line, pieces left that may be taken back), at least one piece.

A plain tuple: hundreds of thousands of them stay open, and the garbage collector passes over tuples of plain values.
"""


def online_retail(lines: Iterable[str], shop_id: str) -> Iterator[Native | Refusal]:
    """Purchases and refunds of the rows; one cancellation may become several refunds, and refused for its rest."""
    line_ids = LineIds()
    open_lines: dict[str, list[_OpenLine]] = {}
    for row in TABLE.rows(lines):
        if isinstance(row, Refusal):
            yield row
            continue
        line_id = line_ids.of(row.cells[0], row.cells[1])
        try:
            sale = _sale(row)
            stack = open_lines.setdefault(sale.user + CELL_SEPARATOR + sale.stock, [])
            if _is_cancellation(sale.order):
                unmatched = yield from _refunds(sale, shop_id, stack)
                if unmatched:
                    yield Refusal(row.number, Code.REFUND_UNMATCHED, "order_id")
            else:
                yield native_of(_purchase(sale, shop_id, line_id))
                opened = (sale.at_ms, sale.order, line_id, sale.quantity)
                if stack and stack[-1][0] > sale.at_ms:  # rows out of order: the line stands at its own time still
                    insort(stack, opened, key=itemgetter(0))
                else:
                    stack.append(opened)
        except RowError as error:
            yield Refusal(row.number, error.code, error.field)


def _is_cancellation(order: str) -> bool:
    return order.startswith(CANCELLATION_PREFIX)


def _sale(row: Row) -> _Sale:
    order, stock, quantity, at, price, customer = row.cells
    user = required(customer, "user_id")
    required(order, "order_id")
    required(stock, "item_id")
    at_ms = _LONDON_MS(at)
    pieces = whole_number(quantity, "quantity")
    if _is_cancellation(order):
        pieces = -pieces
    if not 0 < pieces <= QUANTITY_MAX:
        raise RowError(Code.BAD_NUMBER, "quantity")
    amount_minor(price, pieces)  # a price that cannot be read refuses the whole row, before anything is taken back
    return _Sale(row.event_id, user, at_ms, order, stock, pieces, price)


def _purchase(sale: _Sale, shop_id: str, line_id: str) -> Event:
    return Event(
        event_id=sale.event_id,
        action="purchase",
        user_id=sale.user,
        event_time=sale.at_ms,
        shop_id=shop_id,
        item_id=sale.stock,
        quantity=sale.quantity,
        amount_minor=amount_minor(sale.price, sale.quantity),
        currency=CURRENCY,
        order_id=sale.order,
        line_id=line_id,
    )


def _refunds(sale: _Sale, shop_id: str, stack: list[_OpenLine]) -> Generator[Native, None, int]:
    """Takes the pieces of a cancellation from the newest lines not after it; returns how many found no line.

    `stack`: the open lines of the customer and stock, oldest first; what is taken back leaves it.
    """
    wanted, part = sale.quantity, 0
    later = [line for line in stack if line[0] > sale.at_ms]
    del stack[len(stack) - len(later) :]
    while wanted and stack:
        at_ms, order, line, left = stack.pop()
        taken = min(left, wanted)
        wanted -= taken
        if left > taken:
            stack.append((at_ms, order, line, left - taken))
        part += 1
        yield native_of(
            Event(
                event_id=sale.event_id if part == 1 else f"{sale.event_id}.{part}",
                action="refund",
                user_id=sale.user,
                event_time=sale.at_ms,
                shop_id=shop_id,
                item_id=sale.stock,
                quantity=taken,
                amount_minor=amount_minor(sale.price, taken),
                currency=CURRENCY,
                order_id=order,
                line_id=line,
            )
        )
    stack.extend(later)
    return wanted
