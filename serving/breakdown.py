"""The figures of everything of one kind in a shop or the market, read from the serving store."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from processors.calendar import day_of
from processors.figures import Provenance
from processors.pages import PageError
from processors.snapshot import records_at, values_at
from schemas.errors import SmartError, UsageError
from schemas.factors import NO_CURRENCY, FactorRecord
from schemas.scopes import MARKET_KINDS, SHOP_KINDS, Scope
from serving.store import StoreReader


class NotKeptError(SmartError):
    """No figures of that kind are kept."""


class Parts(NamedTuple):
    """Records of one period, one a currency and scope."""

    whole: list[FactorRecord]
    """Of the shop or the market itself."""
    parts: list[FactorRecord]


def family_of(scope: Scope, kind: str) -> str:
    """What the scopes of a kind within a shop or the market are listed under. Raises UsageError where there are none.

    >>> family_of(Scope("s1"), "item"), family_of(Scope(), "brand")
    ('shop=s1|item', 'brand')
    """
    kinds = (MARKET_KINDS if scope.shop is None else SHOP_KINDS)[1:]
    if scope.kind:
        raise UsageError(f"{scope.name} is a part already; what can be broken down is a shop or the market")
    if kind not in kinds:
        raise UsageError(f"{scope.name} can be broken down by {', '.join(kinds)}, not by {kind!r}")
    return "brand" if (scope.shop, kind) == (None, "brand") else f"{scope.name}|{kind}"


async def parts_of(
    reader: StoreReader, scope: Scope, kind: str, window_days: int, date: dt.date | None, windows: Sequence[int]
) -> Parts | None:
    """The figures of a shop or the market and of its parts of a kind, for one period that ends at `date`.

    date: not after the scope's own; None: its newest. windows: those of the workers. None where the scope has no
    figures at all. Raises NotKeptError where there are none of that kind, UsageError where there cannot be, StoreError.
    """
    family = family_of(scope, kind)
    newest = await reader.newest(scope.name)
    if not newest:
        return None
    names = await reader.family(family)
    if not names:
        word = kind if scope.shop is not None else {"category": "market-category", "brand": "brand-wide"}[kind]
        raise NotKeptError(
            f"no figures by {kind} are kept of {scope.name}: SMART_SCOPES of the workers must have {word}, and events "
            f"must name a {kind}"
        )
    return await read_parts(reader, newest, names, window_days, date, windows)


async def figures_at(  # what is asked for
    reader: StoreReader,
    scopes: Sequence[str],
    windows: Sequence[int],
    window_days: int,
    date: dt.date,
    provenance: Provenance,
) -> list[FactorRecord]:
    """Records of any number of scopes for the period that ends at `date`, from their pages; none for zeros."""
    packed = await reader.pages_of_many(scopes)
    try:
        values = values_at(packed, len(scopes), len(windows), day_of(date))
    except PageError as error:
        raise SmartError(f"the pages of the serving store cannot be read: {error}") from error
    return records_at(scopes, values, windows, window_days, day_of(date), provenance)


async def read_parts(
    reader: StoreReader,
    newest: Sequence[FactorRecord],
    names: Sequence[str],
    window_days: int,
    date: dt.date | None,
    windows: Sequence[int],
) -> Parts:
    """The figures of a whole, of which these are the newest records, and of parts of it with these names.

    Arguments and errors else as of `parts_of`.
    """
    latest = max(newest, key=lambda record: record.as_of)
    provenance = Provenance(latest.history_from, latest.complete_through, latest.computed_at)
    if date is not None and date.isoformat() != latest.as_of:
        found = await figures_at(reader, [latest.scope, *names], windows, window_days, date, provenance)
        cut = sum(record.scope == latest.scope for record in found)
        return Parts(found[:cut], found[cut:])
    whole = [record for record in newest if (record.window_days, record.as_of) == (window_days, latest.as_of)]
    currencies = {NO_CURRENCY, *(record.currency for record in newest)}
    records = await reader.newest_of_many(names, window_days, sorted(currencies))
    parts = [record for record in records if record.as_of == latest.as_of and _is_anything(record)]
    # A part whose period became empty has said so once, on that date. Others are of another date for a moment only,
    # around midnight: theirs are read from the pages.
    others = [record.scope for record in records if record.as_of != latest.as_of and _is_anything(record)]
    if others:
        date = dt.date.fromisoformat(latest.as_of)
        parts += await figures_at(reader, sorted(set(others)), windows, window_days, date, provenance)
    return Parts(whole, parts)


def _is_anything(record: FactorRecord) -> bool:
    return bool(record.s or record.b or record.items or record.gmv_minor or record.buyer_days)
