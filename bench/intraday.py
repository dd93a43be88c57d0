"""What counting by the minute costs, in the core alone: folding, marks in the changelog, pages of hours."""

import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from bench.core_budget import CHUNK, CHUNKS_PER_COMMIT, PARTITIONS, SIMULATED_EVENTS, Data, decode_chunk, simulated
from bench.results import Result
from processors.calendar import DAY_MS
from processors.decode import Decoded
from processors.intraday.minutes import IntradayConfig
from processors.intraday.pages import add_hours, encode_hour
from processors.partition import CoreConfig, Partition

SCOPES: Final[dict[str, frozenset[str]]] = {
    "nothing by the minute": frozenset(),
    "shop": frozenset({"shop"}),
    "shop, channel (the default)": frozenset({"shop", "channel"}),
    "shop, channel, item": frozenset({"shop", "channel", "item"}),
}
COMMITS_PER_PUBLICATION: Final = 4


def measure(scale: float) -> Result:
    """Fold the same events with more and more counted by the minute."""
    decoded = _in_order(simulated(int(SIMULATED_EVENTS * scale)))
    _run(decoded[:8], SCOPES["shop, channel, item"])  # loads the kernels
    rows = [{"by the minute": name} | _run(decoded, scopes) for name, scopes in SCOPES.items()]
    for row in rows:
        row["× nothing"] = row["fold µs/event"] / rows[0]["fold µs/event"]
    return Result(
        "intraday",
        "What does counting by the minute cost?",
        f"CPU time of one thread, without Kafka: one partition of {PARTITIONS} of the simulated traffic of the durable "
        f"path, in the order of event time, shops and market by date, in chunks of {CHUNK:,}. "
        f"Every {CHUNKS_PER_COMMIT} chunks are a commit, "
        f"every {COMMITS_PER_PUBLICATION} commits the pages of hours are taken and added up once more by themselves. "
        "Events of ten dates come in quick motion, so that far more minutes and hours pass in a commit than in a "
        "running system: what is published is dearer than there.",
        "the same fold with nothing counted by the minute.",
        {"by what is counted": rows},
    )


def _in_order(data: Data) -> list[Decoded]:
    """The events in the order of their time, as a running system gets them; topics read one chunk after another would
    be hours apart.
    """
    values = [value for values, _ in data.chunks for value in values]
    keys = [key for _, keys in data.chunks for key in keys or ()]
    order = np.argsort(decode_chunk(data, (values, keys)).event_ms, kind="stable").tolist()
    return [
        decode_chunk(data, ([values[i] for i in some], [keys[i] for i in some]))
        for some in (order[first : first + CHUNK] for first in range(0, len(order), CHUNK))
    ]


def _run(decoded: Sequence[Decoded], scopes: frozenset[str]) -> dict[str, object]:
    config = CoreConfig(intraday=IntradayConfig(scopes=scopes))
    partition = Partition(config, int(decoded[-1].event_ms.max()) // DAY_MS + 2)
    intraday, n = partition.intraday, sum(map(len, decoded))
    fold = records = pages = total = 0.0
    n_records = record_bytes = n_pages = page_bytes = 0
    newest_ms = 0
    for first in range(0, len(decoded), CHUNKS_PER_COMMIT):
        some = decoded[first : first + CHUNKS_PER_COMMIT]
        newest_ms = max([newest_ms, *(int(one.event_ms.max()) for one in some if len(one))])
        at = [time.process_time()]
        for one in some:
            partition.fold(one)
        at.append(time.process_time())
        taken = list(intraday.take_records())
        at.append(time.process_time())
        made = []
        if first // CHUNKS_PER_COMMIT % COMMITS_PER_PUBLICATION == 0 and scopes:
            made = [page for _, _, page in intraday.take_pages(newest_ms // 60_000) if page is not None]
        at.append(time.process_time())
        for page in made:
            encode_hour(add_hours([page]))
        at.append(time.process_time())
        fold, records, pages, total = (
            spent + ended - began
            for spent, began, ended in zip((fold, records, pages, total), at, at[1:], strict=False)
        )
        n_records, record_bytes = n_records + len(taken), record_bytes + sum(len(k) + len(v or b"") for k, v in taken)
        n_pages, page_bytes = n_pages + len(made), page_bytes + sum(map(len, made))
    sizes = intraday.sizes()
    return {
        "fold µs/event": fold / n * 1e6,
        "take marks µs/event": records / n * 1e6,
        "marks B/event": record_bytes / n,
        "µs/page": pages / max(n_pages, 1) * 1e6,
        "adding up µs/page": total / max(n_pages, 1) * 1e6,
        "B/page": page_bytes / max(n_pages, 1),
        "marks kept": sizes.marks,
        "memory MB": sizes.bytes / 1e6,
        "rows": sizes.rows,
    }
