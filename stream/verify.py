"""Holds what a running system shows to a recount of what it knows.

A cut is consistent when nothing is under way: every event is in a ledger, every page has been added up, and nothing
new comes for a while. A system that does not come to rest is compared all the same, several times. Each time its
ledgers are read first, then the pages that are there by then have to be added up, and only then its figures are read:
they know all that the ledgers knew. What differs in the same way each time is a difference, for neither side has moved
between two looks; what keeps changing cannot be judged.
"""

import asyncio
import contextlib
import datetime as dt
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, NamedTuple, Self

from processors.audit import Difference, Shown, audit_live
from processors.calendar import day_of
from processors.recount import Recount
from processors.rotation import Turn
from schemas.durable import TopicTotals, Totals
from schemas.scopes import Scope, parse
from schemas.settings import Settings
from schemas.topics import EVENT_TOPICS, FACTORS_PAGES, PROFILES
from stream.cut import Cut, Place, SourceName, Tail, VerifyError
from stream.transport.chunk import Chunk

SETTLE_S: Final = 1.0
"""So long nothing new may come until a system counts as at rest."""
LOOKS: Final = 4
"""So often a moving system is compared before a difference counts as one."""
NEW_DATE_MS: Final = 60_000
"""So long after a scope's midnight its new date is left out: its records are published in slices."""
TOTALS: Final = "totals"

