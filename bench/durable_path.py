"""Events per core-second through the whole durable path, next to a stock Faust app on the same broker."""

import asyncio
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import accumulate

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench import reference, rig
from bench.machine import Sampler
from bench.results import Bar, Result
from bench.rig import Rig, Run
from bench.traffic import Traffic
from schemas.topics import Topic
from stream.admin import Admin
from stream.local.stack import BROKER
from stream.produce import BulkProducer

EVENTS = 2_000_000
BASELINE_EVENTS = 15_000
WINDOWS = (1, 7, 30, 365)
BASELINE_WINDOWS = (1, 7)
_QUIET_S = 10.0
_EPOCH = dt.date(1970, 1, 1)


def measure(scale: float) -> Result:
    """Preload, work off with one worker, compare every figure with the reference; then the baseline."""
    traffic = Traffic.of(int(EVENTS * scale))
    expected = reference.figures(traffic.rows, WINDOWS)
    with rig.running("durable_path", SMART_CLOCK="event") as stack:
        events = rig.preload(stack, traffic.messages())
        run = rig.work_off(stack)
        wrong, compared = reference.differences(expected, run.live.newest)
        stock = run_baseline(stack, traffic, min(BASELINE_EVENTS, events))
    with rig.running("durable_path", SMART_CLOCK="event", SMART_INTRADAY_SCOPES="shop,channel") as stack:
        rig.preload(stack, traffic.messages())
        minutes = rig.work_off(stack)
    ours, ours_net = events / run.cpu_gross_s, events / run.cpu_net_s
    ratio = ours / stock.per_core_s
    row = {**_row(run, events), "wrong": f"{wrong} of {compared}"}
    return Result(
        "durable_path",
        "How many events a second does a core work off, from the event topics to committed figures?",
        f"{events:,} simulated events of {traffic.mean_bytes():.0f} B ({traffic.shape.users:,} users, "
        f"{traffic.shape.shops} shops, "
        f"{traffic.shape.days} dates) lie in the four event topics ({stack.partitions} partitions each, zstd); "
        "one worker with the event "
        "clock reads, decodes and folds them, and every 250 ms commits ledgers, pages, totals and figures "
        "(windows 1, 7, 30, "
        "365; shops and market) in one transaction a partition. It counts until all offsets are committed and "
        "the last figure "
        "is published; then every figure of every date is compared with a count by set arithmetic. With "
        "minutes, the ten dates are a page of each hour, scope and partition, about one an event: on the wall clock, "
        "where an hour takes one, a page serves thousands of events.",
        "a stock Faust app written as its documentation teaches (`baseline_faust.py`): JSON records, tables, "
        "changelogs, "
        f"at-least-once, S, B and GMV over 1 and 7 days only; the first {stock.events:,} of the same events.",
        {
            "one worker": [
                {"": "SMART stream", **row},
                {"": "with minutes of shops and channels", **_row(minutes, events)},
                {
                    "": "stock Faust", "events": stock.events, "events/core-s": round(stock.per_core_s),
                    "net of start-up": round(stock.per_core_s_net), "µs/event net": 1e6 / stock.per_core_s_net,
                    "events/s wall": round(stock.events / stock.wall_s), "start-up CPU s": stock.cpu_start_s,
                    "broker CPU s": stock.broker_cpu_s, "broker µs/event": stock.broker_cpu_s / stock.events * 1e6,
                    "peak MiB": round(stock.peak_mib), "records published": stock.records,
                    "wrong": f"{stock.wrong} of {stock.compared}",
                },
                {"": "ratio", "events/core-s": ratio, "net of start-up": ours_net / stock.per_core_s_net},
            ]
        },
        [
            Bar("events per core-second of the path, without start-up", round(ours_net), 100_000, 200_000, "higher"),
            Bar("× stock Faust, start-up of both included", round(ratio, 1), 40, 100, "higher"),
            Bar("figures that differ from the reference", wrong, 0, 0, "lower"),
        ],
    )  # fmt: skip


def _row(run: Run, events: int) -> dict[str, object]:
    return {
        "events": events,
        "events/core-s": round(events / run.cpu_gross_s),
        "net of start-up": round(events / run.cpu_net_s),
        "µs/event net": run.cpu_net_s / events * 1e6,
        "events/s wall": round(events / run.wall_s),
        "start-up CPU s": run.cpu_start_s,
        "broker CPU s": run.broker_cpu_s,
        "broker µs/event": run.broker_cpu_s / events * 1e6,
        "peak MiB": round(run.peak_mib),
        "records published": run.live.records,
    }


@dataclass
class Stock:
    """What the baseline did."""

    events: int
    cpu_s: float
    cpu_start_s: float
    wall_s: float
    broker_cpu_s: float
    peak_mib: float
    records: int
    wrong: int
    compared: int

    @property
    def per_core_s(self) -> float:
        """Events per core-second, start-up included."""
        return self.events / self.cpu_s

    @property
    def per_core_s_net(self) -> float:
        """Events per core-second after the start."""
        return self.events / (self.cpu_s - self.cpu_start_s)


