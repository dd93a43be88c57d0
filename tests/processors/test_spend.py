"""Shares, concentration and bands are those that one counts by hand."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.figures import Provenance, record
from processors.spend import FREQUENCY_EDGES, QUANTITY_EDGES, bands, concentration, spend


def made(scope, b, items, buyer_days, gmv):
    return record(scope, 30, "2026-11-11", [b + 1, 0, b, 0, items, buyer_days], "CNY", (gmv, 0), Provenance())


@st.composite
def parts(draw, kind="item"):
    found = []
    for n in range(draw(st.integers(0, 30))):
        b = draw(st.integers(0, 4))
        items, days = (draw(st.integers(b, 12 * b)), draw(st.integers(b, 5 * b))) if b else (0, 0)
        found.append(made(f"shop=s1|{kind}=x{n:02}", b, items, days, draw(st.integers(0, 10**14)) if b else 0))
    return found


@settings(deadline=None)
@given(parts(), st.integers(0, 10**6))
def test_concentration_is_that_of_the_definition(items, unnamed):
    shop_gmv = sum(item.gmv_minor for item in items) + unnamed
    found = concentration("item", shop_gmv, items)
    amounts = sorted((item.gmv_minor for item in items if item.gmv_minor), reverse=True)
    total = sum(amounts)
    assert (found.total, found.gmv_minor) == (len(amounts), total)
    if not total:
        assert (found.herfindahl, found.top_10_share, found.for_80_percent, found.top) == (None, None, 0, [])
        return
    assert found.herfindahl == float(sum(Fraction(amount, total) ** 2 for amount in amounts))
    assert found.top_10_share == sum(amounts[:10]) / total
    n = found.for_80_percent
    assert sum(amounts[: n - 1]) < Fraction(4, 5) * total <= sum(amounts[:n])
    assert [part.gmv_minor for part in found.top] == amounts[:10]
    assert found.top[0].gmv_share == amounts[0] / shop_gmv


@settings(deadline=None)
@given(parts())
def test_every_item_that_was_bought_is_in_one_band(items):
    bought = [item for item in items if item.b]
    for figure, edges in (("a", QUANTITY_EDGES), ("r", FREQUENCY_EDGES)):
        found = bands(items, figure, edges)
        assert len(found) == (len(edges) if bought else 0)
        assert sum(band.items for band in found) == len(bought)
        for band in found:
            inside = [
                item
                for item in bought
                if band.above < getattr(item, figure) and (band.up_to is None or getattr(item, figure) <= band.up_to)
            ]
            assert (band.items, band.gmv_minor) == (len(inside), sum(item.gmv_minor for item in inside))


def test_the_second_level_of_a_channel_is_not_counted_twice():
    channels = [made(f"shop=s1|channel={name}", 1, 1, 1, gmv) for name, gmv in (("a", 60), ("a/x", 60), ("b", 40))]
    found = concentration("channel", 100, channels)
    assert [part.value for part in found.top] == ["a", "b"]
    assert (found.gmv_minor, found.gmv_share, found.for_80_percent) == (100, 1.0, 2)


def test_what_a_buyer_spends_is_taken_apart():
    found = spend(made("shop=s1", 4, 12, 6, 2_400), {"category": []})
    assert (found.item_price_minor, found.day_spend_minor, found.day_items) == (200, 400, 2)
    assert (found.gmv_new_share, found.gmv_existing_share) == (1, 0)
    assert found.not_kept == ["channel", "item"]
    assert (found.quantity_bands, found.frequency_bands) == ([], [])
    # ART = what an item costs, times items on a day, times days
    assert found.figures.art_minor == found.item_price_minor * found.day_items * found.figures.r
