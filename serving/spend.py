"""Spend analysis of a shop, read from the serving store."""

import datetime as dt
from collections.abc import Sequence

from processors.breakdown import by_currency
from processors.spend import KINDS, spend
from schemas.factors import NO_CURRENCY, FactorRecord
from schemas.scopes import Scope
from schemas.spend import SpendRecord
from serving.breakdown import family_of, read_parts
from serving.store import StoreReader


async def spend_of(
    reader: StoreReader, shop: Scope, window_days: int, date: dt.date | None, windows: Sequence[int]
) -> list[SpendRecord]:
    """The spend analysis of a shop for one period that ends at `date`, one a currency; none where there is no money.

    date: not after the shop's own; None: its newest. windows: those of the workers. Raises StoreError.
    """
    newest = await reader.newest(shop.name)
    if not newest:
        return []
    families = {kind: await reader.family(family_of(shop, kind)) for kind in KINDS}
    names = [name for family in families.values() for name in family]
    found = await read_parts(reader, newest, names, window_days, date, windows)
    groups = by_currency(found.whole, found.parts)
    records = []
    for whole in found.whole:
        if whole.currency != NO_CURRENCY:
            parts: dict[str, list[FactorRecord]] = {kind: [] for kind in KINDS if families[kind]}
            for part in groups.get(whole.currency, (whole, []))[1]:
                parts[part.scope.rpartition("|")[2].partition("=")[0]].append(part)
            records.append(spend(whole, parts))
    return records
