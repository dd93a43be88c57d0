"""Streams of events to hold the core to: small ones that shrink, and larger seeded ones.

They are made to be hard: few users, orders and ids, so that everything collides; instants at the edges of days, of
daylight saving and of years; gaps at the edges of windows and lookbacks; versions that tie in everything but their
bytes; refunds of every kind, also before their purchase and of lines that never come.
"""

import datetime as dt
import random

from hypothesis import strategies as st

from tests.events import DAY_MS, encode, event

WINDOWS = (1, 7, 30, 365)
ZONES = {
    "s1": "Asia/Shanghai",
    "s2": "America/New_York",
    "s3": "Australia/Lord_Howe",  # half an hour of daylight saving
    "s4": "Pacific/Apia",  # had no 30 December 2011
    "s5": "America/Sao_Paulo",  # put its clock forward at midnight
}
EVENT_WORDS = frozenset(
    {"shop", "category", "item", "brand", "channel", "new", "market", "market-category", "brand-wide"}
)
PROFILE_WORDS = frozenset({"group", "power", "age", "gender"})
ALL_WORDS = EVENT_WORDS | PROFILE_WORDS
FIRST_DATES = ("2011-12-25", "2018-10-31", "2023-12-28", "2024-02-27", "2024-03-07", "2024-11-01")
EDGES = (0, 1, 2, 6, 7, 8, 29, 30, 31, 364, 365, 366, 367, 371, 372, 394, 395, 396, 729, 730, 731, 760, 1095, 1096)
TIMES_MS = (0, 1, 14_400_000, 39_599_999, 39_600_000, 43_200_000, 57_599_999, 57_600_000, 86_399_999)
CHANNELS = (None, "organic", "organic/search", "organic/feed_recommendation", "paid/search_ads")


def first_ms(date):
    """Midnight UTC of a date in ISO form."""
    return int(dt.datetime.fromisoformat(date).replace(tzinfo=dt.UTC).timestamp()) * 1000


def days():
    return st.builds(lambda edge, more: edge + more, st.sampled_from(EDGES), st.sampled_from((0, 0, 0, 1, 3)))


def either(*values):
    return st.sampled_from(values)


def events_from(start_ms):
    """One event within about three years of `start_ms`."""
    at_ms = st.builds(lambda day, time: start_ms + day * DAY_MS + time, days(), either(*TIMES_MS))
    shared = {"user": either("u1", "u2"), "at_ms": at_ms, "shop": either(*ZONES)}
    where = {
        "category_id": either(None, "c1", "c2"),
        "item_id": either(None, "i1", "i2"),
        "brand_id": either(None, "b1"),
        "channel": either(*CHANNELS),
    }
    order = {"order_id": either("o1", "o2", "o3"), "line_id": either(None, "1", "2")}
    viewed = st.builds(event, either("view", "cart", "order", "comment", "cart_remove"), **shared, **where)
    bought = st.builds(
        event,
        st.just("purchase"),
        **shared,
        **where,
        **order,
        event_id=either(None, None, "p1", "p2"),
        quantity=either(1, 2, 3),
        amount_minor=either(0, 1, 100, 250),
        currency=either("CNY", "CNY", "USD"),
    )
    returned = st.builds(
        event,
        st.just("refund"),
        **shared,
        **order,
        event_id=either(None, None, "r1", "r2"),
        item_id=either(None, "i1"),
        quantity=either(None, 0, 1, 2, 3),
        amount_minor=either(None, 0, 50, 250),
        currency=either(None, None, "CNY", "USD"),
    )
    return st.one_of(viewed, bought, bought, returned)


@st.composite
def small_streams(draw, max_size=16):
    """Record values of some events, each once, in no order."""
    start_ms = first_ms(draw(either(*FIRST_DATES)))
    return [encode(made) for made in draw(st.lists(events_from(start_ms), min_size=1, max_size=max_size))]


