"""How old a figure is: from an event's send until a reader of committed records has the figure with it."""

import asyncio
import itertools
import time
from dataclasses import dataclass

import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from numpy.typing import NDArray

from bench import rig
from bench.machine import Sampler
from bench.results import Bar, Result
from bench.rig import Rig
from bench.traffic import Traffic
from processors.partition import KINDS
from schemas.topics import FACTORS_LIVE
from stream.local.stack import BROKER
from stream.produce import BulkProducer

RATE, HIGH_RATE = 5_000, 50_000
SECONDS, HIGH_SECONDS = 30, 12
WARM_UP_SECONDS = 25
TICK_S = 0.01
PROBES_PER_SECOND = 20
BARS_MS = {250: (600, 500), 50: (200, 150)}
PROBE_SHOPS = 50
ECHO = "bench.echo"


@dataclass
class Measured:
    """Milliseconds from the send of a probe until it was read, and what was used meanwhile."""

    probes_ms: NDArray[np.float64]
    lost: int
    cpu_percent: float
    broker_percent: float

    def at(self, percent: float) -> float:
        """A percentile, in ms."""
        return float(np.percentile(self.probes_ms, percent)) if len(self.probes_ms) else float("nan")


def measure(scale: float) -> Result:
    """Both commit intervals, each on a stack of its own, with the plain echo before it."""
    seconds = max(int(SECONDS * scale), 5)
    rows, bars = [], []
    rows_all = [
        _with_everything(rate, interval_ms, max(int(longest * scale), 5))
        for rate, longest in ((RATE, SECONDS), (HIGH_RATE, HIGH_SECONDS))
        for interval_ms in BARS_MS
    ]
    for interval_ms, (bar, aim) in BARS_MS.items():
        with rig.running("latency", SMART_COMMIT_INTERVAL_MS=str(interval_ms)) as stack:
            echo = asyncio.run(_echo(stack, seconds))
            name = stack.start_worker()
            _until_ready(stack, name)
            figures = asyncio.run(_figures(stack, name, seconds, RATE))
            stack.stack.remove(name)
        for what, measured in (("produce → read, no worker", echo), ("produce → figure read", figures)):
            rows.append(
                {
                    "commit interval ms": interval_ms,
                    "": what,
                    "p50 ms": measured.at(50),
                    "p99 ms": measured.at(99),
                    "max ms": measured.at(100),
                    "probes": len(measured.probes_ms),
                    "lost": measured.lost,
                    "worker CPU %": measured.cpu_percent if measured is figures else "",
                    "broker CPU %": measured.broker_percent,
                    "× baseline p50": measured.at(50) / echo.at(50),
                }
            )
        bars.append(Bar(f"p99 ms at a commit interval of {interval_ms} ms", round(figures.at(99)), bar, aim, "lower"))
    return Result(
        "latency",
        "How long does it take from an event to the figure that has it?",
        f"{RATE:,} events/s for {seconds} s after a warm-up of {WARM_UP_SECONDS} s, sent every "
        f"{TICK_S * 1000:.0f} ms; among them "
        f"{PROBES_PER_SECOND} probes a second: a purchase of one minor unit in one of {PROBE_SHOPS} shops that "
        "have nothing else, so that "
        "the shop's GMV tells which probes a figure has. A probe's time runs from before its send until a "
        "`read_committed` consumer of "
        "factors.live has a record with it: fold, transaction, pages, aggregation and a second transaction lie "
        "between. "
        "Wall clock, windows 1, 7, 30, 365. Producer, reader, broker and worker share the machine.",
        "the same producer and reader with a plain topic between them and no worker.",
        {"shops, market, and minutes of shops and channels": rows, "all crosses": rows_all},
        bars,
    )


def _with_everything(rate: int, interval_ms: int, seconds: int) -> dict[str, object]:
    """Every kind of scope kept, at this rate: a row."""
    scopes = ",".join(sorted(KINDS))
    with rig.running("latency", SMART_COMMIT_INTERVAL_MS=str(interval_ms), SMART_SCOPES=scopes) as stack:
        name = stack.start_worker()
        _until_ready(stack, name)
        measured = asyncio.run(_figures(stack, name, seconds, rate))
        stack.stack.remove(name)
    has_any = len(measured.probes_ms) > 0
    return {
        "events/s offered": rate,
        "commit interval ms": interval_ms,
        "p50 ms": measured.at(50) if has_any else "",
        "p99 ms": measured.at(99) if has_any else "",
        "probes": len(measured.probes_ms),
        "not read in time": measured.lost,
        "worker CPU %": measured.cpu_percent,
        "broker CPU %": measured.broker_percent,
    }


def _until_ready(stack: Rig, name: str) -> None:
    deadline = time.monotonic() + 120
    while rig.READY not in stack.stack.log_since_start(name):
        if time.monotonic() > deadline:
            raise TimeoutError("the worker does not become ready")
        time.sleep(0.2)