Told = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it so far, and of how much."""
Days = dict[Scope, list[int]]
"""Scope → what is to be compared: ascending day numbers."""


class Options(NamedTuple):
    """What is to be verified, and how long that may take."""

    source: SourceName = "changelog"
    scopes: tuple[Scope, ...] = ()
    """These only; all if there are none."""
    windows: tuple[int, ...] = (1, 7, 30, 365)
    sample: int | None = None
    """So many (scope, date) pairs, drawn at random."""
    seed: int = 0
    wait_s: float = 30.0
    """So long a system may take to come to rest."""


@dataclass(slots=True)
class Verified:
    """What has been found, and what it was found with."""

    source: SourceName
    at_rest: bool
    recount: Recount
    days: Days
    """What was compared."""
    today: dict[Scope, int]
    records: int = 0
    """So many records of the topic were compared: a scope, window, date and currency each."""
    is_added_up: bool = True
    """The figures knew all that the ledgers knew; where workers are away they do not, and nothing can be judged."""
    accepted: int = 0
    refused: int = 0
    differences: list[Difference] = field(default_factory=list)
    moving: list[Difference] = field(default_factory=list)
    """What differed at every look, and each time otherwise."""


class Verifier:
    """Follows the topics of a system, and compares as often as it is asked. An async context manager.

    Every method may raise VerifyError.
    """

    def __init__(
        self,
        settings: Settings,
        options: Options,
        told: Told = lambda *_: None,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.settings = settings
        self.options = options
        self._told = told
        self._wall_ms = wall_ms
        self._cut = Cut(settings, options.source)
        self._tail = Tail(settings.brokers, settings.application_id)
        self._counted: dict[str, Scope] = {}
        """Scopes in which anything has happened, as of the last full look or the beginning of a round."""

    async def __aenter__(self) -> Self:
        await self._tail.__aenter__()
        try:
            await self._begin()
        except BaseException:
            await self._tail.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tail.__aexit__(kind, error, trace)

    async def _begin(self) -> None:
        starts = await self._tail.begin(self._cut.places())
        gone = [topic for (topic, _), start in starts.items() if topic in EVENT_TOPICS and start > 0]
        if gone:
            raise VerifyError(f"{gone[0]} no longer has its first records: use --from changelog")

    async def once(self) -> Verified:
        """Compare everything that the options ask for, at rest if that comes about, and count the event topics."""
        at_rest = await _settle(self.settings, self._tail, self._cut, self.options.wait_s, self._told)
        found = await self._compare(Turn(), {}, at_rest=at_rest)
        uneven = _totals(self.settings, self._cut, found, await self._tail.ends(event_places(self.settings)))
        if uneven:
            found.differences += await _uneven(self._tail, self._cut, uneven)
        return found

    async def turn(self, turn: Turn, suspects: Mapping[Scope, Iterable[int]]) -> Verified:
        """Compare the turn's share and these dates of suspects, of a system that goes on meanwhile."""
        found = await self._compare(turn, suspects, at_rest=False)
        _totals(self.settings, self._cut, found, await self._tail.ends(event_places(self.settings)))
        return found

    async def recount_anew(self, scopes: Iterable[Scope]) -> Recount:
        """The figures of these scopes from what the ledgers hold by now."""
        await self._tail.catch_up(self._cut.apply)
        self._cut.count()
        return self._cut.recount(list(scopes))

    async def _compare(self, turn: Turn, suspects: Mapping[Scope, Iterable[int]], *, at_rest: bool) -> Verified:
        options, source = self.options, self.options.source
        self._told("counting from ledgers" if source == "changelog" else "counting from events", 0, None)
        asked = await self._asked_for(turn, suspects, may_count_all=turn.begins_round)
        found = await self._look(asked, at_rest=at_rest)
        if not at_rest:
            await self._look_again(found)
        if not options.scopes and options.sample is None and turn.begins_round:
            found.differences += self._unparsed()
        return found

    async def _asked_for(
        self, turn: Turn, suspects: Mapping[Scope, Iterable[int]], *, may_count_all: bool
    ) -> Callable[[], Days]:
        """Reads what has come; what is to be compared is known once the figures have been read, too."""
        options = self.options
        await self._tail.catch_up(self._cut.apply)
        self._cut.count()
        if may_count_all and not options.scopes:
            counted = self._cut.recount().scopes(self.settings.scopes)
            self._counted = {scope.name: scope for scope in counted}

        def asked() -> Days:
            known = dict(self._counted)
            for name in self._cut.shown_scopes():
                if name not in known and (scope := parsed(name)) is not None:
                    known[scope.name] = scope
            scopes = options.scopes or tuple(known[name] for name in sorted(known) if turn.has_scope(name))
            days = {scope: self._days(scope, turn) for scope in scopes}
            if options.sample is not None:
                days = _sampled(days, options.sample, options.seed)
            for scope, more in suspects.items():
                days[scope] = sorted({*days.get(scope, ()), *more, self._today(scope)})
            return days

        return asked

    async def _look(self, asked: Callable[[], Days], *, at_rest: bool) -> Verified:
        """One look at what is asked for."""
        cut, settings = self._cut, self.settings
        is_added_up = at_rest or await self._are_pages_added_up()
        await self._tail.catch_up(cut.apply)
        days = asked()
        today = {scope: self._today(scope) for scope in days}
        recount = cut.recount(days if len(days) < len(self._counted) else None)
        found = Verified(self.options.source, at_rest, recount, days, today, is_added_up=is_added_up)
        total, n = sum(map(len, days.values())), 0
        for scope, some in days.items():
            shown, unreadable = cut.shown(scope.name)
            first_kept = today[scope] - settings.horizon_days
            found.differences += unreadable
            found.differences += audit_live(recount, scope, shown, some, self.options.windows, first_kept)
            found.records += _records(shown, some, self.options.windows)
            n += len(some)
            self._told("comparing", n, total)
            await asyncio.sleep(0)  # connections want to be kept
        return found

    async def _look_again(self, found: Verified) -> None:
        """Keep the differences that stay as they are; what is equal at any look is right, what keeps changing is
        moving.
        """
        no_figures = [one for one in found.differences if not days_of([one])]  # a record whose key is none
        before = {(one.place, one.key): one for one in found.differences if one not in no_figures}
        changed = set() if found.is_added_up else set(before)
        for look in range(1, LOOKS):
            if not before:
                break
            self._told("the system is moving; looking again", look, LOOKS)
            has_waiting = look == 1 and self._cut.has_waiting()  # by the next look it has had its turn
            await asyncio.sleep(SETTLE_S + (self.settings.crosses_interval_ms / 1_000 if has_waiting else 0))
            days = days_of(before.values())
            await self._tail.catch_up(self._cut.apply)
            self._cut.count()
            again = await self._look(lambda days=days: days, at_rest=False)  # type: ignore[misc]
            now = {(one.place, one.key): one for one in again.differences}
            changed |= {key for key in before.keys() & now.keys() if before[key] != now[key] or not again.is_added_up}
            before = {key: now[key] for key in before.keys() & now.keys()}
        found.differences = no_figures + [one for key, one in before.items() if key not in changed]
        found.moving = [one for key, one in before.items() if key in changed]

    async def _are_pages_added_up(self) -> bool:
        """Wait until the workers have published what the pages say that are there by now."""
        places = [(FACTORS_PAGES, partition) for partition in range(self.settings.partitions)]
        ends, deadline = await self._tail.ends(places), time.monotonic() + max(self.options.wait_s, SETTLE_S)
        while True:
            committed = await self._tail.committed(places)
            if all(committed[place] >= end for place, end in ends.items()):
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(SETTLE_S / 10)

    def _today(self, scope: Scope) -> int:
        """The last date of which all figures have to be there."""
        return self._cut.today(scope, self._wall_ms() - NEW_DATE_MS)

    def is_new_date(self, scope: Scope) -> bool:
        """Whether the scope's date has changed just now."""
        return self._cut.today(scope, self._wall_ms()) != self._today(scope)

    def _days(self, scope: Scope, turn: Turn) -> list[int]:
        """The days of which figures are kept up: those shown, and today; of them those of the turn, and today."""
        today = self._today(scope)
        first = today - self.settings.horizon_days
        shown = {day for day in self._cut.shown_days(scope.name) if first <= day <= today and turn.has_day(day)}
        return sorted({today, *shown})

    def _unparsed(self) -> Iterator[Difference]:
        """Records of figures whose key names no scope."""
        for name in self._cut.shown_scopes():
            if parsed(name) is None:
                yield from self._cut.shown(name)[1]


