"""The tools do on a real broker what they say: create, simulate, replay, look at dead letters and play them again."""

import asyncio
import json
import os
import subprocess
import sys
import time

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.decode.murmur import partition_of
from schemas.refusals import Code, Refusal, dead_letter_headers
from schemas.topics import EVENT_TOPICS, TOPIC_OF_ACTION
from stream.local.stack import BROKER, LocalStack
from stream.produce import BulkProducer, ProduceError
from stream.simulate.benchmark import Shape, batches

PARTITIONS = 3


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory):
    """A stack of its own: the names of the event topics are fixed, and others may need them otherwise."""
    with LocalStack(tmp_path_factory.mktemp("tools")) as running:
        made = smart_on(running, "topics", "create")
        assert made.returncode == 0, made.stderr
        yield running


def smart_on(stack, *words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SMART_")}
    environment |= {"SMART_DATA_DIR": str(stack.folder.path), "SMART_PARTITIONS": str(PARTITIONS), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def smart(own_stack):
    return lambda *words: smart_on(own_stack, *words)


def read(stack, *topics):
    """(topic, partition, key, value, headers, timestamp type) of everything that lies in the topics."""

    async def consumed():
        places = [TopicPartition(topic, partition) for topic in topics for partition in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap_servers, isolation_level="read_committed")
        await consumer.start()
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        await consumer.stop()
        return found

    return asyncio.run(consumed())


def test_created_topics_are_as_they_should_be(smart):
    assert smart("topics", "show").returncode == 0


def test_simulated_traffic_lies_where_kafka_itself_would_put_it(own_stack, smart):
    by_day = ("--duration", 3, "--speed", 50, "--start", "2026-11-10T12:00")  # at night few come
    told = smart("simulate", "--rate", 2_000, *by_day, "--shops", 5)
    assert told.returncode == 0, told.stderr
    records = read(own_stack, *EVENT_TOPICS)
    assert f"sent {len(records):,} events" in told.stderr
    assert len(records) > 1_000
    for record in records:
        event = json.loads(record.value)
        assert record.key == event["user_id"].encode()
        assert record.partition == partition_of(record.key, PARTITIONS)
        assert record.timestamp_type == 1  # the time of its arrival
        assert record.topic in TOPIC_OF_ACTION.values()
    shops = {json.loads(record.value)["shop_id"] for record in read_one(own_stack, "shops")}
    assert shops == {f"s{number:03d}" for number in range(5)}


def read_one(stack, topic):
    async def consumed():
        consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap_servers, auto_offset_reset="earliest")
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        found = [record for records in (await consumer.getmany(timeout_ms=3_000)).values() for record in records]
        await consumer.stop()
        return found

    return asyncio.run(consumed())


def test_records_of_a_key_keep_their_order_and_all_are_written(own_stack):
    shape = Shape(events=30_000, users=50, shops=3)

    async def produced():
        async with BulkProducer(own_stack.bootstrap_servers, batch_bytes=20_000) as producer:
            for batch in batches(3, shape):
                await producer.send_mixed(*batch)
            await producer.flush()
            return producer.sent.total()

    assert asyncio.run(produced()) == shape.events
    numbers = {}
    n = 0
    for record in read(own_stack, *EVENT_TOPICS):
        event_id = json.loads(record.value)["event_id"]
        if event_id.startswith("e3-"):
            n += 1
            place = (record.topic, record.key)
            number = int(event_id[3:])
            assert numbers.get(place, -1) < number
            numbers[place] = number
    assert n == shape.events


def test_a_topic_that_does_not_exist_is_told(own_stack):
    async def produced():
        async with BulkProducer(own_stack.bootstrap_servers) as producer:
            await producer.send("no.such.topic", [b"k"], [b"v"])

    with pytest.raises(ProduceError, match=r"topic no\.such\.topic does not exist"):
        asyncio.run(produced())


def test_a_broker_that_is_away_for_a_moment_is_waited_for(own_stack):
    """A topic that is asked for first while the broker is away is not one that does not exist."""

    async def produced():
        async with BulkProducer(own_stack.bootstrap_servers) as producer:
            own_stack.pause(BROKER)
            sent = asyncio.create_task(producer.send("events.cart", [b"away"], [b'{"event_id":"away"}']))
            await asyncio.sleep(7)
            assert not sent.done()
            own_stack.resume(BROKER)
            await sent
            await producer.flush()

    asyncio.run(produced())
    assert [record.key for record in read(own_stack, "events.cart")].count(b"away") == 1


def test_a_file_is_replayed_at_its_speed(own_stack, smart, tmp_path):
    file = tmp_path / "events.jsonl"
    lines = [
        json.dumps({"event_id": f"r{n}", "action": "cart", "user_id": f"r{n}", "event_time": n * 1_000, "shop_id": "s"})
        for n in range(21)
    ]
    file.write_text("\n".join(lines), "utf-8")
    told = smart("replay", file, "--speed", 10)
    assert told.returncode == 0, told.stderr
    assert "sent 21 events in 2." in told.stderr
    written = {record.key: record.value.decode() for record in read(own_stack, "events.cart")}
    assert [written[f"r{n}".encode()] for n in range(21)] == lines


def test_dead_letters_are_counted_and_played_again_as_they_were(own_stack, smart):
    value = b'{"event_id":"d1","action":"dance","user_id":"secret-user"}'

    async def refused():
        async with BulkProducer(own_stack.bootstrap_servers) as producer:
            headers = dead_letter_headers(
                Refusal(0, Code.UNKNOWN_ACTION, "action"),
                topic="events.touch",
                partition=1,
                offset=7,
                connector_name="test",
                original=[("ce_id", b"1")],
            )
            await producer.send_mixed(["events.touch.dlq"], [b"secret-user"], [value], [headers])

    asyncio.run(refused())
    shown = smart("dlq", "show")
    assert shown.returncode == 0, shown.stderr
    assert "unknown_action" in shown.stdout
    assert "the action is not on the list" in shown.stdout
    assert "secret-user" not in shown.stdout + shown.stderr
    count, letter = map(json.loads, smart("dlq", "show", "--json", "--topic", "events.touch").stdout.splitlines())
    assert count == {"kind": "count", "topic": "events.touch", "code": "unknown_action", "letters": 1}
    assert (letter["offset"], letter["field"]) == (7, "action")
    assert "0 dead letters" in smart("dlq", "show", "--code", "bad_time").stdout

    before = len(read(own_stack, "events.touch"))
    assert "would play 1 dead letters into events.touch" in smart("dlq", "replay", "--dry-run").stdout
    assert len(read(own_stack, "events.touch")) == before
    assert "played 1 dead letters into events.touch" in smart("dlq", "replay", "--code", "unknown_action").stdout
    played = [record for record in read(own_stack, "events.touch") if record.key == b"secret-user"]
    assert [(record.value, record.headers) for record in played] == [(value, (("ce_id", b"1"),))]


def test_the_producer_is_faster_than_traffic_has_to_be(own_stack):
    made = list(batches(9, Shape(events=60_000, users=20_000, shops=20)))

    async def produced():
        async with BulkProducer(own_stack.bootstrap_servers) as producer:
            began = time.perf_counter()
            for batch in made:
                await producer.send_mixed(*batch)
            await producer.flush()
            return 60_000 / (time.perf_counter() - began)

    assert asyncio.run(produced()) > 20_000  # 150 k/s where nothing else runs
