"""Where the microseconds of an event go in the core, without Kafka, by stage; and the bytes that things take."""

import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from bench.results import Result
from bench.traffic import Traffic
from processors.aggregate import Aggregate
from processors.calendar import DAY_MS
from processors.decode import Decoded, decode
from processors.decode.murmur import partition_of
from processors.figures import Provenance
from processors.partition import KINDS, CoreConfig, Partition
from schemas.adapters import FORMATS
from schemas.refusals import Refusal

PARTITIONS = 8
SIMULATED_EVENTS = 2_000_000
CHUNK = 4_096
CHUNKS_PER_COMMIT = 4
DATA = Path(__file__).parents[2] / "shared" / "data"
DATA_SETS: Final = {
    "Taobao, whole users": ("taobao_ub_full_users_merged_timesorted.csv.gz", "taobao"),
    "Online Retail II": ("online_retail_ii_2009_2010.csv.gz", "online-retail"),
}
SCOPES: Final[dict[str, frozenset[str]]] = {
    "ledger only": frozenset(),
    "+ shop": frozenset({"shop"}),
    "+ shop, market": frozenset({"shop", "market"}),
    "+ all crosses": frozenset(KINDS),
}
LIVE: Final = "+ shop, market"


class _Wanted(msgspec.Struct):
    """The fields of an event, for the plain decoder of the baseline."""

    event_id: str
    action: str
    user_id: str
    event_time: str | int
    shop_id: str
    item_id: str | None = None
    category_id: str | None = None
    brand_id: str | None = None
    channel: str | None = None
    quantity: int | None = None
    amount_minor: int | None = None
    currency: str | None = None


@dataclass
class Data:
    """Records of one partition, as chunks of values and keys in the order they are read."""

    name: str
    chunks: list[tuple[list[bytes], list[bytes] | None]]
    partitions: int

    @property
    def n(self) -> int:
        """Records."""
        return sum(len(values) for values, _ in self.chunks)


def measure(scale: float) -> Result:
    """Every stage over every data set that is there."""
    stages, sizes = [], []
    _warm_up()
    for data in (simulated(int(SIMULATED_EVENTS * scale)), *_real(scale)):
        decoded = decoded_chunks(data)  # also loads the kernels
        today = max(int(one.event_ms.max()) for one in decoded if len(one)) // DAY_MS + 2
        stages += _stages(data, decoded, today)
        sizes += _sizes(data, decoded, today)
    return Result(
        "core_budget",
        "Where do the microseconds and the bytes go, in the core alone?",
        f"CPU time of one thread, in chunks of {CHUNK:,} records, without Kafka. Simulated traffic: one partition "
        f"of {PARTITIONS} of the "
        f"shape of the durable path. Records, pages and figures are taken every {CHUNKS_PER_COMMIT} chunks, as a "
        "busy commit interval does. "
        "The real data sets are measured where they lie beside the repository: Taobao (views mostly, one shop) "
        "and Online "
        "Retail (purchases only, a year of them).",
        "decoding the same records with `msgspec` into a struct of twelve fields: what a plain Python consumer "
        "pays before it "
        "has done anything.",
        {"µs CPU per event, by stage": stages, "bytes": sizes},
    )


