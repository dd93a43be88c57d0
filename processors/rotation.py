"""Which part of all scopes and dates is looked at in a turn: a share of them, another one each time, all in a round.

Scopes and dates are both dealt into groups, so a turn looks at some dates of some scopes. A scope with a year of
dates, the market above all, is never looked at as a whole.
"""

import math
import zlib
from typing import NamedTuple


class Turn(NamedTuple):
    """The number of a turn, and the share of everything that each turn takes, above 0 and up to 1."""

    number: int = 0
    share: float = 1.0

    @property
    def scope_groups(self) -> int:
        """Into so many groups scopes are dealt.

        >>> Turn(share=1.0).scope_groups, Turn(share=0.01).scope_groups
        (1, 10)
        """
        return math.ceil(math.sqrt(1 / self.share))

    @property
    def date_groups(self) -> int:
        """Into so many groups dates are dealt."""
        return math.ceil(1 / (self.share * self.scope_groups))

    @property
    def round_turns(self) -> int:
        """After so many turns every date of every scope has been looked at."""
        return self.scope_groups * self.date_groups

    @property
    def begins_round(self) -> bool:
        """Whether this is the first turn of a round."""
        return self.number % self.round_turns == 0

    @property
    def ends_round(self) -> bool:
        """Whether this is the last turn of a round."""
        return (self.number + 1) % self.round_turns == 0

    def has_scope(self, name: str) -> bool:
        """Whether any date of a scope is looked at."""
        return zlib.crc32(name.encode()) % self.scope_groups == self.number % self.scope_groups

    def has_day(self, day: int) -> bool:
        """Whether a day number is, of the scopes that are."""
        return day % self.date_groups == self.number // self.scope_groups % self.date_groups
