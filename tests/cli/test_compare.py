"""`smart compare` tells the figures of `smart factors` for three periods, and how they differ."""

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from processors.comparison import FIGURES, INTEGERS
from serving.comparison import Reach
from stream.cli.main import app
from tests.shown import show
from tests.streams import seeded_stream
from tests.valkey import running

TODAY = dt.date(2024, 3, 10)  # the year before has a leap day in it
HISTORY_FROM = dt.date(2022, 12, 30)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    values = seeded_stream(8, 3_000, users=20, shops=1, days=440)
    with running(tmp_path_factory.mktemp("store")) as server:
        show(server.url, values, TODAY, history_from=HISTORY_FROM.isoformat())
        yield server


@pytest.fixture
def smart(reads_the_store):
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def rows(told):
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def figures(smart, scope, window, date):
    told = smart("factors", scope, "--window", window, "--as-of", date, "--json")
    return {row["currency"]: row for row in rows(told)} if told.exit_code == 0 else {}


@pytest.mark.parametrize(("window", "as_of"), [(1, TODAY), (7, TODAY), (7, TODAY - dt.timedelta(days=67))])
@pytest.mark.parametrize("scope", ["shop=s1", "shop=s1|item=i1"])
def test_the_figures_are_those_of_each_period_alone(smart, scope, window, as_of):
    found = rows(smart("compare", scope, "--window", window, "--as-of", as_of, "--json"))
    year_date = as_of - dt.timedelta(days=365)
    now, previous, year = (
        figures(smart, scope, window, date) for date in (as_of, as_of - dt.timedelta(days=window), year_date)
    )
    assert {one["currency"] for one in found} == now.keys() | previous.keys() | year.keys()
    reaches = Reach(HISTORY_FROM, HISTORY_FROM).covers(year_date, window)
    assert reaches == (as_of == TODAY)
    for one in found:
        currency = one["currency"]
        assert one["year_as_of"] == (year_date.isoformat() if reaches else None)
        for name in FIGURES:
            told = one["figures"][name]
            nothing = 0 if name in INTEGERS else None
            assert told["value"] == now.get(currency, {}).get(name, nothing)
            assert told["previous"] == previous.get(currency, {}).get(name, nothing)
            assert told["year"] == (year.get(currency, {}).get(name, nothing) if reaches else None)
        s = one["figures"]["s"]
        assert s["previous_change"] == s["value"] - s["previous"]
        assert s["previous_growth"] == (s["previous_change"] / s["previous"] if s["previous"] else None)


def test_what_the_history_does_not_reach_is_null():
    history_from = dt.date(2026, 1, 10)
    reach = Reach(history_from, dt.date(2025, 1, 1))
    assert reach.covers(dt.date(2026, 1, 16), 7)
    assert not reach.covers(dt.date(2026, 1, 15), 7)  # its first date is before the history
    assert not Reach(None, dt.date(2025, 1, 1)).covers(dt.date(2026, 1, 16), 7)
    assert not Reach(history_from, dt.date(2026, 1, 17)).covers(dt.date(2026, 1, 16), 7)  # not kept any more
    assert reach.covers_lookback(dt.date(2027, 1, 10), 1)
    assert not reach.covers_lookback(dt.date(2027, 1, 9), 1)


def test_people_get_a_table_for_each_period(smart):
    told = smart("compare", "shop=s1")
    assert told.exit_code == 0
    assert f"shop=s1, 7 d to {TODAY}, money in minor units of CNY" in told.stdout
    assert "to 2024-03-03" in told.stdout
    assert "to 2023-03-11" in told.stdout
    assert "data from 2022-12-30" in told.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shop=nobody",), 1, "there are no figures of shop=nobody"),
        (("shop=s1", "--as-of", "2020-01-01"), 1, "there are no figures of shop=s1 as of 2020-01-01"),
        (("shop=s1", "--as-of", "2099-01-01"), 1, "reach up to 2024-03-10"),
        (("shop=s1", "--window", "30"), 2, "SMART_WINDOWS has 1, 7"),
        (("s1",), 2, "names no scope"),
    ],
)
def test_what_is_not_there_is_told(smart, words, code, said):
    told = smart("compare", *words)
    assert (told.exit_code, said in told.stderr) == (code, True), told.output
