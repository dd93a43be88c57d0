"""Figures are exact: nulls for empty denominators, correctly rounded ratios, one record a currency."""

import datetime as dt
import json

import numpy as np
import pytest

from processors.calendar import day_of
from processors.counters import N_COUNTS
from processors.figures import Provenance, record, records
from schemas.factors import FactorRecord, decode_record

NOWHERE = Provenance()
FIRST_DAY = day_of(dt.date(2026, 11, 10))


def test_all_figures_of_a_record():
    made = record(
        "shop=s1", 7, "2026-11-11", [10, 4, 5, 3, 12, 8], "CNY", [1000, 700], Provenance("2024-11-01", "t", "u")
    )
    assert made == FactorRecord(
        scope="shop=s1", as_of="2026-11-11", window_days=7, s=10, s_potential=4, s_new=2, s_existing=4,
        b=5, b_new=2, b_existing=3, gmv_minor=1000, gmv_new_minor=300, gmv_existing_minor=700, currency="CNY",
        items=12, buyer_days=8, m=0.5, m_new=2 / 6, m_existing=0.75, art_minor=200.0, art_new_minor=150.0,
        art_existing_minor=700 / 3, a=2.4, r=1.6, history_from="2024-11-01", complete_through="t", computed_at="u",
    )  # fmt: skip


def test_an_empty_denominator_has_no_value():
    made = record("market", 1, "2026-11-11", [0] * N_COUNTS, "-", [0, 0], NOWHERE)
    ratios = (made.m, made.m_new, made.m_existing, made.art_minor, made.art_new_minor, made.art_existing_minor)
    assert ratios == (None,) * 6
    assert (made.a, made.r) == (None, None)
    assert json.loads(made.encode())["m"] is None


def test_a_ratio_of_large_integers_is_rounded_once():
    gmv = 2**60 + 2**7 + 1  # float64(gmv) rounds down before the division would round again
    made = record("market", 1, "2026-11-11", [3, 0, 3, 0, 3, 3], "CNY", [gmv, 0], NOWHERE)
    assert made.art_minor == gmv / 3
    assert made.gmv_minor == gmv


def test_a_record_for_each_day_window_and_currency_with_the_counts_over_all():
    week = [2, 0, 2, 0, 2, 2]
    nothing, only_active = [0] * N_COUNTS, [1, 1, 0, 0, 0, 0]
    counts = np.array([[week, week], [nothing, week], [only_active, week]], np.int64).transpose(0, 2, 1)
    money = {
        "USD": np.array([[[900, 0], [901, 0]], [[0, 0], [901, 0]], [[0, 0], [901, 0]]], np.int64).transpose(0, 2, 1),
        "CNY": np.array([[[100, 0], [101, 0]], [[0, 0], [101, 0]], [[0, 0], [101, 0]]], np.int64).transpose(0, 2, 1),
    }
    made = list(records("shop=s1", (1, 7), FIRST_DAY, counts, money, NOWHERE))
    assert [(one.as_of, one.window_days, one.currency, one.s, one.gmv_minor, one.art_minor) for one in made] == [
        ("2026-11-10", 1, "CNY", 2, 100, 50.0),
        ("2026-11-10", 1, "USD", 2, 900, 450.0),
        ("2026-11-10", 7, "CNY", 2, 101, 50.5),
        ("2026-11-10", 7, "USD", 2, 901, 450.5),
        ("2026-11-11", 7, "CNY", 2, 101, 50.5),
        ("2026-11-11", 7, "USD", 2, 901, 450.5),
        ("2026-11-12", 1, "CNY", 1, 0, None),
        ("2026-11-12", 1, "USD", 1, 0, None),
        ("2026-11-12", 7, "CNY", 2, 101, 50.5),
        ("2026-11-12", 7, "USD", 2, 901, 450.5),
    ]


def test_a_scope_without_money_has_one_record_without_a_currency():
    counts = np.array([1, 0, 0, 0, 0, 0], np.int64).reshape(1, N_COUNTS, 1)
    (made,) = records("shop=s1", (1,), FIRST_DAY, counts, {}, NOWHERE)
    assert (made.currency, made.gmv_minor, made.m) == ("-", 0, 0.0)


def test_a_record_is_the_same_after_its_json():
    made = record("shop=s1|item=i", 30, "2026-11-11", [7, 3, 3, 1, 9, 4], "CNY", [10, 3], NOWHERE)
    assert decode_record(made.encode()) == made
    assert made.m == pytest.approx(3 / 7, abs=0)
