"""Changes are differences of the published figures, and null where one of them has no value."""

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.comparison import FIGURES, INTEGERS, OF_A_CLASS, RATIOS, Former, changes, columns, compared
from processors.figures import Provenance, record
from schemas.factors import FactorRecord


@st.composite
def records(draw):
    """A record of counts as they can be."""
    s = draw(st.integers(0, 50))
    s_existing = draw(st.integers(0, s))
    b_existing = draw(st.integers(0, s_existing))
    b_new = draw(st.integers(0, s - s_existing))
    b = b_existing + b_new
    gmv_existing = draw(st.integers(0, 10**17)) if b_existing else 0
    gmv = gmv_existing + (draw(st.integers(0, 10**17)) if b_new else 0)
    items, buyer_days = (draw(st.integers(b, 500)), draw(st.integers(b, 200))) if b else (0, 0)
    counts = [s, s_existing, b, b_existing, items, buyer_days]
    return record("shop=s1", 7, "2026-11-11", counts, "CNY", (gmv, gmv_existing), Provenance())


def by_hand(now, then):
    """(change, growth) of every figure of two records, written from the definition."""
    for name in FIGURES:
        after, before = getattr(now, name), getattr(then, name)
        change = None if after is None or before is None else after - before
        growth = None if change is None or before == 0 else change / before
        yield name, (change, growth)


@settings(deadline=None)
@given(records(), records(), records())
def test_every_figure_is_compared_as_by_hand(now, previous, year):
    told = compared(now, Former(previous, has_lookback=True), Former(year, has_lookback=True))
    for word, then in (("previous", previous), ("year", year)):
        for name, (change, growth) in by_hand(now, then):
            one = told[name]
            assert (one.value, getattr(one, word)) == (getattr(now, name), getattr(then, name))
            assert getattr(one, f"{word}_change") == change
            found = getattr(one, f"{word}_growth")
            assert (found is None) == (growth is None)
            assert growth is None or abs(found - growth) <= 1e-12 * abs(growth)


def test_all_figures_of_the_record_are_compared():
    others = {"scope", "as_of", "window_days", "currency", "history_from", "complete_through", "computed_at"}
    assert set(FIGURES) == set(FactorRecord.__struct_fields__) - others
    assert {name for name in FIGURES if "_new" in name or "_existing" in name or "potential" in name} == OF_A_CLASS


def test_without_the_year_before_it_a_class_cannot_be_compared():
    now, then = (
        record("market", 1, "2026-11-11", [n, n, n, n, n, n], "CNY", (100 * n, 100 * n), Provenance()) for n in (4, 2)
    )
    told = compared(now, Former(then, has_lookback=False), None)
    assert (told["s_existing"].value, told["s_existing"].previous, told["s_existing"].previous_change) == (4, 2, None)
    assert (told["s"].previous_change, told["s"].previous_growth) == (2, 1.0)
    assert (told["s"].year, told["s"].year_change, told["s"].year_growth) == (None, None, None)


@given(st.lists(st.tuples(records(), records()), max_size=4))
def test_many_records_are_compared_at_once_as_one_by_one(pairs):
    after, before = [one for one, _ in pairs], [other for _, other in pairs]
    found = changes(columns(after), columns(before))
    assert found.absolute.integers.shape == (len(pairs), len(INTEGERS))
    assert found.absolute.ratios.shape == (len(pairs), len(RATIOS))
    for i, (one, other) in enumerate(pairs):
        alone = changes(columns([one]), columns([other]))
        assert found.absolute.integers[i].tolist() == alone.absolute.integers[0].tolist()
        assert str(found.relative[i].tolist()) == str(alone.relative[0].tolist())  # also NaN beside NaN
