"""`smart power` shows how well a shop's new items draw traffic, and its place in the tier, which is published once."""

import datetime as dt
import json
import random

import pytest
from redis import Redis
from typer.testing import CliRunner

from processors.calendar import day_of
from processors.power import item_days
from schemas.store import on_sale_key, power_key
from serving.peers import period_end
from stream.cli.main import app
from tests.events import encode, event
from tests.shown import show
from tests.valkey import running

TODAY = dt.date(2023, 3, 1)
END = period_end(TODAY - dt.timedelta(days=3), 7)
SHOPS = 12
WORDS = frozenset({"shop", "market", "channel", "new"})
CHANNELS = ("organic/search", "organic/feed_recommendation", "paid/search_ads", "live")


def listed():
    """Each shop has an item of last year and one of the days around the period."""
    records = []
    for shop in range(SHOPS):
        for name, since in (("old", "2022-01-01"), ("new", (END - dt.timedelta(days=shop % 4)).isoformat())):
            made = {"item_id": f"{name}{shop}", "updated_at": 1, "shop_id": f"s{shop}", "listed_on": since}
            records.append(encode(made))
    return records


def visits():
    """The higher a shop's number, the more of its visitors look at the new item."""
    rng, noon = random.Random(5), dt.datetime.combine(END, dt.time(4), dt.UTC)
    made = []
    for shop in range(SHOPS):
        for n in range(120):
            item = f"new{shop}" if rng.random() < (shop + 1) / 15 else f"old{shop}"
            at_ms = int((noon - dt.timedelta(days=rng.randrange(40))).timestamp() * 1000)
            place = {"shop": f"s{shop}", "item_id": item, "channel": rng.choice(CHANNELS)}
            made.append(encode(event("view", f"u{n % 60}", at_ms=at_ms, **place)))
    made.append(encode(event("view", "last", at_ms=int(noon.timestamp() * 1000) + 3 * 86_400_000, shop="s0")))
    return made


@pytest.fixture(scope="module")
def module_valkey(tmp_path_factory):
    with running(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
def valkey(module_valkey):
    with Redis.from_url(module_valkey.url) as client:
        client.flushall()
        show(module_valkey.url, visits(), TODAY, history_from="2022-12-30", words=WORDS, items=listed())
        for shop in range(SHOPS):
            newest = (END - dt.timedelta(days=shop % 4)).isoformat()
            client.hset(on_sale_key(f"shop=s{shop}"), mapping={"2022-01-01": 1, newest: 1, "-": shop % 2})
    return module_valkey


@pytest.fixture
def smart(reads_the_store):
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def rows(told):
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def s_of(smart, scope):
    found = smart("factors", scope, "--window", 7, "--as-of", END, "--json")
    return json.loads(found.stdout.splitlines()[0])["s"] if found.exit_code == 0 and found.stdout else 0


def test_it_is_made_of_the_figures_of_channels_and_new_items(smart):
    for shop in ("s3", "s10"):
        (record,) = rows(smart("power", shop, "--json"))
        assert (record["scope"], record["as_of"], record["window_days"]) == (f"shop={shop}", END.isoformat(), 7)
        number = int(shop[1:])
        on_sale = {day_of(dt.date(2022, 1, 1)): 1, day_of(END) - number % 4: 1, 0: number % 2}
        days = item_days(on_sale, day_of(END) - 6, day_of(END))
        assert (record["item_days"], record["new_item_days"]) == days
        assert [-one["s"] for one in record["channels"]] == sorted(-one["s"] for one in record["channels"])
        for one in record["channels"]:
            assert one["s"] == s_of(smart, f"shop={shop}|channel={one['channel']}")
            assert one["s_new_items"] == s_of(smart, f"shop={shop}|new={one['channel']}")
            assert one["share"] == one["s_new_items"] / one["s"]
        mean = sum(one["weight"] * one["lift"] for one in record["channels"])
        assert record["lift"] == pytest.approx(mean)


def test_the_power_is_the_place_in_the_tier_and_stands(smart, valkey):
    told = {shop: rows(smart("power", f"s{shop}", "--json"))[0] for shop in range(SHOPS)}
    tier = [one for one in told.values() if one["power"] is not None]
    assert len(tier) == SHOPS == tier[0]["tier_shops"]
    ranked = [one["power"] for one in sorted(tier, key=lambda one: one["lift"])]
    assert ranked == sorted(ranked)
    assert set(ranked) == {25, 75}
    with Redis.from_url(valkey.url) as client:
        assert client.get(power_key(END.isoformat(), 7))
        client.hset(on_sale_key("shop=s5"), "2022-01-01", 1_000)
    after = rows(smart("power", "s5", "--json"))[0]
    assert (after["power"], after["lift"] > told[5]["lift"]) == (told[5]["power"], True)


def test_without_a_catalogue_nothing_is_published(smart, valkey):
    with Redis.from_url(valkey.url) as client:
        for shop in range(SHOPS):
            client.delete(on_sale_key(f"shop=s{shop}"))
        (record,) = rows(smart("power", "s5", "--json"))
        assert (record["power"], record["lift"], record["expected_share"]) == (None, None, None)
        assert client.get(power_key(END.isoformat(), 7)) is None


def test_people_get_a_table(smart):
    told = smart("power", "s11")
    assert told.exit_code == 0
    assert f"shop=s11, 7 d to {END}: T = 75" in told.stdout
    assert "12 shops of the tier" in " ".join(told.stdout.split())


def test_a_store_without_channels_says_what_it_needs(smart, valkey):
    with Redis.from_url(valkey.url) as client:
        client.flushall()
    show(valkey.url, visits(), TODAY, history_from="2022-12-30", words=frozenset({"shop", "market"}))
    told = smart("power", "s1")
    assert (told.exit_code, "SMART_SCOPES needs channel and new" in told.stderr) == (1, True)
