"""`smart export` writes what `smart factors --json` prints, for many dates and scopes."""

import json

import pyarrow.parquet as pq
import pytest
from redis import Redis
from typer.testing import CliRunner

from schemas.factors import FactorRecord
from schemas.store import live_field, live_key, pages_key
from stream.cli.main import app
from tests.serving.test_export import read_back
from tests.serving.test_past import day, pages
from tests.valkey import running

TODAY = day(12).isoformat()
SCOPES = ("market", "shop=s1", "shop=s2", "shop=s1|category=c1", "shop=s1|category=c[1]")


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with running(tmp_path_factory.mktemp("store")) as server:
        with Redis.from_url(server.url) as client:
            for scale, scope in enumerate(SCOPES, start=1):
                newest = FactorRecord(
                    scope=scope, as_of=TODAY, window_days=7, currency="CNY", s=1, history_from="2025-01-01",
                    complete_through="2026-11-11T02:00:00.000Z",
                )  # fmt: skip
                client.hset(live_key(scope), live_field(7, "CNY"), newest.encode())
                known = pages({1: 5 * scale, 9: 1}, {2: 10 * scale})
                client.hset(pages_key(scope), mapping={str(n): page for n, page in known.items()})
        yield server


@pytest.fixture
def export(reads_the_store, tmp_path):
    """Runs the command; what it says, and what is in the file."""
    path = tmp_path / "figures.parquet"

    def run(*words):
        told = CliRunner().invoke(app, ["export", *words, "--output", str(path)])
        return told, read_back(path) if path.exists() else None

    return run


def factors(*words):
    told = CliRunner().invoke(app, ["factors", *words, "--json"])
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def plain(records):
    return [json.loads(record.encode()) for record in records]


@pytest.mark.parametrize("scope", SCOPES)
def test_rows_are_what_factors_prints(export, scope):
    told, rows = export(scope)
    assert told.exit_code == 0, told.output
    assert plain(rows) == factors(scope, "--last", "731")
    assert len(rows) == 24


def test_a_range_of_dates_and_a_period_may_be_asked_for(export):
    first, last = day(2).isoformat(), day(4).isoformat()
    _, rows = export("market", "--from", first, "--to", last, "--window", "7")
    assert [(row.as_of, row.window_days) for row in rows] == [(day(n).isoformat(), 7) for n in (2, 3, 4)]
    assert plain(rows) == factors("market", "--as-of", last, "--last", "3", "--window", "7")


def test_dates_that_have_not_come_are_left_out(export):
    _, rows = export("market", "--from", day(11).isoformat(), "--to", "2099-01-01")
    assert {row.as_of for row in rows} == {day(11).isoformat(), TODAY}


@pytest.mark.parametrize(
    ("asked", "scopes"),
    [
        (("market", "shop=s2", "market"), ["market", "shop=s2"]),
        (("shop=*",), ["shop=s1", "shop=s2"]),
        (("shop=*|category=*",), ["shop=s1|category=c1", "shop=s1|category=c[1]"]),
        (("shop=*|category=c[*",), ["shop=s1|category=c[1]"]),
    ],
)
def test_several_scopes_may_be_named_and_a_star_is_any_id(export, asked, scopes):
    told, rows = export(*asked)
    assert list(dict.fromkeys(row.scope for row in rows)) == scopes
    assert f"wrote {len(rows):,} records of {len(scopes)} scopes" in told.stderr


def test_columns_are_typed(export, tmp_path):
    export("market")
    types = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "figures.parquet")}
    assert (types["as_of"], types["s"], types["gmv_minor"], types["m"]) == ("date32[day]", "int64", "int64", "double")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shop=nobody",), 1, "there are no figures of shop=nobody"),
        (("brand=*",), 1, "there are no figures of brand=*"),
        (("market", "--to", "2020-01-01"), 1, "there are no figures of market for these dates"),
        (("market", "--from", "soon"), 2, "'soon' is no date"),
        (("market", "--from", "2026-11-11", "--to", "2026-11-10"), 2, "is after --to"),
        (("market", "--window", "30"), 2, "SMART_WINDOWS has 1, 7"),
        (("everything*",), 2, "names no scope"),
    ],
)
def test_what_cannot_be_exported_is_told(export, words, code, said):
    told, rows = export(*words)
    assert (told.exit_code, said in told.stderr, rows) == (code, True, None), told.output
