"""A scenario as batches to be played: first the past in one go, then the play in step with the clock."""

from collections.abc import Iterator

from schemas.control import ShopRecord
from stream.play import Batch
from stream.simulate.encode import Encoder
from stream.simulate.timeline import Scenario, Timeline, history
from stream.simulate.world import World, shop_id

_CHUNK = 20_000


def playlist(
    scenario: Scenario, *, until_ms: int | None = None, history_events: int = 0, history_days: int = 400
) -> Iterator[Batch]:
    """The scenario's events in order of arrival; endless without `until_ms`."""
    world = scenario.world()
    encoder = Encoder(world, f"{scenario.seed:x}")
    if history_events:
        past = history(scenario, world, events=history_events, days=history_days)
        for first in range(0, len(past), _CHUNK):
            yield Batch(None, encoder.encode(past[first : first + _CHUNK]))
    timeline = Timeline(scenario, world)
    for rows in timeline.ticks(until_ms):
        if len(rows):
            yield Batch(timeline.now_ms, encoder.encode(rows))


def shop_records(world: World) -> list[ShopRecord]:
    """The record of every shop: its zone and currency have to be known before its first event."""
    return [
        ShopRecord(shop_id=shop_id(shop), zone=world.zone(shop), currency=world.money(shop))
        for shop in range(world.n_shops)
    ]
