"""How long a worker is away: a full changelog to read, counters to count anew, until a new event is a figure."""

import asyncio
import time
from collections.abc import Iterable, Iterator

import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from bench import rig
from bench.machine import Sampler, cpu_s
from bench.results import Bar, Result
from bench.rig import Rig
from processors.aggregate import Aggregate
from processors.decode.columns import (
    BRAND_ID,
    CATEGORY_ID,
    CHANNEL,
    CURRENCY,
    EVENT_ID,
    ITEM_ID,
    LINE_ID,
    N_SPANS,
    ORDER_ID,
    SHOP_ID,
    USER_ID,
    Decoded,
)
from processors.decode.murmur import partition_of
from processors.partition import KINDS, Partition
from schemas.durable import encode_published_before, encode_published_dates, published_page_key
from schemas.event import Action
from schemas.scopes import Scope
from schemas.topics import EVENTS_BROWSE, FACTORS_LIVE, FACTORS_PAGES, changelog_topic
from stream.clock import latest_day
from stream.local.stack import BROKER
from stream.produce import BulkProducer
from stream.simulate.benchmark import START_MS
from stream.simulate.promotion import DAY_MS
from stream.source import SourcePartition
from stream.transport.committer import Pair
from stream.world import core_config, source_options

USERS = 1_000_000
CELLS_PER_USER = 10
PURCHASE_SHARE = 0.03
SHOPS, ITEMS_PER_SHOP, DAYS = 100, 200, 60
_LAST_MS = START_MS + 12 * 3_600_000
_FIRST_DAY = START_MS // DAY_MS - DAYS + 1
_USERS_AT_ONCE = 10_000
_BATCH_BYTES = 900_000


def measure(scale: float) -> Result:
    """Shops and the market alone, then all crosses but items."""
    users = int(USERS * scale)
    plain, read_s, read_cpu_s = _row("shops, market", users, "shop,market")
    crossed, _, _ = _row("all crosses but items", users, ",".join(sorted(KINDS.keys() - {"item"})))
    return Result(
        "recovery",
        "How long is a worker away after a crash?",
        f"The changelog holds {users:,} users with {CELLS_PER_USER} cells each (3 % of them purchases, {SHOPS} "
        f"shops, {DAYS} dates), written by the core itself, in 8 partitions; the pages topic holds what they "
        "published. One worker owns all of it. From the start of its process: imports, joining the group, fencing, "
        "reading the changelog, counting all counters anew, reading the pages, one new event in each partition, and "
        "the market's figure with all of them in factors.live, read by a consumer of committed records.",
        f"a plain aiokafka consumer that reads the same changelog into a dictionary ({read_s:.1f} s, "
        f"{read_cpu_s:.1f} s CPU).",
        {"one worker, all partitions": [plain, crossed]},
        [
            Bar("seconds until new events are taken in", float(str(plain["of that until ready"])), 15, 10, "lower"),
            Bar(
                "seconds until new events are taken in, all crosses but items",
                float(str(crossed["of that until ready"])), 60, 30, "lower",
            ),
        ],
    )  # fmt: skip


def _row(name: str, users: int, scopes: str) -> tuple[dict[str, object], float, float]:
    """Fill changelog and pages, read the changelog plainly, then start a worker; also what plain reading took."""
    with rig.running("recovery", SMART_CLOCK="event", SMART_SCOPES=scopes) as stack:
        filled = asyncio.run(_fill(stack, users))
        plain_s, plain_cpu_s, read = asyncio.run(_read_plainly(stack))
        asyncio.run(_new_events(stack))
        run = _recover(stack, filled.expected_s + stack.partitions)
    row: dict[str, object] = {
        "scopes": name,
        "users": users,
        "cells": filled.cells,
        "changelog records": read,
        "changelog MB": filled.changelog_bytes / 1e6,
        "pages": filled.pages,
        "start → first new figure s": run["total_s"],
        "of that until ready": round(run["ready_s"], 1),
        "worker CPU s": run["cpu_s"],
        "peak MiB": round(run["peak_mib"]),
        "µs CPU/record": (run["cpu_s"]) / read * 1e6,
        "figure right": run["right"],
        "× baseline": run["total_s"] / plain_s,
    }
    return row, plain_s, plain_cpu_s


