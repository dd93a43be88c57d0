"""`smart backtest` prints the factors of files and nothing else on stdout; everything it refuses is counted."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from stream.cli.main import app
from tests.events import encode, purchase, view

TODAY = ("--as-of", "2026-03-01")


def smart(*arguments):
    return CliRunner().invoke(app, ["backtest", *map(str, arguments)])


def printed(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def events_file(tmp_path):
    path = tmp_path / "events.jsonl"
    made = [view("u1", item_id="i1", channel="organic/search"), purchase("u2", amount=250), view("u3", shop="s2")]
    path.write_bytes(b"\n".join([*map(encode, made), b"", b"no event", encode(made[0])]))
    return path


def test_factors_are_printed_as_json_lines_and_refusals_counted_on_stderr(events_file):
    result = smart(events_file, *TODAY, "--windows", "7", "--scopes", "shop")
    first, second = printed(result)
    assert (first["scope"], first["s"], first["b"], first["gmv_minor"], first["currency"]) == (
        "shop=s1",
        2,
        1,
        250,
        "CNY",
    )
    assert (first["window_days"], first["as_of"], first["history_from"]) == (7, "2026-03-01", "2026-03-01")
    assert (second["scope"], second["s"], second["currency"]) == ("shop=s2", 1, "-")
    assert result.stdout.splitlines()[0].startswith('{"kind":"factors","scope":"shop=s1",')
    assert "4 events accepted, 1 refused" in result.stderr
    assert "refused not_json 1" in result.stderr


def test_figures_by_profile_need_no_kafka_either(events_file, tmp_path):
    profiles = tmp_path / "profiles.jsonl"
    made = [{"user_id": "u1", "updated_at": 2, "group": "g1"}, {"user_id": "u1", "updated_at": 1, "group": "g2"}]
    profiles.write_bytes(b"\n".join([*map(encode, made), b'{"user_id":"u2","updated_at":1,"gender":"x"}']))
    result = smart(events_file, *TODAY, "--windows", "1", "--scopes", "group", "--profiles", profiles)
    found = {record["scope"]: (record["s"], record["gmv_minor"]) for record in printed(result)}
    assert found == {"shop=s1|group=g1": (1, 0), "shop=s1|group=unknown": (1, 250), "shop=s2|group=unknown": (1, 0)}
    assert "refused unknown_value 1" in result.stderr


def test_what_is_new_is_in_the_catalogue(events_file, tmp_path):
    catalogue = tmp_path / "items.jsonl"
    made = [{"item_id": "i1", "updated_at": n, "shop_id": "s1", "listed_on": f"2026-0{n}-15"} for n in (1, 2)]
    catalogue.write_bytes(b"\n".join([*map(encode, made), b'{"item_id":"i2","updated_at":1}']))
    result = smart(events_file, *TODAY, "--windows", "1", "--scopes", "new", "--catalogue", catalogue)
    assert [(record["scope"], record["s"]) for record in printed(result)] == [("shop=s1|new=organic", 1)]
    assert "refused missing_field 1" in result.stderr


def test_single_scopes_may_be_asked_and_several_dates(events_file):
    asked = ("--scope", "shop=s1|channel=organic", "--scope", "market", "--windows", "1,7")
    found = printed(smart(events_file, "--as-of", "2026-03-01,2026-03-05", *asked, "--as-of", "1999-12-31"))
    assert [(record["scope"], record["as_of"], record["window_days"], record["s"]) for record in found] == [
        ("shop=s1|channel=organic", "2026-03-01", 1, 1),
        ("shop=s1|channel=organic", "2026-03-01", 7, 1),
        ("shop=s1|channel=organic", "2026-03-05", 7, 1),
        ("market", "2026-03-01", 1, 3),
        ("market", "2026-03-01", 7, 3),
        ("market", "2026-03-05", 7, 3),
    ]


def test_channels_are_counted_at_both_levels(events_file):
    found = printed(smart(events_file, *TODAY, "--windows", "1", "--scopes", "channel,item"))
    assert [record["scope"] for record in found] == [
        "shop=s1|channel=organic",
        "shop=s1|channel=organic/search",
        "shop=s1|item=i1",
    ]


def test_a_known_format_is_translated_and_its_refusals_counted(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"7,100,20,pv,1511658000\n,100,20,pv,1511658000\n"))
    result = smart(path, "--format", "taobao", "--as-of", "2017-11-26", "--windows", "1", "--shop-id", "mine")
    assert [(record["scope"], record["s"]) for record in printed(result)] == [("market", 1), ("shop=mine", 1)]
    assert "refused missing_field 1" in result.stderr


def test_the_zone_decides_the_date(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("7,100,20,pv,1511628000\n")  # 2017-11-25 16:40 UTC, 26 November in Shanghai
    arguments = (path, "--format", "taobao", "--as-of", "2017-11-25", "--windows", "1", "--scopes", "shop")
    assert printed(smart(*arguments)) == []
    assert len(printed(smart(*arguments, "--timezone", "UTC"))) == 1


def test_the_same_files_print_the_same_bytes(events_file):
    assert smart(events_file, *TODAY).stdout_bytes == smart(events_file, *TODAY).stdout_bytes


@pytest.mark.parametrize(
    "arguments",
    [
        ("--scopes", "shop,planet"),
        ("--scopes", ""),
        ("--scope", "planet=earth"),
        ("--windows", "1,400"),
        ("--windows", "seven"),
        ("--as-of", "yesterday"),
        ("--timezone", "Mars/Olympus"),
        ("--format", "excel"),
        ("--emit", "everything"),
        ("--emit", "factors,members"),
    ],
)
def test_an_unknown_word_is_a_wrong_use(events_file, arguments):
    result = smart(events_file, *TODAY, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[0].lstrip("-") in result.stderr or "not computed yet" in result.stderr


def test_an_unreadable_file_is_told(tmp_path):
    result = smart(tmp_path / "nowhere.jsonl", *TODAY)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot read" in result.stderr


def test_a_record_is_the_same_whatever_other_dates_are_asked(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(map(encode, [purchase("u1", 0), view("u1", 900)])))
    late = ("--as-of", "2028-08-17", "--windows", "1", "--scopes", "shop")
    (alone,) = printed(smart(path, *late))
    *_, beside_others = printed(smart(path, *late, "--as-of", "2026-03-01"))
    assert alone == beside_others
    assert (alone["s"], alone["currency"], alone["gmv_minor"]) == (1, "CNY", 0)
