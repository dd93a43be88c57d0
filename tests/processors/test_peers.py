"""Nothing that is published of tiers says anything of a single shop to another one; and what is, is right."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.figures import Provenance, record
from processors.peers import (
    EDGES,
    LEVELS,
    MIN_SHOPS,
    N_PARTS,
    NO_TIER,
    PROTECTION,
    QUARTILE_SHOPS,
    RATIOS,
    SUMS,
    Shop,
    is_safe,
    peer_block,
    published_figures,
    shop_of,
    tier_numbers,
    tiers_of,
)

PROPERTY = settings(deadline=None, max_examples=150)
amounts = st.one_of(st.just(0), st.integers(0, 40), st.integers(0, 10**9))


@st.composite
def markets(draw, *, at_least=0, at_most=40, even=False):
    """Shops of three kinds of money and of many sizes; `even`: of about the same figures, so that much is told."""
    n = draw(st.integers(at_least, at_most))
    found = []
    for i in range(n):
        parts = draw(st.tuples(*[st.integers(20, 60)] * N_PARTS) if even else st.tuples(*[amounts] * N_PARTS))
        size = draw(st.sampled_from([0, 1, 50, 2_000, 2_900, 3_000, 10**7]))
        currency = draw(st.sampled_from(["CNY", "CNY", "CNY", "USD", "-"]))
        found.append(Shop(f"shop=s{i:02}", currency, size, parts))
    return found


def block_of(shops):
    return peer_block(shops, "2026-11-11", 30)


def figures_of(parts):
    """A shop's figures from its parts, in fractions; None without a denominator."""
    told = {name: Fraction(sum(parts[k] for k in of)) for name, of in SUMS.items()}
    for name, (numerator, denominator) in RATIOS.items():
        below = sum(told[each] for each in denominator)
        told[name] = told[numerator] / below if below else None
    return told


@PROPERTY
@given(markets())
def test_every_tier_is_at_least_six_shops_of_one_currency_and_tiers_do_not_meet(shops):
    block = block_of(shops)
    by_name = {shop.name: shop for shop in shops}
    for number, tier in enumerate(block.tiers):
        members = [by_name[name] for name, of in block.members.items() if of == number]
        assert len(members) == tier.shops >= MIN_SHOPS
        assert {shop.currency for shop in members} == {tier.currency}
        assert all(tier.size_from <= shop.size < (tier.size_to or 10**30) for shop in members)
        assert {tier.size_from, tier.size_to or 0} <= set(EDGES)
    for currency in {tier.currency for tier in block.tiers}:
        own = [(tier.size_from, tier.size_to) for tier in block.tiers if tier.currency == currency]
        assert all(low >= high for (low, _), (_, high) in itertools.pairwise(own))
    for currency in ("CNY", "USD", "-"):
        own = [shop for shop in shops if shop.currency == currency]
        tiers = tiers_of(own)
        assert sum(len(each) for _, _, each in tiers) == (len(own) if len(own) >= MIN_SHOPS else 0)


@PROPERTY
@given(markets())
def test_tiers_by_number_are_those_that_are_published(shops):
    numbers = dict(zip((shop.name for shop in shops), tier_numbers(shops), strict=True))
    members = block_of(shops).members
    for one, other in itertools.combinations(members, 2):
        assert (members[one] == members[other]) == (numbers[one] == numbers[other])
    in_none = [name for name, number in numbers.items() if number == NO_TIER]
    assert not set(in_none) & members.keys()


@PROPERTY
@given(markets(even=True))
def test_a_mean_is_that_of_the_mean_shop(shops):
    block = block_of(shops)
    by_name = {shop.name: shop for shop in shops}
    for number, tier in enumerate(block.tiers):
        members = [by_name[name] for name, of in block.members.items() if of == number]
        mean = figures_of([Fraction(sum(shop.parts[k] for shop in members), len(members)) for k in range(N_PARTS)])
        for name, told in tier.means.items():
            assert abs(told - mean[name]) <= Fraction(1, 199) * mean[name]
            assert told == float(f"{told:.2e}")
        if "art_minor" in tier.means:
            product = tier.means["s"] * tier.means["m"] * tier.means["art_minor"]
            assert product == pytest.approx(tier.means["gmv_minor"], rel=0.02)


