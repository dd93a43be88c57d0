"""A shop beside the mean of its tier, read from the serving store."""

import datetime as dt
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from processors.calendar import date_of, day_of
from processors.counters import GMV, ITEMS
from processors.figures import Provenance
from processors.pages import PageError
from processors.peers import MIN_SHOPS, Shop, peer_block, shop_of
from processors.snapshot import Values, records_at, values_at
from schemas.errors import SmartError
from schemas.factors import FactorRecord
from schemas.peers import PeerBlock, PeerFigure, PeerRecord, decode_block
from schemas.scopes import MARKET, Scope
from schemas.store import peers_key
from serving.breakdown import figures_at
from serving.store import StoreError, StoreReader

SETTLED_DAYS: Final = 3
"""So long after its end a period is published: most late events have come, and its date is over in every zone."""
LONGEST_PERIOD_DAYS: Final = 31


def period_days(windows: Sequence[int]) -> int:
    """Length of the periods that tiers are published for: the longest kept one of at most a month.

    >>> period_days((1, 7, 30, 365)), period_days((1, 7)), period_days((90, 365))
    (30, 7, 90)
    """
    return max((window for window in windows if window <= LONGEST_PERIOD_DAYS), default=windows[0])


def period_end(date: dt.date, window_days: int) -> dt.date:
    """The last date, up to `date`, of a period. The periods of one length follow each other without meeting."""
    return date_of((day_of(date) + 1) // window_days * window_days - 1)


async def peers_of(
    reader: StoreReader, shop: Scope, date: dt.date | None, windows: Sequence[int], horizon_days: int
) -> PeerRecord:
    """The shop's last complete period up to `date` (None: its newest), and the mean of its tier.

    windows, horizon_days: those of the workers. Raises SmartError where there is no such period, no tier or no figure,
    StoreError.
    """
    window_days, end = await last_period(reader, shop, date, windows, horizon_days)
    block = await _block(reader, end, windows, window_days)
    own = await figures_at(reader, [shop.name], windows, window_days, end, Provenance())
    return _record(block, shop, own)


async def last_period(
    reader: StoreReader, shop: Scope, date: dt.date | None, windows: Sequence[int], horizon_days: int
) -> tuple[int, dt.date]:
    """(length in days, end) of the shop's last complete period up to `date`. Arguments and errors as of `peers_of`."""
    newest = await reader.newest(shop.name)
    if not newest:
        raise SmartError(f"there are no figures of {shop.name}")
    latest = max(newest, key=lambda record: record.as_of)
    last = dt.date.fromisoformat(latest.as_of)
    window_days = period_days(windows)
    end = period_end(min(date or last, last - dt.timedelta(days=SETTLED_DAYS)), window_days)
    first = end - dt.timedelta(days=window_days - 1)
    if end < last - dt.timedelta(days=horizon_days) or first.isoformat() < (latest.history_from or "9999"):
        raise SmartError(
            f"there are no figures of the whole period of {window_days} days to {end}: data begin on "
            f"{latest.history_from or 'no known date'}, and {horizon_days} dates are kept"
        )
    return window_days, end


async def shops_at(reader: StoreReader, windows: Sequence[int], end: dt.date) -> tuple[list[str], Values]:
    """All shops, and their figures and those of the market (the last one) at a date. Raises SmartError, StoreError."""
    shops = await reader.family("shop")
    packed = await reader.pages_of_many([*shops, MARKET])
    try:
        values = values_at(packed, len(shops) + 1, len(windows), day_of(end))
    except PageError as error:
        raise SmartError(f"the pages of the serving store cannot be read: {error}") from error
    if not _is_whole(values):
        raise StoreError("the serving store is being written: its shops do not add up to the market; try again soon")
    return shops, values


async def _block(reader: StoreReader, end: dt.date, windows: Sequence[int], window_days: int) -> PeerBlock:
    """What is published of a period: by us, if by nobody before."""
    key = peers_key(end.isoformat(), window_days)
    found = await reader.published_once(key)
    if found is None:
        shops, values = await shops_at(reader, windows, end)
        found = await reader.publish_once(key, _computed(shops, values, windows, window_days, end).encode())
    try:
        return decode_block(found)
    except msgspec.DecodeError as error:
        raise StoreError(f"the serving store holds no tiers under {key}: {error}") from error


def _computed(
    shops: Sequence[str], values: Values, windows: Sequence[int], window_days: int, end: dt.date
) -> PeerBlock:
    return peer_block(shops_of(shops, values, windows, window_days, end), end.isoformat(), window_days)


def shops_of(
    shops: Sequence[str], values: Values, windows: Sequence[int], window_days: int, end: dt.date
) -> list[Shop]:
    """The shops that were active in the period, as they are put into tiers."""

    def by_shop(window: int) -> dict[str, list[FactorRecord]]:
        records = records_at(shops, values, windows, window, day_of(end), Provenance())
        return {name: list(group) for name, group in groupby(records, key=lambda record: record.scope)}

    period, longest = by_shop(window_days), by_shop(windows[-1])
    return [shop_of(period[name], longest[name]) for name in period]


def _is_whole(values: Values) -> bool:
    """Whether the shops add up to the market, which comes last; where it is not kept nobody can tell."""
    if not values.counts[-1].any():
        return True
    items = values.counts[:, ITEMS]
    amounts = [money[:, GMV] for money in values.money.values()]
    return all((each[:-1].sum(axis=0) == each[-1]).all() for each in [items, *amounts])


def _record(block: PeerBlock, shop: Scope, own: Sequence[FactorRecord]) -> PeerRecord:
    if shop.name not in block.members:
        raise SmartError(
            f"{shop.name} has no peers in the period of {block.window_days} days to {block.as_of}: it was idle, or "
            f"there are fewer than {MIN_SHOPS} shops like it, or one of them would show through"
        )
    tier = block.tiers[block.members[shop.name]]
    figures = next((record for record in own if record.currency == tier.currency), own[0] if own else None)
    places = block.quartiles.get(shop.name, {})
    return PeerRecord(
        scope=shop.name,
        as_of=block.as_of,
        window_days=block.window_days,
        currency=tier.currency,
        shops=tier.shops,
        size_from=tier.size_from,
        size_to=tier.size_to,
        figures={
            name: PeerFigure(own=getattr(figures, name, None), mean=mean, quartile=places.get(name))
            for name, mean in tier.means.items()
        },
    )
