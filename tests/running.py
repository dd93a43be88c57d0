"""A whole running system for tests: broker, store and workers on a stack, and what it shows next to the backtest."""

import asyncio
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from processors.audit import unlike
from processors.backtest import Backtest, Question
from processors.decode.items import decode_item
from processors.decode.profiles import decode_profile
from schemas.adapters import FORMATS
from schemas.control import ShopRecord
from schemas.event import ACTIONS
from schemas.factors import NO_CURRENCY, decode_record, record_key
from schemas.refusals import Refusal
from schemas.settings import load
from schemas.topics import (
    EVENT_TOPICS,
    FACTORS_LIVE,
    PROFILES,
    SHOPS,
    SOURCE_TOPICS,
    TOPIC_OF_ACTION,
    dead_letter_topic,
)
from stream.cut import Tail
from stream.dead_letters import read_letters
from stream.local.stack import LocalStack
from stream.produce import BulkProducer

DATA = Path(__file__).parents[2] / "shared" / "data"
PARTITIONS = 8
WARM_S = 240.0
"""Longest time until a worker is ready: it compiles the core when nobody has before."""


class System:
    """One deployment on a stack of its own. A context manager; `smart` runs its commands."""

    def __init__(self, folder, *, clock="event", **settings):
        self.stack = LocalStack(folder)
        given = {"SMART_CLOCK": clock, "SMART_PARTITIONS": str(PARTITIONS), "SMART_LOG_FORMAT": "console"}
        given["SMART_CROSSES_INTERVAL_MS"] = "1000"  # tests wait for the figures of crossed scopes
        self.given = given | {f"SMART_{name.upper()}": str(value) for name, value in settings.items()}

    def __enter__(self):
        warming = subprocess.Popen([sys.executable, "-m", "processors.warm"])
        self.stack.start()
        try:
            warming.wait(WARM_S)
            self.smart("topics", "create")
        except BaseException:
            self.stack.stop()
            raise
        return self

    def __exit__(self, kind, error, trace):
        self.stack.stop()

    @property
    def brokers(self):
        return self.stack.bootstrap_servers

    def settings(self):
        """The settings as its workers have them."""
        return load(brokers=self.brokers, redis_url=self.stack.redis_url, **{
            name.removeprefix("SMART_").lower(): value for name, value in self.given.items()
        })  # fmt: skip

    def environment(self):
        own = {name: value for name, value in os.environ.items() if not name.startswith("SMART_")}
        return own | self.given | self.stack.environment() | {"COLUMNS": "200"}

    def smart(self, *words, expect=0, timeout=170):
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "stream.cli", *map(str, words)],
            env=self.environment(), capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert expect is None or done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def smart_beside(self, *words):
        """Start a command that goes on beside the test."""
        return subprocess.Popen(
            [sys.executable, "-m", "stream.cli", *map(str, words)],
            env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def add_workers(self, n):
        """Add workers and wait until they are ready; returns their names."""
        names = [self.stack.add_worker(env=self.given) for _ in range(n)]
        for name in names:
            self.stack.wait_ready(name, WARM_S)
        return names

    def produce(self, values, *, batch=500, rate=None):
        """Send record values to the topics of their actions; `rate` events a second, at most."""

        async def produced():
            async with BulkProducer(self.brokers) as producer:
                began = time.monotonic()
                for at in range(0, len(values), batch):
                    some = values[at : at + batch]
                    routed = [route(value) for value in some]
                    await producer.send_mixed([t for t, _ in routed], [k for _, k in routed], some)
                    await producer.submit()
                    if rate is not None:
                        await asyncio.sleep(max(0.0, began + (at + len(some)) / rate - time.monotonic()))

        asyncio.run(produced())

    def tell_shops(self, zones):
        """Shops with their zones, on the control topic."""

        async def told():
            async with BulkProducer(self.brokers) as producer:
                records = [ShopRecord(shop_id=shop, zone=zone) for shop, zone in zones.items()]
                await producer.send(SHOPS, [r.key() for r in records], [r.encode() for r in records])

        asyncio.run(told())

    def verify(self, *words, expect=0):
        """`smart verify`; returns its summary. The system must have come to rest."""
        done = self.smart("verify", "--json", "--wait", "60", *words, expect=expect)
        summary = json.loads(done.stdout.splitlines()[-1])
        assert summary["at_rest"], done.stdout[-2000:]
        return summary

    def produced(self):
        """How many records lie in the event topics."""
        ends = self._asked(lambda tail: tail.ends([(t, p) for t in EVENT_TOPICS for p in range(PARTITIONS)]))
        return sum(ends.values())

    def live(self):
        """Everything in factors.live: key → newest record."""
        newest = {}

        def note(chunk):
            for key, value in zip(chunk.keys, chunk.values, strict=True):
                if value is None:
                    newest.pop(key, None)
                else:
                    newest[key] = decode_record(value)

        async def read(tail):
            await tail.begin([(FACTORS_LIVE, p) for p in range(PARTITIONS)])
            await tail.catch_up(note)

        self._asked(read)
        return {key.decode(): record for key, record in newest.items()}

    def refused(self):
        """Value of each dead letter → its code."""

        async def read():
            topics = {dead_letter_topic(topic): PARTITIONS for topic in SOURCE_TOPICS}
            return {letter.value: letter.code async for letter in read_letters(self.brokers, topics)}

        return asyncio.run(read())

    def _asked(self, ask):
        async def asked():
            async with Tail(self.brokers, self.settings().application_id) as tail:
                return await ask(tail)

        return asyncio.run(asked())


def route(value):
    """(topic, key) of a record value; what is no event goes to the browse topic, under its user if it names one."""
    try:
        fields = json.loads(value)
        action, user = fields.get("action"), fields.get("user_id")
    except (ValueError, AttributeError):
        action = user = None
    topic = TOPIC_OF_ACTION[ACTIONS[action]] if isinstance(action, str) and action in ACTIONS else "events.browse"
    if b'"updated_at"' in value:
        topic = PROFILES
    return topic, user.encode() if isinstance(user, str) else b"?"


def values_of(path, format_name, shop="shop", rows=None):
    """The record values of a file's first rows."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as lines:
        made = FORMATS[format_name]((line for n, line in enumerate(lines) if rows is None or n < rows), shop)
        return [one.value for one in made if not isinstance(one, Refusal)]


def assert_shows_the_backtest(live, values, question, horizon_days=731, profiles=(), items=()):
    """Every live record of the horizon is the backtest's, and every one of the backtest's is there.

    Later dates than the newest of a scope have not come for it yet. Returns how many records were compared.
    """
    newest_date = dt.date.fromisoformat(max(record.as_of for record in live.values()))
    since = (newest_date - dt.timedelta(days=horizon_days - 2)).isoformat()  # in any zone
    shown = {key: record for key, record in live.items() if record.as_of >= since}
    as_of = sorted({dt.date.fromisoformat(record.as_of) for record in shown.values()})
    run = Backtest(question._replace(as_of=tuple(as_of)))
    for at in range(0, len(values), 20_000):
        run.feed(values[at : at + 20_000])
    run.feed_profiles([decode_profile(record) for record in profiles])
    run.feed_items(map(decode_item, items))
    expected = {record.key: record for record in run.records()}
    # A scope all of whose lines lie before the horizon has no currency any more; the backtest still names one.
    without_money = {
        record_key(one.scope, one.window_days, one.as_of, NO_CURRENCY): msgspec.structs.replace(
            one, currency=NO_CURRENCY, art_minor=None, art_new_minor=None, art_existing_minor=None
        )
        for one in expected.values()
        if not one.b
    }
    wrong = [
        f"{key}: {'; '.join(text)}"
        for key, record in shown.items()
        if (text := unlike(expected.get(key, without_money.get(key)), record))
    ]
    assert not wrong, f"{len(wrong)} of {len(shown)} records are not the backtest's: " + "\n".join(wrong[:5])
    newest = {}
    for record in shown.values():
        newest[record.scope] = max(newest.get(record.scope, ""), record.as_of)
    # A currency whose lines count at no date of the horizon is forgotten: its records would hold no money.
    dated = {(one.scope, one.window_days, one.as_of) for one in shown.values()}
    absent = [
        key
        for key, one in expected.items()
        if key not in shown
        and one.as_of <= newest.get(one.scope, "9999")
        and (one.gmv_minor or (one.scope, one.window_days, one.as_of) not in dated)
    ]
    assert not absent, f"{len(absent)} records of dates that have come are missing: {absent[:5]}"
    return len(shown)


def question_for(words=("shop", "market"), zones=None):
    return Question(as_of=(), words=frozenset(words), zone_of=(zones or {}).get)
