"""`smart peers` shows a shop beside the mean of its tier, which is published once."""

import datetime as dt
import json

import pytest
from redis import Redis
from typer.testing import CliRunner

from processors.calendar import date_of, day_of
from processors.peers import RATIOS, SUMS
from schemas.store import index_key, pages_key, peers_key
from serving.peers import period_end
from stream.cli.main import app
from tests.shown import show
from tests.streams import seeded_stream
from tests.valkey import running

TODAY = dt.date(2023, 3, 1)
SHOPS = 8
END = period_end(TODAY - dt.timedelta(days=3), 7)


def values_of(seed, days=61):
    values = seeded_stream(seed, 6_000, users=300, shops=SHOPS, days=days)
    return [value.replace(b'"USD"', b'"CNY"').replace(b'"JPY"', b'"CNY"') for value in values]


@pytest.fixture(scope="module")
def module_valkey(tmp_path_factory):
    with running(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
def valkey(module_valkey):
    with Redis.from_url(module_valkey.url) as client:
        client.flushall()
    show(module_valkey.url, values_of(1), TODAY, history_from="2022-12-30", words=frozenset({"shop", "market"}))
    return module_valkey


@pytest.fixture
def smart(reads_the_store):
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def rows(told):
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def peers(smart, shop, *words):
    return rows(smart("peers", shop, "--json", *words))[0]


def test_the_mean_is_that_of_the_figures_of_the_shops_in_the_tier(smart):
    told = {f"s{n}": peers(smart, f"s{n}") for n in range(1, SHOPS + 1)}
    figures = {
        shop: rows(smart("factors", f"shop={shop}", "--window", 7, "--as-of", END, "--json"))[0] for shop in told
    }
    for shop, record in told.items():
        assert (record["as_of"], record["window_days"], record["currency"]) == (END.isoformat(), 7, "CNY")
        tier = [other for other, its in told.items() if its["size_from"] == record["size_from"]]
        assert len(tier) == record["shops"] >= 6
        assert {"s", "b", "gmv_minor", "m", "art_minor", "a"} <= record["figures"].keys()
        for name, one in record["figures"].items():
            assert one["own"] == figures[shop][name]
            if name in SUMS:
                mean = sum(figures[other][name] for other in tier) / len(tier)
            else:
                numerator, denominator = RATIOS[name]
                below = sum(figures[other][each] for other in tier for each in denominator)
                mean = sum(figures[other][numerator] for other in tier) / below
            assert one["mean"] == float(f"{mean:.2e}")
            assert one["quartile"] is None


def test_what_was_published_stands_whatever_comes_later(smart, valkey):
    before = peers(smart, "s1")
    show(valkey.url, values_of(2), TODAY, history_from="2022-12-30", words=frozenset({"shop", "market"}))
    after = peers(smart, "s1")
    assert {name: one["mean"] for name, one in after["figures"].items()} == {
        name: one["mean"] for name, one in before["figures"].items()
    }
    assert after["figures"]["s"]["own"] != before["figures"]["s"]["own"]
    assert (after["shops"], after["size_from"]) == (before["shops"], before["size_from"])


def test_periods_do_not_meet_and_a_date_means_the_last_one_that_is_complete(smart):
    ends = {peers(smart, "s1", "--as-of", END + dt.timedelta(days=days))["as_of"] for days in range(-7, 3)}
    assert ends == {END.isoformat(), (END - dt.timedelta(days=7)).isoformat()}
    for day in range(day_of(TODAY), day_of(TODAY) + 60):
        end = day_of(period_end(date_of(day), 7))
        assert 0 <= day - end < 7
        assert end % 7 == 6


def test_a_store_that_is_being_written_publishes_nothing(smart, valkey):
    with Redis.from_url(valkey.url) as client:
        client.delete(pages_key("shop=s3"))
        told = smart("peers", "s1")
        assert (told.exit_code, "do not add up to the market" in told.stderr) == (1, True)
        assert client.get(peers_key(END.isoformat(), 7)) is None


def test_people_get_a_table(smart):
    told = smart("peers", "s1")
    assert told.exit_code == 0
    assert f"shop=s1, 7 d to {END}" in told.stdout
    assert "mean of the tier" in told.stdout
    assert "8 shops, with 0 or more and any more" in told.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody",), "there are no figures of shop=nobody"),
        (("s1", "--as-of", "2022-12-31"), "data begin on 2022-12-30"),
        (("s1", "--as-of", "2099-01-01"), "reach up to 2023-03-01"),
    ],
)
def test_what_is_not_there_is_told(smart, words, said):
    told = smart("peers", *words)
    assert (told.exit_code, said in told.stderr) == (1, True), told.output


def test_fewer_than_six_shops_have_no_peers(smart, valkey):
    with Redis.from_url(valkey.url) as client:
        client.flushall()
    few = [value for value in values_of(1) if any(b'"s%d"' % n in value for n in range(1, 6))]
    show(valkey.url, few, TODAY, history_from="2022-12-30", words=frozenset({"shop", "market"}))
    told = smart("peers", "s1")
    assert (told.exit_code, "there are fewer than 6 shops like it" in told.stderr) == (1, True), told.output
    with Redis.from_url(valkey.url) as client:
        assert client.hlen(index_key("shop")) == 5
