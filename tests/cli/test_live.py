"""`smart live` tells the minutes of a shop as the workers have written them."""

import datetime as dt
import json

import numpy as np
import pytest
from redis import Redis
from typer.testing import CliRunner

from processors.intraday.pages import N_COLUMNS, N_MONEY_COLUMNS, encode_hour
from schemas.store import CLOCK_KEY, crossed_key, minutes_key
from stream.cli.main import app
from tests.valkey import running

NOW = int(dt.datetime(2026, 11, 10, 16, 20, 30, tzinfo=dt.UTC).timestamp() * 1000)  # 00:20 of the 11th in Shanghai
MINUTE = NOW // 60_000
HOUR = MINUTE // 60


def page(s=0, b=0, carts=0, gmv=(), at=0):
    """An hour in whose minute `at` something happens; the trailing figures stay until the hour's end. A half of the
    users and of the money, and of the buyers all but one, are existing.
    """
    counts = np.zeros((60, N_COLUMNS), np.int64)
    counts[at] = [s, s, s, s, b, b, b, b, carts, *[s // 2] * 3, *[max(b - 1, 0)] * 3]
    money = {currency: np.zeros((60, N_MONEY_COLUMNS), np.int64) for currency, _ in gmv}
    for currency, minor in gmv:
        money[currency][at] = [minor, *[minor // 2] * 3]
    return encode_hour({"": counts, **money})


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with running(tmp_path_factory.mktemp("store")) as server:
        with Redis.from_url(server.url) as client:
            client.hset(CLOCK_KEY, mapping={"0": NOW - 5_000, "1": NOW})
            now = page(40, 4, 3, [("CNY", 9_000), ("USD", 5)], at=18)
            hours = {HOUR - 1: page(5, 1, 7, [("CNY", 100)], at=30), HOUR: now, HOUR - 24: page(10, 1, 2, at=20)}
            client.hset(minutes_key("shop=s1"), mapping=hours)
            for channel, s in (("paid", 3), ("live", 8), ("organic", 0)):
                scope = f"shop=s1|channel={channel}"
                client.hset(crossed_key("shop=s1", "channel"), scope, HOUR)
                if s:
                    client.hset(minutes_key(scope), HOUR, page(s, s // 4))
            client.hset(crossed_key("shop=s1", "channel"), "shop=s1|channel=old", HOUR - 30)
        yield server


def smart(*words, expect=0):
    done = CliRunner().invoke(app, ["live", *words])
    assert done.exit_code == expect, done.output
    return done


def told(*words):
    return [json.loads(line) for line in smart(*words, "--json").stdout.splitlines()]


@pytest.mark.usefixtures("reads_the_store")
def test_trailing_figures_stand_beside_those_of_the_same_minute_of_the_day_before():
    records = told("s1", "--minutes", "0")
    assert [(r["minutes"], r["at"], r["s"], r["b"]) for r in records] == [
        (5, "2026-11-10T16:20:00.000Z", 40, 4),
        (60, "2026-11-10T16:20:00.000Z", 40, 4),
        (1440, "2026-11-10T16:20:00.000Z", 40, 4),
        (5, "2026-11-09T16:20:00.000Z", 10, 1),
        (60, "2026-11-09T16:20:00.000Z", 10, 1),
        (1440, "2026-11-09T16:20:00.000Z", 10, 1),
    ]
    assert [r["carts"] for r in records[:3]] == [3, 10, 10]
    assert [r["gmv_minor"] for r in records[:3]] == [
        {"CNY": 9_000, "USD": 5},
        {"CNY": 9_100, "USD": 5},
        {"CNY": 9_100, "USD": 5},
    ]
    assert records[0]["m"] == 0.1
    assert [(r["s_existing"], r["b_existing"], r["m_existing"]) for r in records[:4]] == [
        (20, 3, 0.15),
        (20, 3, 0.15),
        (20, 3, 0.15),
        (5, 0, 0),
    ]
    assert records[0]["gmv_existing_minor"] == {"CNY": 4_500, "USD": 2}


@pytest.mark.usefixtures("reads_the_store")
def test_minutes_come_one_by_one():
    records = [r for r in told("shop=s1", "--minutes", "3") if r["kind"] == "minute"]
    assert [(r["at"], r["s"], r["carts"], r["gmv_minor"]["CNY"]) for r in records] == [
        ("2026-11-10T16:18:00.000Z", 40, 3, 9_000),
        ("2026-11-10T16:19:00.000Z", 0, 0, 0),
        ("2026-11-10T16:20:00.000Z", 0, 0, 0),
    ]


@pytest.mark.usefixtures("reads_the_store")
def test_channels_come_the_most_bought_first_and_silent_ones_not_at_all():
    records = told("s1", "--minutes", "0", "--cross", "channel", "--window", "1440")[6:]
    assert [(r["scope"], r["s"], r["b"]) for r in records] == [
        ("shop=s1|channel=live", 8, 2),
        ("shop=s1|channel=paid", 3, 0),
    ]


@pytest.mark.usefixtures("reads_the_store")
def test_a_past_minute_can_be_asked_for():
    records = told("s1", "--minutes", "1", "--at", "2026-11-10T00:20")
    assert (records[0]["at"], records[0]["s"], records[-1]["s"]) == ("2026-11-09T16:20:00.000Z", 10, 10)


@pytest.mark.usefixtures("reads_the_store")
def test_people_see_tables():
    shown = smart("s1", "--cross", "channel").stdout
    assert "2026-11-11 00:20 against 2026-11-10 00:20 (Asia/Shanghai)" in shown
    assert "9,100 CNY, 5 USD" in shown
    assert "10.00%" in shown
    assert "15.00%" in shown
    assert "live" in shown


@pytest.mark.usefixtures("reads_the_store")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["s2"], 1, "nothing of shop=s2"),
        (["s1", "--window", "7"], 2, "5, 60, 1440"),
        (["s1", "--against", "2026-11-12"], 2, "--against must be"),
        (["s1", "--at", "2026-11-12"], 2, "has not come"),
        (["s1", "--at", "noon"], 2, "no time such as"),
        (["market", "--cross", "item"], 2, "of a shop"),
        (["s1", "--timezone", "Mars"], 2, "no time zone"),
    ],
)
def test_what_cannot_be_told_is_said(words, code, says):
    assert says in smart(*words, expect=code).stderr