@PROPERTY
@given(markets(at_least=12, at_most=30, even=True), st.data())
def test_nobody_can_tell_which_of_five_shops_has_what(shops, data):
    """Two shops of a tier that change places leave everything as it is that is published to a third one."""
    block = block_of(shops)
    if not block.members:
        return
    one = data.draw(st.sampled_from(sorted(block.members)))
    others = [name for name, of in block.members.items() if of == block.members[one] and name != one]
    assert len(others) >= MIN_SHOPS - 1
    looking, other = data.draw(st.permutations(others))[:2]
    by_name = {shop.name: shop for shop in shops}
    swapped = [shop._replace(parts=by_name[{one: other, other: one}.get(shop.name, shop.name)].parts) for shop in shops]
    again = block_of(swapped)
    assert (again.tiers, again.members) == (block.tiers, block.members)
    assert again.quartiles.get(looking) == block.quartiles.get(looking)


@PROPERTY
@given(markets(at_least=8, at_most=25, even=True), st.data())
def test_nobody_can_tell_what_a_shop_has(shops, data):
    """Whatever one shop has less and another more of leaves all means as they are: no single figure is determined."""
    block = block_of(shops)
    if not block.members:
        return
    one = data.draw(st.sampled_from(sorted(block.members)))
    others = [name for name, of in block.members.items() if of == block.members[one] and name != one]
    other = data.draw(st.sampled_from(others))
    parts = {shop.name: np.array(shop.parts) for shop in shops}
    moved = parts[one] // 3  # a third of each part goes over
    parts[one], parts[other] = parts[one] - moved, parts[other] + moved
    again = block_of([shop._replace(parts=tuple(parts[shop.name].tolist())) for shop in shops])
    assert again.members == block.members
    for tier, before in zip(again.tiers, block.tiers, strict=True):
        assert tier.means.items() == before.means.items()


@PROPERTY
@given(markets(at_least=6, at_most=14))
def test_no_shop_knows_another_one_nearly(shops):
    """Whoever takes its own part off a sum that has become known is at least a quarter off the largest other part."""
    block = block_of(shops)
    by_name = {shop.name: shop for shop in shops}
    for number, tier in enumerate(block.tiers):
        members = np.array([by_name[name].parts for name, of in block.members.items() if of == number])
        for group in known_sums(tier.means):
            part = members[:, list(group)].sum(axis=1).tolist()
            assert sum(each > 0 for each in part) >= MIN_SHOPS
            for looking, other in itertools.permutations(range(len(part)), 2):
                assert sum(part) - part[looking] - part[other] >= PROTECTION * part[other]


def known_sums(means):
    """Groups of parts whose sums follow from what is told: the finest ones, by elimination.

    Every told figure is a sum of parts, or a ratio of such; each combination of those that leaves only one sign is
    something that nobody should be able to use.
    """
    sums = [np.array([k in SUMS[name] for k in range(N_PARTS)], int) for name in means if name in SUMS]
    for (a, x), (b, y) in itertools.permutations(enumerate(list(sums)), 2):
        if a != b and (x - y).min() >= 0 and (x - y).any():
            sums.append(x - y)
    for x, y in itertools.permutations(list(sums), 2):
        if (x - y).min() >= 0 and (x - y).any():
            sums.append(x - y)
    return {tuple(np.flatnonzero(each).tolist()) for each in sums}


def test_what_can_be_known_is_what_is_checked():
    """Every sum that follows from any set of levels is one whose parts have been checked, or is made up of such."""
    for n in range(1, len(LEVELS) + 1):
        for some in itertools.combinations(LEVELS, n):
            checked = {group for level in some for group in level.needs}
            if len(checked) > 1:  # all of S is made up of the others then
                checked.discard(LEVELS[0].needs[0])
            for group in known_sums(dict.fromkeys(name for level in some for name in level.figures)):
                inside = [each for each in checked if set(each) <= set(group)]
                assert set(group) == set().union(*inside), (group, [level.figures for level in some])


@pytest.mark.parametrize(
    ("parts", "safe"),
    [
        ([1] * 6, True),
        ([1] * 5, False),
        ([1] * 5 + [0] * 20, False),
        ([0] * 30, False),
        ([100, 100, 10, 5, 5, 5], True),
        ([100, 100, 10, 5, 5, 4], False),  # the second one knows the first to less than a quarter
    ],
)
def test_a_sum_is_safe_among_enough_shops_of_which_none_stands_out(parts, safe):
    assert is_safe(np.array(parts)) is safe


