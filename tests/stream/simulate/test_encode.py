"""Simulated traffic is valid native traffic, byte for byte the same for a seed, and quick to make."""

import hashlib
import json
import time

import msgspec
import numpy as np
import pytest

from schemas.event import FIELDS, Action, Event
from schemas.topics import TOPIC_OF_ACTION
from stream.simulate.benchmark import START_MS, Shape, batches, traffic
from stream.simulate.channels import CHANNELS
from stream.simulate.draws import generator, running_sum, within_run
from stream.simulate.encode import Encoder
from stream.simulate.journeys import Habits, Season, sessions
from stream.simulate.promotion import DAY_MS, MOODS, Phase
from stream.simulate.world import World

SHAPE = Shape(events=20_000, users=2_000, shops=10, refund_share=0.2, duplicate_share=0.02)


@pytest.fixture(scope="module")
def messages():
    world = World.of(1, users=500, shops=20)
    season = Season(MOODS[Phase.PEAK])
    rows = sessions(generator(1, 9), world, Habits(), season, start_ms=START_MS, span_ms=60_000, n=3_000, number_from=0)
    return Encoder(world, "x").encode(rows)


def test_every_record_is_a_valid_event(messages):
    for value in messages.values:
        event = msgspec.json.decode(value, type=Event)
        if event.action in ("order", "purchase"):
            assert event.order_id
            assert event.line_id
            assert event.quantity
            assert event.amount_minor is not None
            assert event.currency
        if event.action == "refund":
            assert event.order_id
        if event.action == "touch":
            assert event.touch
            assert event.source


def test_every_record_has_its_users_key_and_its_actions_topic(messages):
    for topic, key, value in messages.records():
        event = json.loads(value)
        assert key == event["user_id"].encode()
        assert topic == TOPIC_OF_ACTION[Action[event["action"].upper()]]
    assert set(messages.topics) == {"events.browse", "events.cart", "events.purchase", "events.touch"}


def test_fields_stand_in_one_order(messages):
    order = {field: place for place, field in enumerate(
        ["event_id", "action", "user_id", "event_time", "shop_id", "item_id", "category_id", "brand_id", "channel",
         "dwell_ms", "touch", "source", "quantity", "amount_minor", "currency", "order_id", "line_id"])}  # fmt: skip
    assert set(order) == set(FIELDS)
    for value in messages.values:
        places = [order[field] for field in json.loads(value)]
        assert places == sorted(places)


def test_the_shops_are_in_several_zones_with_their_own_money(messages):
    money = {(event["shop_id"], event["currency"]) for event in map(json.loads, messages.values) if "currency" in event}
    assert len({shop for shop, _ in money}) == len(money)
    assert {currency for _, currency in money} >= {"CNY", "USD"}


def test_benchmark_traffic_is_the_same_bytes_for_a_seed():
    def digest(seed):
        return hashlib.sha256(b"\n".join(value for _, _, value in traffic(seed, SHAPE))).hexdigest()

    assert digest(5) == digest(5)
    assert digest(5) != digest(6)


def test_benchmark_traffic_does_not_depend_on_how_it_is_cut():
    whole = traffic(5, SHAPE)
    pieces = [record for batch in batches(5, SHAPE, chunk=777) for record in batch.records()]
    assert pieces == whole


def test_benchmark_traffic_has_its_shape():
    events = [json.loads(value) for _, _, value in traffic(5, SHAPE)]
    share = {
        action: sum(event["action"] == action for event in events) / len(events) for action in ("view", "purchase")
    }
    assert share["view"] == pytest.approx(0.7, abs=0.02)
    assert share["purchase"] == pytest.approx(0.03, abs=0.01)
    assert any(event["action"] == "refund" for event in events)
    assert len({event["event_id"] for event in events}) < len(events)
    assert {event["channel"] for event in events if "channel" in event} == set(CHANNELS)
    days = {event["event_time"][:10] for event in events}
    assert len(days) == SHAPE.days
    assert SHAPE.days * DAY_MS == 864_000_000
    assert 200 < np.mean([len(value) for _, _, value in traffic(5, SHAPE)]) < 260


def test_traffic_is_made_faster_than_it_is_asked_for():
    began = time.perf_counter()
    n = sum(len(batch.values) for batch in batches(5, Shape(events=60_000, users=20_000)))
    assert n / (time.perf_counter() - began) > 25_000  # 160 k/s on an idle core; this machine may be busy


def test_runs_are_numbered_and_summed_one_by_one():
    lengths = np.array([2, 0, 3])
    assert within_run(lengths).tolist() == [0, 1, 0, 1, 2]
    assert running_sum(np.array([5, 6, 7, 8, 9]), lengths).tolist() == [0, 5, 0, 7, 15]
