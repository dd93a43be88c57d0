"""Traffic comes in order of arrival, at its rate, the same for the same seed."""

from dataclasses import replace
from itertools import islice

import numpy as np

from schemas.event import Action
from stream.simulate.promotion import DAY_MS, HOUR_MS, Curve, Phase
from stream.simulate.timeline import Scenario, Timeline, history

NOON_MS = 1_793_894_400_000 + 12 * HOUR_MS
FLAT = Curve(has_daily_rhythm=False)
SCENARIO = Scenario(seed=7, start_ms=NOON_MS, events_per_second=500, users=2_000, shops=10, curve=FLAT)


def played(scenario, ticks):
    return list(islice(Timeline(scenario).ticks(), ticks))


def test_the_same_seed_plays_the_same_events():
    one, other = played(SCENARIO, 20), played(SCENARIO, 20)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_another_seed_plays_others():
    assert not np.array_equal(played(SCENARIO, 1)[0], played(replace(SCENARIO, seed=8), 1)[0])


def test_events_come_in_order_of_arrival_within_their_tick():
    for number, rows in enumerate(played(SCENARIO, 20)):
        begins_ms = NOON_MS + number * SCENARIO.tick_ms
        assert rows["arrive_ms"].min() >= begins_ms
        assert rows["arrive_ms"].max() < begins_ms + SCENARIO.tick_ms
        assert (np.diff(rows["arrive_ms"]) >= 0).all()


def test_no_event_comes_before_it_has_happened():
    assert all((rows["event_ms"] < rows["arrive_ms"]).all() for rows in played(SCENARIO, 20))


def test_a_tick_in_which_nothing_begins_is_empty():
    quiet = replace(SCENARIO, events_per_second=1e-6)
    assert [len(rows) for rows in played(quiet, 3)] == [0, 0, 0]


def test_the_rate_holds_from_the_first_second():
    counts = [len(rows) for rows in played(SCENARIO, 30)]
    assert 350 < np.mean(counts[:5]) < 600
    assert 400 < np.mean(counts) < 600


def test_nothing_is_lost_while_it_waits():
    timeline = Timeline(SCENARIO)
    before = timeline.waiting
    taken = sum(len(timeline.take()) for _ in range(5))
    assert taken > 0
    assert before > 0
    rows = np.concatenate([timeline.take() for _ in range(3_000 // 10)])
    assert (rows["action"] == Action.PURCHASE).any()


def test_a_promotion_swells_to_its_midnight():
    midnight_ms = NOON_MS + 4 * DAY_MS
    curve = Curve(midnight_ms, has_daily_rhythm=False)
    scenario = replace(SCENARIO, events_per_second=1, curve=curve, tick_ms=600_000)
    timeline = Timeline(scenario)
    per_hour: dict[int, int] = {}
    bought: dict[int, int] = {}
    for rows in timeline.ticks(midnight_ms + DAY_MS):
        hour = (timeline.now_ms - 1 - midnight_ms) // HOUR_MS
        per_hour[hour] = per_hour.get(hour, 0) + len(rows)
        bought[hour] = bought.get(hour, 0) + int((rows["action"] == Action.PURCHASE).sum())
    assert max(per_hour, key=per_hour.__getitem__) == 0
    assert per_hour[0] > 3 * per_hour[-90]
    assert bought[0] > 20 * max(bought[hour] for hour in range(-80, -50))
    assert per_hour[20] < per_hour[0] / 3


def test_the_phases_follow_each_other():
    curve = Curve(midnight_ms=0)
    phases = [curve.phase(hours * HOUR_MS) for hours in (-100, -90, -10, 1, 10, 100)]
    assert phases == [Phase.ORDINARY, Phase.DEPOSIT, Phase.PREHEAT, Phase.PEAK, Phase.TAIL, Phase.ORDINARY]


def test_an_ordinary_day_has_the_asked_rate_on_average():
    curve = Curve()
    assert 0.95 < np.mean([curve.intensity(minute * 60_000) for minute in range(0, 1_440, 10)]) < 1.05


def test_the_history_lies_before_the_start_and_shares_no_event_with_the_play():
    world = SCENARIO.world()
    past = history(SCENARIO, world, events=20_000, days=400)
    assert 15_000 < len(past) < 25_000
    assert past["arrive_ms"].max() < NOON_MS
    assert past["event_ms"].min() < NOON_MS - 390 * DAY_MS
    assert (past["action"] == Action.PURCHASE).sum() > 100
    assert not set(past["sequence"].tolist()) & set(np.concatenate(played(SCENARIO, 5))["sequence"].tolist())
