"""The running stack counts every minute exactly: late events, refunds, a killed worker, a store that has lost all."""

import asyncio
import datetime as dt
import json
import random
import time
from zoneinfo import ZoneInfo

import numpy as np
from redis import Redis

from processors.intraday.pages import add_hours, read_minutes
from schemas.store import minutes_key
from schemas.topics import INTRADAY_MINUTES, PROMOTIONS
from serving.intraday import instant_of
from serving.store import StoreReader
from stream.cut import Tail
from stream.dead_letters import read_letters
from stream.produce import BulkProducer
from tests.events import encode, event, purchase, refund, view
from tests.oracle.minutes import MinuteOracle, name_of
from tests.running import PARTITIONS, System

START = int(dt.datetime(2026, 11, 10, 15, tzinfo=dt.UTC).timestamp()) // 60
MINUTES = 20 * 60
WORDS = ("shop", "channel", "item", "market")


def day_of_shopping(seed, n):
    """Record values of most of a day, in the order of event time; the last one makes the last minute the newest."""
    rng = random.Random(seed)
    made, bought = [], []
    for _ in range(n):
        at_ms, user = (START + rng.randrange(MINUTES)) * 60_000, f"u{rng.randrange(60)}"
        where = {"item_id": rng.choice([None, "i1", "i2"]), "channel": rng.choice([None, "paid/feed_ads", "live"])}
        where |= {"shop": rng.choice(["s1", "s2"])}
        action = rng.choices(["view", "cart", "purchase", "refund"], [6, 3, 3, 1])[0]
        if action == "purchase":
            order = {"order": f"o{rng.randrange(n)}", "amount": rng.randrange(1_000)}
            bought.append((user, where["shop"], where["item_id"], order["order"]))
            made.append(purchase(user, at_ms=at_ms, **order, **where))
        elif action == "refund" and bought:
            user, shop, item, order = rng.choice(bought)
            made.append(refund(user, at_ms=at_ms, shop=shop, order=order, item_id=item))
        else:
            made.append(event(action, user, at_ms=at_ms, **where))
    made.sort(key=lambda one: one["event_time"])
    made.append(view("last", at_ms=(START + MINUTES) * 60_000, shop="s2"))
    return [encode(one) for one in made]


def shown_minutes(system, scope, first, last):
    """What `smart live` says of the minutes first … last of a scope."""
    words = ("--at", instant_of(last), "--minutes", last - first + 1, "--json")
    return [
        (record["s"], record["b"], record["carts"], {c: v for c, v in record["gmv_minor"].items() if v})
        for record in map(json.loads, system.smart("live", scope, *words).stdout.splitlines())
        if record["kind"] == "minute"
    ]


