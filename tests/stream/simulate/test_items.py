"""The catalogue of the made-up shops is one that workers take: every item that events name, some of them new."""

import datetime as dt

from processors.decode.items import decode_item
from stream.simulate.items import item_records
from stream.simulate.timeline import Scenario

START = dt.date(2026, 3, 1)
SCENARIO = Scenario(
    seed=3,
    start_ms=int(dt.datetime(2026, 3, 1, tzinfo=dt.UTC).timestamp() * 1_000),
    events_per_second=1.0,
    users=10,
    shops=4,
)


def items_of(scenario):
    return [decode_item(value, key) for some in item_records(scenario) for key, value in zip(*some, strict=True)]


def test_every_item_has_a_record_of_its_shop():
    world, items = SCENARIO.world(), items_of(SCENARIO)
    assert [item.item_id for item in items] == [b"i%06d" % n for n in range(4 * world.items_per_shop)]
    assert {(int(item.item_id[1:]) // world.items_per_shop, item.shop_id) for item in items} == {
        (n, f"s00{n}") for n in range(4)
    }
    assert [item.path[-1] for item in items] == [f"c{category:04d}" for category in world.category.tolist()]


def test_some_items_are_new_and_most_are_old():
    ages = [(START - dt.date.fromisoformat(item.listed_on)).days for item in items_of(SCENARIO)]
    assert 0.05 < sum(-30 <= age < 30 for age in ages) / len(ages) < 0.15
    assert any(age < 0 for age in ages)
    assert max(ages) > 365


def test_a_scenario_has_one_catalogue():
    assert items_of(SCENARIO) == items_of(SCENARIO)
