"""`smart growth` tells what S, M and ART have contributed, from the pages that the workers have published."""

import datetime as dt
import json

import numpy as np
import pytest
from redis import Redis
from typer.testing import CliRunner

from processors.calendar import day_of
from processors.counters import N_COUNTS, N_MONEY, PAGE_DAYS
from processors.pages import encode_lanes, page_of
from schemas.factors import FactorRecord
from schemas.store import live_field, live_key, pages_key
from serving.growth import growth_at
from stream.cli.main import app
from tests.valkey import running

LAST = dt.date(2026, 11, 11)
N_PAGES = 3
FIRST_PAGE = page_of(day_of(LAST)) - N_PAGES + 1
WINDOWS = 2  # of 1 and 7 days: the figures below are the same for both


def total_pages(values):
    """Pages of one scope: date → (S, S_existing, B, B_existing, GMV, GMV_existing) on that date alone."""
    counts = np.zeros((N_PAGES * PAGE_DAYS + 1, N_COUNTS, WINDOWS), np.int64)
    money = np.zeros((N_PAGES * PAGE_DAYS + 1, N_MONEY, WINDOWS), np.int64)
    for date, (s, s_existing, b, b_existing, gmv, gmv_existing) in values.items():
        at = day_of(date) - FIRST_PAGE * PAGE_DAYS
        for end, sign in ((at, 1), (at + 1, -1)):
            counts[end, :4] += sign * np.array([[s], [s_existing], [b], [b_existing]])
            money[end, :2] += sign * np.array([[gmv], [gmv_existing]])
            money[end, 2] += sign  # a line counts
    return {
        FIRST_PAGE + n: encode_lanes(
            {
                "": counts[n * PAGE_DAYS : (n + 1) * PAGE_DAYS].reshape(PAGE_DAYS, -1),
                "CNY": money[n * PAGE_DAYS : (n + 1) * PAGE_DAYS].reshape(PAGE_DAYS, -1),
            },
            WINDOWS,
        )
        for n in range(N_PAGES)
    }


def ago(days):
    return LAST - dt.timedelta(days=days)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    values = {
        LAST: (300, 100, 30, 10, 9_000, 3_000),
        ago(1): (200, 100, 20, 10, 6_000, 3_000),
        ago(7): (100, 100, 10, 10, 1_000, 1_000),
    }
    with running(tmp_path_factory.mktemp("store")) as server:
        with Redis.from_url(server.url) as client:
            newest = FactorRecord(scope="shop=s1", as_of=LAST.isoformat(), window_days=1, currency="CNY", s=300)
            client.hset(live_key("shop=s1"), live_field(1, "CNY"), newest.encode())
            client.hset(pages_key("shop=s1"), mapping={str(n): page for n, page in total_pages(values).items()})
        yield server


@pytest.fixture
def smart(reads_the_store):
    return lambda *words: CliRunner().invoke(app, ["growth", *words])


def rows(told):
    assert told.exit_code == 0, told.output
    return {row["window_days"]: row for row in map(json.loads, told.stdout.splitlines())}


def test_a_growing_audience_takes_the_growth(smart):
    row = rows(smart("shop=s1", "--json", "--window", "1"))[1]
    assert (row["against"], row["gmv_before_minor"], row["gmv_minor"]) == (ago(1).isoformat(), 6_000, 9_000)
    assert (row["s_part_minor"], row["s_new_part_minor"], row["s_existing_part_minor"]) == (3_000, 3_000, 0)
    assert (row["m_part_minor"], row["art_part_minor"]) == (0, 0)


def test_each_period_is_held_against_the_one_before_it(smart):
    found = rows(smart("shop=s1", "--json"))
    assert {window: row["against"] for window, row in found.items()} == {1: ago(1).isoformat(), 7: ago(7).isoformat()}
    row = found[7]
    assert row["gmv_change_minor"] == 8_000 == row["s_part_minor"] + row["m_part_minor"] + row["art_part_minor"]
    assert row["s_new_part_minor"] == 6_000  # there were no new customers
    assert row["art_existing_part_minor"] == 2_000  # the same people spend three times as much
    assert row["recommended"] == {
        "factor": "s", "part_minor": 6_000, "gmv_change_minor": 8_000, "first": ago(7).isoformat(),
        "last": LAST.isoformat(), "periods": 2, "s_part_minor": 6_000, "m_part_minor": 0, "art_part_minor": 2_000,
        "steps": None,
    }  # fmt: skip


def test_the_steps_behind_the_recommended_factor_are_told(smart):
    best = rows(smart("shop=s1", "--json", "--steps", "--window", "1"))[1]["recommended"]
    steps = best["steps"]
    assert [step["as_of"] for step in steps] == [ago(days).isoformat() for days in range(6, -1, -1)]
    assert len(steps) == best["periods"] - 1
    assert sum(step["gmv_change_minor"] for step in steps) == best["gmv_change_minor"] == 8_000
    for factor in ("s", "m", "art"):
        assert sum(step[f"{factor}_part_minor"] for step in steps) == best[f"{factor}_part_minor"]
    for step in steps:
        assert step["gmv_change_minor"] == sum(step[f"{factor}_part_minor"] for factor in ("s", "m", "art"))
    assert best["part_minor"] == best[f"{best['factor']}_part_minor"]
    told = smart("shop=s1", "--steps", "--window", "1")
    assert told.exit_code == 0
    assert ago(6).isoformat() in told.stdout
    assert "-1,000" in told.stdout


def test_a_period_that_begins_before_the_history_is_no_step():
    pages = total_pages({ago(days): (100 + days, 0, 10, 0, 1_000 * (15 - days), 0) for days in range(15)})
    for from_days, periods in ((14, 2), (13, 2), (20, 3)):
        record = growth_at("shop=s1", pages, (1, 7), LAST, None, 731, ago(from_days))[1]
        assert (record.window_days, record.recommended.periods) == (7, periods)


def test_any_date_may_be_held_against_another(smart):
    row = rows(smart("shop=s1", "--json", "--as-of", ago(1).isoformat(), "--against", ago(7).isoformat()))[1]
    assert (row["as_of"], row["against"], row["gmv_change_minor"]) == (ago(1).isoformat(), ago(7).isoformat(), 5_000)
    year = rows(smart("shop=s1", "--json", "--against", "year"))[1]
    assert (year["gmv_before_minor"], year["s_part_minor"]) == (0, 9_000)


def test_people_get_a_table(smart):
    told = smart("shop=s1", "--window", "7")
    assert told.exit_code == 0
    assert "7 d to 2026-11-11 against 2026-11-04" in told.stdout
    assert "+8,000" in told.stdout
    assert "S  audience has contributed most" in told.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shop=nobody",), 1, "there are no figures of shop=nobody"),
        (("shop=s1", "--as-of", "2026-11-09"), 1, "no money was spent in shop=s1"),
        (("shop=s1", "--as-of", "2099-01-01"), 1, "reach up to 2026-11-11"),
        (("shop=s1", "--against", "2026-11-11"), 2, "a date before 2026-11-11"),
        (("shop=s1", "--against", "then"), 2, "'then' is no date"),
        (("shop=s1", "--window", "30"), 2, "SMART_WINDOWS has 1, 7"),
    ],
)
def test_what_is_not_there_is_told(smart, words, code, said):
    told = smart(*words, "--window", "1") if "--window" not in words else smart(*words)
    assert (told.exit_code, said in told.stderr) == (code, True), told.output
