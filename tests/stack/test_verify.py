"""`smart verify` finds every kind of wrong figure, says nothing of right ones, and goes on beside a moving system."""

import asyncio
import json
import re
import time
from urllib.request import urlopen

import msgspec
import pytest
from redis import Redis

from processors.decode.murmur import partition_of
from schemas.factors import FactorRecord, decode_record
from schemas.store import live_key, pages_key, restated_key
from schemas.topics import FACTORS_LIVE
from stream.produce import BulkProducer
from tests.events import DAY_0 as FIRST
from tests.events import encode, purchase, view
from tests.running import PARTITIONS, System
from tests.streams import ZONES, delivered, seeded_stream

HORIZON_DAYS = 40
WORDS = ("shop", "market", "category")


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """A system at rest, with the figures of some shops."""
    folder = tmp_path_factory.mktemp("verified")
    with System(folder, scopes=",".join(WORDS), horizon_days=HORIZON_DAYS) as running:
        running.tell_shops(ZONES)
        running.add_workers(1)
        running.produce(delivered(seeded_stream(31, 800, users=60, shops=3), 5))
        running.verify()  # comes to rest
        yield running


@pytest.fixture
def store(system):
    with Redis.from_url(system.stack.redis_url) as client:
        yield client


def put(system, key, value):
    """Write over a record of factors.live."""

    async def written():
        async with BulkProducer(system.brokers) as producer:
            await producer._producer.send_and_wait(
                FACTORS_LIVE, key=key.encode(), value=value,
                partition=partition_of(key.rsplit("|", 3)[0].encode(), PARTITIONS),
            )  # fmt: skip

    asyncio.run(written())


def found(system, *words, expect=1):
    """(place, key) → text of every difference."""
    done = system.smart("verify", "--json", "--wait", "60", *words, expect=expect)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(line["place"], line["key"]): line["text"] for line in lines if line["kind"] == "difference"}


def some_record(system, **fields):
    """A record of the newest date of the market with these fields, and its key."""
    for key, record in sorted(system.live().items(), reverse=True):
        if all(getattr(record, name) == value for name, value in fields.items()) and record.b:
            return key, record
    raise AssertionError(fields)


def test_nothing_is_said_of_right_figures(system):
    summary = system.verify()
    assert (summary["differences"], summary["moving"]) == (0, 0)
    assert summary["records"] > 3_000
    told = system.smart("verify", "--wait", "60").stdout
    assert re.search(r"compared [\d,]+ records, [\d,]+ dates of [\d,]+ scopes \(.*1 market, 3 shop\)", told), told


def metrics_of(port):
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith("smart_")}


def until(port, name, reached, seconds=60):
    """The metrics as soon as one of them is as it should be."""
    deadline = time.monotonic() + seconds
    while True:
        told = metrics_of(port)
        if reached(told.get(name)) or time.monotonic() > deadline:
            return told
        time.sleep(0.2)


@pytest.mark.timeout(300)
def test_drift_is_told_as_metrics_while_the_system_moves(system, store):
    """A stream that goes on gives no false difference; a wrong figure is told, and is gone when it is right again."""
    beside = system.smart_beside("verify", "--every", "1", "--share", "0.2", "--wait", "10")
    try:
        port = int(re.search(r":(\d+)/metrics", beside.stderr.readline())[1])
        drift = 'smart_verify_differences{place="factors.live"}'
        newest = max(record.as_of for record in system.live().values())
        day = (FIRST.fromisoformat(newest) - FIRST).days

        def move(first, n):
            for i in range(first, first + n):
                made = [view(f"m{i}", day=day, shop="s1"), purchase(f"m{i}", day=day - i % 5, order=f"m{i}", shop="s2")]
                system.produce([encode(event) for event in made])
                time.sleep(0.2)

        move(0, 40)
        told = until(port, "smart_verify_round_timestamp_seconds", bool)
        assert told["smart_verify_round_timestamp_seconds"] > 0
        assert told["smart_verify_runs_total"] >= 6
        assert sum(value for name, value in told.items() if name.startswith("smart_verify_differences")) == 0
        key, record = some_record(system, scope="shop=s3", window_days=7)
        put(system, key, msgspec.structs.replace(record, items=record.items + 1).encode())
        move(200, 10)
        assert until(port, drift, bool)[drift] == 1
        put(system, key, record.encode())
        assert until(port, drift, lambda value: value == 0)[drift] == 0
    finally:
        beside.terminate()
        output, errors = beside.communicate(timeout=30)
    assert beside.returncode == 0, errors
    assert f"factors.live {key}: items is {record.items + 1}, should be {record.items}" in output
    restated(system, store)


