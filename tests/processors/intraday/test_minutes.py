"""The figures of minutes equal the brute force, whatever order events come in, after recoveries and as days pass."""

import datetime as dt
import random
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.intraday.minutes import KINDS, IntradayConfig
from processors.intraday.pages import add_hours, encode_hour, read_minutes
from processors.pages import parse_page_key
from processors.partition import CoreConfig, Partition
from schemas.durable import decode_intraday, encode_intraday
from tests.core import decoded
from tests.events import encode, event, purchase, refund, view
from tests.oracle.minutes import MinuteOracle, name_of
from tests.streams import ZONES, cut, delivered

START = int(dt.datetime(2026, 11, 10, 22, tzinfo=dt.UTC).timestamp()) // 60
GAPS = (0, 0, 0, 1, 2, 4, 5, 6, 30, 58, 59, 60, 61, 700, 1438, 1439, 1440, 1441)
YEARS = (0, 0, 0, 0, 363, 364, 365, 366)
"""So many days before the stream purchases are made; nearly all stand at the edge of the lookback."""
IN_ZONES = {shop: ZoneInfo(zone) for shop, zone in ZONES.items()}
MARKET_ZONE = ZoneInfo("Asia/Shanghai")
exact = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


def core(hours=48, scopes=frozenset(KINDS), max_items=100, max_rows=500):
    return CoreConfig(
        max_users=2_000,
        max_names=100,
        max_products=100,
        max_rows=1_000,
        intraday=IntradayConfig(frozenset(scopes), hours, max_items, max_rows),
    )


