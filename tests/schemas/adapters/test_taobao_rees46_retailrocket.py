"""Rows of the known data sets become the events that the format's table says."""

import json

import pytest

from schemas.adapters import FORMATS, Native
from schemas.refusals import Code, Refusal

TAOBAO_ROWS = ["7,100,20,pv,1511658000\n", "7,100,20,fav,1511658001\n", "7,100,20,cart,1511658002\n"]
REES46_HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
RETAILROCKET_HEADER = "timestamp,visitorid,event,itemid,transactionid\n"


def events(name, rows):
    return [json.loads(made.value) for made in FORMATS[name](rows, "s1") if isinstance(made, Native)]


def refusals(name, rows):
    return [made for made in FORMATS[name](rows, "s1") if isinstance(made, Refusal)]


def without_id(event):
    return {name: value for name, value in event.items() if name != "event_id"}


def test_taobao_actions_become_native_ones_at_their_second():
    view, favourite, cart = events("taobao", TAOBAO_ROWS)
    assert without_id(view) == {
        "action": "view",
        "user_id": "7",
        "event_time": 1511658000000,
        "shop_id": "s1",
        "item_id": "100",
        "category_id": "20",
    }
    assert (favourite["action"], cart["action"]) == ("favourite", "cart")


def test_a_taobao_buy_is_an_order_of_its_own_without_a_price():
    (purchase,) = events("taobao", ["7,100,20,buy,1511658000\n"])
    assert purchase["action"] == "purchase"
    assert purchase["order_id"] == purchase["event_id"]
    assert (purchase["quantity"], purchase["amount_minor"], purchase["currency"]) == (1, 0, "CNY")
    assert "line_id" not in purchase


def test_a_header_is_no_event_wherever_it_stands_and_may_reorder_the_columns():
    rows = [*TAOBAO_ROWS[:1], "ts,behavior,user_id,category_id,item_id\n", "1511658009,pv,8,21,101\n"]
    assert [event["user_id"] for event in events("taobao", rows)] == ["7", "8"]
    assert events("taobao", rows)[1]["item_id"] == "101"
    assert refusals("taobao", rows) == []


def test_event_ids_are_stable_and_count_equal_rows():
    rows = [TAOBAO_ROWS[0], TAOBAO_ROWS[1], TAOBAO_ROWS[0]]
    first, other, again = (event["event_id"] for event in events("taobao", rows))
    assert first.startswith("taobao-")
    assert first.endswith("-1")
    assert again == first.removesuffix("-1") + "-2"
    assert other not in {first, again}
    unix, windows = ([row.rstrip("\n") + end for row in rows] for end in ("\n", "\r\n"))
    assert events("taobao", unix) == events("taobao", windows)


def test_the_key_of_an_event_is_its_user():
    (made,) = FORMATS["taobao"](TAOBAO_ROWS[:1], "s1")
    assert isinstance(made, Native)
    assert made.key == b"7"


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ("7,100,20,dance,1511658000", Code.UNKNOWN_ACTION, "action"),
        (",100,20,pv,1511658000", Code.MISSING_FIELD, "user_id"),
        ("7,100,20,pv,yesterday", Code.BAD_TIME, "event_time"),
        ("7,100,20,pv,-1511658000", Code.BAD_TIME, "event_time"),
        ("7,100,20,pv,99999999999", Code.BAD_TIME, "event_time"),
        ("7,100,20", Code.MISSING_FIELD, ""),
    ],
)
def test_a_bad_row_is_refused_by_its_number_and_the_next_one_counts(row, code, field):
    rows = [TAOBAO_ROWS[0], row + "\n", TAOBAO_ROWS[1]]
    assert refusals("taobao", rows) == [Refusal(2, code, field)]
    assert len(events("taobao", rows)) == 2


def test_rees46_prices_sessions_and_brands():
    rows = [
        REES46_HEADER,
        "2019-10-01 00:00:00 UTC,view,11,22,a.b,shiseido,35.79,5,session-1\n",
        "2019-10-01 00:00:01 UTC,cart,11,22,,,35.79,5,session-1\n",
        "2019-10-01 00:00:02 UTC,remove_from_cart,11,22,,,35.79,5,session-1\n",
        "2019-10-01 00:00:03 UTC,purchase,11,22,,,35.79,5,session-1\n",
        "2019-10-01 00:00:04 UTC,purchase,11,22,,,35.79,5,session-1\n",
        "2019-10-01 00:00:05 UTC,purchase,12,22,,,0.10,5,session-1\n",
    ]
    view, cart, removed, first, second, other = events("rees46", rows)
    assert without_id(view) == {
        "action": "view",
        "user_id": "5",
        "event_time": 1569888000000,
        "shop_id": "s1",
        "item_id": "11",
        "category_id": "22",
        "brand_id": "shiseido",
    }
    assert (cart["action"], removed["action"]) == ("cart", "cart_remove")
    assert "brand_id" not in first
    assert (first["order_id"], first["quantity"], first["amount_minor"], first["currency"]) == (
        "session-1",
        1,
        3579,
        "USD",
    )
    assert [line["line_id"] for line in (first, second, other)] == ["11#1", "11#2", "12#1"]
    assert other["amount_minor"] == 10


def test_rees46_refuses_a_purchase_that_it_cannot_read_but_keeps_a_view_with_a_bad_price():
    rows = [
        "2019-10-01 00:00:00 UTC,view,11,22,,,free,5,s\n",
        "2019-10-01 00:00:00 UTC,purchase,11,22,,,free,5,s\n",
        "2019-10-01 00:00:00 UTC,purchase,11,22,,,,5,s\n",
        "2019-10-01 00:00:00 UTC,purchase,11,22,,,1.00,5,\n",
        "01.10.2019,purchase,11,22,,,1.00,5,s\n",
    ]
    assert len(events("rees46", rows)) == 1
    assert refusals("rees46", rows) == [
        Refusal(2, Code.BAD_NUMBER, "amount_minor"),
        Refusal(3, Code.MISSING_FIELD, "amount_minor"),
        Refusal(4, Code.MISSING_FIELD, "order_id"),
        Refusal(5, Code.BAD_TIME, "event_time"),
    ]


def test_retailrocket_transactions_are_lines_of_their_order():
    rows = [
        RETAILROCKET_HEADER,
        "1430636062541,9,view,300,\n",
        "1430636062542,9,addtocart,300,\n",
        "1430636062543,9,transaction,300,4000\n",
        "1430636062544,9,transaction,300,4000\n",
    ]
    view, cart, first, second = events("retailrocket", rows)
    assert without_id(view) == {
        "action": "view",
        "user_id": "9",
        "event_time": 1430636062541,
        "shop_id": "s1",
        "item_id": "300",
    }
    assert cart["action"] == "cart"
    assert without_id(first) == {
        "action": "purchase",
        "user_id": "9",
        "event_time": 1430636062543,
        "shop_id": "s1",
        "item_id": "300",
        "quantity": 1,
        "amount_minor": 0,
        "currency": "USD",
        "order_id": "4000",
        "line_id": "300#1",
    }
    assert second["line_id"] == "300#2"


def test_native_lines_pass_as_they_are_with_their_user_as_the_key():
    lines = ['{"user_id":"ü1", "x":1}\n', "\n", "no json\n", '{"user_id":5}\n', "{}\n"]
    assert list(FORMATS["native"](lines, "s1")) == [
        Native("ü1".encode(), '{"user_id":"ü1", "x":1}'.encode()),
        Native(None, b"no json"),
        Native(None, b'{"user_id":5}'),
        Native(None, b"{}"),
    ]