def restated(system, store):
    """Late purchases were told as restatements: in the store, and to people."""
    numbers = [int(number) for number in store.hkeys(restated_key("shop=s2"))]
    assert len(numbers) > 3
    told = system.smart("restatements", "shop=s2", "--json", "--last", "3").stdout.splitlines()
    assert [json.loads(line)["number"] for line in told] == sorted(numbers)[-3:]


def test_every_kind_of_wrong_figure_is_found_and_nothing_else(system, store):
    expected, of_topic, of_store = {}, {}, {}

    def wrong(place, key, text):
        expected[place, key] = text

    def alter_topic(key, value):
        of_topic[key] = None if key not in live else live[key].encode()
        put(system, key, value)

    def alter_store(name, field, value):
        of_store.setdefault(name, store.hgetall(name))
        store.hset(name, field, value) if value is not None else store.hdel(name, field)

    live = system.live()
    key, record = some_record(system, scope="market", window_days=7)
    alter_topic(key, msgspec.structs.replace(record, gmv_minor=record.gmv_minor + 1).encode())
    wrong("factors.live", key, f"gmv_minor is {record.gmv_minor + 1}, should be {record.gmv_minor}")
    key, _ = some_record(system, scope="shop=s1", window_days=30)
    alter_topic(key, None)
    wrong("factors.live", key, "missing")
    surplus = FactorRecord(scope="shop=s404", as_of=record.as_of, window_days=1, s=3)
    alter_topic(surplus.key, surplus.encode())
    wrong("factors.live", surplus.key, "should not be there")
    alter_topic("nobody|1|2026-03-01|CNY", b"{}")
    wrong("factors.live", "nobody|1|2026-03-01|CNY", "Object missing required field `scope`")

    hash_name = live_key("shop=s2")
    fields = store.hgetall(hash_name)
    records = {field: decode_record(value) for field, value in fields.items()}
    (altered, was), (missing, gone), *_ = [(field, one) for field, one in records.items() if one.b]
    alter_store(hash_name, altered, msgspec.structs.replace(was, s=was.s + 5).encode())
    wrong("store", was.key, f"s is {was.s + 5}, should be {was.s}")
    alter_store(hash_name, missing, None)
    wrong("store", gone.key, "missing")
    surplus = msgspec.structs.replace(was, currency="XAU")
    alter_store(hash_name, f"{was.window_days}|XAU", surplus.encode())
    wrong("store", surplus.key, "should not be there")

    damaged, other = pages_key("shop=s3"), pages_key("shop=s1")
    number, page = max(store.hgetall(damaged).items(), key=lambda field: int(field[0]))
    alter_store(damaged, number, page[:-1] + bytes([page[-1] ^ 1]))
    wrong("store pages", "shop=s3", "page record has a wrong checksum")
    number = max(store.hkeys(other), key=int)
    alter_store(other, number, None)

    seen = found(system)
    pages = {key: text for (place, key), text in seen.items() if place == "store pages" and key.startswith("shop=s1|")}
    assert pages  # the values that the last page had changed
    assert {one: text for one, text in seen.items() if one[1] not in pages or one[0] != "store pages"} == expected

    for key, value in of_topic.items():
        put(system, key, value)
    for name, whole in of_store.items():
        store.delete(name)
        store.hset(name, mapping=whole)
    system.verify()