def seeded_stream(seed, n, *, users=40, shops=5, days=1_100, first_date="2022-12-30"):
    """`n` record values in the order of event time, of shoppers who browse, buy, correct their orders and send back."""
    rng = random.Random(seed)
    start_ms = first_ms(first_date)  # what follows a purchase lies some weeks around it
    shop_names = [f"s{number + 1}" for number in range(shops)]
    bought, made = [], []
    for _ in range(n):
        at_ms = start_ms + rng.randrange(days) * DAY_MS + rng.choice([rng.randrange(DAY_MS), *TIMES_MS])
        user, shop = f"u{int(rng.paretovariate(0.6)) % users}", rng.choice(shop_names)
        action = rng.choices(
            ["view", "cart", "favourite", "cart_remove", "purchase", "again", "refund"], [10, 3, 1, 1, 6, 1, 2]
        )[0]
        where = {
            "item_id": rng.choice([None, "i1", "i2", "i3", "i4"]),
            "category_id": rng.choice([None, "c1", "c2", "c3"]),
            "brand_id": rng.choice([None, "b1", "b2"]),
            "channel": rng.choice(CHANNELS),
        }
        money = {"quantity": rng.randrange(1, 5), "amount_minor": rng.choice([0, rng.randrange(1, 10_000)])}
        if action == "purchase":
            where |= money | {
                "order_id": f"o{rng.randrange(n)}",
                "line_id": rng.choice([None, "1", "2"]),
                "currency": rng.choices(["CNY", "USD", "JPY"], [8, 2, 1])[0],
            }
            bought.append((user, shop, where, at_ms))
        elif action == "again" and bought:  # another version of a line, later or earlier, at another place
            action = "purchase"
            user, shop, line, paid_ms = rng.choice(bought)
            at_ms = paid_ms + rng.randrange(-40, 60) * DAY_MS
            named = line["line_id"] or line["item_id"]
            where |= money | {"order_id": line["order_id"], "line_id": named, "currency": line["currency"]}
        elif action == "refund" and bought:
            user, shop, line, paid_ms = rng.choice(bought)
            at_ms = paid_ms + rng.randrange(-2, 90) * DAY_MS
            where = {
                "order_id": line["order_id"],
                "line_id": line["line_id"] or line["item_id"],
                "quantity": rng.choice([None, None, 0, 1, line["quantity"]]),
                "amount_minor": rng.choice([None, None, 1, line["amount_minor"], line["amount_minor"] // 2]),
                "currency": rng.choices([None, line["currency"], "EUR"], [5, 5, 1])[0],
            }
        elif action in {"again", "refund"}:
            action = "view"
        made.append(event(action, user, at_ms=at_ms, shop=shop, **where))
    made.sort(key=lambda each: each["event_time"])
    return [encode(each) for each in made]


def profiles_of(users):
    """Profile records of the users, several of each, some of one instant; attributes may be absent."""
    attributes = {
        "group": either(None, "g1", "g16", "g7"),
        "power": either(None, "L1", "L5"),
        "age": either(None, "0-17", "56+"),
        "gender": either(None, "f", "m"),
    }
    made = st.fixed_dictionaries({"user_id": either(*users), "updated_at": either(1, 2, 3), **attributes})
    return st.lists(made.map(encode), max_size=8)


def seeded_profiles(seed, n, *, users=40):
    """`n` profile records, of users who are seen and some who are not."""
    rng = random.Random(seed)
    return [
        encode(
            {
                "user_id": f"u{rng.randrange(users + 5)}",
                "updated_at": rng.randrange(1, 20),
                "group": rng.choice([None, "unknown", *(f"g{k}" for k in range(1, 17))]),
                "power": rng.choice([None, "L1", "L2", "L3", "L4", "L5"]),
                "age": rng.choice([None, "18-23", "24-29", "30-35", "56+"]),
                "gender": rng.choice([None, "f", "m"]),
            }
        )
        for _ in range(n)
    ]


def listings_of(items, first_date):
    """Catalogue records of the items around a date, several of each, no two of one instant."""
    start = dt.date.fromisoformat(first_date)
    listed = st.builds(lambda days: (start + dt.timedelta(days=days)).isoformat(), days())
    versions = st.lists(st.tuples(either(*items), either(None) | listed), max_size=6)
    return versions.map(
        lambda found: [
            encode({"item_id": item, "updated_at": at, "shop_id": "s1", "listed_on": since})
            for at, (item, since) in enumerate(found, 1)
        ]
    )


def seeded_listings(seed, n, *, items=4, days=1_100, first_date="2022-12-30"):
    """`n` catalogue records of the items of a seeded stream, no two of one instant."""
    rng = random.Random(seed)
    start = dt.date.fromisoformat(first_date)
    return [
        encode(
            {
                "item_id": f"i{rng.randrange(1, items + 1)}",
                "updated_at": at,
                "shop_id": f"s{rng.randrange(1, 6)}",
                "listed_on": rng.choice([None, (start + dt.timedelta(days=rng.randrange(days))).isoformat()]),
                "on_sale": rng.random() < 0.8,
            }
        )
        for at in range(n)
    ]


def delivered(values, seed, *, duplicated=0.2, shuffled=True):
    """The values as a bad network brings them: some twice, in any order."""
    rng = random.Random(seed)
    arriving = values + rng.choices(values, k=int(duplicated * len(values))) if values else []
    if shuffled:
        rng.shuffle(arriving)
    return arriving


def cut(values, seed):
    """The values in batches of random sizes."""
    rng = random.Random(seed)
    batches, start = [], 0
    while start < len(values):
        size = rng.choice([1, 2, 5, 50, 400])
        batches.append(values[start : start + size])
        start += size
    return batches
