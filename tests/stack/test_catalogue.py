"""The running stack follows the catalogue: figures of new items are exact, bad items are dead letters, once."""

import asyncio
import json
import time
from collections import Counter

import pytest
from redis import Redis

from processors.decode.items import decode_item
from schemas.store import on_sale_key
from schemas.topics import ITEMS
from stream.dead_letters import read_letters
from stream.produce import BulkProducer
from tests.events import encode
from tests.running import System, assert_shows_the_backtest, question_for
from tests.streams import ZONES, seeded_listings, seeded_stream

HORIZON_DAYS = 300
WORDS = ("shop", "market", "channel", "new")


@pytest.mark.timeout(400)  # commands start in seconds on a machine that does other things too
def test_new_items_are_exact_whatever_the_catalogue_says_next(tmp_path):
    values = seeded_stream(8, 1_000, users=100, shops=5, days=200)
    items = seeded_listings(8, 60, days=200)
    given = {"scopes": ",".join(WORDS), "horizon_days": HORIZON_DAYS, "catalogue_interval_ms": 200}
    with System(tmp_path, **given) as system:
        system.tell_shops(ZONES)
        names = system.add_workers(2)
        send_file(system, tmp_path, items[:20])
        system.produce(values[:500])
        send_file(system, tmp_path, items[20:40])
        system.stack.kill(names[0])
        system.produce(values[500:])
        bad, older = encode({"item_id": "i1", "updated_at": 999, "shop_id": "s1", "listed_on": "soon"}), items[0]
        send(system, [*items[40:], bad, older])
        ((code, field, value),) = wait_for_letters(system)
        assert (code, field, value) == ("bad_time", "listed_on", bad)
        system.verify()  # at rest: the killed worker's partitions have been taken over
        live = system.live()
        assert_shows_the_backtest(live, values, question_for(WORDS, ZONES), HORIZON_DAYS, items=items)
        assert sum("|new=" in key for key in live) > 100
        assert system.verify("--from", "events", "--scope", "shop=s1|new=organic", "--scope", "shop=s2|new=paid")
        assert_the_store_counts_what_is_on_sale(system, items)
        assert len(wait_for_letters(system)) == 1
        told = json.loads(system.smart("power", "s1", "--as-of", "2023-06-15", "--json").stdout)
        assert (told["scope"], told["power"]) == ("shop=s1", None)  # five shops are no tier
        assert told["item_days"] > 0
        assert {one["channel"] for one in told["channels"]} <= {"organic", "paid"}


def send_file(system, folder, items):
    """`smart catalogue` of a file, which also has a line that is none."""
    path = folder / "items.jsonl"
    path.write_bytes(b"\n".join([*items, b"no item"]))
    told = system.smart("catalogue", path)
    assert f"sent {len(items)} " in told.stderr, told.stderr
    assert "not_json" in told.stderr


def send(system, records):
    async def sent():
        async with BulkProducer(system.brokers) as producer:
            await producer.send(ITEMS, [json.loads(record)["item_id"].encode() for record in records], records)

    asyncio.run(sent())


def wait_for_letters(system, seconds=30):
    """(code, field, value) of the dead letters, as soon as there are any."""

    async def letters():
        return [letter async for letter in read_letters(system.brokers, {"items.dlq": 1})]

    deadline = time.monotonic() + seconds
    while not (found := asyncio.run(letters())):
        assert time.monotonic() < deadline, "the bad item is no dead letter"
        time.sleep(0.5)
    return [(letter.code, letter.field, letter.value) for letter in found]


def assert_the_store_counts_what_is_on_sale(system, items):
    newest = {}
    for item in map(decode_item, items):  # in the order of their versions
        newest[item.item_id] = item
    expected = Counter((item.shop_id, item.listed_on or "-") for item in newest.values() if item.is_on_sale)
    with Redis.from_url(system.stack.redis_url) as client:
        shown = {
            (shop, field.decode()): int(n)
            for shop in ZONES
            for field, n in client.hgetall(on_sale_key(f"shop={shop}")).items()
        }
    assert shown == expected
