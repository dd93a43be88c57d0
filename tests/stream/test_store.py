"""The serving store shows what is true now, and the stream never waits for it."""

import asyncio
import contextlib
import time

import pytest
from redis.asyncio import Redis

from schemas.metrics import STORE_ERRORS, STORE_WRITES
from stream.metrics import Metrics
from stream.store import Hash, Notes, StoreWriter
from tests.valkey import running


@pytest.fixture
def valkey(tmp_path):
    with running(tmp_path / "store") as server:
        yield server


def notes_of(**fields):
    notes = Notes()
    for name, value in fields.items():
        notes.put("k", name, value)
    return notes


@contextlib.asynccontextmanager
async def writing(valkey, resync=lambda _partition: None):
    writer = StoreWriter(valkey.url, Metrics(), resync)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def content(valkey, key):
    async with Redis.from_url(valkey.url) as client:
        return await client.hgetall(key)


async def until(condition, seconds=20.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for knows no event
            await asyncio.sleep(0.01)


def test_a_newer_value_replaces_the_one_that_still_waits():
    notes = Notes()
    notes.put("k", "a", b"1")
    notes.put("k", "a", b"2")
    assert notes.count == 1
    assert notes.take(10) == {"k": Hash({"a": b"2"})}
    assert notes.count == 0


def test_what_waits_longest_goes_first_and_whole():
    notes = Notes()
    for key in ("k1", "k2", "k3"):
        notes.put(key, "a", b"1")
        notes.put(key, "b", b"1")
    notes.put("k1", "c", b"1")
    assert list(notes.take(4)) == ["k1", "k2"]
    assert notes.count == 2


def test_what_could_not_be_written_does_not_overwrite_what_came_since():
    notes = Notes()
    notes.put("k", "a", b"old")
    notes.put("k", "b", b"old")
    taken = notes.take(10)
    notes.put("k", "a", b"new")
    notes.put_back(taken)
    assert notes.count == 2
    assert notes.take(10) == {"k": Hash({"a": b"new", "b": b"old"})}


def test_a_whole_hash_stays_whole_whatever_is_noted_of_it_later():
    notes = Notes()
    notes.put("k", "gone", b"1")
    notes.replace("k", {"a": b"1", "b": b"1"})
    notes.put("k", "b", b"2")
    taken = notes.take(10)
    notes.put("k", "c", b"3")
    notes.put_back(taken)
    assert notes.count == 3
    assert notes.take(10) == {"k": Hash({"a": b"1", "b": b"2", "c": b"3"}, is_whole=True)}
    assert not notes


async def test_values_are_written_and_taken_away(valkey):
    async with writing(valkey) as writer:
        notes = Notes()
        for number in range(5_000):
            notes.put(f"k{number % 50}", f"f{number}", b"%d" % number)
        notes.put("k1", "f1", None)
        writer.show(0, notes)
        assert await writer.drain(10)
        assert writer.pending == 0
        assert not writer.is_stale
        assert writer._metrics.value(STORE_WRITES) == 5_000
    fields = await content(valkey, "k1")
    assert fields[b"f51"] == b"51"
    assert len(fields) == 99


async def test_a_hash_that_is_shown_whole_keeps_nothing_of_before(valkey):
    async with writing(valkey) as writer:
        writer.show(0, notes_of(a=b"1", b=b"1"))
        assert await writer.drain(10)
        notes = Notes()
        notes.replace("k", {"b": b"2"})
        writer.show(0, notes)
        assert await writer.drain(10)
    assert await content(valkey, "k") == {b"b": b"2"}


async def test_showing_does_not_wait_while_the_store_is_away_and_all_is_written_when_it_is_back(valkey):
    async with writing(valkey) as writer:
        writer.show(0, notes_of(a=b"1"))
        assert await writer.drain(10)
        valkey.stop()
        began = time.perf_counter()
        for number in range(1_000):
            writer.show(0, notes_of(a=b"%d" % number))
        assert time.perf_counter() - began < 0.5
        await until(lambda: writer.is_stale)
        assert writer.pending == 1
        writer.show(0, notes_of(a=b"last"))
        valkey.start()
        assert await writer.drain(20)
        assert not writer.is_stale
        assert writer._metrics.value(STORE_ERRORS) > 0
    assert (await content(valkey, "k"))[b"a"] == b"last"


async def test_a_store_that_lost_its_data_is_given_all_of_it_again(valkey):
    state = {"a": b"1", "b": b"2"}
    asked = []

    def resync(partition):
        asked.append(partition)
        writer.show(partition, notes_of(**state))

    async with writing(valkey, resync) as writer:
        writer.show(3, notes_of(**state))
        assert await writer.drain(10)
        valkey.stop()
        valkey.forget()
        valkey.start()
        state["a"] = b"3"
        writer.show(3, notes_of(a=b"3"))
        await until(lambda: asked)
        assert await writer.drain(10)
    assert asked == [3]
    assert await content(valkey, "k") == {b"a": b"3", b"b": b"2"}


async def test_a_store_that_kept_its_data_is_not_written_again(valkey):
    asked = []
    async with writing(valkey, asked.append) as writer:
        writer.show(0, notes_of(a=b"1"))
        assert await writer.drain(10)
        valkey.stop()
        valkey.start()
        writer.show(0, notes_of(b=b"2"))
        assert await writer.drain(20)
    assert asked == []


async def test_a_former_owner_that_wakes_up_changes_nothing(valkey):
    asked = []
    async with writing(valkey, asked.append) as former, writing(valkey) as owner:
        former.show(0, notes_of(a=b"old"))
        assert await former.drain(10)
        owner.show(0, notes_of(a=b"new"))
        assert await owner.drain(10)
        former.show(0, notes_of(a=b"older than it knows", b=b"1"))
        assert await former.drain(10)
        assert asked == [0]  # it has to prove by a transaction that the partition is its own
    assert await content(valkey, "k") == {b"a": b"new"}


async def test_what_waits_for_a_lost_partition_is_left_to_its_new_owner(valkey):
    async with writing(valkey) as writer:
        valkey.stop()
        writer.show(0, notes_of(a=b"0"))
        writer.show(1, notes_of(b=b"1"))
        await until(lambda: writer.is_stale)
        writer.forget(0)
        valkey.start()
        assert await writer.drain(20)
    assert await content(valkey, "k") == {b"b": b"1"}