async def _send(stack: Rig, seconds: float, rate: int, send_probe) -> dict[int, float]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Background traffic at this rate with probes in it; returns probe number → when its send began."""
    traffic = Traffic.of(int((seconds + WARM_UP_SECONDS + 1) * rate), users_per_event=0.2)
    traffic.rows["event_ms"][:] = _now_ms()  # ten dates of traffic become the present
    messages = list(itertools.chain.from_iterable(batch.records() for batch in traffic.messages()))
    sent: dict[int, float] = {}
    per_tick, every = int(rate * TICK_S), round(1 / TICK_S / PROBES_PER_SECOND)
    async with BulkProducer(stack.brokers, compression=None) as producer:
        started = time.time()
        for tick in range(int((seconds + WARM_UP_SECONDS) / TICK_S)):
            await asyncio.sleep(max(started + tick * TICK_S - time.time(), 0))
            some = messages[tick * per_tick : (tick + 1) * per_tick]
            await producer.send_mixed(*zip(*some, strict=True))
            if tick % every == 0 and tick * TICK_S >= WARM_UP_SECONDS:
                sent[len(sent) + 1] = time.time()
                await send_probe(producer, len(sent))
            await producer.submit()
    return sent


async def _figures(stack: Rig, name: str, seconds: float, rate: int) -> Measured:
    async def probe(producer: BulkProducer, number: int) -> None:
        nth, k = divmod(number - 1, PROBE_SHOPS)
        event = {
            "event_id": f"p{number}", "action": "purchase", "user_id": f"probe{k}", "event_time": _now_ms(),
            "shop_id": f"probe{k}", "quantity": 1, "amount_minor": 1, "currency": "CNY", "order_id": f"p{nth}",
        }  # fmt: skip
        await producer.send("events.purchase", [f"probe{k}".encode()], [orjson.dumps(event)])

    def number_of(key: bytes, value: bytes) -> tuple[int, int]:
        scope, window, _as_of, _currency = key.rsplit(b"|", 3)
        if not scope.startswith(b"shop=probe") or window != b"365":
            return 0, 0
        # A probe shop's purchases are all of one user, so its GMV tells how many of its probes the figure has.
        return int(scope.removeprefix(b"shop=probe")), int(orjson.loads(value)["gmv_minor"])

    return await _timed(stack, name, FACTORS_LIVE, seconds, rate, probe, number_of)


async def _echo(stack: Rig, seconds: float) -> Measured:
    from bench.durable_path import plain_topic  # noqa: PLC0415
    from stream.admin import Admin  # noqa: PLC0415

    with Admin(stack.brokers) as admin:
        admin.create([plain_topic(ECHO, stack.partitions)], 1)

    async def probe(producer: BulkProducer, number: int) -> None:
        await producer.send(ECHO, [b"probe"], [b"%d" % number])

    return await _timed(
        stack,
        None,
        ECHO,
        min(seconds, 10),
        RATE,
        probe,
        lambda _key, value: ((int(value) - 1) % PROBE_SHOPS, (int(value) - 1) // PROBE_SHOPS + 1),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _timed(stack: Rig, worker: str | None, topic: str, seconds: float, rate: int, probe, number_of) -> Measured:  # type: ignore[no-untyped-def]  # noqa: ANN001
    pids = {"broker": stack.stack.pid(BROKER)} | ({"worker": stack.stack.pid(worker)} if worker else {})
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.brokers, isolation_level="read_committed", fetch_max_wait_ms=5)
    await consumer.start()
    tps = [TopicPartition(topic, p) for p in range(stack.partitions)]
    consumer.assign(tps)
    await consumer.seek_to_end(*tps)
    seen: dict[tuple[int, int], float] = {}
    """(probe shop, probes that a figure of it has) → when it was read."""

    async def read() -> None:
        async for record in consumer:
            if record.value is not None:
                seen.setdefault(number_of(record.key, record.value), time.time())

    reading = asyncio.create_task(read())
    with Sampler(pids) as sampler:
        began = time.time() + WARM_UP_SECONDS
        sent = await _send(stack, seconds, rate, probe)
        ended = time.time()
        await asyncio.sleep(2.0)
    reading.cancel()
    await consumer.stop()
    used = {name: sampler.cpu_until(name, ended) - sampler.cpu_until(name, began) for name in pids}
    ages = []
    for number, at in sent.items():
        nth, k = divmod(number - 1, PROBE_SHOPS)
        read_at = [when for (shop, probes), when in seen.items() if shop == k and probes > nth]
        ages += [(min(read_at) - at) * 1000] if read_at else []
    return Measured(
        np.array(ages), len(sent) - len(ages), 100 * used.get("worker", 0.0) / (ended - began),
        100 * used["broker"] / (ended - began),
    )  # fmt: skip
