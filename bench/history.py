"""How long it takes to read a year of a shop's figures from the serving store."""

import asyncio
import datetime as dt
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import numpy as np
import orjson
from redis.asyncio import Redis

from bench import rig
from bench.results import Bar, Result
from processors.aggregate import Aggregate
from processors.calendar import date_of, day_of
from processors.decode import decode
from processors.figures import Provenance
from processors.pages import total_series
from processors.partition import CoreConfig, Partition
from schemas.scopes import Scope
from schemas.store import pages_key
from serving.past import figures_between
from serving.store import StoreReader

DAYS: Final = 731
EVENTS_A_DAY: Final = 300
USERS: Final = 20_000
READS: Final = 300
_SHOP: Final = "s1"
_LAST: Final = dt.date(2026, 11, 11)
_NOON_MS: Final = 4 * 3_600_000
_RECORDS: Final = "bench:records"
_S: Final = 0
"""The counter that is read alone."""


def measure(scale: float) -> Result:
    """Two years of a shop are put into a store, and read in three ways."""
    pages, config = _pages(max(int(EVENTS_A_DAY * scale), 10))
    with rig.running("history") as stack:
        rows = asyncio.run(
            _read(stack.settings.redis_url.get_secret_value(), pages, config, max(int(READS * scale), 20))
        )
    return Result(
        "history",
        "How long does it take to read a year of figures?",
        f"The total pages of a shop with activity on each of {DAYS} dates, {EVENTS_A_DAY} events a date of "
        f"{USERS:,} users ({len(pages)} pages, {sum(map(len, pages.values())):,} bytes) lie in the serving store. "
        "A fresh process would add its imports; this one asks the store through the reader that all commands use, and "
        "computes all 365 values of T.",
        "a hash of 365 factor records of one window, read whole and parsed.",
        {"a read, from the request to the values": rows},
        [Bar("p99 ms of 365 T of one factor", float(str(rows[0]["p99 ms"])), 20, 5, "lower")],
    )  # fmt: skip


def _pages(events_a_day: int) -> tuple[dict[int, bytes], CoreConfig]:
    rng, last = random.Random(1), day_of(_LAST)
    config = CoreConfig()
    partition, aggregate = Partition(config, last), Aggregate(config.windows, config.horizon_days)
    for day in range(last - DAYS + 1, last + 1):
        values = [_event(rng, day, n) for n in range(events_a_day)]
        partition.fold(decode(values, None, None, partition=0, partitions=1, wall_clock=False))
    for _, key, value in partition.take_pages(last):
        aggregate.apply(key, value)
    return dict(aggregate.take_pages(Scope(_SHOP).name)), config


def _event(rng: random.Random, day: int, number: int) -> bytes:
    event: dict[str, object] = {
        "event_id": f"{day}-{number}", "action": "view", "user_id": f"u{rng.randrange(USERS)}", "shop_id": _SHOP,
        "event_time": day * 86_400_000 + _NOON_MS,
    }  # fmt: skip
    if rng.random() < 0.05:
        event |= {
            "action": "purchase", "order_id": f"{day}-{number}", "quantity": 1, "currency": "CNY",
            "amount_minor": rng.randrange(100, 90_000),
        }  # fmt: skip
    return orjson.dumps(event)


async def _read(url: str, pages: dict[int, bytes], config: CoreConfig, reads: int) -> list[dict[str, object]]:
    name, windows = Scope(_SHOP).name, config.windows
    last, first = _LAST, date_of(day_of(_LAST) - 364)
    provenance = Provenance("2024-11-12", "2026-11-11T00:00:00Z", "2026-11-11T00:00:00Z")
    client: Any = Redis.from_url(url)
    await client.hset(pages_key(name), mapping={str(number): page for number, page in pages.items()})
    records = [one for one in figures_between(name, pages, windows, first, last, provenance) if one.window_days == 30]
    await client.hset(_RECORDS, mapping={str(one.as_of): one.encode() for one in records})
    async with StoreReader(url) as reader:

        async def asked() -> dict[int, bytes]:
            return {int(number): page for number, page in (await reader.pages(name)).items()}

        async def one_factor() -> int:
            start, series = total_series(await asked(), len(windows), "", day_of(last))
            return len(series[day_of(first) - start :, _S, 2])

        async def every_factor() -> int:
            return len(figures_between(name, await asked(), windows, first, last, provenance))

        async def plain() -> int:
            return len([orjson.loads(value) for value in (await client.hgetall(_RECORDS)).values()])

        rows = [
            {"what": what, "values": await read(), **await _timed(read, reads)}
            for what, read in (
                ("365 T of one factor", one_factor),
                ("365 T, all windows and factors, as records", every_factor),
                ("baseline: 365 stored records of one window", plain),
            )
        ]
    await client.aclose()
    return [{**row, "× baseline": float(str(row["p50 ms"])) / float(str(rows[-1]["p50 ms"]))} for row in rows]


async def _timed(read: Callable[[], Awaitable[int]], reads: int) -> dict[str, object]:
    taken = []
    for _ in range(reads):
        began = time.perf_counter()
        await read()
        taken.append((time.perf_counter() - began) * 1000)
    return {"p50 ms": float(np.percentile(taken, 50)), "p99 ms": float(np.percentile(taken, 99))}
