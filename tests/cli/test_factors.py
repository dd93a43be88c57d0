"""`smart factors` prints what the workers have published, and says so where there is nothing."""

import json

import pytest
from redis import Redis
from typer.testing import CliRunner

from schemas.factors import FactorRecord
from schemas.store import live_field, live_key, pages_key
from stream.cli.main import app
from tests.serving.test_past import DATE, day, pages
from tests.valkey import running

TODAY = day(12).isoformat()


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with running(tmp_path_factory.mktemp("store")) as server:
        with Redis.from_url(server.url) as client:
            for window in (1, 7):
                for currency in ("CNY", "USD"):
                    record = FactorRecord(
                        scope="market",
                        as_of=TODAY,
                        window_days=window,
                        currency=currency,
                        s=1_000 * window,
                        b=7,
                        m=0.25,
                        gmv_minor=123_456_789,
                        history_from="2025-01-01",
                    )
                    client.hset(live_key("market"), live_field(window, currency), record.encode())
            client.hset(pages_key("market"), mapping={str(n): page for n, page in pages({1: 5}, {2: 10}).items()})
        yield server


@pytest.fixture
def smart(reads_the_store):
    return lambda *words: CliRunner().invoke(app, ["factors", *words])


def rows(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_all_periods_and_currencies_are_printed(smart):
    found = rows(smart("market", "--json"))
    assert [(row["window_days"], row["currency"]) for row in found] == [(1, "CNY"), (1, "USD"), (7, "CNY"), (7, "USD")]
    assert {row["as_of"] for row in found} == {TODAY}


def test_one_period_may_be_asked_for(smart):
    assert {row["window_days"] for row in rows(smart("market", "--json", "--window", "7"))} == {7}


def test_people_get_a_table_for_each_currency(smart):
    told = smart("market")
    assert told.exit_code == 0
    assert "money in minor units of CNY" in told.stdout
    assert "money in minor units of USD" in told.stdout
    assert f"7 d to {TODAY}" in told.stdout
    assert "7,000" in told.stdout
    assert "25.00%" in told.stdout
    assert "123,456,789" in told.stdout
    assert "data from 2025-01-01" in told.stdout


def test_a_past_date_comes_from_the_pages(smart):
    found = rows(smart("market", "--json", "--as-of", day(2).isoformat()))
    assert [(row["window_days"], row["s"], row["gmv_minor"]) for row in found] == [(1, 5, 10), (7, 5, 10)]


def test_a_trend_has_every_date_up_to_the_last(smart):
    found = rows(smart("market", "--json", "--window", "7", "--as-of", day(3).isoformat(), "--last", "3"))
    assert [(row["as_of"], row["s"], row["gmv_minor"]) for row in found] == [
        (day(1).isoformat(), 5, 0), (day(2).isoformat(), 5, 10), (day(3).isoformat(), 5, 10),
    ]  # fmt: skip
    told = smart("market", "--window", "7", "--last", "3")
    assert told.exit_code == 0
    assert "market, 7 d, money in minor units of CNY" in told.stdout
    assert [line.split()[0] for line in told.stdout.splitlines()[2:5]] == [day(n).isoformat() for n in (10, 11, 12)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shop=nobody",), 1, "there are no figures of shop=nobody"),
        (("market", "--as-of", "2020-01-01"), 1, "there are no figures of market as of 2020-01-01"),
        (("market", "--as-of", "2099-01-01"), 1, f"reach up to {TODAY}"),
        (("market", "--as-of", "soon"), 2, "'soon' is no date"),
        (("market", "--window", "30"), 2, "SMART_WINDOWS has 1, 7"),
        (("market", "--last", "9999"), 2, "figures reach 731 dates back"),
        (("everything",), 2, "names no scope"),
    ],
)
def test_what_is_not_there_is_told(smart, words, code, said):
    told = smart(*words)
    assert (told.exit_code, said in told.stderr) == (code, True), told.output
    assert DATE.isoformat() not in told.stdout