class Filled:
    """What lies in the topics."""

    def __init__(self) -> None:
        self.cells = self.pages = self.changelog_bytes = self.expected_s = 0


async def _fill(stack: Rig, users: int) -> Filled:
    filled, settings = Filled(), stack.settings
    today, numbers = latest_day(_LAST_MS), np.arange(users)
    owner = np.array([partition_of(b"u%07d" % user, stack.partitions) for user in numbers.tolist()])
    aggregates = [Aggregate(settings.windows, settings.horizon_days) for _ in range(stack.partitions)]
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.brokers, enable_idempotence=True, max_batch_size=_BATCH_BYTES, max_request_size=8 << 20
    )
    await producer.start()
    for p in range(stack.partitions):
        source = SourcePartition(Partition(core_config(settings), today, number=p), source_options(settings))
        own = numbers[owner == p]
        for first in range(0, len(own), _USERS_AT_ONCE):
            source.partition.fold(_decoded(own[first : first + _USERS_AT_ONCE]))
        source.totals.watermark_ms, source.totals.first_day = _LAST_MS, source.partition.first_day
        source.note_change()
        changes = source.collect(today, at_ms=_LAST_MS, caught_up=True, heartbeat_ms=None)
        await _write(producer, changelog_topic(settings.application_id), p, changes.changelog)
        for q in range(stack.partitions):
            some = [pair for scope, pair in changes.pages if partition_of(scope, stack.partitions) == q]
            await _write(producer, FACTORS_PAGES, q, some)
            for key, value in some:
                aggregates[q].apply(key, value)
        day = START_MS // DAY_MS + 1  # the date of START_MS in UTC+8, as a day number
        filled.expected_s += int(source.partition.counts(Scope(), day + 1, day + 1)[0, 0, -1])
        filled.cells += source.partition.sizes().cells
        filled.pages += len(changes.pages)
        filled.changelog_bytes += sum(len(k or b"") + len(v or b"") for k, v in changes.changelog)
    tps = [TopicPartition(FACTORS_PAGES, p) for p in range(stack.partitions)]
    committer = AIOKafkaConsumer(
        bootstrap_servers=stack.brokers, group_id=settings.application_id, enable_auto_commit=False
    )
    await committer.start()
    committer.assign(tps)
    ends = await committer.end_offsets(tps)
    await committer.commit({tp: OffsetAndMetadata(end, "") for tp, end in ends.items()})
    await committer.stop()
    for tp, end in ends.items():
        told = [*_published(aggregates[tp.partition], today), encode_published_before(end)]
        await _write(producer, changelog_topic(settings.application_id), tp.partition, told)
    await producer.stop()
    return filled


def _published(aggregate: Aggregate, today: int) -> Iterator[tuple[bytes, bytes | None]]:
    """What the changelog tells of the figures of these scopes, all of them published."""
    for scope in aggregate.scopes():
        yield encode_published_dates(scope, _FIRST_DAY + 1, today)
        yield from ((published_page_key(scope, number), page) for number, page in aggregate.take_pages(scope))


def _decoded(users: np.ndarray) -> Decoded:  # type: ignore[type-arg]
    """Ten events of each user, as the decoder would give them; texts of equal length, one after another."""
    n = len(users) * CELLS_PER_USER
    rng = np.random.default_rng(int(users[0]))
    shop = rng.zipf(1.3, n) % SHOPS
    item = shop * ITEMS_PER_SHOP + rng.integers(0, ITEMS_PER_SHOP, n)
    bought = rng.random(n) < PURCHASE_SHARE
    event = np.arange(n) + users[0] * 100
    columns = {
        USER_ID: ("u%07d", np.repeat(users, CELLS_PER_USER)),
        EVENT_ID: ("e%011d", event),
        SHOP_ID: ("s%03d", shop),
        ITEM_ID: ("i%06d", item),
        CATEGORY_ID: ("c%03d", item % 200),
        BRAND_ID: ("b%03d", item % 300),
        CHANNEL: ("organic/p%d", rng.integers(0, 4, n)),
        ORDER_ID: ("o%011d", event),
        LINE_ID: ("%d", np.ones(n, np.int64)),
        CURRENCY: ("CNY", None),
    }
    spans, texts, at = np.zeros((n, N_SPANS, 2), np.int32), [], 0
    for column, (template, values) in columns.items():
        distinct, number = (
            np.unique(values, return_inverse=True) if values is not None else ([0], np.zeros(n, np.int64))
        )
        words = [(template % value if "%" in template else template).encode() for value in distinct]
        size = len(words[0])
        spans[:, column, 0], spans[:, column, 1] = at + number * size, size
        if column in (ORDER_ID, LINE_ID, CURRENCY):
            spans[~bought, column] = 0
        texts += words
        at += size * len(words)
    buffer = np.frombuffer(b"".join(texts), np.uint8)
    absent = np.full(n, -1, np.int64)
    return Decoded(
        buffer, np.arange(n, dtype=np.int32), np.where(bought, Action.PURCHASE, Action.VIEW).astype(np.int8),
        (_FIRST_DAY + rng.integers(0, DAYS, n)) * DAY_MS + 6 * 3_600_000, np.where(bought, 1, -1),
        np.where(bought, rng.integers(100, 100_000, n), -1), absent, np.zeros(n, np.int8), spans,
        np.ascontiguousarray(spans[:, EVENT_ID]), [], 0,
    )  # fmt: skip


