"""`smart restatements` tells what figures of past dates said before, and what they say now."""

import json

import pytest
from redis import Redis
from typer.testing import CliRunner

from schemas.factors import FactorRecord
from schemas.restatements import Figures, RestatementRecord
from schemas.store import live_field, live_key, restated_key
from stream.cli.main import app
from tests.valkey import running

DATES = ["2026-11-08", "2026-11-09"]


def restatement(number, window_days, currency="CNY"):
    return RestatementRecord(
        scope="market", number=number, window_days=window_days, currency=currency,
        restated_at=f"2026-11-11T10:00:{number:02}.000Z", as_of=DATES,
        before=Figures(s=[5, 6], gmv_minor=[100_000, 200_000]), after=Figures(s=[6, 6], gmv_minor=[90_000, 190_000]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with running(tmp_path_factory.mktemp("store")) as server:
        with Redis.from_url(server.url) as client:
            for number, window_days in ((9, 1), (10, 7), (11, 7)):
                client.hset(restated_key("market"), str(number), restatement(number, window_days).encode())
            for scope in ("market", "shop=quiet"):
                record = FactorRecord(scope=scope, as_of="2026-11-11", window_days=1, s=1)
                client.hset(live_key(scope), live_field(1, "-"), record.encode())
        yield server


@pytest.fixture
def smart(reads_the_store):
    return lambda *words: CliRunner().invoke(app, ["restatements", *words])


def numbers(told):
    assert told.exit_code == 0, told.output
    return [json.loads(line)["number"] for line in told.stdout.splitlines()]


def test_the_newest_restatements_are_printed_oldest_first(smart):
    assert numbers(smart("market", "--json")) == [9, 10, 11]
    assert numbers(smart("market", "--json", "--window", "7")) == [10, 11]
    assert numbers(smart("market", "--json", "--last", "2")) == [10, 11]


def test_one_date_has_its_own_values_only(smart):
    (line,) = smart("market", "--json", "--window", "1", "--as-of", "2026-11-09").stdout.splitlines()
    told = json.loads(line)
    assert (told["as_of"], told["before"], told["after"]) == (
        ["2026-11-09"], {"s": [6], "gmv_minor": [200_000]}, {"s": [6], "gmv_minor": [190_000]},
    )  # fmt: skip


def test_people_see_what_it_was_what_it_is_and_when(smart):
    told = smart("market", "--window", "1")
    assert told.exit_code == 0
    lines = [line.split() for line in told.stdout.splitlines()[2:]]
    at = "2026-11-11T10:00:09.000Z"
    assert lines == [
        [at, "1", "d", "2026-11-08", "s", "5", "6", "+1"],
        [at, "1", "d", "2026-11-08", "gmv_minor", "CNY", "100,000", "90,000", "-10,000"],
        [at, "1", "d", "2026-11-09", "gmv_minor", "CNY", "200,000", "190,000", "-10,000"],
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shop=quiet",), 0, "no figure of shop=quiet that is asked for has been restated"),
        (("market", "--as-of", "2026-01-01"), 0, "no figure of market"),
        (("shop=nobody",), 1, "there are no figures of shop=nobody"),
        (("market", "--window", "30"), 2, "SMART_WINDOWS has 1, 7"),
        (("everything",), 2, "names no scope"),
    ],
)
def test_what_is_not_there_is_told(smart, words, code, said):
    told = smart(*words)
    assert (told.exit_code, said in told.output) == (code, True), told.output