class World:
    """A partition, the topics that it writes, and a clock; it can crash."""

    def __init__(self, config):
        self.config = config
        self.log, self.topic = {}, {}
        self.minute = START
        self.start()

    def start(self):
        self.partition = Partition(self.config, self.minute // 1440, zone_of=ZONES.get)
        if b"I" in self.log:
            self.partition.intraday.state = decode_intraday(self.log[b"I"])
        kept = {key: value for key, value in self.log.items() if key != b"I"}
        self.partition.load(list(kept), list(kept.values()))
        self.partition.rebuild()

    def fold(self, values):
        self.partition.fold(decoded(values))

    def commit(self, *, with_pages):
        intraday = self.partition.intraday
        if with_pages:
            for _, key, value in intraday.take_pages(self.minute):
                self.topic[key] = value
        else:
            intraday.note_pending()
        for key, value in [*self.partition.take_records(), encode_intraday(intraday.state)]:
            if value is None:
                self.log.pop(key, None)
            else:
                self.log[key] = value

    def pages(self):
        """Scope → hour → page."""
        found = {}
        for key, value in self.topic.items():
            name, _, hour = parse_page_key(key)
            if value is not None:
                found.setdefault(name.decode(), {})[hour] = value
        return found

    @property
    def first(self):
        """The first minute that is exact still."""
        return self.partition.intraday._first_hour * 60


def differences(world, values, words=KINDS):
    oracle = MinuteOracle(values, IN_ZONES, MARKET_ZONE)
    pages, wrong = world.pages(), []
    first, last = max(world.first, oracle.first - 61), world.minute
    for scope in oracle.scopes(words):
        counts, gmv = oracle.figures(scope, first, last)
        told = read_minutes(pages.get(name_of(scope), {}), first, last)
        for at, column in np.argwhere(told.counts != counts)[:3]:
            wrong.append(
                f"{name_of(scope)} minute {first + at - START}, column {column}: {told.counts[at, column]}, "
                f"should be {counts[at, column]}"
            )
        nothing = np.zeros((last - first + 1, 4), np.int64)
        for currency in {*gmv, *told.gmv}:
            money = np.column_stack(
                [told.gmv.get(currency, nothing[:, 0]), told.gmv_existing.get(currency, nothing[:, 1:])]
            )
            for at, column in np.argwhere(money != gmv.get(currency, nothing))[:3]:
                wrong.append(f"{name_of(scope)} minute {first + at - START}: {currency} in column {column}")
    if set(pages) - {name_of(scope) for scope in oracle.scopes(words)}:
        wrong.append("there are pages of other scopes")
    return wrong


def either(*values):
    return st.sampled_from(values)


@st.composite
def streams(draw, max_size=14):
    """Record values in the order of event time: gaps at the edges of windows, few of everything."""
    at, made = START, []
    for gap in draw(st.lists(either(*GAPS), min_size=1, max_size=max_size)):
        at += gap
        where = {
            "item_id": draw(either(None, "i1", "i2")),
            "channel": draw(either(None, "paid/feed_ads", "paid", "live")),
        }
        user, shop = draw(either("u1", "u1", "u2")), draw(either("s1", "s1", "s2"))
        at_ms = at * 60_000 + draw(either(0, 59_999))
        action = draw(either("view", "cart", "purchase", "purchase", "refund", "cart_remove"))
        if action == "purchase":
            at_ms -= draw(either(*YEARS)) * 86_400_000
        if action == "purchase":
            order = {"order": draw(either("o1", "o2")), "line": draw(either(None, "1"))}
            amount = draw(either(0, 100, 250))
            made.append(purchase(user, at_ms=at_ms, shop=shop, amount=amount, quantity=2, **order, **where))
        elif action == "refund":
            order = {"order": draw(either("o1", "o2")), "line": draw(either(None, "1")), "item_id": where["item_id"]}
            taken = draw(either({}, {"quantity": 1}, {"amount": 50}, {"quantity": 2}))
            made.append(refund(user, at_ms=at_ms, shop=shop, **order, **taken))
        else:
            made.append(event(action, user, at_ms=at_ms, shop=shop, **where))
    return [encode(each) for each in made]


def minute_of(values):
    return max(START, *map(read_at, values))


@exact
@given(streams(), st.integers(0, 2**32))
def test_minutes_are_exact_for_any_stream_in_any_order(values, seed):
    world = World(core(hours=24 * 30))
    for batch in cut(delivered(values, seed), seed):
        world.fold(batch)
    world.minute = minute_of(values) + random.Random(seed).choice([0, 3, 59, 61, 1440, 3000])
    world.commit(with_pages=True)
    assert differences(world, values) == []


@exact
@given(streams(20), st.integers(0, 2**32))
def test_minutes_are_exact_through_crashes_late_events_and_passing_days(values, seed):
    """Events come in about their order; commits with and without pages, crashes that lose what has not committed."""
    rng = random.Random(seed)
    world = World(core(hours=rng.choice([24, 48])))
    arriving = sorted(values, key=lambda v: (read_at(v) + rng.choice([0, 0, 0, 3, 90, 1500, 600_000]), v))
    arriving += rng.choices(values, k=4)
    uncommitted = []
    for value in arriving:
        world.minute = max(world.minute, read_at(value) - rng.choice([0, 0, 5]))
        world.fold([value])
        uncommitted.append(value)
        chance = rng.random()
        if chance < 0.3:
            world.commit(with_pages=chance < 0.15)
            uncommitted.clear()
        elif chance < 0.45:
            world.start()
            for each in uncommitted:
                world.fold([each])
    world.minute += rng.choice([0, 7, 61, 1441, 5000])
    world.commit(with_pages=True)
    assert differences(world, values) == []


def read_at(value):
    import json

    return json.loads(value)["event_time"] // 60_000


@exact
@given(streams(), st.integers(0, 2**32))
def test_a_recovered_partition_publishes_nothing_anew_and_goes_on(values, seed):
    world = World(core())
    for batch in cut(delivered(values, seed), seed):
        world.fold(batch)
    world.minute = minute_of(values) + 1
    world.commit(with_pages=True)
    before = dict(world.topic)
    world.start()
    assert list(world.partition.intraday.take_pages(world.minute)) == []
    world.fold(values)
    assert list(world.partition.intraday.take_pages(world.minute)) == []
    world.minute += 180
    world.commit(with_pages=True)
    assert differences(world, values) == []
    assert {key: world.topic[key] for key in before if before[key]} == {k: v for k, v in before.items() if v}


def test_hours_are_published_by_an_owner_whose_clock_is_behind_the_former_ones():
    """After a takeover not all partitions have been read: their clock is behind. What comes then is in later hours."""
    early, late = view("u1", at_ms=START * 60_000), view("u2", at_ms=(START + 30) * 60_000)
    world = World(core())
    world.fold([encode(early)])
    world.minute = START + 3 * 60
    world.commit(with_pages=True)
    world.start()
    world.minute = START + 30
    world.fold([encode(late)])
    world.commit(with_pages=True)
    world.minute = START + 3 * 60
    world.commit(with_pages=True)
    assert differences(world, [encode(early), encode(late)]) == []


def test_partitions_add_up():
    """A page of two partitions' users is the sum of their pages, and reads as one partition's would."""
    values = [encode(view(f"u{n}", at_ms=(START + n % 7) * 60_000)) for n in range(20)]
    values += [encode(purchase(f"u{n}", at_ms=(START + n) * 60_000, amount=n)) for n in range(5)]
    whole, parts = World(core()), [World(core()), World(core())]
    whole.fold(values)
    for n, part in enumerate(parts):
        part.fold([value for value in values if int(read_user(value)[1:]) % 2 == n])
    for world in (whole, *parts):
        world.minute = START + 10
        world.commit(with_pages=True)
    for name, hours in whole.pages().items():
        for hour, page in hours.items():
            found = [part.pages()[name][hour] for part in parts if hour in part.pages()[name]]
            assert encode_hour(add_hours(found)) == page


def read_user(value):
    import json

    return json.loads(value)["user_id"]


def test_what_comes_too_late_is_counted_and_changes_nothing():
    world = World(core(hours=24))
    world.fold([encode(view("u1", at_ms=START * 60_000))])
    world.commit(with_pages=True)
    before = dict(world.topic)
    world.fold([encode(view("u2", at_ms=(START - 5 * 1440) * 60_000))])
    world.commit(with_pages=True)
    assert world.topic == before
    assert world.partition.intraday.take_left_out() == {"late": 1, "rows": 0}


def test_marks_are_forgotten_after_their_days():
    world = World(core(hours=24))
    world.fold([encode(view(f"u{n}", at_ms=(START + n) * 60_000)) for n in range(9)])
    world.commit(with_pages=True)
    assert sum(key[:1] == b"M" for key in world.log) == 9
    assert world.partition.intraday.sizes().marks == 9
    world.minute += 5 * 1440
    for _ in range(2):
        world.commit(with_pages=True)
    assert sum(key[:1] == b"M" for key in world.log) == 0
    assert world.partition.intraday.sizes().marks == 0


def test_items_beyond_the_bound_count_as_other():
    world = World(core(max_items=3))  # the number 1 is _other, so two items have figures of their own
    world.fold([encode(view("u1", at_ms=START * 60_000, item_id=f"i{n}")) for n in range(5)])
    world.commit(with_pages=True)
    assert {name for name in world.pages() if "item" in name} == {
        "shop=s1|item=i0",
        "shop=s1|item=i1",
        "shop=s1|item=_other",
    }


def test_rows_beyond_the_bound_are_left_out_and_told():
    world = World(core(scopes={"shop"}, max_rows=2))
    world.fold([encode(view("u1", at_ms=START * 60_000, shop=f"s{n}")) for n in range(1, 5)])
    world.commit(with_pages=True)
    assert set(world.pages()) == {"shop=s1", "shop=s2"}
    assert world.partition.intraday.take_left_out() == {"late": 0, "rows": 2}


@pytest.mark.parametrize("scopes", [{"shop"}, {"shop", "channel"}, {"item"}])
def test_kept_scopes_are_exact_without_the_others(scopes):
    rng = random.Random(7)
    values = []
    for _ in range(400):
        at_ms = (START + rng.randrange(3_000)) * 60_000
        where = {"item_id": rng.choice([None, "i1", "i2"]), "channel": rng.choice([None, "paid", "paid/feed_ads"])}
        user = f"u{rng.randrange(9)}"
        values.append(encode(event(rng.choice(["view", "cart"]), user, at_ms=at_ms, **where)))
        if rng.random() < 0.2:
            values.append(encode(purchase(user, at_ms=at_ms, order=f"o{rng.randrange(50)}", **where)))
    world = World(core(scopes=scopes))
    for batch in cut(values, 7):
        world.fold(batch)
    world.minute = START + 3_000
    world.commit(with_pages=True)
    assert differences(world, values, scopes) == []
