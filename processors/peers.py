"""What do shops of one's own size do? Means of tiers that say nothing of a single shop (docs/concepts/peers.md).

Everything that is published of a tier is a function of sums over all its shops, and rounded. A shop's figures are taken
as eight **parts**, numbers that are never negative and of which every count and amount is a sum: so a sum is safe
where the sums of its parts are. The figures of a tier are published in levels, and a level only where every sum that it
makes known is safe.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.factors import NO_CURRENCY, FactorRecord
from schemas.peers import PeerBlock, PeerTier

MIN_SHOPS: Final = 6
"""In a tier, and with something in a sum that is published: five beside each that looks at it."""
QUARTILE_SHOPS: Final = 21
"""In a tier that tells places: five others a quarter."""
PROTECTION: Final = 0.25
"""Whoever has the second largest part of a sum knows the largest at best to this share of it, from above."""
DIGITS: Final = 3
NO_TIER: Final = -1
EDGES: Final = [0, *(digit * 10**power for power in range(20) for digit in (1, 3))]
"""Lower bounds of the bands of size."""

Parts = NDArray[np.int64]
"""[shops, 8]: POTENTIAL … GMV_EXISTING."""
POTENTIAL, B_NEW, IDLE_EXISTING, B_EXISTING, MORE_DAYS, MORE_ITEMS, GMV_NEW, GMV_EXISTING = range(8)
N_PARTS: Final = 8

BUYERS: Final = (B_NEW, B_EXISTING)
OTHERS: Final = (POTENTIAL, IDLE_EXISTING)
MONEY: Final = (GMV_NEW, GMV_EXISTING)

SUMS: Final[dict[str, tuple[int, ...]]] = {
    "s": (*OTHERS, *BUYERS),
    "s_potential": (POTENTIAL,),
    "s_new": (B_NEW,),
    "s_existing": (IDLE_EXISTING, B_EXISTING),
    "b": BUYERS,
    "b_new": (B_NEW,),
    "b_existing": (B_EXISTING,),
    "gmv_minor": MONEY,
    "gmv_new_minor": (GMV_NEW,),
    "gmv_existing_minor": (GMV_EXISTING,),
    "items": (*BUYERS, MORE_DAYS, MORE_ITEMS),
    "buyer_days": (*BUYERS, MORE_DAYS),
}
"""Figure → the parts that it is the sum of."""
RATIOS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "m": ("b", ("s",)),
    "m_new": ("b_new", ("s_potential", "s_new")),
    "m_existing": ("b_existing", ("s_existing",)),
    "art_minor": ("gmv_minor", ("b",)),
    "art_new_minor": ("gmv_new_minor", ("b_new",)),
    "art_existing_minor": ("gmv_existing_minor", ("b_existing",)),
    "a": ("items", ("b",)),
    "r": ("buyer_days", ("b",)),
}
"""Figure → (numerator, what the denominator is the sum of)."""


class Level(NamedTuple):
    """What is published together."""

    figures: tuple[str, ...]
    needs: tuple[tuple[int, ...], ...]
    """Groups of parts whose sums become known by it and by the number of active users."""
    is_money: bool = False
    """Only where the shops have one currency."""


_COUNTS: Final = (BUYERS, OTHERS)
_CLASSES: Final = ((POTENTIAL,), (B_NEW,), (IDLE_EXISTING,), (B_EXISTING,))
LEVELS: Final = (
    Level(("s",), ((*OTHERS, *BUYERS),)),
    Level(("b", "m"), _COUNTS),
    Level(("gmv_minor", "art_minor"), (*_COUNTS, MONEY), is_money=True),
    Level(("items", "buyer_days", "a", "r"), (*_COUNTS, (MORE_DAYS,), (MORE_ITEMS,))),
    Level(("s_potential", "s_new", "s_existing", "b_new", "b_existing", "m_new", "m_existing"), _CLASSES),
    Level(
        ("gmv_new_minor", "gmv_existing_minor", "art_new_minor", "art_existing_minor"),
        (*_CLASSES, (GMV_NEW,), (GMV_EXISTING,)),
        is_money=True,
    ),
)


class Shop(NamedTuple):
    """A shop as it is put into a tier."""

    name: str
    currency: str
    """Its only one, or `-`."""
    size: int
    """GMV, or S where there is no one currency, of the longest period."""
    parts: tuple[int, ...]
    """Of the period that is published."""


def shop_of(period: Sequence[FactorRecord], longest: Sequence[FactorRecord]) -> Shop:
    """A shop from its records of the period that is published and of the longest one, one a currency, none empty."""
    record, sized = period[0], longest[0]
    is_one = len(longest) == 1 and sized.currency != NO_CURRENCY
    return Shop(
        record.scope,
        sized.currency if is_one else NO_CURRENCY,
        sized.gmv_minor if is_one else sized.s,
        (
            record.s_potential,
            record.b_new,
            record.s_existing - record.b_existing,
            record.b_existing,
            record.buyer_days - record.b,
            record.items - record.buyer_days,
            record.gmv_new_minor if is_one else 0,
            record.gmv_existing_minor if is_one else 0,
        ),
    )


def peer_block(shops: Sequence[Shop], as_of: str, window_days: int) -> PeerBlock:
    """All that is published of a period."""
    tiers: list[PeerTier] = []
    members: dict[str, int] = {}
    quartiles: dict[str, dict[str, int]] = {}
    by_currency = sorted(shops, key=lambda shop: (shop.currency, shop.name))
    for currency, group in groupby(by_currency, key=lambda shop: shop.currency):
        for size_from, size_to, own in tiers_of(list(group)):
            parts = np.array([shop.parts for shop in own], np.int64).reshape(-1, N_PARTS)
            figures = published_figures(parts, has_money=currency != NO_CURRENCY)
            if not figures:
                continue
            members.update((shop.name, len(tiers)) for shop in own)
            quartiles.update(_places(own, parts, figures))
            tiers.append(
                PeerTier(
                    currency=currency,
                    shops=len(own),
                    size_from=size_from,
                    size_to=size_to,
                    means=means(parts, figures),
                )
            )
    return PeerBlock(as_of=as_of, window_days=window_days, tiers=tiers, members=members, quartiles=quartiles)


def tiers_of(shops: Sequence[Shop]) -> list[tuple[int, int | None, list[Shop]]]:
    """(least size, bound of size, shops) of the tiers of shops of one currency, the largest first; none if too few.

    Bands of size are joined from the largest on until they hold enough shops; what is left over at the end joins the
    last tier. The tiers meet each other, the first has no bound and the last begins at 0: so the bounds do not tell
    the largest and the smallest shop.
    """
    tiers: list[tuple[int, list[Shop]]] = []
    waiting: list[Shop] = []
    by_size = sorted(shops, key=lambda shop: (-_band(shop.size), shop.name))
    for band, group in groupby(by_size, key=lambda shop: _band(shop.size)):
        waiting += group
        if len(waiting) >= MIN_SHOPS:
            tiers.append((EDGES[band], waiting))
            waiting = []
    if not tiers:
        return []
    tiers[-1] = (0, tiers[-1][1] + waiting)
    bounds = [None, *(size for size, _ in tiers)]
    return [(size, bound, own) for bound, (size, own) in zip(bounds, tiers, strict=False)]


def tier_numbers(shops: Sequence[Shop]) -> list[int]:
    """For each shop the number of its tier; NO_TIER for those that are in none."""
    numbers: dict[str, int] = {}
    by_currency = sorted(shops, key=lambda shop: (shop.currency, shop.name))
    for _, group in groupby(by_currency, key=lambda shop: shop.currency):
        for _, _, own in tiers_of(list(group)):
            numbers |= dict.fromkeys((shop.name for shop in own), len(numbers))
    return [numbers.get(shop.name, NO_TIER) for shop in shops]


def is_safe(amounts: NDArray[np.int64]) -> bool:
    """Whether the sum of what shops have of something may be known to each of them."""
    if int((amounts > 0).sum()) < MIN_SHOPS:
        return False
    ordered = sorted(amounts.tolist(), reverse=True)
    return sum(ordered[2:]) >= PROTECTION * ordered[0]


def published_figures(parts: Parts, *, has_money: bool) -> list[str]:
    """The figures of a tier that may be published."""
    figures: list[str] = []
    for level in LEVELS:
        if level.is_money and not has_money:
            continue
        if all(is_safe(parts[:, list(group)].sum(axis=1)) for group in level.needs):
            figures += level.figures
    return figures


def means(parts: Parts, figures: Sequence[str]) -> dict[str, float]:
    """The figures of the mean shop: means of counts and amounts, and the ratios of their sums; rounded."""
    sums = {name: int(parts[:, list(of)].sum()) for name, of in SUMS.items()}
    exact = {name: total / len(parts) for name, total in sums.items()}
    for name, (numerator, denominator) in RATIOS.items():
        below = sum(sums[each] for each in denominator)
        exact[name] = sums[numerator] / below if below else 0.0
    return {name: float(f"{exact[name]:.{DIGITS - 1}e}") for name in figures}


def _band(size: int) -> int:
    return bisect_right(EDGES, size) - 1


def _places(shops: Sequence[Shop], parts: Parts, figures: Sequence[str]) -> Mapping[str, dict[str, int]]:
    """Shop → figure → quarter of the tier that it is in; only where enough shops have a value."""
    places: dict[str, dict[str, int]] = {}
    sums = {name: parts[:, list(of)].sum(axis=1).astype(np.float64) for name, of in SUMS.items()}
    for name in figures:
        if name in SUMS:
            values = sums[name]
        else:
            numerator, denominator = RATIOS[name]
            below = np.sum([sums[each] for each in denominator], axis=0)
            values = np.full(len(shops), np.nan)
            np.divide(sums[numerator], below, out=values, where=below > 0)
        known = np.sort(values[~np.isnan(values)])
        if len(known) < QUARTILE_SHOPS:
            continue
        less = np.searchsorted(known, values, side="left")
        equal = np.searchsorted(known, values, side="right") - less - 1  # without itself
        quarter = np.minimum(4 * (less + 0.5 * equal) / (len(known) - 1), 3).astype(np.int64) + 1
        for i in np.flatnonzero(~np.isnan(values)).tolist():
            places.setdefault(shops[i].name, {})[name] = int(quarter[i])
    return places
