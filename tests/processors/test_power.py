"""New-product power: bounded, monotone, and without a value where there is nothing to say."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.calendar import NO_DAY
from processors.power import OTHERS_A_STEP, item_days, lifts, powers, shares

pure = settings(deadline=None, max_examples=200)
CHANNELS = 3
users = st.integers(0, 50)


@st.composite
def tiers(draw, shops_max=40):
    """(active users, users of new items, item days, new item days, tiers) of some shops."""
    n = draw(st.integers(1, shops_max))
    rows = st.lists(st.lists(users, min_size=CHANNELS, max_size=CHANNELS), min_size=n, max_size=n)
    s = np.array(draw(rows), np.int64)
    fresh = np.minimum(np.array(draw(rows), np.int64), s)
    numbers = st.lists(st.integers(0, 90), min_size=n, max_size=n)
    all_days = np.array(draw(numbers), np.int64)
    new_days = np.minimum(np.array(draw(numbers), np.int64), all_days)
    tier = np.array(draw(st.lists(st.sampled_from([-1, 0, 0, 0, 1]), min_size=n, max_size=n)), np.int64)
    return s, fresh, all_days, new_days, tier


@pure
@given(tiers())
def test_a_lift_is_the_mean_of_the_channels_by_their_traffic(made):
    s, fresh, all_days, new_days, _ = made
    for i, lift in enumerate(lifts(s, fresh, all_days, new_days)):
        if not s[i].sum() or not new_days[i]:
            assert np.isnan(lift)
            continue
        expected = Fraction(int(new_days[i]), int(all_days[i]))
        parts = [
            Fraction(int(n), int(s[i].sum())) * Fraction(int(k), int(n)) / expected
            for n, k in zip(s[i], fresh[i], strict=True)
            if n
        ]
        assert lift == pytest.approx(float(sum(parts)), rel=1e-12)


@pure
@given(tiers(), st.data())
def test_more_users_on_new_items_never_lower_the_power(made, data):
    s, fresh, all_days, new_days, tier = made
    before = powers(lifts(s, fresh, all_days, new_days), tier)
    shop, channel = data.draw(st.integers(0, len(s) - 1)), data.draw(st.integers(0, CHANNELS - 1))
    more = fresh.copy()
    more[shop, channel] = data.draw(st.integers(int(fresh[shop, channel]), int(s[shop, channel])))
    after = powers(lifts(s, more, all_days, new_days), tier)
    assert np.isnan(before[shop]) == np.isnan(after[shop])
    assert np.isnan(after[shop]) or after[shop] >= before[shop]
    others = np.arange(len(s)) != shop
    assert (np.isnan(after[others]) | (after[others] <= before[others])).all()


@pure
@given(tiers())
def test_a_power_is_from_0_to_100_and_the_same_for_the_same(made):
    lift, tier = lifts(*made[:4]), made[4]
    power = powers(lift, tier)
    known = power[~np.isnan(power)]
    assert ((known > 0) & (known < 100)).all()
    for number in (0, 1):
        own = tier == number
        order = np.argsort(lift[own], kind="stable")
        ranked = power[own][order]
        assert (np.diff(ranked[~np.isnan(ranked)]) >= 0).all()
        for value in set(lift[own].tolist()):
            same = power[own & (lift == value)]
            assert np.isnan(same).all() or len(set(same.tolist())) == 1


@pure
@given(tiers())
def test_a_power_is_told_only_where_every_step_has_five_others(made):
    lift, tier = lifts(*made[:4]), made[4]
    power = powers(lift, tier)
    assert np.isnan(power[(tier < 0) | np.isnan(lift)]).all()
    for number in (0, 1):
        own = (tier == number) & ~np.isnan(lift)
        others = own.sum() - 1
        told = power[own]
        assert np.isnan(told).all() == (others < 2 * OTHERS_A_STEP) or not own.any()
        if len(set(lift[own].tolist())) == own.sum() and others >= 2 * OTHERS_A_STEP:
            _, sizes = np.unique(told, return_counts=True)
            assert sizes.min() >= OTHERS_A_STEP


def test_a_period_expects_the_mean_of_its_days():
    on_sale = {NO_DAY: 4, 10: 2, 50: 1, 70: 0}
    assert item_days(on_sale, 60, 60) == (7, 1)
    assert item_days(on_sale, 39, 40) == (12, 2)  # the two of day 10 are new on day 39 for the last time
    assert item_days(on_sale, 48, 51) == (4 * 6 + 2, 2)
    assert item_days({}, 1, 30) == (0, 0)


def test_nothing_of_nothing_is_no_value():
    assert np.isnan(shares(np.array([0]), np.array([0]))).all()
    assert np.isnan(lifts(np.zeros((1, 0), np.int64), np.zeros((1, 0), np.int64), np.array([1]), np.array([1]))).all()
    assert len(powers(np.zeros(0), np.zeros(0, np.int64))) == 0
