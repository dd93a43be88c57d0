"""`smart spend` says what the figures of a shop and its parts say."""

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from stream.cli.main import app
from tests.shown import show
from tests.streams import seeded_stream
from tests.valkey import running

TODAY = dt.date(2023, 3, 1)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    values = seeded_stream(6, 1_500, users=60, shops=2, days=61)
    with running(tmp_path_factory.mktemp("store")) as server:
        show(server.url, values, TODAY)
        show(server.url, [v.replace(b'"s1"', b'"bare"') for v in values], TODAY, words=frozenset({"shop"}))
        yield server


@pytest.fixture
def smart(reads_the_store):
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def rows(told):
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


@pytest.mark.parametrize("date", [TODAY, TODAY - dt.timedelta(days=9)])
def test_it_agrees_with_the_figures_and_the_breakdown(smart, date):
    asked = ("--window", 7, "--as-of", date, "--json")
    found = rows(smart("spend", "s1", *asked))
    factors = {row["currency"]: row for row in rows(smart("factors", "shop=s1", *asked))}
    assert {one["currency"] for one in found} == factors.keys()
    for one in found:
        whole = factors[one["currency"]]
        figures = {name: value for name, value in one["figures"].items() if name != "computed_at"}
        assert figures == {name: value for name, value in whole.items() if name != "computed_at"}
        for spread in one["concentrations"]:
            (table,) = [
                each
                for each in rows(smart("breakdown", "s1", spread["by"], *asked))
                if each["currency"] == one["currency"]
            ]
            amounts = {row["value"]: row["figures"]["gmv_minor"] for row in table["rows"] if "/" not in row["value"]}
            assert spread["gmv_minor"] == sum(amounts.values())
            assert {part["value"]: part["gmv_minor"] for part in spread["top"]}.items() <= amounts.items()
        assert [spread["by"] for spread in one["concentrations"]] == ["category", "channel", "item"]
        assert sum(band["gmv_minor"] for band in one["quantity_bands"]) == one["concentrations"][2]["gmv_minor"]


def test_what_is_not_kept_is_told(smart):
    found = rows(smart("spend", "bare", "--window", 7, "--json"))
    assert {tuple(one["not_kept"]) for one in found} == {("category", "channel", "item")}
    assert {tuple(one["concentrations"]) for one in found} == {()}
    assert "no figures by category, channel, item" in smart("spend", "bare").stdout


def test_people_get_tables(smart):
    told = smart("spend", "s1")
    assert told.exit_code == 0, told.output
    assert f"shop=s1, 7 d to {TODAY}, money in minor units of" in told.stdout
    assert "price of an item" in told.stdout
    assert "Herfindahl" in told.stdout
    assert "A  pieces per buyer" in told.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nobody",), 1, "there are no figures of shop=nobody"),
        (("s1", "--as-of", "2001-01-01"), 1, "no money was spent in shop=s1"),
        (("s1", "--as-of", "2099-01-01"), 1, "reach up to 2023-03-01"),
        (("s1", "--window", "30"), 2, "SMART_WINDOWS has 1, 7"),
    ],
)
def test_what_is_not_there_is_told(smart, words, code, said):
    told = smart("spend", *words)
    assert (told.exit_code, said in told.stderr) == (code, True), told.output