def test_where_few_have_bought_only_the_audience_is_told():
    parts = np.full((8, N_PARTS), 5)
    assert len(published_figures(parts, has_money=True)) == len(SUMS) + len(RATIOS)
    assert "gmv_minor" not in published_figures(parts, has_money=False)
    parts[:5, 1] = 0  # three shops have new buyers
    assert "b_new" not in published_figures(parts, has_money=True)
    assert "s_existing" not in published_figures(parts, has_money=True)  # nor what would tell it
    assert {"b", "gmv_minor", "a"} <= set(published_figures(parts, has_money=True))
    parts[:5, 3] = 0
    assert published_figures(parts, has_money=True) == ["s"]


def test_places_are_told_by_quarters_where_there_are_five_others_in_each():
    def block(n):
        return block_of([Shop(f"shop=s{i:02}", "CNY", 5, (100 + i, *[50] * 7)) for i in range(n)])

    assert block(QUARTILE_SHOPS - 1).quartiles == {}
    places = [block(24).quartiles[f"shop=s{i:02}"] for i in range(24)]
    assert [place["s_potential"] for place in places] == [1] * 6 + [2] * 6 + [3] * 6 + [4] * 6
    assert {place["gmv_minor"] for place in places} == {3}  # all alike: in the middle
    assert places[0]["m"] == 4  # the least audience for as many buyers


def test_a_shop_with_two_currencies_is_in_the_tiers_of_neither():
    def one(currency, gmv):
        return record("shop=s1", 30, "2026-11-11", [9, 4, 5, 2, 20, 8], currency, (gmv, 7), Provenance())

    assert shop_of([one("CNY", 50)], [one("CNY", 90)]) == Shop("shop=s1", "CNY", 90, (2, 3, 2, 2, 3, 12, 43, 7))
    assert shop_of([one("CNY", 50), one("USD", 9)], [one("CNY", 90), one("USD", 9)])[1:3] == ("-", 9)
    assert shop_of([one("-", 0)], [one("-", 0)])[1:3] == ("-", 9)


# --- why periods must not meet


def is_determined(rows, target):
    """Whether a linear form of the unknowns follows from the values of others."""
    rows = np.array(rows, float)
    return np.linalg.matrix_rank(np.vstack([rows, target])) == np.linalg.matrix_rank(rows)


DAYS, SHOPS = 12, 8


def published(tiers_by_period, periods):
    """What is known to shop 0, as forms over (shop, day): sums over tiers and periods, and its own days."""
    rows = []
    for first, last in periods:
        for tier in tiers_by_period(first):
            row = np.zeros((SHOPS, DAYS))
            row[np.ix_(sorted(tier), range(first, last + 1))] = 1
            rows.append(row.ravel())
    for day in range(DAYS):
        own = np.zeros((SHOPS, DAYS))
        own[0, day] = 1
        rows.append(own.ravel())
    return rows


def of_shop(shop, first, last):
    target = np.zeros((SHOPS, DAYS))
    target[shop, first : last + 1] = 1
    return target.ravel()


def tiers_with_a_leaver(first):
    """Shop 7 leaves the tier after six days."""
    return [set(range(8))] if first < 6 else [set(range(7))]


def test_periods_that_follow_each_other_determine_no_shop_whoever_comes_and_goes():
    rows = published(tiers_with_a_leaver, [(0, 2), (3, 5), (6, 8), (9, 11)])
    for shop in range(1, SHOPS):
        for first, last in itertools.combinations_with_replacement(range(DAYS), 2):
            assert not is_determined(rows, of_shop(shop, first, last))


def test_periods_that_overlap_would():
    periods = [(day, day) for day in range(DAYS)] + [(4, 6), (5, 7), (6, 8)]
    late = {(4, 6), (5, 7)}
    rows = published(lambda first: tiers_with_a_leaver(first + 2), [p for p in periods if p in late])
    rows += published(tiers_with_a_leaver, [p for p in periods if p not in late])
    assert is_determined(rows, of_shop(7, 4, 5))
