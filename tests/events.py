"""Small factories of native events: `view("u1", day=3)`, `purchase("u1", amount=100)`, `refund("u1", order="o1")`.

Days are counted from DAY_0, in the zone of the default shop; an event falls at noon there unless `at_ms` says else. The
event id is made from the content, so that the same call is the same event, unless one is given.
"""

import datetime as dt
import hashlib
import json

DAY_0 = dt.date(2026, 3, 1)
NOON_MS = int(dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=8))).timestamp() * 1000)
DAY_MS = 86_400_000


def date(day):
    """The calendar date of a day."""
    return DAY_0 + dt.timedelta(days=day)


def event(action, user, day=0, *, at_ms=None, shop="s1", **fields):
    """Any event; what is None is left out."""
    made = {
        "event_id": None,
        "action": action,
        "user_id": user,
        "event_time": NOON_MS + day * DAY_MS if at_ms is None else at_ms,
        "shop_id": shop,
    } | fields
    if made["event_id"] is None:
        made["event_id"] = "e-" + hashlib.blake2b(encode(made), digest_size=8).hexdigest()
    return {name: value for name, value in made.items() if value is not None}


def view(user, day=0, **fields):
    return event("view", user, day, **fields)


def purchase(user, day=0, *, order="o1", line=None, quantity=1, amount=100, currency="CNY", **fields):
    return event(
        "purchase",
        user,
        day,
        quantity=quantity,
        amount_minor=amount,
        currency=currency,
        order_id=order,
        line_id=line,
        **fields,
    )


def refund(user, day=0, *, order="o1", line=None, quantity=None, amount=None, currency=None, **fields):
    """Of the whole line unless a quantity or an amount is given."""
    return event(
        "refund",
        user,
        day,
        quantity=quantity,
        amount_minor=amount,
        currency=currency,
        order_id=order,
        line_id=line,
        **fields,
    )


def encode(made):
    """The record value of an event."""
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
