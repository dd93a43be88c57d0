"""The catalogue of the made-up shops: most items are old, some are listed shortly before the scenario or during it."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

import numpy as np

from schemas.item import ItemRecord
from stream.simulate.draws import generator
from stream.simulate.timeline import Scenario
from stream.simulate.world import item_id, shop_id

_PURPOSE_ITEMS: Final = 6
_AT_A_TIME: Final = 10_000
_NEW: Final = 0.1
"""Share of items that are listed in the 60 days around the start; the others in the three years before."""
_ON_SALE: Final = 0.95
_DEPARTMENTS: Final = 20


def item_records(scenario: Scenario) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """(keys, values) of the records, some at a time; updated at the scenario's start."""
    world, rng = scenario.world(), generator(scenario.seed, _PURPOSE_ITEMS)
    start = dt.datetime.fromtimestamp(scenario.start_ms / 1_000, dt.UTC).date()
    n = len(world.category)
    is_new = rng.random(n) < _NEW
    ages = np.where(is_new, rng.integers(-30, 30, n), rng.integers(30, 1_095, n)).tolist()
    on_sale = (rng.random(n) < _ON_SALE).tolist()
    records = [
        ItemRecord(
            item_id=item_id(item),
            updated_at=scenario.start_ms,
            shop_id=shop_id(item // world.items_per_shop),
            category_path=("all", f"d{category % _DEPARTMENTS:02d}", f"c{category:04d}"),
            listed_on=(start - dt.timedelta(days=ages[item])).isoformat(),
            price_minor=int(world.price_minor[item]),
            currency=world.money(item // world.items_per_shop),
            on_sale=on_sale[item],
        )
        for item, category in enumerate(world.category.tolist())
    ]
    for first in range(0, n, _AT_A_TIME):
        some = records[first : first + _AT_A_TIME]
        yield [record.key() for record in some], [record.encode() for record in some]