def days_of(differences: Iterable[Difference]) -> Days:
    """The scopes and dates of differences, where they are of figures."""
    found: dict[Scope, set[int]] = {}
    for one in differences:
        with contextlib.suppress(ValueError):
            name, _, as_of, _ = one.key.rsplit("|", 3)
            day = day_of(dt.date.fromisoformat(as_of))
            found.setdefault(parse(name), set()).add(day)
    return {scope: sorted(days) for scope, days in found.items()}


def suspects_of(differences: Iterable[Difference]) -> Days:
    """What has to be looked at again: as `days_of`, and the scopes that could not be read as a whole, with no date."""
    whole = (parsed(one.key) for one in differences if not days_of([one]))
    return {scope: [] for scope in whole if scope is not None} | days_of(differences)


def parsed(name: str) -> Scope | None:
    """The scope of a name; None where it is none."""
    try:
        return parse(name)
    except ValueError:
        return None


def _records(shown: Shown, days: Iterable[int], windows: Iterable[int]) -> int:
    """How many records of a scope are of these days and windows."""
    wanted, kept = set(days), set(windows)
    return sum(day in wanted and window in kept for day, window, _ in shown)


def event_places(settings: Settings) -> list[Place]:
    """Every partition of every event topic."""
    return [(topic, partition) for topic in EVENT_TOPICS for partition in range(settings.partitions)]


