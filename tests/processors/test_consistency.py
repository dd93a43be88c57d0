"""Figures that cannot be anybody's are noticed: the kernel by its rules, and looking at what has changed by looking at
everything.
"""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.aggregate import Aggregate, can_be
from processors.counters import N_COUNTS, N_MONEY
from processors.figures import Provenance
from schemas.durable import PublishedScope
from tests.processors.test_aggregate import HORIZON_DAYS, WINDOWS, Log
from tests.streams import delivered, seeded_stream


def is_possible(counts, money):
    """One date. counts: by window (they ascend), (S, S_existing, B, B_existing, items, purchase days); money: by
    currency and window, (GMV, GMV_existing, counted lines).
    """
    before = 0, 0, 0
    for w, (s, s_existing, b, b_existing, items, buyer_days) in enumerate(counts):
        amounts = [by_window[w] for by_window in money]
        lines = sum(n for _, _, n in amounts)
        rules = (
            min(s, s_existing, b, b_existing, items, buyer_days) >= 0,
            b_existing <= b,
            b - b_existing <= s - s_existing,
            b <= buyer_days <= lines,
            b > 0 or lines == 0,
            all(0 <= gmv_existing <= gmv for gmv, gmv_existing, _ in amounts),
            all(n > 0 or (n == 0 and gmv == 0) for gmv, _, n in amounts),
            all(was <= now for was, now in zip(before, (s, b, lines), strict=True)),
        )
        if not all(rules):
            return False
        before = s, b, lines
    return True


def rows_of(lane, n):
    """[days, n * windows] as dates, windows, figures."""
    return lane.reshape(len(lane), n, -1).transpose(0, 2, 1).tolist()


def are_possible(lanes, rows):
    counts, *money = (rows_of(lane, N_MONEY if currency else N_COUNTS) for currency, lane in lanes.items())
    return all(is_possible(counts[t], [amounts[t] for amounts in money]) for t in rows)


@st.composite
def figures(draw):
    """Lanes of a few dates as people may have made them, some of them with a figure or two that nobody has made."""
    days, windows, currencies = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 2))
    rng = random.Random(draw(st.integers(0, 1 << 32)))
    counts, money = np.zeros((days, N_COUNTS, windows), int), np.zeros((currencies, days, N_MONEY, windows), int)
    for t in range(days):
        for w in range(windows):  # what happens in the shorter window happens in all longer ones
            b, b_existing = (rng.randrange(3), rng.randrange(3)) if currencies else (0, 0)
            b += b_existing
            more = b + rng.randrange(3) if b else 0
            s_existing = rng.randrange(3)
            counts[t, :, w:] += np.array(
                [b - b_existing + s_existing + rng.randrange(3), s_existing, b, b_existing, rng.randrange(5), more]
            )[:, None]
            for _ in range(more):
                existing, gmv = rng.choice([0, 0, 7]), rng.choice([0, 5])
                money[rng.randrange(currencies), t, :, w:] += np.array([existing + gmv, existing, 1])[:, None]
    for _ in range(draw(st.integers(0, 2))):
        lane = rng.choice([counts, *money])
        lane[tuple(rng.randrange(n) for n in lane.shape)] += rng.choice([-2, -1, 1, 2])
    lanes = {"": counts} | {f"C{n}": lane for n, lane in enumerate(money)}
    return {currency: np.ascontiguousarray(lane.reshape(days, -1)) for currency, lane in lanes.items()}, windows


@settings(deadline=None)
@given(figures(), st.integers(0, 1 << 32))
def test_the_kernel_is_its_rules(made, seed):
    lanes, windows = made
    rng, (counts, *money), days = random.Random(seed), lanes.values(), len(lanes[""])
    stale = np.array([[rng.random() < 0.4 for _ in range(windows)] for _ in range(days)])
    unpublished, end = rng.randint(-1, days + 1), rng.randint(0, days + 1)
    lines = np.zeros((days, windows), np.int64)
    looked_at = [t for t in range(min(end, days)) if t >= unpublished or stale[t].any()]
    told = all(
        [can_be(counts, lane, lines, stale, unpublished, end, lane is money[-1]) for lane in money]
        if money
        else [can_be(counts, np.zeros((0, 0), np.int64), lines, stale, unpublished, end, True)]
    )
    assert told == are_possible(lanes, looked_at)


def test_what_has_changed_tells_as_much_as_everything():
    """Pages come one by one and in any order, every scope is published whenever it can be anybody's, and now and then
    somebody else takes over.
    """
    values = delivered(seeded_stream(6, 120, users=8, shops=2), 6)
    log, aggregate, rng, told = Log(), Aggregate(WINDOWS, HORIZON_DAYS), random.Random(6), []
    newest, published = {}, {}
    for at in range(0, len(values), 8):
        if rng.random() < 0.3:
            aggregate = Aggregate(WINDOWS, HORIZON_DAYS)
            for key in rng.sample(sorted(newest), len(newest)):
                aggregate.apply(key, newest[key])
            aggregate.settle(published)
        pages = log.take_in(values[at : at + 8])
        for key, page in rng.sample(pages, len(pages)):
            scope = aggregate.apply(key, page)
            newest[key] = page
            was = published.get(scope, PublishedScope(0, 0, {}))
            aggregate.advance(scope, log.today, was.day)
            known = aggregate._scopes[scope]
            rows = range(min(log.today + 1 - known.first, len(known.stale)))
            is_ahead = any(base.floor > log.today for base in known.bases.values())
            told.append(aggregate.is_consistent(scope, log.today))
            assert told[-1] == (not is_ahead and are_possible(known.lanes, rows))
            if told[-1]:
                list(aggregate.take(scope, log.today, Provenance()))
                totals = was.pages | dict(aggregate.take_pages(scope))
                kept = {number: total for number, total in totals.items() if total is not None}
                published[scope] = PublishedScope(aggregate.since(scope), log.today, kept)
    assert min(told.count(True), told.count(False)) > 50
