"""History that is loaded while live events come is in the figures when `smart load` ends, however often that is."""

import asyncio
import gzip
import json
import random
import re
import signal
import threading
import time

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.admin import Admin
from stream.produce import BulkProducer
from tests.events import DAY_MS, encode, event
from tests.running import System, assert_shows_the_backtest, question_for
from tests.streams import ZONES, seeded_stream

TWO_YEARS_DAYS = 730
TOO_OLD_DAYS = 1_461
SCOPES = ("shop", "market", "category")


def history(seed, n):
    """Two years of events up to an hour ago."""
    now_ms = time.time_ns() // 1_000_000
    first_date = time.strftime("%Y-%m-%d", time.gmtime(now_ms / 1_000 - TWO_YEARS_DAYS * 86_400))
    values = seeded_stream(seed, n, users=300, days=TWO_YEARS_DAYS, first_date=first_date)
    return [value for value in values if json.loads(value)["event_time"] < now_ms - 3_600_000]


def too_old(n):
    at_ms = time.time_ns() // 1_000_000 - TOO_OLD_DAYS * DAY_MS
    return [encode(event("view", f"u{k}", at_ms=at_ms)) for k in range(n)]


class Live:
    """Events of this very moment, ten at a time, until the test has done what it does."""

    def __init__(self, system):
        self._system, self._over = system, threading.Event()
        self.sent = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._over.set()
        self._thread.join()

    def _run(self):
        rng = random.Random(9)
        while not self._over.wait(0.2):
            at_ms = time.time_ns() // 1_000_000
            money = {"quantity": 1, "amount_minor": 500, "currency": "CNY"}
            some = [
                encode(event("purchase", f"u{rng.randrange(300)}", at_ms=at_ms, shop="s1", category_id="c1",
                             order_id=f"live-{at_ms}-{k}", **money))
                for k in range(10)
            ]  # fmt: skip
            self._system.produce(some)
            self.sent += some


def as_parquet(path, values):
    rows = [json.loads(value) for value in values]
    names = sorted({name for row in rows for name in row})
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path, row_group_size=1_000)
    return path


def figures(system):
    """What is shown, without when it was computed and how far live events have come since."""
    plain = {"history_from": None, "complete_through": None, "computed_at": None}
    return {key: msgspec.structs.replace(record, **plain) for key, record in system.live().items()}


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with System(tmp_path_factory.mktemp("load"), clock="wall", scopes=",".join(SCOPES)) as system:
        system.tell_shops(ZONES)
        system.add_workers(1)
        yield system


@pytest.mark.timeout(600)
def test_two_years_are_loaded_while_live_events_come(system, tmp_path):
    values, old = history(3, 8_000), too_old(7)
    half = len(values) // 2
    text = tmp_path / "first.jsonl.gz"
    text.write_bytes(gzip.compress(b"\n".join([*values[:half], *old])))
    table = as_parquet(tmp_path / "second.parquet", values[half:])

    with Live(system) as live:
        loaded = system.smart("load", text, table)
        at_the_end = system.produced()
    assert f"sent {len(values) + len(old):,} events" in loaded.stderr
    assert "all are in the figures" in loaded.stderr
    assert "the workers refused 7 events meanwhile: time_too_old" in loaded.stderr
    assert at_the_end > len(values) + len(old), "live events came meanwhile"

    summary = system.verify("--from", "events")
    assert summary["accepted"] + summary["refused"] == system.produced()
    assert summary["refused"] == 7
    question = question_for(SCOPES, ZONES)
    assert assert_shows_the_backtest(system.live(), [*values, *live.sent], question) > 5_000

    before = figures(system)
    again = system.smart("load", text, table)
    assert "all are in the figures" in again.stderr
    assert figures(system) == before, "what is loaded twice counts once"


@pytest.mark.timeout(600)
def test_a_topic_is_loaded_however_it_is_partitioned(system):
    values = [value.replace(b'"shop_id":"s', b'"shop_id":"a') for value in history(4, 2_000)]

    async def archived():
        async with BulkProducer(system.brokers) as producer:
            keys = [str(n % 11).encode() for n in range(len(values))]
            await producer.send("archive", keys, values)
            await producer.send("archive", [b"gone"], [None])

    with Admin(system.brokers) as admin:
        admin._client.create_topics({"archive": {"num_partitions": 3, "replication_factor": 1}})
    asyncio.run(archived())
    loaded = system.smart("load", "--from-topic", "archive")
    assert f"sent {len(values):,} events" in loaded.stderr
    assert "all are in the figures" in loaded.stderr
    system.verify()
    of_these = {key: record for key, record in system.live().items() if record.scope.startswith("shop=a")}
    assert assert_shows_the_backtest(of_these, values, question_for(("shop", "category"))) > 1_000


def test_what_a_transaction_has_left_at_the_end_of_a_topic_is_passed_over(system):
    refused = [value.replace(b'"action"', b'"deed"') for value in history(5, 100)]
    system.produce(refused)
    system.verify()
    loaded = system.smart("load", "--from-topic", "events.browse.dlq")  # ends with the mark of a transaction
    assert re.search(r"sent [\d,]+ events", loaded.stderr)
    assert "missing_field" in loaded.stderr


def test_a_topic_that_is_not_there_is_told(system):
    assert "topic nowhere does not exist" in system.smart("load", "--from-topic", "nowhere", expect=1).stderr


@pytest.mark.timeout(600)
def test_a_load_that_is_stopped_says_so_and_is_simply_started_again(system, tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(history(6, 500)))
    system.stack.stop_child("worker-1")
    loading = system.smart_beside("load", file)
    try:
        assert "sent" in loading.stderr.readline()
        loading.send_signal(signal.SIGINT)
        rest = loading.communicate(timeout=60)[1]
    finally:
        loading.kill()
    assert loading.returncode == 1
    assert re.search(r"stopped; all is sent, but \d+ records wait for the workers still", rest)
    system.stack.start_child("worker-1")
    assert "all are in the figures" in system.smart("load", file).stderr
    system.verify()