def _warm_up() -> None:
    """Load every kernel, and take the first memory."""
    few = simulated(80_000)
    decoded = decoded_chunks(few)
    list(_stages(few, decoded, int(decoded[-1].event_ms.max()) // DAY_MS + 2))


def simulated(events: int) -> Data:
    """One partition of the traffic of the durable path."""
    traffic = Traffic.of(events)
    by_topic: dict[str, tuple[list[bytes], list[bytes]]] = {}
    for batch in traffic.messages():
        for topic, key, value in batch.records():
            if partition_of(key or b"", PARTITIONS) == 0:
                values, keys = by_topic.setdefault(topic, ([], []))
                values.append(value)
                keys.append(key or b"")
    # The topics are read side by side: chunks in the order of their place in their topic.
    placed = [
        (first / len(values), values[first : first + CHUNK], keys[first : first + CHUNK])
        for values, keys in by_topic.values()
        for first in range(0, len(values), CHUNK)
    ]
    chunks = [(values, keys) for _, values, keys in sorted(placed, key=lambda chunk: chunk[0])]
    return Data("simulated", chunks, PARTITIONS)


def _real(scale: float) -> Iterator[Data]:
    for name, (file_name, format_name) in DATA_SETS.items():
        path = DATA / file_name
        if not path.exists():
            continue
        with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as rows:
            values = [made.value for made in FORMATS[format_name](rows, "shop") if not isinstance(made, Refusal)]
        values = values[: max(int(len(values) * min(scale * 10, 1)), CHUNK)]
        yield Data(name, [(values[i : i + CHUNK], None) for i in range(0, len(values), CHUNK)], 1)


def decoded_chunks(data: Data) -> list[Decoded]:
    """All its chunks."""
    return [decode_chunk(data, chunk) for chunk in data.chunks]


def decode_chunk(data: Data, chunk: tuple[list[bytes], list[bytes] | None]) -> Decoded:
    """A chunk as columns."""
    values, keys = chunk
    append_ms = np.zeros(len(values), np.int64)
    return decode(values, keys, append_ms, partition=0, partitions=data.partitions, wall_clock=False)


def _us(n: int, work: Callable[[], object]) -> float:
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1000 / n


def _stages(data: Data, decoded: Sequence[Decoded], today: int) -> Iterator[dict[str, object]]:
    n = data.n
    plain = msgspec.json.Decoder(_Wanted)
    baseline = _us(n, lambda: [plain.decode(value) for values, _ in data.chunks for value in values])

    def row(stage: str, us: float, note: str = "") -> dict[str, object]:
        return {"data": data.name, "stage": stage, "µs/event": us, "× baseline": us / baseline, "": note}

    yield row("msgspec, the baseline", baseline, f"{n:,} records")
    yield row("decode", _us(n, lambda: [decode_chunk(data, chunk) for chunk in data.chunks]))
    empty = Partition(CoreConfig(scopes=frozenset()), today)
    interned = _us(n, lambda: [empty.dictionaries.intern(one) for one in decoded if len(one)])
    yield row("intern", interned)
    for name, scopes in SCOPES.items():
        partition = Partition(CoreConfig(scopes=scopes), today)
        fold = _us(n, lambda partition=partition: [partition.fold(one) for one in decoded])
        yield row(f"fold, {name}", fold - interned)
    yield from _publishing(data, decoded, today, row)


def _publishing(
    data: Data, decoded: Sequence[Decoded], today: int, row: Callable[..., dict[str, object]]
) -> Iterator[dict[str, object]]:
    """What a commit takes, commit by commit."""
    partition = Partition(CoreConfig(scopes=SCOPES[LIVE]), today)
    aggregate = Aggregate(partition.config.windows, partition.config.horizon_days)
    spent = dict.fromkeys(("records", "pages", "apply", "take", "encode"), 0.0)
    records = pages = figures = record_bytes = 0
    provenance = Provenance("2026-01-01", "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z")
    for first in range(0, len(decoded), CHUNKS_PER_COMMIT):
        for one in decoded[first : first + CHUNKS_PER_COMMIT]:
            partition.fold(one)
        at = [time.process_time()]
        taken = list(partition.take_records())
        at.append(time.process_time())
        changed = list(partition.take_pages(today + 1))
        at.append(time.process_time())
        scopes = {aggregate.apply(key, value) for _, key, value in changed}
        at.append(time.process_time())
        for scope in scopes:
            aggregate.advance(scope, today, 0)
        made = [record for scope in scopes for _, record in aggregate.take(scope, today, provenance)]
        at.append(time.process_time())
        for record in made:
            if record is not None:
                record.encode()
        at.append(time.process_time())
        for name, began, ended in zip(spent, at, at[1:], strict=False):
            spent[name] += ended - began
        records, pages, figures = records + len(taken), pages + len(changed), figures + len(made)
        record_bytes += sum(len(key) + len(value or b"") for key, value in taken)
    n = data.n
    notes = {
        "records": f"{records / n:.2f} an event, {record_bytes / n:.0f} B an event, "
        f"{spent['records'] / max(records, 1) * 1e6:.2f} µs each",
        "pages": f"{pages:,}, {spent['pages'] / max(pages, 1) * 1e6:.1f} µs each",
        "apply": f"{spent['apply'] / max(pages, 1) * 1e6:.1f} µs a page",
        "take": f"{figures:,}, {spent['take'] / max(figures, 1) * 1e6:.1f} µs each",
        "encode": f"{spent['encode'] / max(figures, 1) * 1e6:.2f} µs each",
    }
    titles = {
        "records": "take_records (changelog)",
        "pages": "take_pages",
        "apply": "aggregate.apply",
        "take": "aggregate.take (figures)",
        "encode": "encode of figures",
    }
    for name, title in titles.items():
        yield row(title, spent[name] / n * 1e6, notes[name])


def _sizes(data: Data, decoded: Sequence[Decoded], today: int) -> Iterator[dict[str, object]]:
    """Memory by kind of thing: the ledger's without scopes, a row's by the difference of all crosses."""
    bare, full = (Partition(CoreConfig(scopes=SCOPES[name]), today) for name in ("ledger only", "+ all crosses"))
    for one in decoded:
        bare.fold(one)
        full.fold(one)
    ledger, crossed = bare.sizes(), full.sizes()
    changelog = sum(len(key) + len(value or b"") for key, value in bare.take_records())
    yield {
        "data": data.name,
        "users": ledger.users,
        "cells": ledger.cells,
        "lines": ledger.lines,
        "rows, all crosses": crossed.rows,
        "memory B/user": ledger.bytes / ledger.users,
        "memory B/(cell + line)": ledger.bytes / (ledger.cells + ledger.lines),
        "memory B/row": (crossed.bytes - ledger.bytes) / max(crossed.rows, 1),
        "changelog B/user": changelog / ledger.users,
        "changelog B/(cell + line)": changelog / (ledger.cells + ledger.lines),
    }
