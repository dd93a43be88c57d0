"""Factor and control records: the fields and their order are a contract, wrong values are told."""

import json

import msgspec
import pytest

from schemas.control import ClockRecord, ShopRecord, decode_clock, decode_shop, zone_names
from schemas.factors import FactorRecord, decode_record


def test_a_factor_record_is_compact_json_in_the_contracts_order():
    record = FactorRecord(scope="shop=s1", as_of="2026-11-11", window_days=7, history_from="2024-11-01")
    value = record.encode()
    assert value.startswith(b'{"kind":"factors","scope":"shop=s1","as_of":"2026-11-11","window_days":7,"s":0,')
    names = """kind scope as_of window_days s s_potential s_new s_existing b b_new b_existing gmv_minor gmv_new_minor
        gmv_existing_minor currency items buyer_days m m_new m_existing art_minor art_new_minor art_existing_minor a r
        history_from complete_through computed_at"""
    assert list(json.loads(value)) == names.split()
    assert b'"m":null,' in value
    assert decode_record(value) == record


def test_ratios_are_doubles_that_survive_the_wire():
    record = FactorRecord(scope="market", as_of="2026-11-11", window_days=1, m=1 / 3, art_minor=2.0)
    assert b'"art_minor":2.0' in record.encode()
    assert decode_record(record.encode()).m == 1 / 3


def test_a_factor_records_key_names_scope_window_date_and_currency():
    record = FactorRecord(scope="shop=s1|item=i1", as_of="2026-11-11", window_days=30, currency="CNY")
    assert record.key == "shop=s1|item=i1|30|2026-11-11|CNY"
    assert record.key.rsplit("|", 3) == ["shop=s1|item=i1", "30", "2026-11-11", "CNY"]


def test_a_shop_is_told_that_its_zone_or_currency_is_unknown():
    shop = ShopRecord(shop_id="s1", zone="Europe/London", currency="GBP", tier_band="m")
    assert decode_shop(shop.encode()) == shop
    for wrong in ({"zone": "Asia/Peking"}, {"zone": ""}, {"zone": "../etc"}, {"currency": "cny"}, {"currency": "ZZZ"}):
        with pytest.raises(msgspec.ValidationError, match=next(iter(wrong))):
            decode_shop(json.dumps({"shop_id": "s1"} | wrong).encode())
        with pytest.raises(ValueError, match="s1"):
            ShopRecord(shop_id="s1", **wrong)


def test_zones_are_those_of_the_packaged_data():
    assert {"Asia/Shanghai", "UTC", "America/New_York", "Asia/Kolkata"} <= zone_names()


def test_a_clock_record_is_read_back_and_may_know_nothing_yet():
    for clock in (
        ClockRecord(partition=3),
        ClockRecord(partition=3, watermark_ms=5, accepted_ms=6, first_date=20_000, caught_up=True, at_ms=7),
    ):
        assert decode_clock(clock.encode()) == clock
        assert clock.key() == b"3"
