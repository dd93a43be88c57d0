"""What the workers have written is read as it was meant."""

import pytest
from redis.asyncio import Redis

from processors.snapshot import pack_pages
from schemas.factors import FactorRecord
from schemas.store import index_entry, live_field, live_key, pages_key, peers_key
from serving.store import StoreError, StoreReader
from tests.valkey import running


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with running(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
async def client(valkey):
    async with Redis.from_url(valkey.url) as client:
        await client.flushall()
        yield client


def record(scope="shop=s1", window=7, currency="CNY", **figures):
    return FactorRecord(scope=scope, as_of="2026-11-11", window_days=window, currency=currency, **figures)


async def write(client, *records):
    for one in records:
        await client.hset(live_key(one.scope), live_field(one.window_days, one.currency), one.encode())


async def test_the_newest_records_come_by_window_and_currency(valkey, client):
    records = [record(window=window, currency=currency) for window in (1, 7, 30, 365) for currency in ("CNY", "USD")]
    await write(client, *reversed(records))
    async with StoreReader(valkey.url) as reader:
        assert await reader.newest("shop=s1") == records
        assert await reader.newest("shop=s1", 30) == records[4:6]
        assert await reader.newest("shop=s2") == []


async def test_several_scopes_are_asked_for_at_once(valkey, client):
    one, two = record(s=1), record("shop=s2", s=2)
    await write(client, one, two)
    async with StoreReader(valkey.url) as reader:
        assert await reader.newest_of(["shop=s2", "shop=s3", "shop=s1"]) == {
            "shop=s2": [two],
            "shop=s3": [],
            "shop=s1": [one],
        }
        assert await reader.newest_in(["shop=s1", "shop=s2", "shop=s3"], 7, ["CNY", "-"]) == [one, two]


async def test_scopes_are_found_by_a_pattern(valkey, client):
    await write(client, record(), record("shop=s1|item=a:b"), record("market"), record("shop=s2"))
    async with StoreReader(valkey.url) as reader:
        assert await reader.scopes("shop=*") == ["shop=s1", "shop=s1|item=a:b", "shop=s2"]


async def test_pages_come_as_they_are(valkey, client):
    await client.hset(pages_key("market"), mapping={"2499": b"1", "2500": b"\x00\xff"})
    async with StoreReader(valkey.url) as reader:
        assert await reader.pages("market") == {"2499": b"1", "2500": b"\x00\xff"}


async def test_a_family_is_what_differs_in_its_last_word(valkey, client):
    for scope in ("shop=s2", "shop=s1", "shop=s1|item=a%3Db", "shop=s1|item=a", "shop=s1|category=c", "brand=b"):
        await client.hset(*index_entry(scope), b"")
    async with StoreReader(valkey.url) as reader:
        assert await reader.family("shop") == ["shop=s1", "shop=s2"]
        assert await reader.family("shop=s1|item") == ["shop=s1|item=a", "shop=s1|item=a%3Db"]
        assert await reader.family("brand") == ["brand=b"]
        assert await reader.family("shop=s2|item") == []
    assert index_entry("market") is None


async def test_any_number_of_scopes_are_read_in_their_order(valkey, client):
    n = 4_500  # more than one script reads
    scopes = [f"shop=s1|item=i{number}" for number in range(n)]
    async with client.pipeline(transaction=False) as pipeline:
        for number, scope in enumerate(scopes):
            for one in (record(scope, 7, "CNY", s=number), record(scope, 30, "CNY"), record(scope, 7, "USD", s=number)):
                pipeline.hset(live_key(scope), live_field(one.window_days, one.currency), one.encode())
            for k in range(number % 3):
                pipeline.hset(pages_key(scope), str(2_500 + k), b"%d" % number)
        await pipeline.execute()
    async with StoreReader(valkey.url) as reader:
        found = await reader.newest_of_many(["shop=s1|item=no", *scopes], 7, ["-", "CNY", "USD"])
        assert [(one.scope, one.currency, one.s) for one in found] == [
            (scope, currency, number) for number, scope in enumerate(scopes) for currency in ("CNY", "USD")
        ]
        assert await reader.newest_of_many([], 7, ["CNY"]) == []
        packed = await reader.pages_of_many(scopes)
        assert packed == pack_pages({2_500 + k: b"%d" % number for k in range(number % 3)} for number in range(n))


async def test_what_is_published_once_stands(valkey, client):
    key = peers_key("2026-11-11", 30)
    async with StoreReader(valkey.url) as reader:
        assert await reader.published_once(key) is None
        assert await reader.publish_once(key, b"first") == b"first"
        assert await reader.publish_once(key, b"second") == b"first"
        assert await reader.published_once(key) == b"first"


async def test_what_is_not_ours_is_told_in_words(valkey, client):
    await client.hset(live_key("market"), "7|CNY", b"{}")
    async with StoreReader(valkey.url) as reader:
        with pytest.raises(StoreError, match="no factor record under smart:live:market"):
            await reader.newest("market")
        with pytest.raises(StoreError, match="no factor record"):
            await reader.newest_of_many(["market"], 7, ["CNY"])


async def test_a_store_that_is_not_there_is_told_without_its_password():
    async with StoreReader("redis://:secret@127.0.0.1:1/0") as reader:
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:1 does not answer") as told:
            await reader.newest("market")
    assert "secret" not in str(told.value)
