"""What happens to the world, drawn from a seed: shape of the deployment, events of shoppers, faults.

Histories are tiny and mean: few users, orders and ids, so that everything collides; late events, refunds before their
purchase, versions of one line, duplicates, records that have to be refused; jumps over midnight.
"""

import datetime as dt
import random
from dataclasses import dataclass, field

from processors.decode.murmur import partition_of
from schemas.topics import EVENTS_BROWSE, EVENTS_PURCHASE, ITEMS, PROFILES, dead_letter_topic
from tests.events import DAY_MS, encode, event

START_MS = 1_772_323_200_000
"""2026-03-01T00:00Z."""
ITEMS_SOLD = ["i1", "i2"]
USERS = ["ann", "bob", "cat", "dan"]
"""Each partition has some of them."""
ZONES = {"s1": "Asia/Shanghai", "s2": "America/New_York", "s3": "Asia/Shanghai"}
MIDNIGHTS_UTC_H = (16, 5, 4)
"""When dates change in the zones, in hours of UTC."""
LAGS_DAYS = (0, 0, 0, 0, 0, 1, 1, 2, 6, 7, 8, 30, 36, 200, 366, 372)
POINTS = (
    "now", "folded",
    *(
        f"{what}, {phase}"
        for what in (
            "send records", "commit transaction", "commit offsets", "start producer", "read changelog",
            "committed offsets", "end of changelog", "fetch", "read control topics", "join",
        )
        for phase in ("asked", "done", "answered")
    ),
)  # fmt: skip
"""Where a process can be hit: before a request leaves it, when the broker has done it, when the answer has come."""
LIKELY_POINTS = (
    "send records, done", "commit transaction, asked", "commit transaction, done", "commit transaction, answered",
    "commit offsets, asked", "commit offsets, done",
)  # fmt: skip


@dataclass
class Fault:
    kind: str
    """crash, pause (short), freeze (longer than the session), stop."""
    point: str
    at_ms: float
    for_ms: float = 0.0


@dataclass
class Shape:
    """What a seed makes of the deployment."""

    workers: int
    partitions: int
    clock: str
    windows: tuple
    active_ms: float
    commit_interval_s: float
    records_at_a_time: int
    undecodable_run_max: int
    faults: list[Fault] = field(default_factory=list)
    rebalances_ms: list[float] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    jumps: list[tuple[float, str]] = field(default_factory=list)
    compactions_ms: list[float] = field(default_factory=list)
    third_joins_ms: float | None = None


def draw_shape(rng: random.Random) -> Shape:
    active_ms = rng.choice([2_000, 5_000, 8_000])
    partitions = rng.choice([2, 2, 2, 3])
    shape = Shape(
        workers=rng.choice([2, 2, 2, 1]),
        partitions=partitions,
        clock=rng.choice(["wall", "event"]),
        windows=rng.choice([(1, 7), (1, 7), (1, 30), (7,)]),
        active_ms=active_ms,
        commit_interval_s=rng.choice([0.4, 0.8]),
        records_at_a_time=rng.choice([1, 3, 4_000]),
        undecodable_run_max=rng.choice([1_000, 1_000, 1_000, 3]),
    )

    def some(most):
        return sorted(rng.uniform(0, active_ms) for _ in range(rng.randint(0, most)))

    for at_ms in some(4):
        kind = rng.choice(["crash", "crash", "pause", "freeze", "freeze", "stop"])
        point = rng.choice([rng.choice(POINTS), rng.choice(LIKELY_POINTS)])
        for_ms = {"pause": rng.uniform(50, 1_500), "freeze": rng.uniform(3_200, 8_000)}.get(kind, 0.0)
        shape.faults.append(Fault(kind, "now" if kind == "stop" else point, at_ms, for_ms))
    shape.rebalances_ms = some(3)
    shape.outages = [(at_ms, rng.choice([300, 2_000, 7_000])) for at_ms in some(1)]
    shape.jumps = [(at_ms, rng.choice(["midnight", "midnight", "hours", "days", "months"])) for at_ms in some(3)]
    shape.compactions_ms = some(3)
    if rng.random() < 0.15:
        shape.third_joins_ms = rng.uniform(0, active_ms)
    return shape


