"""What do buyers spend, on what, and on how few things? From the factor records of a shop and its parts
(docs/concepts/spend.md).
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np

from processors.breakdown import in_order, value_of
from processors.figures import ratio
from schemas.factors import FactorRecord
from schemas.spend import Concentration, SpendBand, SpendPart, SpendRecord

KINDS: Final = ("category", "channel", "item")
TOP: Final = 10
QUANTITY_EDGES: Final = (0, 1, 1.5, 2, 3, 5, 10)
"""Lower bounds, exclusive, of the bands of A."""
FREQUENCY_EDGES: Final = (0, 1, 1.25, 1.5, 2, 3)
"""The same of R."""


def spend(whole: FactorRecord, parts: Mapping[str, Sequence[FactorRecord]]) -> SpendRecord:
    """Spend analysis of one period and currency.

    parts: kind → records of the shop's parts of that kind in that currency; a kind that is absent is not kept.
    """
    gmv = whole.gmv_minor
    items = parts.get("item", ())
    return SpendRecord(
        scope=whole.scope,
        as_of=whole.as_of,
        window_days=whole.window_days,
        currency=whole.currency,
        figures=whole,
        gmv_new_share=ratio(whole.gmv_new_minor, gmv),
        gmv_existing_share=ratio(whole.gmv_existing_minor, gmv),
        item_price_minor=ratio(gmv, whole.items),
        day_spend_minor=ratio(gmv, whole.buyer_days),
        day_items=ratio(whole.items, whole.buyer_days),
        concentrations=[concentration(kind, gmv, parts[kind]) for kind in KINDS if kind in parts],
        not_kept=[kind for kind in KINDS if kind not in parts],
        quantity_bands=bands(items, "a", QUANTITY_EDGES),
        frequency_bands=bands(items, "r", FREQUENCY_EDGES),
    )


def concentration(kind: str, shop_gmv_minor: int, parts: Sequence[FactorRecord]) -> Concentration:
    """How GMV is spread over the parts of a kind; of channels those of level 1, for level 2 is in them."""
    one_level = [part for part in parts if kind != "channel" or "/" not in value_of(part)]
    ordered = [part for part in in_order(one_level, "gmv") if part.gmv_minor]
    amounts = [part.gmv_minor for part in ordered]
    total = sum(amounts)
    return Concentration(
        by=kind,
        total=len(amounts),
        gmv_minor=total,
        gmv_share=ratio(total, shop_gmv_minor),
        herfindahl=ratio(sum(amount * amount for amount in amounts), total * total),
        top_10_share=ratio(sum(amounts[:TOP]), total),
        for_80_percent=_how_many_make(amounts, 4, 5),
        top=[
            SpendPart(value=value_of(part), gmv_minor=part.gmv_minor, gmv_share=ratio(part.gmv_minor, shop_gmv_minor))
            for part in ordered[:TOP]
        ],
    )


def bands(items: Sequence[FactorRecord], figure: Literal["a", "r"], edges: Sequence[float]) -> list[SpendBand]:
    """Items that anybody has bought, by A or R; no bands where there are no such items."""
    bought = [item for item in items if getattr(item, figure) is not None]
    if not bought:
        return []
    values = np.array([getattr(item, figure) for item in bought])
    band = np.searchsorted(edges, values, side="left") - 1
    counts = np.bincount(band, minlength=len(edges)).tolist()
    gmv = [0] * len(edges)
    for i, item in zip(band.tolist(), bought, strict=True):
        gmv[i] += item.gmv_minor
    total = sum(gmv)
    uppers = [*edges[1:], None]
    return [
        SpendBand(above=above, up_to=up_to, items=count, gmv_minor=amount, gmv_share=ratio(amount, total))
        for above, up_to, count, amount in zip(edges, uppers, counts, gmv, strict=True)
    ]


def _how_many_make(amounts: Sequence[int], numerator: int, denominator: int) -> int:
    """The least number of amounts, which descend, that make up such a part of them all."""
    total, so_far = sum(amounts), 0
    for n, amount in enumerate(amounts, 1):
        so_far += amount
        if denominator * so_far >= numerator * total:
            return n
    return 0
