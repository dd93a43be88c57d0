"""The baseline: shop figures by a Faust app as Faust's documentation teaches: `python -m bench.baseline_faust worker`.

An agent over the events (JSON values, `faust.Record`) asks a table for the last dates of this user in this shop, and
sends what changes to a topic keyed by scope; a second agent adds that up in a table of totals, and a timer publishes
the totals that changed, a message a scope. Daily and 7-day S, B and GMV of every shop and the market: fewer figures
than the product's (no classes of users, no longer periods, no late events, no refunds), and at-least-once.

It is kind to Faust: two dates of a user are one table value where a set of users or a windowed table would cost several
times as much, a change is one message and one table update a scope whatever the number of dates it counts for, and only
what the figures need is decoded.
"""

import datetime as dt
import os

import faust

WINDOWS = (1, 7)
NEVER = -1_000
ACTIVE = frozenset(("view", "favourite", "share", "follow", "search", "like", "comment", "cart", "order", "purchase"))

app = faust.App(
    os.environ.get("BASELINE_ID", "baseline"),
    broker="kafka://" + os.environ.get("BASELINE_BROKERS", "127.0.0.1:9092"),
    store="memory://",
    datadir=os.environ.get("BASELINE_FOLDER", "/tmp/baseline"),  # noqa: S108 - the runner gives another
    topic_partitions=int(os.environ.get("BASELINE_PARTITIONS", "8")),
    topic_replication_factor=1,
    topic_disable_leader=True,
    web_enabled=False,
    broker_commit_interval=3.0,
    consumer_auto_offset_reset="earliest",
    autodiscover=False,
)


class Event(faust.Record, serializer="json"):
    """What the figures need of an event."""

    action: str
    user_id: str
    event_time: str
    shop_id: str
    amount_minor: int = 0


events = app.topic("baseline.events", value_type=Event, key_type=bytes, key_serializer="raw")
changes = app.topic(f"{app.conf.id}-changes", key_type=str, value_serializer="json")
figures = app.topic("baseline.figures", key_type=str, value_serializer="json")
last_dates = app.Table("last_dates", default=lambda: [NEVER, NEVER])
totals = app.Table("totals", default=dict)
"""Scope → "window|T" → differences of [S, B, GMV] against the day before T."""
changed: set[str] = set()


def business_day(event_time: str) -> int:
    """Days since 1970-01-01 in UTC+8, the offset that all events are written with."""
    return dt.date.fromisoformat(event_time[:10]).toordinal() - 719_163


def changes_of(day: int, active_on: int, bought_on: int, paid_minor: int | None) -> list[list[int]]:
    """[window, first T, end T, S, B, GMV] of what an event adds."""
    found = []
    for window in WINDOWS:
        end = day + window
        if day > active_on:  # the T that an earlier date does not cover
            found.append([window, max(day, active_on + window), end, 1, 0, 0])
        if paid_minor is not None:
            if day > bought_on:
                found.append([window, max(day, bought_on + window), end, 0, 1, 0])
            found.append([window, day, end, 0, 0, paid_minor])
    return found


@app.agent(events)
async def see(stream: faust.StreamT[Event]) -> None:
    """Find out what an event changes."""
    async for event in stream:
        if event.action not in ACTIVE:
            continue
        day, is_paid = business_day(event.event_time), event.action == "purchase"
        for scope in (f"shop={event.shop_id}", "market"):
            key = f"{scope}|{event.user_id}"
            active_on, bought_on = last_dates[key]
            found = changes_of(day, active_on, bought_on, event.amount_minor if is_paid else None)
            if day > active_on or (is_paid and day > bought_on):
                last_dates[key] = [max(day, active_on), max(day, bought_on) if is_paid else bought_on]
            if found:
                await changes.send(key=scope, value=found)


@app.agent(changes)
async def add_up(stream: faust.StreamT[list[list[int]]]) -> None:
    """Keep the totals."""
    async for scope, found in stream.items():
        total = dict(totals[scope])
        for window, first, end, *values in found:
            for t, sign in ((first, 1), (end, -1)):
                before = total.get(f"{window}|{t}", (0, 0, 0))
                total[f"{window}|{t}"] = [had + sign * value for had, value in zip(before, values, strict=True)]
        totals[scope] = total
        changed.add(scope)


@app.timer(interval=1.0)
async def publish() -> None:
    """Tell the totals that have changed."""
    scopes = list(changed)
    changed.clear()
    for scope in scopes:
        await figures.send(key=scope, value=totals[scope])


if __name__ == "__main__":
    app.main()
