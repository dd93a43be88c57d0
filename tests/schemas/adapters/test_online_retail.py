"""Order lines and cancellations become purchases and the refunds of the right lines."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.adapters import FORMATS, Native
from schemas.adapters.local_time import local_times
from schemas.adapters.money import amount_minor
from schemas.adapters.rows import RowError
from schemas.refusals import Code, Refusal

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def row(invoice, stock="A", quantity=1, at="2010-01-05 12:00:00", price="1.00", customer="7"):
    return f'{invoice},{stock},"A, thing",{quantity},{at},{price},{customer},France\n'


def made(*rows):
    return list(FORMATS["online-retail"]([HEADER, *rows], "s1"))


def events(*rows):
    return [json.loads(one.value) for one in made(*rows) if isinstance(one, Native)]


def refusals(*rows):
    return [one for one in made(*rows) if isinstance(one, Refusal)]


def refunds(*rows):
    """(order, line, quantity, amount) of every refund."""
    return [
        (event["order_id"], event["line_id"], event["quantity"], event["amount_minor"])
        for event in events(*rows)
        if event["action"] == "refund"
    ]


def test_every_row_is_a_purchase_line_with_its_price_in_pence():
    (purchase,) = events(row("489434", "79323P", 12, "2009-12-01 07:45:00", "6.95", "13085"))
    assert purchase.pop("event_id").startswith("online-retail-")
    assert purchase == {
        "action": "purchase",
        "user_id": "13085",
        "event_time": 1259653500000,
        "shop_id": "s1",
        "item_id": "79323P",
        "quantity": 12,
        "amount_minor": 8340,
        "currency": "GBP",
        "order_id": "489434",
        "line_id": "79323P#1",
    }


def test_a_stock_twice_in_an_invoice_is_two_lines():
    lines = events(row("1"), row("1", "B"), row("1"), row("2"))
    assert [(line["order_id"], line["line_id"]) for line in lines] == [
        ("1", "A#1"),
        ("1", "B#1"),
        ("1", "A#2"),
        ("2", "A#1"),
    ]
    assert len({line["event_id"] for line in lines}) == 4


def test_a_price_of_zero_counts():
    (gift,) = events(row("1", price="0.0"))
    assert gift["amount_minor"] == 0


def test_a_cancellation_takes_back_the_newest_earlier_line():
    bought = [row("1", quantity=5, at="2010-01-01 09:00:00"), row("2", quantity=5, at="2010-01-02 09:00:00")]
    assert refunds(*bought, row("C3", quantity=-2, price="1.25")) == [("2", "A#1", 2, 250)]


def test_a_cancellation_is_split_over_several_lines_and_each_piece_is_taken_back_once():
    bought = [row("1", quantity=5), row("2", quantity=2)]
    assert refunds(*bought, row("C3", quantity=-3), row("C4", quantity=-4)) == [
        ("2", "A#1", 2, 200),
        ("1", "A#1", 1, 100),
        ("1", "A#1", 4, 400),
    ]
    assert len({event["event_id"] for event in events(*bought, row("C3", quantity=-3))}) == 4


def test_a_cancellation_looks_only_at_its_customer_and_stock():
    others = [row("1", customer="8"), row("2", stock="B")]
    assert refunds(*others, row("C3", quantity=-1)) == []
    assert refusals(*others, row("C3", quantity=-1)) == [Refusal(4, Code.REFUND_UNMATCHED, "order_id")]


def test_what_a_cancellation_does_not_find_is_refused_and_the_rest_is_taken_back():
    rows = [row("1", quantity=2), row("C2", quantity=-5)]
    assert refunds(*rows) == [("1", "A#1", 2, 200)]
    assert refusals(*rows) == [Refusal(3, Code.REFUND_UNMATCHED, "order_id")]


def test_a_later_line_is_not_taken_back_though_it_stands_above():
    bought = [row("1", at="2010-01-07 09:00:00"), row("2", at="2010-01-03 09:00:00")]
    assert refunds(*bought, row("C3", quantity=-1, at="2010-01-05 09:00:00")) == [("2", "A#1", 1, 100)]
    assert refunds(*bought, row("C3", quantity=-2, at="2010-01-08 09:00:00")) == [
        ("1", "A#1", 1, 100),
        ("2", "A#1", 1, 100),
    ]


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        (row("1", customer=""), Code.MISSING_FIELD, "user_id"),
        (row("1", customer="", quantity=-1, price="-1"), Code.MISSING_FIELD, "user_id"),
        (row(""), Code.MISSING_FIELD, "order_id"),
        (row("1", quantity=0), Code.BAD_NUMBER, "quantity"),
        (row("1", quantity=-1), Code.BAD_NUMBER, "quantity"),
        (row("1", quantity="1_0"), Code.BAD_NUMBER, "quantity"),
        (row("C1", quantity=1), Code.BAD_NUMBER, "quantity"),
        (row("1", price="-0.01"), Code.BAD_NUMBER, "amount_minor"),
        (row("1", price="1e3"), Code.BAD_NUMBER, "amount_minor"),
        (row("1", at="2010-02-30 10:00:00"), Code.BAD_TIME, "event_time"),
    ],
)
def test_a_bad_row_is_refused(bad, code, field):
    assert refusals(bad, row("2")) == [Refusal(2, code, field)]
    assert [event["order_id"] for event in events(bad, row("2"))] == ["2"]


def test_times_are_londons_in_winter_and_in_summer():
    winter, summer = events(row("1", at="2010-01-05 12:00:00"), row("2", at="2010-07-05 12:00:00"))
    assert winter["event_time"] == 1262692800000
    assert summer["event_time"] == 1278327600000


def test_an_hour_shown_twice_is_the_first_one_and_a_skipped_hour_still_is_a_time():
    london = local_times("Europe/London")
    assert london("2010-10-31 01:30:00") == london("2010-10-31 00:30:00") + 3_600_000
    assert london("2010-10-31 02:00:00") == london("2010-10-31 01:59:00") + 3_660_000
    assert london("2010-03-28 01:30:00") == london("2010-03-28 02:30:00")


def test_the_two_year_edition_of_the_data_set_is_read_too():
    rows = ["Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n", row("1", price="2.50")]
    (purchase,) = (json.loads(one.value) for one in FORMATS["online-retail"](rows, "s1") if isinstance(one, Native))
    assert (purchase["order_id"], purchase["amount_minor"]) == ("1", 250)


@given(st.integers(0, 10**7), st.integers(0, 6), st.integers(1, 10**4))
def test_money_is_the_exact_product_rounded_half_even_once(digits, decimals, quantity):
    whole, fraction = divmod(digits, 10**decimals)
    text = f"{whole}.{fraction:0{decimals}d}" if decimals else str(whole)
    assert amount_minor(text, quantity) == round(Fraction(digits, 10**decimals) * quantity * 100)


@pytest.mark.parametrize("text", ["1,5", "1.5.0", " 1", "+1", "١", "nan", "1" * 31, "100000000000.01"])
def test_what_is_no_plain_decimal_number_is_no_money(text):
    with pytest.raises(RowError, match="bad_number"):
        amount_minor(text)
