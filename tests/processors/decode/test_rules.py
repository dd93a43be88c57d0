"""What a record must be to be an event, rule by rule; every case goes through `decode`, as records of a topic would."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from processors.decode import Decoded, decode
from processors.decode.columns import BRAND_ID, CHANNEL, CURRENCY, EVENT_ID, ITEM_ID, LINE_ID, ORDER_ID, USER_ID
from processors.decode.murmur import partition_of
from schemas.event import Action, Event, Touch

EXAMPLES = Path(__file__).resolve().parents[4] / "shared" / "spec" / "examples.json"
TIME = "2026-03-10T12:00:00+08:00"
TIME_MS = 1_773_115_200_000
VIEW = {"event_id": "e1", "action": "view", "user_id": "u1", "event_time": TIME, "shop_id": "s1"}
PURCHASE = VIEW | {"action": "purchase", "order_id": "o1", "quantity": 2, "amount_minor": 250, "currency": "CNY"}
REFUND = VIEW | {"action": "refund", "order_id": "o1"}
TOUCH = VIEW | {"action": "touch", "touch": "ad_click"}
CART = VIEW | {"action": "cart"}


def decode_file(*values: bytes | None) -> Decoded:
    return decode(values, None, None, partition=0, partitions=1, wall_clock=False)


def decoded(event: object) -> Decoded:
    return decode_file(event if isinstance(event, bytes) else json.dumps(event).encode())


def refusal(event: object) -> tuple[str, str]:
    """Code and field of the only refusal of a single event."""
    result = decoded(event)
    assert len(result) == 0, "the event was accepted"
    assert [r.record for r in result.refusals] == [0]
    return result.refusals[0].code.value, result.refusals[0].field


def event_ms(time: object) -> int:
    result = decoded(VIEW | {"event_time": time})
    assert not result.refusals, result.refusals
    return int(result.event_ms[0])


# -- the record as a whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b"{",
        b"{}{}",
        b'{"event_id":"e",}',
        b'{"event_id":NaN}',
        b'{"n":Infinity,"event_id":"e"}',
        b'{"n":01}',
        b'{"n":1.}',
        b'{"n":"tab\there"}',
        b'{"n":"\xff"}',
        b'{"n":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf" + json.dumps(VIEW).encode(),
        json.dumps(VIEW).encode() + b" x",
        json.dumps(VIEW).encode()[:-1],
        json.dumps(VIEW).encode("utf-16"),
        json.dumps(VIEW).encode() + b"\x00",
    ],
)
def test_what_is_not_one_json_object_in_utf8_is_refused(value):
    assert refusal(value) == ("not_json", "")


def test_a_tombstone_is_refused():
    assert [r.code for r in decode_file(None).refusals] == ["not_json"]


def test_white_space_around_and_within_is_fine():
    assert len(decoded(b" \r\n\t" + json.dumps(VIEW, indent=3).encode() + b"\n ")) == 1


def test_a_record_of_64_kib_is_read_and_a_longer_one_refused_unread():
    room = 64 * 1024 - len(json.dumps(VIEW | {"note": ""}))
    assert len(decoded(VIEW | {"note": "x" * room})) == 1
    assert refusal(VIEW | {"note": "x" * (room + 1)}) == ("too_large", "")


def test_nesting_has_a_limit_that_no_parser_decides():
    def nested(depth):
        return json.dumps(VIEW)[:-1].encode() + b',"x":' + b"[" * depth + b"]" * depth + b"}"

    assert len(decoded(nested(63))) == 1
    assert refusal(nested(64)) == ("not_json", "")
    assert refusal(nested(30_000)) == ("not_json", "")


def test_brackets_in_strings_nest_nothing():
    assert len(decoded(VIEW | {"note": '\\"[{' * 500})) == 1


def test_of_a_name_that_stands_twice_the_last_one_counts():
    twice = json.dumps(VIEW)[:-1].encode() + b',"user_id":"u2"}'
    assert decoded(twice).text(0, USER_ID) == "u2"
    assert len(decoded(b'{"user_id":7,' + json.dumps(VIEW)[1:].encode())) == 1
    assert refusal(json.dumps(VIEW)[:-1].encode() + b',"user_id":7}') == ("bad_type", "user_id")


@pytest.mark.parametrize("junk", [{"a": [1, {"b": None}]}, [], 'text \\ " é 漢', -1.5e-7, 10**30, True, None, {}])
def test_unknown_fields_are_ignored_whatever_they_hold(junk):
    assert len(decoded({"aaa": junk} | VIEW | {"zzz": junk})) == 1
    assert len(decoded(json.dumps({"aaa": junk} | VIEW, ensure_ascii=False).encode())) == 1


def test_undecodable_counts_what_could_not_be_read_at_all():
    big = json.dumps(VIEW | {"note": "x" * 70_000}).encode()
    result = decode_file(b"{", big, None, json.dumps(VIEW | {"action": "dance"}).encode(), json.dumps(VIEW).encode())
    assert result.undecodable == 3
    assert len(result.refusals) == 4
    assert len(result) == 1


# -- presence and type -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", list(VIEW))
def test_required_fields_are_required_and_null_is_absent(field):
    assert refusal({k: v for k, v in VIEW.items() if k != field}) == ("missing_field", field)
    assert refusal(VIEW | {field: None}) == ("missing_field", field)


@pytest.mark.parametrize("field", ["order_id", "quantity", "amount_minor", "currency"])
def test_a_purchase_needs_its_order_and_money(field):
    assert refusal({k: v for k, v in PURCHASE.items() if k != field}) == ("missing_field", field)


def test_a_refund_needs_its_order_and_a_touch_its_kind():
    assert refusal(VIEW | {"action": "refund"}) == ("missing_field", "order_id")
    assert refusal(VIEW | {"action": "touch"}) == ("missing_field", "touch")


@pytest.mark.parametrize(
    "field", ["item_id", "category_id", "brand_id", "channel", "dwell_ms", "touch", "source", "quantity", "currency"]
)
def test_optional_fields_may_be_null(field):
    assert len(decoded(VIEW | {field: None})) == 1


@pytest.mark.parametrize(
    "field", ["event_id", "action", "user_id", "shop_id", "item_id", "channel", "order_id", "touch"]
)
@pytest.mark.parametrize("wrong", [1, 1.5, True, [], {}])
def test_a_text_field_takes_text_only(field, wrong):
    assert refusal(VIEW | {field: wrong}) == ("bad_type", field)


@pytest.mark.parametrize("field", ["quantity", "amount_minor", "dwell_ms"])
@pytest.mark.parametrize("wrong", ["5", 1.0, 1.5, True, False, [], {}])
def test_a_number_field_takes_json_integers_only(field, wrong):
    assert refusal(PURCHASE | {field: wrong}) == ("bad_type", field)


def test_an_exponent_is_no_integer():
    assert refusal(json.dumps(PURCHASE).replace("250", "1e3").encode()) == ("bad_type", "amount_minor")


@pytest.mark.parametrize("wrong", [1.5, True, [], {}])
def test_a_time_is_text_or_an_integer(wrong):
    assert refusal(VIEW | {"event_time": wrong}) == ("bad_type", "event_time")


def test_a_known_field_keeps_its_rule_on_every_action():
    assert refusal(VIEW | {"quantity": "2"}) == ("bad_type", "quantity")
    assert refusal(VIEW | {"touch": "poke"}) == ("unknown_touch", "touch")
    assert refusal(VIEW | {"order_id": ""}) == ("bad_id", "order_id")


def test_of_several_faults_the_first_field_is_named():
    assert refusal(PURCHASE | {"shop_id": "", "event_id": 3, "quantity": 0}) == ("bad_type", "event_id")
    assert refusal(PURCHASE | {"currency": "x", "quantity": 0}) == ("bad_number", "quantity")


# -- ids and words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    ["event_id", "user_id", "shop_id", "item_id", "category_id", "brand_id", "source", "order_id", "line_id"],
)
@pytest.mark.parametrize("wrong", ["", "x" * 129, "漢" * 129, "a\nb", "\x00", "\x7f", "a\x9f", "\ud800", "a\udfffb"])
def test_an_id_has_1_to_128_characters_and_no_control_characters(field, wrong):
    assert refusal(PURCHASE | {field: wrong}) == ("bad_id", field)


@pytest.mark.parametrize(
    "right", ["x", "x" * 128, "漢" * 128, "a b", "😀" * 128, "a|b=c%/", "\u00a0", "\u200b", 'q"\\']
)
@pytest.mark.parametrize("escaped", [True, False])
def test_any_other_character_may_stand_in_an_id(right, escaped):
    result = decoded(json.dumps(VIEW | {"event_id": right, "item_id": right}, ensure_ascii=escaped).encode())
    assert result.text(0, EVENT_ID) == right
    assert result.text(0, ITEM_ID) == right


def test_raw_control_characters_of_the_c1_range_are_refused_in_ids():
    assert refusal(json.dumps(VIEW | {"brand_id": "a\x85"}, ensure_ascii=False).encode()) == ("bad_id", "brand_id")


@pytest.mark.parametrize("action", list(Action))
def test_every_action_has_its_word(action):
    event = PURCHASE | {"action": action.name.lower(), "touch": "ad_click"}
    assert decoded(event).action.tolist() == [action]


@pytest.mark.parametrize("wrong", ["dance", "", "VIEW", "view ", "views", "vie", "cart_remov", "x" * 200, "\ud800"])
def test_another_action_is_unknown(wrong):
    assert refusal(VIEW | {"action": wrong}) == ("unknown_action", "action")


@pytest.mark.parametrize("touch", list(Touch))
def test_every_kind_of_touch_has_its_word(touch):
    assert decoded(TOUCH | {"touch": touch.name.lower()}).touch.tolist() == [touch]


@pytest.mark.parametrize("wrong", ["poke", "", "AD_CLICK", "ad_clic"])
def test_another_touch_is_unknown(wrong):
    assert refusal(TOUCH | {"touch": wrong}) == ("unknown_touch", "touch")


@pytest.mark.parametrize("right", ["organic", "organic/search", "a", "0/_", "live_room/x9", "a/" + "b" * 126])
def test_a_channel_has_one_or_two_levels(right):
    assert decoded(VIEW | {"channel": right}).text(0, CHANNEL) == right


@pytest.mark.parametrize(
    "wrong", ["", "/", "a/", "/a", "a//b", "a/b/c", "Organic", "organic search", "é", "a\n", "a/" + "b" * 127]
)
def test_any_other_channel_is_refused(wrong):
    assert refusal(VIEW | {"channel": wrong}) == ("bad_channel", "channel")


@pytest.mark.parametrize("right", ["CNY", "USD", "EUR", "JPY", "GBP", "HRK"])
def test_currencies_are_those_of_iso_4217(right):
    assert decoded(PURCHASE | {"currency": right}).text(0, CURRENCY) == right


@pytest.mark.parametrize("wrong", ["", "cny", "cny!", "ZZZ", "CN", "CNYY", "XXX", "XTS", "¥"])
def test_another_currency_is_refused(wrong):
    assert refusal(PURCHASE | {"currency": wrong}) == ("bad_currency", "currency")


# -- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "low", "high"), [("quantity", 1, 10**6), ("amount_minor", 0, 10**13), ("dwell_ms", 0, 10**13)]
)
def test_numbers_have_limits(field, low, high):
    for right in (low, high):
        assert int(getattr(decoded(PURCHASE | {field: right}), field)[0]) == right
    for wrong in (low - 1, high + 1, -(10**30), 10**30, 10**5000):
        text = json.dumps(PURCHASE | {field: "@"}).replace('"@"', digits(wrong))
        assert refusal(text.encode()) == ("bad_number", field)


def digits(number: int) -> str:
    """Decimal digits, of any length."""
    return "1" + "0" * 5000 if number == 10**5000 else str(number)


def test_minus_zero_is_zero():
    assert decoded(json.dumps(PURCHASE).replace("250", "-0").encode()).amount_minor.tolist() == [0]


def test_absent_numbers_are_minus_one():
    result = decoded(VIEW)
    assert (result.quantity[0], result.amount_minor[0], result.dwell_ms[0], result.touch[0]) == (-1, -1, -1, 0)


def test_a_carted_quantity_defaults_to_one():
    assert decoded(CART).quantity.tolist() == [1]
    assert decoded(CART | {"action": "cart_remove"}).quantity.tolist() == [1]
    assert decoded(CART | {"quantity": 5, "amount_minor": 9}).quantity.tolist() == [5]
    assert refusal(CART | {"quantity": 0}) == ("bad_number", "quantity")


def test_a_refund_may_take_back_no_piece_and_tells_absent_from_zero():
    result = decoded(REFUND | {"quantity": 0, "amount_minor": 40})
    assert (result.quantity.tolist(), result.amount_minor.tolist()) == ([0], [40])
    result = decoded(REFUND)
    assert (result.quantity.tolist(), result.amount_minor.tolist()) == ([-1], [-1])


def test_the_line_defaults_to_the_item_then_to_1():
    assert decoded(PURCHASE | {"line_id": "7", "item_id": "i1"}).text(0, LINE_ID) == "7"
    assert decoded(PURCHASE | {"item_id": "i1"}).text(0, LINE_ID) == "i1"
    assert decoded(PURCHASE).text(0, LINE_ID) == "1"
    assert decoded(REFUND).text(0, LINE_ID) == "1"
    assert decoded(CART | {"item_id": "i1"}).text(0, LINE_ID) == ""


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        (TIME, TIME_MS),
        ("2026-03-10T04:00:00Z", TIME_MS),
        ("2026-03-10t04:00:00z", TIME_MS),
        ("2026-03-10 04:00:00Z", TIME_MS),
        ("2026-03-10T04:00:00-00:00", TIME_MS),
        ("2026-03-09T20:30:00-07:30", TIME_MS),
        ("2026-03-10T12:00:00.001+08:00", TIME_MS + 1),
        ("2026-03-10T12:00:00.1+08:00", TIME_MS + 100),
        ("2026-03-10T12:00:00.0019999999999999999+08:00", TIME_MS + 1),
        ("2026-03-10T12:00:00.9999999+08:00", TIME_MS + 999),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59-00:01", 59_000),
        ("2099-12-31T23:59:59.9999Z", 4_102_444_799_999),
        ("2100-01-01T07:59:59+08:00", 4_102_444_799_000),
        ("2028-02-29T00:00:00Z", 1_835_395_200_000),
        ("2000-02-29T00:00:00Z", 951_782_400_000),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999),
        ("2017-01-01T07:59:60.5+08:00", 1_483_228_799_999),
    ],
)
def test_rfc_3339_times_with_an_offset_are_read_to_the_millisecond(text, expected_ms):
    assert event_ms(text) == expected_ms


@pytest.mark.parametrize("milliseconds", [0, 1, TIME_MS, 4_102_444_799_999])
def test_integers_are_milliseconds_since_the_epoch(milliseconds):
    assert event_ms(milliseconds) == milliseconds


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "2026-03-10",
        "2026-03-10T12:00:00",
        "2026-03-10T12:00+08:00",
        "2026-03-10T12:00:00+0800",
        "2026-03-10T12:00:00+08",
        "2026-03-10T12:00:00.+08:00",
        "2026-03-10T12:00:00,5+08:00",
        "2026-13-40T00:00:00+08:00",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-03-00T00:00:00Z",
        "2026-03-10T24:00:00Z",
        "2026-03-10T12:60:00Z",
        "2026-03-10T12:00:60Z",
        "2026-03-10T23:59:60Z",
        "2026-03-31T23:59:61Z",
        "2026-03-10T12:00:00+24:00",
        "2026-03-10T12:00:00+08:60",
        " 2026-03-10T12:00:00Z",
        "2026-03-10T12:00:00Z ",
        "2026-03-10T12:00:00Z\n",
        "٢026-03-10T12:00:00Z",
        "10٠6-03-10T12:00:00Z",
        "2026-3-10T12:00:00Z",
        "+2026-03-10T12:00:00Z",
        "20:6-03-10T12:00:00Z",
        "1773115200000",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T07:59:59+08:00",
        "2100-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        -1,
        4_102_444_800_000,
        10**40,
    ],
)
def test_any_other_time_is_bad(wrong):
    assert refusal(VIEW | {"event_time": wrong}) == ("bad_time", "event_time")


def test_every_hour_of_fifty_years_is_read_like_the_standard_library_reads_it():
    hours = range(0, 50 * 366 * 24, 173)
    instants = [datetime.fromtimestamp(h * 3600, UTC) for h in hours]
    result = decode_file(*(json.dumps(VIEW | {"event_time": t.isoformat()}).encode() for t in instants))
    assert result.event_ms.tolist() == [h * 3_600_000 for h in hours]


# -- where and when the record lay -------------------------------------------------------------------------------------


def placed(
    event, *, key: bytes | None = b"u1", partition=None, partitions=8, append_ms=TIME_MS, **options
) -> list[str]:
    home = partition_of(b"u1", partitions, options.get("partitioner", "murmur2"))
    result = decode(
        [json.dumps(event).encode()],
        [key],
        np.array([append_ms], np.int64),
        partition=home if partition is None else partition,
        partitions=partitions,
        wall_clock=options.pop("wall_clock", False),
        **options,
    )
    return [refusal.code.value for refusal in result.refusals]


def test_the_key_is_the_user():
    assert placed(VIEW) == []
    assert placed(VIEW, key=b"u2") == ["key_mismatch"]
    assert placed(VIEW, key=b"u11") == ["key_mismatch"]
    assert placed(VIEW, key=b"") == ["key_mismatch"]
    assert placed(VIEW, key=None) == ["key_mismatch"]


@pytest.mark.parametrize("partitioner", ["murmur2", "crc32"])
def test_a_record_in_another_partition_is_refused(partitioner):
    home = partition_of(b"u1", 8, partitioner)
    verdicts = [placed(VIEW, partition=p, partitioner=partitioner) for p in range(8)]
    assert verdicts == [[] if p == home else ["wrong_partition"] for p in range(8)]


def test_an_unknown_partitioner_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="murmur2"):
        decode([], [], None, partition=0, partitions=1, partitioner="random", wall_clock=False)


def test_by_the_wall_clock_an_event_may_be_5_minutes_ahead_and_1460_days_old():
    five_minutes, days_1460 = 300_000, 1460 * 86_400_000
    for event in (VIEW, VIEW | {"event_id": "é"}):  # the second is written with an escape: the reference's way
        assert placed(event, wall_clock=True, append_ms=TIME_MS - five_minutes) == []
        assert placed(event, wall_clock=True, append_ms=TIME_MS - five_minutes - 1) == ["time_ahead"]
        assert placed(event, wall_clock=True, append_ms=TIME_MS + days_1460) == []
        assert placed(event, wall_clock=True, append_ms=TIME_MS + days_1460 + 1) == ["time_too_old"]
        assert placed(event, wall_clock=True, append_ms=-1) == []
        assert placed(event, wall_clock=False, append_ms=0) == []


def test_files_have_neither_keys_nor_ages():
    result = decode([json.dumps(VIEW).encode()], None, np.array([0]), partition=0, partitions=64, wall_clock=True)
    assert not result.refusals


# -- the form and its cases --------------------------------------------------------------------------------------------


def test_what_the_struct_writes_is_accepted_as_it_was_meant():
    event = Event(
        event_id="e1",
        action="purchase",
        user_id="u1",
        event_time=TIME_MS,
        shop_id="s1",
        brand_id="b1",
        order_id="o1",
        quantity=1,
        amount_minor=5,
        currency="CNY",
    )
    result = decoded(event.encode())
    assert (result.text(0, BRAND_ID), result.text(0, ORDER_ID), result.event_ms.tolist()) == ("b1", "o1", [TIME_MS])


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the worked examples are not beside this repository")
def test_the_worked_examples_are_accepted_and_refused_as_they_say():
    for case in json.loads(EXAMPLES.read_text()):
        result = decode_file(*(json.dumps(event).encode() for event in case["events"]))
        expected = [(refused["event"], refused["code"]) for refused in case["refused"]]
        assert [(refused.record, refused.code) for refused in result.refusals] == expected, case["name"]
