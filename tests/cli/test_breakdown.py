"""`smart breakdown` and `smart items` put the parts of a shop side by side, with the figures of `smart factors`."""

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from stream.cli.main import app
from tests.shown import show
from tests.streams import seeded_stream
from tests.valkey import running

TODAY = dt.date(2023, 3, 1)
SHOPS = 3


@pytest.fixture(scope="module")
def newest():
    return {}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory, newest):
    values = seeded_stream(5, 1_500, users=60, shops=SHOPS, days=61)
    with running(tmp_path_factory.mktemp("store")) as server:
        # An item whose date has not come yet, and a shop of which no parts are kept.
        newest |= show(server.url, values, TODAY, dated={"shop=s1|item=i1": TODAY - dt.timedelta(days=1)})
        show(server.url, [value.replace(b'"s1"', b'"bare"') for value in values], TODAY, words=frozenset({"shop"}))
        yield server


@pytest.fixture
def smart(reads_the_store):
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def rows(told):
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def without_provenance(record):
    return {name: value for name, value in record.items() if name not in {"complete_through", "computed_at"}}


def scopes_of(newest, family):
    return {scope for scope in newest if scope.rpartition("=")[0] == family}


@pytest.mark.parametrize("as_of", [(), ("--as-of", TODAY - dt.timedelta(days=9))])
@pytest.mark.parametrize(
    ("words", "family"),
    [
        (("breakdown", "s1", "item"), "shop=s1|item"),
        (("breakdown", "s2", "category"), "shop=s2|category"),
        (("breakdown", "shop=s1", "channel"), "shop=s1|channel"),
        (("breakdown", "market", "category"), "market|category"),
        (("breakdown", "market", "brand"), "brand"),
        (("items", "s3"), "shop=s3|item"),
    ],
)
def test_every_part_has_the_figures_that_it_has_alone(smart, newest, words, family, as_of):
    shown = rows(smart(*words, "--window", 7, "--json", *as_of))
    found = {(one["currency"], row["figures"]["scope"]): row["figures"] for one in shown for row in one["rows"]}
    date = as_of[1] if as_of else TODAY
    expected = {}
    for scope in scopes_of(newest, family):
        told = smart(
            "factors",
            scope,
            "--window",
            7,
            "--json",
            "--as-of",
            min(date, dt.date.fromisoformat(newest[scope][0].as_of)),
        )
        if told.exit_code == 0:
            expected |= {(row["currency"], scope): row for row in rows(told)}
    assert found
    late = {key for key, record in expected.items() if record["as_of"] != date.isoformat()}
    assert late <= {(currency, "shop=s1|item=i1") for currency in ("CNY", "JPY", "USD")}
    assert {without_provenance(found[key])["as_of"] for key in found} == {date.isoformat()}
    for key in found.keys() - late:
        assert without_provenance(found[key]) == without_provenance(expected[key])
    assert {key for key, record in expected.items() if record["s"]} - late <= found.keys()
    assert [one["total"] for one in shown] == [len(one["rows"]) for one in shown]


def test_a_part_of_another_date_is_shown_as_of_the_shops(smart):
    shown = rows(smart("items", "s1", "--window", 7, "--json"))
    figures = [row["figures"] for one in shown for row in one["rows"] if row["value"] == "i1"]
    (told,) = [each for each in figures if each["currency"] == "CNY"]
    assert told["as_of"] == TODAY.isoformat()
    assert told["s"] > 0


def test_shares_are_of_the_whole(smart):
    for one in rows(smart("breakdown", "s1", "brand", "--window", 7, "--json")):
        (whole,) = [
            r for r in rows(smart("factors", "shop=s1", "--window", 7, "--json")) if r["currency"] == one["currency"]
        ]
        assert one["whole"] == whole
        for row in one["rows"]:
            gmv = whole["gmv_minor"]
            assert row["gmv_share"] == (row["figures"]["gmv_minor"] / gmv if gmv else None)


@pytest.mark.parametrize("sort", ["gmv", "s", "m", "art_new", "r", "items"])
def test_the_greatest_come_first_and_those_without_a_value_last(smart, sort):
    field = {"gmv": "gmv_minor", "art_new": "art_new_minor"}.get(sort, sort)
    for one in rows(smart("breakdown", "market", "category", "--sort", sort, "--window", 1, "--json")):
        figures = [row["figures"][field] for row in one["rows"]]
        numbers = [figure for figure in figures if figure is not None]
        assert numbers == sorted(numbers, reverse=True)
        assert figures[: len(numbers)] == numbers
    first = rows(smart("items", "s1", "--sort", sort, "--limit", 1, "--window", 7, "--json"))
    everything = rows(smart("items", "s1", "--sort", sort, "--window", 7, "--json"))
    assert [one["rows"] for one in first] == [one["rows"][:1] for one in everything]
    assert [one["total"] for one in first] == [one["total"] for one in everything]


def test_people_get_tables(smart):
    told = smart("items", "s1", "--window", "7")
    assert told.exit_code == 0
    assert f"shop=s1 by item, 7 d to {TODAY}, money in minor units of CNY" in told.stdout
    assert "4 of 4, by gmv" in told.stdout
    assert "market by category" in smart("breakdown", "market", "category").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("items", "nobody"), 1, "there are no figures of shop=nobody"),
        (("items", "bare"), 1, "SMART_SCOPES of the workers must have item"),
        (("breakdown", "bare", "category"), 1, "SMART_SCOPES of the workers must have category"),
        (("items", "s1", "--as-of", "2099-01-01"), 1, "reach up to 2023-03-01"),
        (("items", "s1", "--as-of", "2001-01-01"), 1, "there are no figures of shop=s1"),
        (("items", "s1", "--sort", "luck"), 2, "is no figure to sort by: gmv, gmv_new"),
        (("items", "s1", "--window", "30"), 2, "SMART_WINDOWS has 1, 7"),
        (("breakdown", "s1", "shape"), 2, "category, item, brand, channel"),
        (("breakdown", "market", "item"), 2, "by category, brand, not by 'item'"),
        (("breakdown", "shop=s1|item=i1", "item"), 2, "is a part of a shop"),
    ],
)
def test_what_is_not_there_is_told(smart, words, code, said):
    told = smart(*words)
    assert (told.exit_code, said in told.stderr) == (code, True), told.output