async def _write(producer: AIOKafkaProducer, topic: str, partition: int, records: Iterable[Pair]) -> None:
    batch, sent = producer.create_batch(), []
    for key, value in records:
        if batch.append(timestamp=None, key=key, value=value) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value)
    if batch.record_count():
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


async def _read_plainly(stack: Rig) -> tuple[float, float, int]:
    """(seconds, CPU seconds, records) of reading the changelog into a dictionary."""
    tps = [TopicPartition(changelog_topic(stack.settings.application_id), p) for p in range(stack.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.brokers, max_partition_fetch_bytes=4 << 20)
    await consumer.start()
    consumer.assign(tps)
    await consumer.seek_to_beginning(*tps)
    ends = await consumer.end_offsets(tps)
    began, used, newest, n = time.perf_counter(), time.process_time(), {}, 0
    while n < sum(ends.values()):
        for records in (await consumer.getmany(timeout_ms=500, max_records=10_000)).values():
            n += len(records)
            newest.update((record.key, record.value) for record in records)
    taken = time.perf_counter() - began, time.process_time() - used, n
    await consumer.stop()
    return taken


async def _new_events(stack: Rig) -> None:
    """One event of a new user in each partition."""
    keys: dict[int, bytes] = {}
    for number in range(10_000):
        key = b"new%d" % number
        keys.setdefault(partition_of(key, stack.partitions), key)
    async with BulkProducer(stack.brokers) as producer:
        for key in keys.values():
            event = {
                "event_id": "n",
                "action": "view",
                "user_id": key.decode(),
                "event_time": _LAST_MS,
                "shop_id": "s000",
            }
            await producer.send(EVENTS_BROWSE, [key], [orjson.dumps(event)])


def _recover(stack: Rig, expected_s: int) -> dict[str, float | bool]:
    started = time.time()
    name = stack.stack.add_worker(env=stack.worker_environment(), argv=rig.WORKER)
    pid = stack.stack.pid(name)
    with Sampler({"worker": pid, "broker": stack.stack.pid(BROKER)}) as sampler:
        read_at, right = asyncio.run(_until_figure(stack, expected_s))
    ready_at = rig.instant_of(stack.stack.log_since_start(name), rig.READY)
    return {
        "total_s": read_at - started,
        "ready_s": ready_at - started,
        "cpu_s": sampler.cpu_until("worker", read_at) or cpu_s(pid),
        "peak_mib": sampler.peak_bytes("worker") / 2**20,
        "right": right,
    }


async def _until_figure(stack: Rig, expected_s: int) -> tuple[float, bool]:
    """When a figure of the market over 365 days was read that has all users; (instant, whether it was that figure)."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.brokers, isolation_level="read_committed", fetch_max_wait_ms=20)
    await consumer.start()
    tps = [TopicPartition(FACTORS_LIVE, p) for p in range(stack.partitions)]
    consumer.assign(tps)
    await consumer.seek_to_beginning(*tps)
    deadline, at = time.time() + 180, 0.0
    try:
        while time.time() < deadline:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    if record.key.startswith(b"market|365|") and record.value is not None:
                        at = time.time()
                        if orjson.loads(record.value)["s"] == expected_s:
                            return at, True
        return at, False
    finally:
        await consumer.stop()
