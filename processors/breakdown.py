"""Which items, categories, channels … is a shop's business made of? Factor records put in order, with their shares
(docs/concepts/breakdown.md).
"""

from collections.abc import Sequence
from typing import Final

from processors.figures import ratio
from schemas.breakdown import BreakdownRecord, BreakdownRow
from schemas.factors import NO_CURRENCY, FactorRecord
from schemas.scopes import OTHER, parse

SORTS: Final = {
    name.removesuffix("_minor"): name
    for name in (
        "gmv_minor", "gmv_new_minor", "gmv_existing_minor", "s", "s_potential", "s_new", "s_existing", "b", "b_new",
        "b_existing", "m", "m_new", "m_existing", "art_minor", "art_new_minor", "art_existing_minor", "items",
        "buyer_days", "a", "r",
    )
}  # fmt: skip
"""Word to sort by → the field of the factor record."""


def in_order(records: Sequence[FactorRecord], sort: str) -> list[FactorRecord]:
    """The greatest first, those without the figure last, equal ones by name. `sort`: one of SORTS."""
    field = SORTS[sort]
    by_name = sorted(records, key=lambda record: record.scope)
    figures = [getattr(record, field) for record in by_name]
    keys = [(figure is None, -(figure or 0)) for figure in figures]
    return [by_name[i] for i in sorted(range(len(keys)), key=keys.__getitem__)]


def by_currency(
    whole: Sequence[FactorRecord], parts: Sequence[FactorRecord]
) -> dict[str, tuple[FactorRecord | None, list[FactorRecord]]]:
    """Currency → (the whole, the parts in that currency), all of one period.

    Parts without money are part of every whole that has one currency; with several they stand by themselves.
    """
    wholes = {record.currency: record for record in whole}
    only = next(iter(wholes)) if len(wholes) == 1 else NO_CURRENCY
    groups: dict[str, list[FactorRecord]] = {currency: [] for currency in wholes}
    for part in parts:
        currency = only if part.currency == NO_CURRENCY else part.currency
        groups.setdefault(currency, []).append(part)
    return {currency: (wholes.get(currency), group) for currency, group in sorted(groups.items()) if group}


def breakdown(
    whole: Sequence[FactorRecord], parts: Sequence[FactorRecord], by: str, sort: str, limit: int
) -> list[BreakdownRecord]:
    """A record for each currency, of parts of one period; the first `limit` parts of each.

    whole: the records of the shop or the market itself, of the same period.
    """
    found = []
    for currency, (own, group) in by_currency(whole, parts).items():
        gmv = own.gmv_minor if own is not None else 0
        found.append(
            BreakdownRecord(
                scope=whole[0].scope,
                by=by,
                as_of=whole[0].as_of,
                window_days=whole[0].window_days,
                currency=currency,
                sort=sort,
                total=len(group),
                whole=own,
                rows=[_row(record, gmv) for record in in_order(group, sort)[:limit]],
            )
        )
    return found


def value_of(record: FactorRecord) -> str:
    """The last word of a record's scope, decoded."""
    return parse(record.scope).value


def _row(record: FactorRecord, gmv_minor: int) -> BreakdownRow:
    value = value_of(record)
    return BreakdownRow(
        value=value, gmv_share=ratio(record.gmv_minor, gmv_minor), is_exact=value != OTHER, figures=record
    )
