"""A store that shows what workers would show after some events: the figures of all scopes, their pages, the lists."""

from redis import Redis

from processors.aggregate import Aggregate
from processors.calendar import date_of, day_of
from processors.figures import Provenance
from processors.partition import CoreConfig
from schemas.store import index_entry, live_field, live_key, pages_key
from tests.core import catalogue_of, folded
from tests.streams import ALL_WORDS

WINDOWS = (1, 7)


def show(url, values, today, *, windows=WINDOWS, words=ALL_WORDS, history_from="2020-01-01", dated=None, items=()):
    """Put all figures of record values into the store; returns the newest records by scope.

    today: the date of every scope. dated: scope → another date. items: records of the catalogue.
    """
    config = CoreConfig(windows=windows, scopes=words, horizon_days=731, max_rows=100_000)
    partition = folded([values], today, config, zones={}, catalogue=catalogue_of(items))
    aggregate = Aggregate(windows, config.horizon_days)
    for _, key, value in partition.take_pages(day_of(today) + 1):
        aggregate.apply(key, value)
    provenance = Provenance(history_from, f"{today}T00:00:00.000Z", f"{today}T00:00:00.000Z")
    newest = {}
    with Redis.from_url(url) as client, client.pipeline(transaction=False) as pipeline:
        for scope in aggregate.scopes():
            day = day_of((dated or {}).get(scope, today))
            for earlier in range(day - 1, day + 1):
                list(aggregate.take(scope, earlier, provenance))
            newest[scope] = list(aggregate.newest(scope, day, provenance))
            for record in newest[scope]:
                pipeline.hset(live_key(scope), live_field(record.window_days, record.currency), record.encode())
            for number, page in aggregate.pages(scope):
                pipeline.hset(pages_key(scope), str(number), page)
            listed = index_entry(scope)
            if listed is not None:
                pipeline.hset(*listed, b"")
            assert all(record.as_of == date_of(day).isoformat() for record in newest[scope])
        pipeline.execute()
    return newest
