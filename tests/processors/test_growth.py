"""Contributions add up, do not depend on the direction, and give a change to the factor that alone has changed."""

from fractions import Fraction
from math import log

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.growth import contributions, decompose, levels, recommended, whole_minor_units
from schemas.factors import FactorRecord


@st.composite
def level(draw):
    """S, B and GMV of a class, as they can be: who buys is active, and without buyers there is no money."""
    s = draw(st.integers(0, 10**7))
    b = draw(st.integers(0, s))
    return s, b, draw(st.integers(0, 10**13)) if b else 0


levels_of_a_period = st.tuples(level(), level()).map(lambda both: np.array(both, np.int64))


def by_hand(before, after):
    """The parts of one class, written straight from the definition."""
    (s0, b0, g0), (s1, b1, g1) = before.tolist(), after.tolist()
    if g0 == g1 == 0:
        return [0.0, 0.0, 0.0]
    if g0 == 0 or g1 == 0:
        empty = (s0, b0, g0) if g0 == 0 else (s1, b1, g1)
        return [float(g1 - g0) if i == empty.index(0) else 0.0 for i in range(3)]
    mean = g1 if g1 == g0 else (g1 - g0) / log(Fraction(g1, g0))
    return [
        mean * log(Fraction(s1, s0)),
        mean * log(Fraction(b1 * s0, s1 * b0)),
        mean * log(Fraction(g1 * b0, b1 * g0)),
    ]


@given(levels_of_a_period, levels_of_a_period)
def test_parts_are_those_of_the_definition_and_add_up(before, after):
    parts = decompose(before, after)
    change = after[:, 2] - before[:, 2]
    room = 1e-9 * np.maximum(before[:, 2], after[:, 2])
    assert (np.abs(parts.sum(axis=-1) - change) <= room).all()
    for c in range(2):
        if abs(int(change[c])) > 1e-6 * int(before[c, 2]):  # nearer by, the definition itself loses its digits
            assert parts[c] == pytest.approx(by_hand(before[c], after[c]), rel=1e-6, abs=1e-6 * before[c, 2] + 1e-6)
    assert (contributions(before, after).sum(axis=-1) == change).all()


@given(levels_of_a_period, levels_of_a_period)
@example(np.array([(1, 1, 1), (0, 0, 0)]), np.array([(57, 1, 2_303_908_139), (0, 0, 0)]))
def test_the_way_back_has_the_opposite_parts(before, after):
    room = 1e-9 * max(before[:, 2].max(), after[:, 2].max())
    assert decompose(before, after) == pytest.approx(-decompose(after, before), abs=room)


@pytest.mark.parametrize(
    ("before", "after", "factor"),
    [
        ((100, 10, 5_000), (200, 20, 10_000), 0),  # twice the audience
        ((100, 10, 5_000), (100, 20, 10_000), 1),  # it buys twice as often
        ((100, 10, 5_000), (100, 10, 10_000), 2),  # and for twice as much
        ((0, 0, 0), (100, 10, 5_000), 0),  # nobody had come
        ((100, 0, 0), (100, 10, 5_000), 1),  # nobody had bought
        ((100, 10, 0), (100, 10, 5_000), 2),  # nobody had paid
        ((100, 10, 5_000), (80, 0, 0), 1),
    ],
)
def test_what_alone_has_changed_takes_the_whole_change(before, after, factor):
    parts = contributions(np.array([before, (0, 0, 0)]), np.array([after, (0, 0, 0)]))
    expected = np.zeros((2, 3), np.int64)
    expected[0, factor] = after[2] - before[2]
    assert parts.tolist() == expected.tolist()


@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3), st.integers(-3, 3))
def test_whole_minor_units_add_up_and_stay_near(parts, off):
    parts = np.array(parts)
    total = np.array(round(parts.sum()) + off)
    whole = whole_minor_units(parts, total)
    assert whole.sum() == total
    assert (np.abs(whole - parts) <= 1 + abs(off)).all()


def test_many_periods_are_decomposed_at_once_as_one_by_one():
    rng = np.random.default_rng(7)
    s = rng.integers(1, 1_000, (2, 50, 2))
    b = rng.integers(0, s + 1)
    before, after = np.stack([s, b, b * rng.integers(0, 500, s.shape)], axis=-1)
    at_once = contributions(before, after)
    assert at_once.tolist() == [contributions(x, y).tolist() for x, y in zip(before, after, strict=True)]


def test_the_recommended_factor_has_contributed_most_over_all_steps():
    def period(s, b, gmv):
        return [[s, b, gmv], [0, 0, 0]]

    # The audience grows in both steps; what a buyer spends doubles and comes back.
    steps = np.array([period(100, 10, 1_000), period(150, 15, 3_000), period(200, 20, 2_000)])
    best = recommended(steps)
    assert best is not None
    assert (best.factor, best.change_minor) == ("s", 1_000)
    assert best.part_minor > 1_000  # what the audience has brought, the spending has partly taken away
    assert recommended(steps[:1]) is None
    assert recommended(steps[[1, 1]]) is None


def test_levels_split_every_customer_into_one_of_two_classes():
    record = FactorRecord(
        scope="market", as_of="2026-11-11", window_days=7, s=10, s_potential=5, s_new=2, s_existing=3, b=4, b_new=2,
        b_existing=2, gmv_minor=900, gmv_new_minor=400, gmv_existing_minor=500, currency="CNY",
    )  # fmt: skip
    assert levels([record]).tolist() == [[[7, 2, 400], [3, 2, 500]]]