def differences(system, values):
    oracle = MinuteOracle(values, {}, ZoneInfo("Asia/Shanghai"))
    first, last, wrong = START, START + MINUTES, []

    async def read():
        async with StoreReader(system.stack.redis_url) as reader:
            hours = range(first // 60, last // 60 + 1)
            return await reader.hours([name_of(scope) for scope in oracle.scopes(WORDS)], hours)

    stored = asyncio.run(read())
    for scope in oracle.scopes(WORDS):
        counts, gmv = oracle.figures(scope, first, last)
        told = read_minutes(stored[name_of(scope)], first, last)
        money = {
            currency: np.column_stack([series, told.gmv_existing[currency]]).tolist()
            for currency, series in told.gmv.items()
            if series.any()
        }
        if (told.counts != counts).any() or money != {currency: series.tolist() for currency, series in gmv.items()}:
            wrong.append(name_of(scope))
    return wrong


def wait_until_exact(system, values, seconds=60):
    deadline = time.monotonic() + seconds
    while wrong := differences(system, values):
        assert time.monotonic() < deadline, f"not exact: {wrong}"
        time.sleep(0.5)


def test_minutes_are_exact_through_faults(tmp_path):
    values = day_of_shopping(5, 1_500)
    late = random.Random(1).sample(values[:-1], 400)
    in_time = [value for value in values if value not in late]
    with System(tmp_path, intraday_scopes=",".join(WORDS), intraday_interval_ms=200) as system:
        names = system.add_workers(2)
        system.produce(in_time[:600])
        system.stack.kill(names[0])
        system.produce(in_time[600:] + late[:200] + in_time[:100], rate=400)
        with Redis.from_url(system.stack.redis_url) as client:
            client.flushall()
        system.produce(late[200:] + late[:50])
        wait_until_exact(system, values)
        oracle = MinuteOracle(values, {}, ZoneInfo("Asia/Shanghai"))
        counts, gmv = oracle.figures(("shop", "s1"), START, START + 99)
        assert shown_minutes(system, "s1", START, START + 99) == [
            (int(row[0]), int(row[4]), int(row[8]), {c: int(v[i, 0]) for c, v in gmv.items() if v[i, 0]})
            for i, row in enumerate(counts)
        ]
        crosses = system.smart("live", "s1", "--cross", "item", "--window", 1440, "--minutes", 0, "--json").stdout
        assert {json.loads(line)["scope"] for line in crosses.splitlines()} == {
            "shop=s1",
            "shop=s1|item=i1",
            "shop=s1|item=i2",
        }
        assert_topic_says_the_same(system)
        assert_promotions_come_along(system, tmp_path, oracle)


def assert_promotions_come_along(system, folder, oracle):
    """A plan is shown with what its phases have brought; a bad version leaves it in force, and is a dead letter."""
    phases = [
        {"name": "first hour", "start": instant_of(START), "end": instant_of(START + 60), "s": 20},
        {
            "name": "all of it",
            "start": instant_of(START),
            "end": instant_of(START + 500),
            "gmv_minor": 10,
            "currency": "CNY",
        },
    ]
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"promotion_id": "p1", "shop_id": "s1", "phases": phases}))
    system.smart("promotion", "apply", plan)

    async def send_a_bad_one():
        async with BulkProducer(system.brokers) as producer:
            await producer.send(PROMOTIONS, [b"p1"], [b'{"promotion_id":"p1","phases":[]}'])

    async def letters():
        return [letter async for letter in read_letters(system.brokers, {"promotions.dlq": 1})]

    asyncio.run(send_a_bad_one())
    deadline = time.monotonic() + 30
    while not (found := asyncio.run(letters())):
        assert time.monotonic() < deadline, "the bad version is no dead letter"
        time.sleep(0.5)
    assert [(letter.code, letter.field, letter.key) for letter in found] == [("bad_id", "phases", b"p1")]
    first, whole = map(json.loads, system.smart("promotion", "show", "p1", "--json").stdout.splitlines())
    counts, gmv = oracle.figures(("shop", "s1"), START, START + 499)
    assert (first["s"]["value"], first["b"]["value"]) == (counts[59, 2], counts[59, 6])
    assert first["s"]["completion"] == counts[59, 2] / 20
    assert whole["gmv_minor"]["CNY"]["value"] == gmv["CNY"][:, 0].sum()
    assert whole["carts"]["value"] == counts[:, 8].sum()


def assert_topic_says_the_same(system):
    """The topic keeps the hours of shops and the market as the store shows them."""
    kept = {}

    def note(chunk):
        kept.update(zip(chunk.keys, chunk.values, strict=True))

    async def read():
        async with Tail(system.brokers, system.settings().application_id) as tail:
            await tail.begin([(INTRADAY_MINUTES, p) for p in range(PARTITIONS)])
            await tail.catch_up(note)

    asyncio.run(read())
    with Redis.from_url(system.stack.redis_url) as client:
        for scope in ("shop=s1", "shop=s2", "market"):
            for hour, page in client.hgetall(minutes_key(scope)).items():
                found = kept[f"{scope}|{hour.decode()}".encode()]
                assert {n: a.tolist() for n, a in add_hours([found]).items()} == {
                    n: a.tolist() for n, a in add_hours([page]).items()
                }
    assert {key.decode().rsplit("|", 1)[0] for key in kept} == {"shop=s1", "shop=s2", "market"}