def run_baseline(stack: Rig, traffic: Traffic, events: int) -> Stock:
    """Run the stock Faust app on the first events until it publishes nothing new any more."""
    topics = [
        plain_topic(name, stack.partitions) for name in ("baseline.events", "baseline-changes", "baseline.figures")
    ]
    with Admin(stack.brokers) as admin:
        admin.create(topics, 1)
    asyncio.run(_put(stack, traffic, events))
    broker_before = stack.cpu_of_broker_s()
    with tempfile.TemporaryDirectory() as folder:
        log_path = stack.stack.folder.path / "baseline.log"
        environment = {
            **os.environ, "BASELINE_BROKERS": stack.brokers, "BASELINE_FOLDER": f"{folder}/faust",
            "BASELINE_PARTITIONS": str(stack.partitions),
        }  # fmt: skip
        with log_path.open("wb") as log:
            words = [sys.executable, "-m", "bench.baseline_faust", "worker", "-l", "info", "--without-web"]
            app = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
            try:
                with Sampler({"app": app.pid, "broker": stack.stack.pid(BROKER)}) as sampler:
                    first_at, last_at, newest, records = asyncio.run(_until_quiet(stack, app))
            finally:
                app.send_signal(signal.SIGTERM)
                _wait(app)
    expected = {
        (scope, window, t): (values[0], values[2], values[4])
        for (scope, window, t), values in reference.figures(traffic.rows[:events], BASELINE_WINDOWS).items()
    }
    wrong = sum(newest.get(key) != values for key, values in expected.items())
    return Stock(
        events, sampler.cpu_until("app", last_at), sampler.cpu_until("app", first_at), last_at - first_at,
        sampler.cpu_until("broker", last_at) - broker_before, sampler.peak_bytes("app") / 2**20,
        records, wrong, len(expected),
    )  # fmt: skip


def plain_topic(name: str, partitions: int) -> Topic:
    """A topic beside those of the registry, for a baseline."""
    config = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
    return Topic(name, partitions, config, "", "", "", "", "figures")


async def _put(stack: Rig, traffic: Traffic, events: int) -> None:
    async with BulkProducer(stack.brokers) as producer:
        for batch in traffic.messages(0, events):
            await producer.send("baseline.events", [key or b"" for key in batch.keys], batch.values)


async def _until_quiet(
    stack: Rig, app: "subprocess.Popen[bytes]"
) -> tuple[float, float, dict[tuple[str, int, str], tuple[int, ...]], int]:
    """(first change and last figure, seconds since the epoch; the newest figures; records published)."""
    newest: dict[tuple[str, int, str], tuple[int, ...]] = {}
    records, last_at, first_at = 0, 0.0, float("inf")
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.brokers)
    await consumer.start()
    try:
        topics = ("baseline.figures", "baseline-changes")
        consumer.assign([TopicPartition(topic, p) for topic in topics for p in range(stack.partitions)])
        started = time.time()
        while not last_at or time.time() - last_at < _QUIET_S:
            if app.poll() is not None or (not last_at and time.time() - started > 240):
                raise RuntimeError(
                    f"the baseline has ended or publishes nothing; see {stack.stack.folder.path}/baseline.log"
                )
            for found in (await consumer.getmany(timeout_ms=500)).values():
                for record in found:
                    first_at = min(first_at, record.timestamp / 1000)
                    if record.topic == "baseline-changes":
                        continue
                    records += 1
                    last_at = max(last_at, record.timestamp / 1000)
                    newest |= _figures_of(record.key.decode(), json.loads(record.value))
    finally:
        await consumer.stop()
    return first_at, last_at, newest, records


def _figures_of(scope: str, total: dict[str, list[int]]) -> dict[tuple[str, int, str], tuple[int, ...]]:
    scope = scope.strip('"')  # as Faust writes a str key
    found = {}
    for window in BASELINE_WINDOWS:
        days = sorted(int(key.split("|")[1]) for key in total if key.startswith(f"{window}|"))
        every = range(days[0], days[-1] + 1) if days else range(0)
        steps = ((total.get(f"{window}|{t}", [0, 0, 0])) for t in every)
        sums = accumulate(steps, lambda a, b: [x + y for x, y in zip(a, b, strict=True)])
        for t, values in zip(every, sums, strict=True):
            found[scope, window, (_EPOCH + dt.timedelta(days=t)).isoformat()] = tuple(values)
    return found


def _wait(app: "subprocess.Popen[bytes]") -> None:
    try:
        app.wait(10)
    except subprocess.TimeoutExpired:
        app.kill()
        app.wait()