class Traffic:
    """Makes records, and keeps the account of what the product must have made of them."""

    def __init__(self, rng: random.Random, partitions: int, *, is_wall: bool):
        self._rng = rng
        self._partitions = partitions
        self._is_wall = is_wall
        self._made: list[tuple[str, str, bytes]] = []
        self._bought: list[tuple[str, str, dict]] = []
        self.accepted: list[bytes] = []
        self.profiles: list[bytes] = []
        self.items: list[tuple[bytes, bytes | None]] = []
        """(key, value) of the catalogue's records, good and bad, in the order of the topic."""
        self.produced_items: list[str] = []
        """For each of them "" or its refusal code."""
        self.item_offsets: list[int] = []
        """For each of them where it lies: the product writes into the topic, too."""
        self.produced: dict[tuple[str, int], list[str]] = {}
        """(topic, partition) → by offset what each record is: "" or its refusal code."""

    def next(self, wall_ms: int):
        """(topic, partition, key, value, refusal code or "") of the next record."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.12 and self._made:
            topic, user, value = rng.choice(self._made)
            return self._noted(topic, user, value, "")
        if draw < 0.22:
            return self._refused(wall_ms)
        if draw < 0.34:
            return self._profile()
        if draw < 0.42:
            return self._item(wall_ms)
        topic, user, value = self._event(wall_ms)
        self._made.append((topic, user, value))
        return self._noted(topic, user, value, "")

    def _profile(self):
        """Of a user; older ones come late, and some of two of one instant."""
        rng, user = self._rng, self._rng.choice(USERS)
        made = {"user_id": user, "updated_at": rng.randint(1, 9), "gender": rng.choice(["f", "m", None])}
        code = rng.choice(["", "", "", "", "", "unknown_value"])
        made["group"] = "g99" if code else rng.choice(["g1", "g2", "g16", None])
        value = encode(made)
        if not code:
            self.profiles.append(value)
        return self._noted(PROFILES, user, value, code)

    def _item(self, wall_ms):
        """Of the catalogue: listed now or long ago, newer or older than what is there, bad, or deleted."""
        rng, item = self._rng, self._rng.choice(ITEMS_SOLD)
        kind = rng.choice(["", "", "", "", "bad_time", "deleted"])
        if kind == "deleted":
            value = None
        else:
            listed = dt.datetime.fromtimestamp(wall_ms / 1_000 - 86_400 * rng.choice([0, 1, 6, 29, 30, 200]), dt.UTC)
            listed_on = "soon" if kind else listed.date().isoformat()
            value = encode({"item_id": item, "updated_at": rng.randint(1, 9), "shop_id": "s1", "listed_on": listed_on})
        self.items.append((item.encode(), value))
        self.produced_items.append("bad_time" if kind == "bad_time" else "")
        return ITEMS, 0, item.encode(), value

    def _at(self, wall_ms):
        rng = self._rng
        instant = wall_ms - rng.choice(LAGS_DAYS) * DAY_MS - rng.choice([0, 0, 0, rng.randrange(4 * 3_600_000)])
        return int(instant) // 1000 * 1000

    def _event(self, wall_ms):
        rng = self._rng
        user, shop = rng.choice(USERS), rng.choice(["s1", "s1", "s2", "s3"])
        kind = rng.choices(["view", "purchase", "again", "refund"], [5, 4, 1, 3])[0]
        at_ms = self._at(wall_ms)
        order = {"order_id": rng.choice(["o1", "o2"]), "line_id": "1"}
        if kind in {"again", "refund"} and self._bought:
            user, shop, order = rng.choice(self._bought)
        money = {"quantity": rng.randint(1, 3), "amount_minor": rng.choice([100, 250, 990])}
        where = {"item_id": rng.choice(ITEMS_SOLD), "channel": rng.choice([None, "live/live_room"])}
        if kind in {"purchase", "again"}:
            self._bought.append((user, shop, order))
            currency = rng.choice(["CNY", "CNY", "CNY", "USD"])
            return (
                EVENTS_PURCHASE,
                user,
                encode(event("purchase", user, at_ms=at_ms, shop=shop, currency=currency, **where, **order, **money)),
            )
        if kind == "refund":
            part = rng.choice([{}, {}, {"quantity": 1, "amount_minor": 100}])
            return EVENTS_PURCHASE, user, encode(event("refund", user, at_ms=at_ms, shop=shop, **order, **part))
        return EVENTS_BROWSE, user, encode(event("view", user, at_ms=at_ms, shop=shop, **where))

    def _refused(self, wall_ms):
        rng = self._rng
        kinds = ["not_json", "unknown_action", "key_mismatch", *(["time_ahead"] if self._is_wall else [])]
        code, user = rng.choice(kinds), rng.choice(USERS)
        if code == "not_json":
            return self._noted(EVENTS_BROWSE, user, b"<?xml?>", code)
        action = "sneeze" if code == "unknown_action" else "view"
        made = event(action, "u9" if code == "key_mismatch" else user, at_ms=wall_ms)
        if code == "time_ahead":
            made = event("view", user, at_ms=wall_ms + 3_600_000)
        return self._noted(EVENTS_BROWSE, user, encode(made), code)

    def _noted(self, topic, user, value, code):
        partition = partition_of(user.encode(), self._partitions)
        self.produced.setdefault((topic, partition), []).append(code)
        if not code and topic != PROFILES:
            self.accepted.append(value)
        return topic, partition, user.encode(), value


__all__ = ["START_MS", "ZONES", "Fault", "Shape", "Traffic", "dead_letter_topic", "draw_shape"]
