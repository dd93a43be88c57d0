"""What small batches of producers cost a worker."""

from bench import reference, rig
from bench.results import Result
from bench.traffic import Traffic

BATCHES = ((1_000, 400_000), (10, 200_000), (1, 60_000))
"""(records in a batch, events), the baseline first."""
WINDOWS = (1, 7, 30, 365)


def measure(scale: float) -> Result:
    """The durable path once for each size of batches."""
    rows = []
    for size, full in BATCHES:
        traffic = Traffic.of(int(full * scale))
        with rig.running("producer_batches", SMART_CLOCK="event") as stack:
            events = rig.preload(stack, traffic.messages(), records_per_batch=size)
            run = rig.work_off(stack)
        wrong, compared = reference.differences(reference.figures(traffic.rows, WINDOWS), run.live.newest)
        rows.append(
            {
                "records in a batch": size,
                "events": events,
                "µs/event net": run.cpu_net_s / events * 1e6,
                "events/core-s net": round(events / run.cpu_net_s),
                "events/s wall": round(events / run.wall_s),
                "broker µs/event": run.broker_cpu_s / events * 1e6,
                "wrong": f"{wrong} of {compared}",
            }
        )
    for row in rows:
        row["ratio"] = row["µs/event net"] / rows[0]["µs/event net"]
    return Result(
        "producer_batches",
        "What do small batches of producers cost?",
        "The durable path again, with batches of 1, 10 and 1,000 records in the log (zstd each), as shops with "
        "little traffic "
        "make them. Small batches are merged while a fetch is unpacked. CPU is that of the worker, without start-up.",
        "batches of 1,000 records.",
        {"by size": rows},
    )
