"""What crosses cost: the durable path with all of them, each kind in the core, and the events that restate the past."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bench import reference, rig
from bench.core_budget import Data, decoded_chunks, simulated
from bench.results import Bar, Result, Row
from bench.traffic import Traffic
from processors.calendar import DAY_MS
from processors.decode import Decoded, decode
from processors.decode.profiles import decode_profile
from processors.partition import KINDS, CoreConfig, Partition
from schemas.profile import AGES, GENDERS, GROUPS, POWERS, ProfileRecord
from schemas.topics import PROFILES
from stream.produce import BulkProducer

EVENTS: Final = 2_000_000
CORE_EVENTS: Final = 2_000_000
SINGLE: Final = 2_000
"""So many late events, refunds and profiles are measured."""
LATE_DAYS: Final = 300
PLAIN: Final = ("shop", "market")
WITHOUT_ITEM: Final = tuple(sorted(KINDS.keys() - {"item"}))
EVERYTHING: Final = tuple(sorted(KINDS))
_WINDOWS: Final = (1, 7, 30, 365)


def measure(scale: float) -> Result:
    """The path with three sets of scopes, then the core."""
    traffic = Traffic.of(int(EVENTS * scale))
    expected = reference.figures(traffic.rows, _WINDOWS)
    paths: list[dict[str, object]] = []
    wrong = 0
    for name, words in (("shops, market", PLAIN), ("all crosses but items", WITHOUT_ITEM), ("all crosses", EVERYTHING)):
        row, differing = _path(traffic, words, expected)
        paths.append({"scopes": name, **row})
        wrong += differing
    plain = float(str(paths[0]["µs/event net"]))
    for row in paths:
        row["× shops, market"] = float(str(row["µs/event net"])) / plain
    data = simulated(int(CORE_EVENTS * scale))
    decoded = decoded_chunks(data)
    kinds, single = list(_kinds(data, decoded)), list(_single(data, decoded))
    return Result(
        "crosses",
        "What do crosses cost?",
        f"The path of the durable path's benchmark ({len(traffic.rows):,} events, {traffic.shape.users:,} users, each "
        f"with a profile, {traffic.shape.shops} shops) with more and more kinds of scopes, one worker; shop and market "
        "figures are compared with a count by set arithmetic. In the core, without Kafka: one partition of 8 of the "
        f"same traffic, CPU time of one thread; then {SINGLE:,} views {LATE_DAYS} days late, refunds of whole lines, "
        "and profiles that differ in all four attributes, each of another user, with all crosses kept.",
        "the same with shops and market alone.",
        {"one worker": paths, "fold, µs CPU per event": kinds, "single": single},
        [
            Bar("events per core-second, all crosses but items", _rate(paths[1]), 60_000, 100_000, "higher"),
            Bar("events per core-second, items too", _rate(paths[2]), 40_000, 60_000, "higher"),
            Bar("shop and market figures that differ from the reference", wrong, 0, 0, "lower"),
        ],
    )  # fmt: skip


def _rate(row: Row) -> float:
    return float(str(row["events/core-s net of start-up"]))


def _path(
    traffic: Traffic, words: Sequence[str], expected: dict[tuple[str, int, str], tuple[int, ...]]
) -> tuple[dict[str, object], int]:
    with rig.running(
        "crosses", SMART_CLOCK="event", SMART_SCOPES=",".join(words), SMART_PROFILES_PER_SECOND="1000000"
    ) as stack:
        asyncio.run(_send_profiles(stack, traffic.shape.users))
        events = rig.preload(stack, traffic.messages())
        run = rig.work_off(stack)
    scopes = {scope for scope, _, _ in expected}
    ours = {key: record for key, record in run.live.newest.items() if record["scope"] in scopes}
    wrong, compared = reference.differences(expected, ours)
    row: dict[str, object] = {
        "events/core-s net of start-up": round(events / run.cpu_net_s),
        "µs/event net": run.cpu_net_s / events * 1e6,
        "events/s wall": round(events / run.wall_s),
        "broker µs/event": run.broker_cpu_s / events * 1e6,
        "peak MiB": round(run.peak_mib),
        "records published": run.live.records,
        "figures kept": len(run.live.newest),
        "wrong": f"{wrong} of {compared}",
    }
    return row, wrong


def profiles(users: int, seed: int = 1) -> Iterator[ProfileRecord]:
    """A profile for each user."""
    rng = random.Random(seed)
    for user in range(users):
        yield ProfileRecord(
            user_id=f"u{user:06d}", updated_at=seed, group=rng.choice(GROUPS[1:]), power=rng.choice(POWERS[1:]),
            age=rng.choice(AGES[1:]), gender=rng.choice(GENDERS[1:]),
        )  # type: ignore[arg-type]  # fmt: skip


async def _send_profiles(stack: rig.Rig, users: int) -> None:
    async with BulkProducer(stack.brokers) as producer:
        records = list(profiles(users))
        await producer.send(PROFILES, [one.key() for one in records], [one.encode() for one in records])


def _partition(decoded: Sequence[Decoded], words: Sequence[str]) -> tuple[Partition, float]:
    """A partition that has taken everything in, and the CPU seconds that the fold took."""
    today = max(int(one.event_ms.max()) for one in decoded if len(one)) // DAY_MS + 2
    partition = Partition(CoreConfig(scopes=frozenset(words)), today)
    users = {name for one in decoded for name in _users(one)}
    known = [decode_profile(one.encode()) for one in profiles(max(int(name[1:]) for name in users) + 1)]
    partition.fold_profiles([one for one in known if one.user_id in users])
    began = time.process_time()
    for one in decoded:
        partition.fold(one)
    return partition, time.process_time() - began


def _users(decoded: Decoded) -> set[bytes]:
    text = decoded.buffer.tobytes()
    return {text[at : at + n] for at, n in decoded.spans[:, 1].tolist()}


def _kinds(data: Data, decoded: Sequence[Decoded]) -> Iterator[dict[str, object]]:
    """Shops and market, and each further kind beside them."""
    sets = [("shops, market", PLAIN), *((f"+ {word}", (*PLAIN, word)) for word in EVERYTHING if word not in PLAIN)]
    sets += [("all crosses but items", WITHOUT_ITEM), ("all crosses", EVERYTHING)]
    _partition(decoded[:4], EVERYTHING)
    plain_us = plain_rows = plain_bytes = 0.0
    for name, words in sets:
        partition, cpu_s = _partition(decoded, words)
        sizes, us = partition.sizes(), cpu_s / data.n * 1e6
        if words == PLAIN:
            plain_us, plain_rows, plain_bytes = us, sizes.rows, sizes.bytes
        more = sizes.rows - plain_rows
        yield {
            "scopes": name, "µs/event": us, "more than shops, market": us - plain_us, "rows": sizes.rows,
            "B/row": (sizes.bytes - plain_bytes) / more if more else sizes.bytes / sizes.rows,
            "B/(user, shop) pair": sizes.bytes / _pairs(decoded),
        }  # fmt: skip


def _pairs(decoded: Sequence[Decoded]) -> int:
    pairs = set()
    for one in decoded:
        text = one.buffer.tobytes()
        pairs |= {
            (text[a : a + n], text[b : b + m])
            for (a, n), (b, m) in zip(one.spans[:, 1].tolist(), one.spans[:, 2].tolist(), strict=True)
        }
    return len(pairs)


def _single(data: Data, decoded: Sequence[Decoded]) -> Iterator[dict[str, object]]:
    """What one late event, one refund and one profile cost, and how many pages they change."""
    partition, _ = _partition(decoded, EVERYTHING)
    made = [json.loads(value) for values, _ in data.chunks[-8:] for value in values]
    bought = [one for one in made if one["action"] == "purchase"][:SINGLE]
    seen = list({one["user_id"]: one for one in made if one["action"] == "view"}.values())[:SINGLE]
    late_ms = LATE_DAYS * DAY_MS
    at_ms = min(int(one.event_ms.max()) for one in decoded if len(one)) - late_ms
    late = [{**one, "event_id": f"late-{n}", "event_time": at_ms} for n, one in enumerate(seen)]
    order = ("user_id", "event_time", "shop_id", "item_id", "order_id", "line_id")
    refunds = [
        {"event_id": f"back-{n}", "action": "refund", **{name: one[name] for name in order if name in one}}
        for n, one in enumerate(bought)
    ]
    users = [one["user_id"] for one in seen]
    other = {one.user_id: one for one in profiles(max(int(user[1:]) for user in users) + 1, seed=2)}
    moved = [decode_profile(other[user].encode()) for user in users]
    cases: list[tuple[str, int, Callable[[], None]]] = [
        (f"view {LATE_DAYS} days late", len(late), _folding(partition, late)),
        ("refund of a line", len(refunds), _folding(partition, refunds)),
        ("profile, all attributes", len(moved), lambda: partition.fold_profiles(moved)),
    ]
    for name, n, work in cases:
        list(partition.take_pages(1 << 20))
        began = time.process_time()
        work()
        us = (time.process_time() - began) / n * 1e6
        yield {"what": name, "n": n, "µs each": us, "pages changed by all": len(list(partition.take_pages(1 << 20)))}


def _folding(partition: Partition, events: Sequence[object]) -> Callable[[], None]:
    values = [json.dumps(one).encode() for one in events]
    read = decode(values, None, None, partition=0, partitions=1, wall_clock=False)
    return lambda: partition.fold(read)
