"""The new-product power of a shop, read from the serving store."""

import datetime as dt
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from processors.calendar import day_of
from processors.counters import S
from processors.pages import PageError
from processors.peers import NO_TIER, tier_numbers
from processors.power import Floats, columns, item_days, lifts, powers, shares
from processors.snapshot import Values, values_at
from schemas.errors import SmartError
from schemas.power import ChannelPower, PowerBlock, PowerRecord, decode_power_block
from schemas.scopes import Scope, parse
from schemas.store import power_key
from serving.peers import last_period, shops_at, shops_of
from serving.store import StoreError, StoreReader

_SHOPS_AT_A_TIME: Final = 50
"""The pages of so many shops' channels are read at once."""


class _Drawn(NamedTuple):
    """What the channels of one shop have drawn in a period."""

    s: dict[str, int]
    """Channel (its first level) → active users."""
    s_new_items: dict[str, int]
    """The same of new items."""
    item_days: int
    new_item_days: int


async def power_of(
    reader: StoreReader, shop: Scope, date: dt.date | None, windows: Sequence[int], horizon_days: int
) -> PowerRecord:
    """The shop's last complete period up to `date` (None: its newest).

    windows, horizon_days: those of the workers. Raises SmartError where there is no such period or no figure,
    StoreError.
    """
    window_days, end = await last_period(reader, shop, date, windows, horizon_days)
    (own,) = await _drawn(reader, [shop.name], windows, window_days, end)
    if not own.s:
        raise SmartError(
            f"there are no figures of channels of {shop.name} for the {window_days} days to {end}; "
            "SMART_SCOPES needs channel and new"
        )
    block = await _block(reader, end, windows, window_days)
    return _record(shop, own, block, window_days, end)


async def _block(reader: StoreReader, end: dt.date, windows: Sequence[int], window_days: int) -> PowerBlock:
    """What is published of a period: by us, if by nobody before."""
    key = power_key(end.isoformat(), window_days)
    found = await reader.published_once(key)
    if found is None:
        names, values = await shops_at(reader, windows, end)
        shops = shops_of(names, values, windows, window_days, end)
        drawn: list[_Drawn] = []
        for first in range(0, len(shops), _SHOPS_AT_A_TIME):
            some = [shop.name for shop in shops[first : first + _SHOPS_AT_A_TIME]]
            drawn += await _drawn(reader, some, windows, window_days, end)
        block = _computed([shop.name for shop in shops], tier_numbers(shops), drawn, end, window_days)
        if not block.powers:
            return block  # nothing to publish; there may only be no catalogue yet
        found = await reader.publish_once(key, block.encode())
    try:
        return decode_power_block(found)
    except msgspec.DecodeError as error:
        raise StoreError(f"the serving store holds no powers under {key}: {error}") from error


def _computed(
    shops: Sequence[str], tiers: Sequence[int], drawn: Sequence[_Drawn], end: dt.date, window_days: int
) -> PowerBlock:
    lift, tier = _lifts(drawn), np.array(tiers, np.int64)
    power = powers(lift, tier)
    counted = {number: int((~np.isnan(lift[tier == number])).sum()) for number in set(tiers) - {NO_TIER}}
    known = np.flatnonzero(~np.isnan(power)).tolist()
    return PowerBlock(
        as_of=end.isoformat(),
        window_days=window_days,
        powers={shops[i]: float(power[i]) for i in known},
        shops={shops[i]: counted[tiers[i]] for i in known},
    )


def _lifts(drawn: Sequence[_Drawn]) -> Floats:
    channels = sorted({channel for one in drawn for channel in one.s})
    return lifts(
        columns([one.s for one in drawn], channels),
        columns([one.s_new_items for one in drawn], channels),
        np.array([one.item_days for one in drawn], np.int64),
        np.array([one.new_item_days for one in drawn], np.int64),
    )


async def _drawn(
    reader: StoreReader, shops: Sequence[str], windows: Sequence[int], window_days: int, end: dt.date
) -> list[_Drawn]:
    """What the channels of shops have drawn in the period."""
    families = await reader.families([f"{shop}|{kind}" for shop in shops for kind in ("channel", "new")])
    scopes = [scope for family in families for scope in family if "/" not in parse(scope).value]
    packed = await reader.pages_of_many(scopes)
    try:
        values = values_at(packed, len(scopes), len(windows), day_of(end))
    except PageError as error:
        raise SmartError(f"the pages of the serving store cannot be read: {error}") from error
    s = _active_users(scopes, values, list(windows).index(window_days))
    first, last = day_of(end) - window_days + 1, day_of(end)
    found = []
    for shop, on_sale in zip(shops, await reader.on_sale(shops), strict=True):
        by_kind = {kind: s.get((parse(shop).shop, kind), {}) for kind in ("channel", "new")}
        found.append(_Drawn(by_kind["channel"], by_kind["new"], *item_days(on_sale, first, last)))
    return found


def _active_users(scopes: Sequence[str], values: Values, window: int) -> dict[tuple[str | None, str], dict[str, int]]:
    """(shop, cross) → value → S."""
    found: dict[tuple[str | None, str], dict[str, int]] = {}
    for name, s in zip(scopes, values.counts[:, S, window].tolist(), strict=True):
        scope = parse(name)
        if s:
            found.setdefault((scope.shop, scope.kind), {})[scope.value] = s
    return found


def _record(shop: Scope, own: _Drawn, block: PowerBlock, window_days: int, end: dt.date) -> PowerRecord:
    channels = sorted(own.s, key=lambda channel: (-own.s[channel], channel))
    s, fresh = columns([own.s], channels)[0], columns([own.s_new_items], channels)[0]
    total = np.full(len(channels), s.sum())
    lift = shares(fresh * own.item_days, s * own.new_item_days)
    rows = zip(channels, s.tolist(), fresh.tolist(), shares(fresh, s), lift, shares(s, total), strict=True)
    return PowerRecord(
        scope=shop.name,
        as_of=end.isoformat(),
        window_days=window_days,
        power=block.powers.get(shop.name),
        tier_shops=block.shops.get(shop.name),
        lift=_value(_lifts([own])[0]),
        expected_share=own.new_item_days / own.item_days if own.item_days else None,
        item_days=own.item_days,
        new_item_days=own.new_item_days,
        channels=[
            ChannelPower(channel=c, s=n, s_new_items=k, share=_value(share), lift=_value(up), weight=_value(weight))
            for c, n, k, share, up, weight in rows
        ],
    )


def _value(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
