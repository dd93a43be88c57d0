"""Compile every kernel into the cache: `python -m processors.warm`, a part of `make setup`.

A small stream goes through all that a worker does, in the very types that it uses.
"""

from itertools import pairwise

import numpy as np

from processors import kernels
from processors.aggregate import Aggregate
from processors.calendar import date_of, day_of
from processors.catalogue import Catalogue
from processors.decode import decode
from processors.decode.items import decode_item
from processors.decode.profiles import decode_profile
from processors.figures import Provenance
from processors.intraday.minutes import KINDS as MINUTE_KINDS
from processors.intraday.minutes import IntradayConfig
from processors.intraday.pages import read_minutes
from processors.pages import total_series
from processors.partition import KINDS, CoreConfig, Partition
from processors.snapshot import pack_pages, values_at

_EVENTS = (
    (
        b'{"event_id":"e1","action":"view","user_id":"u","event_time":"2026-03-10T12:00:00+08:00","shop_id":"s",'
        b'"item_id":"i","category_id":"c","brand_id":"b","channel":"organic/search"}'
    ),
    (
        b'{"event_id":"e2","action":"purchase","user_id":"u","event_time":1773115200000,"shop_id":"s","item_id":"i",'
        b'"quantity":2,"amount_minor":500,"currency":"CNY","order_id":"o"}'
    ),
    (
        b'{"event_id":"e3","action":"refund","user_id":"u","event_time":1773115200001,"shop_id":"s","order_id":"o",'
        b'"item_id":"i","quantity":1}'
    ),
    b'{"event_id":"\\u0065","action":"view","user_id":"u","event_time":1773115200000,"shop_id":"s"}',
    b"not an event",
)


def warm() -> None:
    """Run every kernel once."""
    today = day_of(date_of(20_523))
    config = CoreConfig(scopes=frozenset(KINDS), intraday=IntradayConfig(scopes=frozenset(MINUTE_KINDS)))
    values, keys, append_ms = list(_EVENTS), [b"u"] * len(_EVENTS), np.full(len(_EVENTS), 1773115200000)
    catalogue = Catalogue(64)
    catalogue.complete()
    partition = Partition(config, today, catalogue=catalogue)
    for partitioner in ("murmur2", "crc32"):
        partition.fold(
            decode(values, keys, append_ms, partition=0, partitions=1, partitioner=partitioner, wall_clock=True)
        )
    partition.fold(decode(values, None, None, partition=0, partitions=1, wall_clock=False))
    # Enough lines to let the set of known lines grow, and no refusals: other kernels, other arrays.
    orders = [_EVENTS[1].replace(b'"o"', b'"o%d"' % n) for n in range(100)]
    partition.fold(decode(orders, None, None, partition=0, partitions=1, wall_clock=False))
    record = b'{"user_id":"u","updated_at":0,"group":"g1"}'
    partition.fold_profiles([decode_profile(record)])
    partition.follow_catalogue()
    catalogue.note(decode_item(b'{"item_id":"i","updated_at":0,"shop_id":"s","listed_on":"2026-03-10"}'))
    partition.follow_catalogue()
    minute = 1773115200000 // 60_000
    for _, _, page in partition.intraday.take_pages(minute):
        if page is not None:
            read_minutes({minute // 60: page}, minute, minute)
    records = list(partition.take_records())
    aggregate = Aggregate(config.windows, config.horizon_days)
    scopes = [aggregate.apply(key, value) for _, key, value in partition.take_pages(today)]
    for scope in scopes:
        aggregate.advance(scope, today, 0)
        aggregate.is_consistent(scope, today)
        list(aggregate.take(scope, today, Provenance()))
        total_series(dict(aggregate.pages(scope)), len(config.windows), "", today)
        values_at(pack_pages([dict(aggregate.pages(scope))]), 1, len(config.windows), today)
    restored = Partition(config, today)
    restored.load([key for key, _ in records], [value for _, value in records])
    restored.rebuild()
    restored.waiting_refunds()
    for kept, currencies in restored.scopes():
        restored.counts(kept, today, today)
        for currency in currencies:
            restored.money(kept, currency, today, today)
    restored.advance(today + 128)
    restored.intraday.sizes()
    restored.intraday.advance(minute + 128 * 1_440)
    list(restored.intraday.take_records())
    restored.zones.day_at("Asia/Shanghai", 0)
    for before, after in pairwise((64, 200, 700)):
        # Growing a dictionary takes a kernel of its own.
        restored.dictionaries.item.add([b"%d" % n for n in range(before, after)])
        restored.dictionaries.add_products(np.array([[n, 1, 1] for n in range(before, after)], "<i4"))


if __name__ == "__main__":
    warm()
    kernels.clear_old()