async def _settle(settings: Settings, tail: Tail, cut: Cut, wait_s: float, told: Told) -> bool:
    """Read until nothing is under way and nothing new has come for a while; False where that takes too long."""
    others = [(topic, partition) for topic in (PROFILES, FACTORS_PAGES) for partition in range(settings.partitions)]
    sources = [*event_places(settings), *others]
    n = await tail.catch_up(cut.apply)
    deadline, quiet_since = time.monotonic() + wait_s, None
    while True:
        told("reading", n, None)
        ends, committed = await tail.ends(sources), await tail.committed(sources)
        new = await tail.catch_up(cut.apply)
        n += new
        now_s = time.monotonic()
        # An empty partition has no committed offset, and one read to its end has nothing under way.
        if new or any(committed[place] < end for place, end in ends.items()) or cut.has_waiting():
            quiet_since = None
        elif quiet_since is None:
            quiet_since = now_s
        elif now_s - quiet_since >= SETTLE_S:
            return True
        if now_s > deadline:
            return False
        await asyncio.sleep(SETTLE_S / 4)


def _sampled(days: Mapping[Scope, list[int]], n: int, seed: int) -> dict[Scope, list[int]]:
    pairs = [(scope, day) for scope, asked in days.items() for day in asked]
    drawn = random.Random(seed).sample(pairs, min(n, len(pairs)))  # noqa: S311 - a sample, no secret
    chosen: dict[Scope, list[int]] = {}
    for scope, day in sorted(drawn, key=lambda pair: (pair[0].name, pair[1])):
        chosen.setdefault(scope, []).append(day)
    return chosen


def _totals(settings: Settings, cut: Cut, found: Verified, ends: Mapping[Place, int]) -> list[Place]:
    """Add where consumed is not what lies there; returns where accepted + refused are not the offsets consumed."""
    uneven: list[Place] = []
    for topic, partition in event_places(settings):
        known = cut.totals.get(partition, Totals()).topics.get(topic, TopicTotals())
        found.accepted += known.accepted
        found.refused += sum(known.refused.values())
        key, end = f"{topic}/{partition}", ends[topic, partition]
        if known.next_offset > end or (found.at_rest and known.next_offset < end):
            found.differences.append(
                Difference(TOTALS, key, f"applied up to offset {known.next_offset}, the log ends at {end}")
            )
        if known.accepted + sum(known.refused.values()) != known.next_offset:
            uneven.append((topic, partition))
        if cut.source == "events":
            found.differences += _decided_otherwise(cut, topic, partition, known)
    return uneven


def _decided_otherwise(cut: Cut, topic: str, partition: int, known: TopicTotals) -> Iterator[Difference]:
    refused = {code: n for (t, p, code), n in cut.refused.items() if (t, p) == (topic, partition)}
    accepted = cut.accepted[topic, partition]
    if (accepted, refused) != (known.accepted, known.refused):
        text = f"accepted {known.accepted}, refused {known.refused}; decided anew: {accepted}, {refused}"
        yield Difference(TOTALS, f"{topic}/{partition}", text)


async def _uneven(tail: Tail, cut: Cut, places: list[Place]) -> list[Difference]:
    """Offsets may hold no record (transaction markers): only counting tells."""
    counted = dict.fromkeys(places, 0)
    limits = {(t, p): cut.totals.get(p, Totals()).topics.get(t, TopicTotals()).next_offset for t, p in places}

    def count(chunk: Chunk) -> None:
        place = (chunk.topic, chunk.partition)
        counted[place] += sum(offset < limits[place] for offset in chunk.offsets)

    starts = await tail.begin(places)
    await tail.catch_up(count)
    differences = []
    for topic, partition in places:
        known = cut.totals.get(partition, Totals()).topics.get(topic, TopicTotals())
        decided = known.accepted + sum(known.refused.values())
        records, gone = counted[topic, partition], starts[topic, partition]
        if not records <= decided <= records + gone:
            text = f"accepted {known.accepted} + refused {sum(known.refused.values())} of {records} records"
            differences.append(Difference(TOTALS, f"{topic}/{partition}", text))
    return differences
