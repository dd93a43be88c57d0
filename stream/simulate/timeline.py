"""Traffic in order of arrival: sessions are begun tick by tick, and every event waits for the tick in which it arrives.

A tick's draws come from (seed, tick) alone and ticks are of a fixed length of event time, so the same `Scenario` plays
the same events however fast it is read.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stream.simulate.draws import generator
from stream.simulate.journeys import Habits, Rows, Season, blank, sessions
from stream.simulate.promotion import DAY_MS, Curve
from stream.simulate.world import World

_PURPOSE_TICK: Final = 2
_PURPOSE_CALIBRATE: Final = 3
_PURPOSE_HISTORY: Final = 4
_WARM_UP_MS: Final = 60_000
_MAX_WARM_UP_SESSIONS: Final = 500_000
_CALIBRATION_SESSIONS: Final = 4_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played: from when, how much, how it swells."""

    seed: int
    start_ms: int
    events_per_second: float
    """Of event time, on the mean of an ordinary day."""
    users: int = 20_000
    shops: int = 20
    items_per_shop: int = 200
    tick_ms: int = 1_000
    curve: Curve = field(default_factory=Curve)
    habits: Habits = field(default_factory=Habits)
    one_zone: bool = False

    def world(self) -> World:
        """Who and what exists in it."""
        return World.of(
            self.seed, users=self.users, shops=self.shops, items_per_shop=self.items_per_shop, one_zone=self.one_zone
        )


class Timeline:
    """An endless play of a scenario, a tick at a time."""

    def __init__(self, scenario: Scenario, world: World | None = None) -> None:
        self.scenario = scenario
        self.world = world or scenario.world()
        self._waiting: defaultdict[int, list[Rows]] = defaultdict(list)
        self._tick = 0
        self._number = 0
        self._sessions_per_ms = scenario.events_per_second / 1_000 / events_per_session(scenario, self.world)
        self._warm_up()

    @property
    def now_ms(self) -> int:
        """The instant up to which events have been taken."""
        return self.scenario.start_ms + self._tick * self.scenario.tick_ms

    @property
    def waiting(self) -> int:
        """Events that have happened in the drawing, and have not arrived yet."""
        return sum(len(rows) for bucket in self._waiting.values() for rows in bucket)

    def take(self) -> Rows:
        """The events that arrive within the next tick, in order of arrival."""
        self._begin_sessions(self.now_ms, self.scenario.tick_ms, self._tick + 1)
        rows = self._waiting.pop(self._tick, [])
        self._tick += 1
        if not rows:
            return blank(0)
        arrived = np.concatenate(rows)
        return arrived[np.argsort(arrived["arrive_ms"], kind="stable")]

    def ticks(self, until_ms: int | None = None) -> Iterator[Rows]:
        """Tick after tick, until the given instant has been reached."""
        while until_ms is None or self.now_ms < until_ms:
            yield self.take()

    def _warm_up(self) -> None:
        """Sessions already under way at the start, so that the rate does not have to build up from nothing."""
        span_ms = min(_WARM_UP_MS, int(_MAX_WARM_UP_SESSIONS / max(self._sessions_per_ms, 1e-9)))
        self._begin_sessions(self.scenario.start_ms - span_ms, span_ms, 0)

    def _begin_sessions(self, start_ms: int, span_ms: int, purpose: int) -> None:
        rng = generator(self.scenario.seed, _PURPOSE_TICK, purpose)
        curve = self.scenario.curve
        middle_ms = start_ms + span_ms // 2
        n = int(rng.poisson(self._sessions_per_ms * span_ms * curve.intensity(middle_ms)))
        rows = sessions(
            rng,
            self.world,
            self.scenario.habits,
            Season(curve.mood(middle_ms), curve.midnight_ms),
            start_ms=start_ms,
            span_ms=span_ms,
            n=n,
            number_from=self._number,
        )
        if len(rows):
            self._number = int(rows["sequence"].max()) + 1
        self._put(rows)

    def _put(self, rows: Rows) -> None:
        """Lays rows by the tick of their arrival; those from before the start are dropped."""
        tick = (rows["arrive_ms"] - self.scenario.start_ms) // self.scenario.tick_ms
        order = np.argsort(tick, kind="stable")
        rows, tick = rows[order], tick[order]
        first = int(np.searchsorted(tick, 0))
        values, starts = np.unique(tick[first:], return_index=True)
        ends = np.append(starts, len(tick) - first)[1:]  # none where nothing arrives from now on
        for value, start, end in zip(values.tolist(), starts.tolist(), ends.tolist(), strict=True):
            # A copy: a slice would keep its whole batch alive until the last refund in it has come.
            self._waiting[value].append(rows[first + start : first + end].copy())


def events_per_session(scenario: Scenario, world: World) -> float:
    """Mean number of events of a session on an ordinary day: measured, not derived, as the habits may be anything."""
    rng = generator(scenario.seed, _PURPOSE_CALIBRATE)
    season = Season(Curve().mood(0))
    n = _CALIBRATION_SESSIONS
    return len(sessions(rng, world, scenario.habits, season, start_ms=0, span_ms=1, n=n, number_from=0)) / n


HISTORY_NUMBERS_FROM: Final = 1 << 50
"""Numbers of the history stand apart from those of the play."""


def history(scenario: Scenario, world: World, *, events: int, days: int) -> Rows:
    """About `events` events of the `days` days before the scenario begins, in order of arrival.

    Without a past every buyer is a new one; this gives the users one.
    """
    span_ms = days * DAY_MS
    rows = sessions(
        generator(scenario.seed, _PURPOSE_HISTORY),
        world,
        scenario.habits,
        Season(Curve().mood(0)),
        start_ms=scenario.start_ms - span_ms,
        span_ms=span_ms,
        n=round(events / events_per_session(scenario, world)),
        number_from=HISTORY_NUMBERS_FROM,
    )
    rows = rows[rows["arrive_ms"] < scenario.start_ms]
    return rows[np.argsort(rows["arrive_ms"], kind="stable")]
