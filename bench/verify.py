"""What it costs to recompute the figures of a running system: once as a whole, and beside a stream that goes on."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import urlopen

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from bench import rig
from bench.machine import cpu_s, resident_bytes
from bench.results import Result
from bench.rig import Rig
from bench.traffic import Traffic
from schemas.topics import changelog_topic
from stream.produce import BulkProducer

EVENTS = 1_000_000
STREAMED_SHARE = 0.1
STREAMED_PER_S = 2_000
SHARE = 0.02
EVERY_S = 5
TURNS = 6


@dataclass
class Spent:
    """A process from its start to its end."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    output: str


def measure(scale: float) -> Result:
    """One worker works the events off; then its figures are verified, as a whole and by shares."""
    traffic = Traffic.of(int(EVENTS * scale))
    later = int(len(traffic.rows) * (1 - STREAMED_SHARE))
    with rig.running("verify", SMART_CLOCK="event") as stack:
        events = rig.preload(stack, traffic.messages(0, later))
        worked = rig.work_off(stack)
        stack.start_worker()
        plain = _spent(stack, [sys.executable, "-m", "bench.verify", *_changelog(stack)])
        whole = _spent(stack, _smart("verify", "--json"))
        summary = orjson.loads(whole.output.splitlines()[-1])
        with _streaming(stack, traffic, later):
            turns = _turns(stack)
    rows = [
        {
            "what": what,
            "s": spent.wall_s,
            "CPU s": spent.cpu_s,
            "× baseline": spent.cpu_s / plain.cpu_s,
            "peak MiB": spent.peak_mib,
            "": note,
        }
        for what, spent, note in (
            ("plain reading, the baseline", plain, "changelog into a dictionary"),
            ("smart verify", whole, f"{summary['records']:,} records, {summary['differences']} differences"),
        )
    ]
    return Result(
        "verify",
        "What does it cost to hold a running system to a recount?",
        f"{events:,} simulated events worked off by one worker (in {worked.wall_s:.0f} s), figures of shops and the "
        "market. Then every figure of the horizon is counted anew by listing users, from the ledgers in the changelog, "
        f"and compared with topic and store. Then {STREAMED_PER_S:,} events a second come in, and with --every "
        f"{EVERY_S} --share {SHARE} each run compares a fiftieth of all scopes and dates; the first one reads all of "
        "the topics before.",
        "a plain aiokafka consumer that reads the same changelog into a dictionary; CPU against CPU, start of the "
        "interpreter and imports included in all.",
        {"as a whole": rows, "by shares": turns},
    )


def _smart(*words: str) -> list[str]:
    return [sys.executable, "-m", "stream.cli", *words]


def _changelog(stack: Rig) -> list[str]:
    return [stack.brokers, changelog_topic(stack.settings.application_id), str(stack.partitions)]


@contextmanager
def _streaming(stack: Rig, traffic: Traffic, first: int) -> Iterator[None]:
    """Plays the rest of the traffic at an even rate while the block runs."""
    stop = threading.Event()

    async def play() -> None:
        async with BulkProducer(stack.brokers) as producer:
            began, n = time.monotonic(), 0
            for batch in traffic.messages(first):
                for at in range(0, len(batch.values), 500):
                    piece = slice(at, at + 500)
                    await producer.send_mixed(batch.topics[piece], batch.keys[piece], batch.values[piece])
                    await producer.submit()
                    n += 500
                    await asyncio.sleep(max(began + n / STREAMED_PER_S - time.monotonic(), 0))
                    if stop.is_set():
                        return

    player = threading.Thread(target=lambda: asyncio.run(play()))
    player.start()
    try:
        yield
    finally:
        stop.set()
        player.join()


def _spent(stack: Rig, argv: list[str]) -> Spent:
    began = time.perf_counter()
    process = subprocess.Popen(
        argv, env=os.environ | stack.worker_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    used = peak = 0.0
    while process.poll() is None:
        used, peak = cpu_s(process.pid) or used, max(peak, resident_bytes(process.pid))
        time.sleep(0.05)
    output = process.stdout.read() if process.stdout else ""
    return Spent(time.perf_counter() - began, used, peak / 2**20, output)


def _turns(stack: Rig) -> list[dict[str, object]]:
    """The first run of a verification that goes on, and the mean of those after it."""
    process = subprocess.Popen(
        _smart("verify", "--every", str(EVERY_S), "--share", str(SHARE), "--json"),
        env=os.environ | stack.worker_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        port = re.search(r":(\d+)/metrics", process.stderr.readline())
        summaries, used = [], []
        for line in process.stdout:
            if '"summary"' in line:
                summaries.append(orjson.loads(line))
                used.append(_metric(int(port[1]) if port else 0, "smart_verify_run_cpu_seconds"))
            if len(summaries) > TURNS:
                break
        peak = resident_bytes(process.pid) / 2**20
    finally:
        process.terminate()
        process.communicate()
    later = used[1:]
    return [
        {"run": "the first", "records": summaries[0]["records"], "CPU s": used[0]},
        {
            "run": f"each of {len(later)} after it",
            "records": sum(one["records"] for one in summaries[1:]) / len(later),
            "CPU s": sum(later) / len(later),
            "share of a core": sum(later) / len(later) / EVERY_S,
            "resident MiB": peak,
            "differences": sum(one["differences"] for one in summaries),
            "moving": sum(one["moving"] for one in summaries),
        },
    ]


def _metric(port: int, name: str) -> float:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return next(sample.value for family in families for sample in family.samples if sample.name == name)


def _read_plainly(brokers: str, topic: str, partitions: int) -> None:
    async def read() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=brokers, max_partition_fetch_bytes=4 << 20)
        await consumer.start()
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends, newest = await consumer.end_offsets(places), {}
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500, max_records=10_000)).values():
                newest.update((record.key, record.value) for record in records)
        await consumer.stop()

    asyncio.run(read())


if __name__ == "__main__":
    _read_plainly(sys.argv[1], sys.argv[2], int(sys.argv[3]))
