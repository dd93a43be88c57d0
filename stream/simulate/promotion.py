"""A promotion's curve: how much traffic there is at an instant, and how readily it carts, orders and pays.

Around the promotion's midnight: *deposit* (orders are placed, money follows after midnight), *pre-heat* (browsing and
carts grow, purchases wait), *peak* (the first hours), *tail*. Without a promotion only the hours of the day shape the
traffic. Hours are those of one zone, the promotion's.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

_HOURS: Final[tuple[float, ...]] = (
    0.7, 0.4, 0.25, 0.2, 0.2, 0.3, 0.5, 0.7, 0.9, 1.2, 1.3, 1.3,
    1.35, 1.3, 1.2, 1.2, 1.2, 1.2, 1.25, 1.4, 1.5, 1.7, 1.6, 1.15,
    0.7,
)  # fmt: skip
"""Intensity at each full hour of the day, linear between; the mean is about 1."""


class Phase(StrEnum):
    """What the promotion is doing at an instant."""

    ORDINARY = "ordinary"
    DEPOSIT = "deposit"
    PREHEAT = "pre-heat"
    PEAK = "peak"
    TAIL = "tail"


@dataclass(frozen=True, slots=True)
class Mood:
    """Chances of one step leading to the next."""

    cart_of_view: float
    order_of_cart: float
    pay_of_order: float
    pays_at_midnight: bool = False
    """Orders of this phase are paid in the minutes after the promotion's midnight."""


MOODS: Final[dict[Phase, Mood]] = {
    Phase.ORDINARY: Mood(0.12, 0.35, 0.9),
    Phase.DEPOSIT: Mood(0.16, 0.25, 0.92, pays_at_midnight=True),
    Phase.PREHEAT: Mood(0.24, 0.08, 0.85),
    Phase.PEAK: Mood(0.22, 0.65, 0.95),
    Phase.TAIL: Mood(0.14, 0.45, 0.9),
}

_BOUNDS_HOURS: Final[tuple[tuple[float, Phase], ...]] = (
    (-96, Phase.DEPOSIT),
    (-48, Phase.PREHEAT),
    (0, Phase.PEAK),
    (3, Phase.TAIL),
    (48, Phase.ORDINARY),
)
_RISE: Final[tuple[tuple[float, float], ...]] = ((-96, 1.0), (-72, 1.3), (-48, 1.2), (-12, 1.6), (-1, 2.2), (0, 3.5))
"""(hours from midnight, multiple of an ordinary day), linear between."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Traffic over time. `midnight_ms` None: no promotion. `utc_offset_ms` places the hours of the day."""

    midnight_ms: int | None = None
    utc_offset_ms: int = 8 * HOUR_MS
    has_daily_rhythm: bool = True

    def phase(self, at_ms: int) -> Phase:
        """The phase an instant lies in."""
        if self.midnight_ms is None:
            return Phase.ORDINARY
        hours = (at_ms - self.midnight_ms) / HOUR_MS
        current = Phase.ORDINARY
        for begins, phase in _BOUNDS_HOURS:
            if hours >= begins:
                current = phase
        return current

    def mood(self, at_ms: int) -> Mood:
        """How traffic behaves at an instant."""
        return MOODS[self.phase(at_ms)]

    def intensity(self, at_ms: int) -> float:
        """Traffic as a multiple of the mean of an ordinary day."""
        return self._rhythm(at_ms) * self._promotion(at_ms)

    def _rhythm(self, at_ms: int) -> float:
        if not self.has_daily_rhythm:
            return 1.0
        hour, rest_ms = divmod((at_ms + self.utc_offset_ms) % DAY_MS, HOUR_MS)
        return _HOURS[hour] + (_HOURS[hour + 1] - _HOURS[hour]) * rest_ms / HOUR_MS

    def _promotion(self, at_ms: int) -> float:
        if self.midnight_ms is None:
            return 1.0
        hours = (at_ms - self.midnight_ms) / HOUR_MS
        if hours >= 0:
            # A spike at midnight that halves within the hour, over a tail of two days.
            return 1.0 + 8.0 * float(np.exp(-hours / 1.2)) + 1.2 * max(0.0, 1 - hours / 48)
        for (left, low), (right, high) in pairwise(_RISE):
            if left <= hours < right:
                return low + (high - low) * (hours - left) / (right - left)
        return 1.0
