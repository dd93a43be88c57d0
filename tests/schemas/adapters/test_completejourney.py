"""Rows of grocery baskets become purchase lines; categories come from the products above them."""

import csv
import io
import json

import pytest

from schemas.adapters import FORMATS, Native
from schemas.adapters.completejourney import PRODUCTS, TRANSACTIONS
from schemas.refusals import Code, Refusal

HEADER = ",".join(TRANSACTIONS.layout) + "\n"
PRODUCTS_HEADER = ",".join(PRODUCTS.layout) + "\n"


def row(basket="31198570044", product="1095275", quantity=1, value="0.5", **others):
    fields = {
        "household_id": "900",
        "store_id": "330",
        "retail_disc": "0.0",
        "coupon_disc": "0.0",
        "coupon_match_disc": "0.0",
        "week": "1",
        "transaction_timestamp": "2017-01-01 11:53:26",
    }
    fields |= {"basket_id": basket, "product_id": product, "quantity": quantity, "sales_value": value} | others
    more = [name for name in others if name not in TRANSACTIONS.layout]
    return ",".join(str(fields[name]) for name in (*TRANSACTIONS.layout, *more)) + "\n"


def product(number, category):
    line = io.StringIO()
    csv.writer(line).writerow([number, 2, "GROCERY", "National", category, "ICE", "22 LB"])
    return line.getvalue()


def made(*rows, header=HEADER):
    return list(FORMATS["completejourney"]([header, *rows], "ignored"))


def events(*rows, header=HEADER):
    return [json.loads(one.value) for one in made(*rows, header=header) if isinstance(one, Native)]


def test_every_row_is_a_purchase_line_with_its_value_in_cents():
    (purchase,) = events(row(quantity=2, value="2.78"))
    assert purchase.pop("event_id").startswith("completejourney-")
    assert purchase == {
        "action": "purchase",
        "user_id": "900",
        "event_time": 1483289606000,
        "shop_id": "330",
        "item_id": "1095275",
        "quantity": 2,
        "amount_minor": 278,
        "currency": "USD",
        "order_id": "31198570044",
        "line_id": "1095275#1",
    }


def test_a_product_twice_in_a_basket_is_two_lines():
    lines = events(row("1", "A"), row("1", "B"), row("1", "A"), row("2", "A"))
    assert [(line["order_id"], line["line_id"]) for line in lines] == [
        ("1", "A#1"),
        ("1", "B#1"),
        ("1", "A#2"),
        ("2", "A#1"),
    ]
    assert len({line["event_id"] for line in lines}) == 4


def test_the_products_above_give_the_categories():
    above = [product("A", "FRZN ICE"), product("B", "HATS, CAPS"), product("C", "")]
    below = [row("1", item) for item in "ABCD"]
    rows = made(*above, HEADER, *below, header=PRODUCTS_HEADER)
    assert [json.loads(one.value).get("category_id") for one in rows] == ["FRZN ICE", "HATS, CAPS", None, None]


def test_categories_may_stand_in_the_transactions_themselves():
    header = HEADER.rstrip("\n") + ",product_category\n"
    (purchase,) = events(row(product_category="SOUP"), header=header)
    assert purchase["category_id"] == "SOUP"


def test_a_value_of_zero_counts():
    (free,) = events(row(value="0.0"))
    assert free["amount_minor"] == 0


def test_what_coupons_have_paid_is_the_shops_all_the_same():
    (bought,) = events(row(value="1.99", coupon_disc="1.0", coupon_match_disc="0.5"))
    assert bought["amount_minor"] == 199


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        (row(quantity=0), Code.BAD_NUMBER, "quantity"),
        (row(quantity=0, value="1.776357e-15"), Code.BAD_NUMBER, "quantity"),
        (row(quantity=-1), Code.BAD_NUMBER, "quantity"),
        (row(quantity=1_000_001), Code.BAD_NUMBER, "quantity"),
        (row(quantity="1.5"), Code.BAD_NUMBER, "quantity"),
        (row(value="-0.01"), Code.BAD_NUMBER, "amount_minor"),
        (row(value="1e-3"), Code.BAD_NUMBER, "amount_minor"),
        (row(value=""), Code.MISSING_FIELD, "amount_minor"),
        (row(household_id=""), Code.MISSING_FIELD, "user_id"),
        (row(store_id=""), Code.MISSING_FIELD, "shop_id"),
        (row(basket=""), Code.MISSING_FIELD, "order_id"),
        (row(product=""), Code.MISSING_FIELD, "item_id"),
        (row(transaction_timestamp="2017-02-30 10:00:00"), Code.BAD_TIME, "event_time"),
    ],
)
def test_a_bad_row_is_refused(bad, code, field):
    first, second = made(bad, row("2"))
    assert first == Refusal(2, code, field)
    assert json.loads(second.value)["order_id"] == "2"


def test_a_product_without_a_number_is_refused():
    assert made(product("", "SOUP"), header=PRODUCTS_HEADER) == [Refusal(2, Code.MISSING_FIELD, "item_id")]


def test_times_are_new_yorks_in_winter_and_in_summer_unless_they_say_utc():
    winter, summer, utc = events(
        row("1", transaction_timestamp="2017-01-05 12:00:00"),
        row("2", transaction_timestamp="2017-07-05 12:00:00"),
        row("3", transaction_timestamp="2017-07-05T12:00:00Z"),
    )
    assert winter["event_time"] == 1483635600000
    assert summer["event_time"] == 1499270400000
    assert utc["event_time"] == 1499256000000


def test_rows_without_a_header_are_transactions():
    (purchase,) = events(row("7"), header="")
    assert purchase["order_id"] == "7"
