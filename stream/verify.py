"""Holds what a running system shows to a recount of what it knows.

A cut is consistent when nothing is under way: every event is in a ledger, every page has been added up, and nothing
new comes for a while. A system that never comes to rest is compared all the same, several times: what differs in the
same way each time is a difference, what keeps changing cannot be judged.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from processors.audit import Difference, Shown, audit_live
from processors.recount import Recount
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
TOTALS: Final = "totals"

Told = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it so far, and of how much."""


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
    shown: dict[str, Shown]
    days: dict[Scope, list[int]]
    """What was compared: ascending day numbers."""
    today: dict[Scope, int]
    accepted: int = 0
    refused: int = 0
    differences: list[Difference] = field(default_factory=list)
    moving: list[Difference] = field(default_factory=list)
    """What differed at every look, and each time otherwise."""


async def verify(
    settings: Settings, options: Options, told: Told, wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
) -> Verified:
    """Compare the topic's records with a recount, and the totals with the event topics. Raises VerifyError."""
    cut = Cut(settings, options.source)
    async with Tail(settings.brokers, settings.application_id) as tail:
        starts = await tail.begin(cut.places())
        gone = [place for place, start in starts.items() if place[0] in EVENT_TOPICS and start > 0]
        if gone:
            raise VerifyError(f"{gone[0][0]} no longer has its first records: use --from changelog")
        at_rest = await _settle(settings, tail, cut, options.wait_s, told)
        told("counting from ledgers" if options.source == "changelog" else "counting from events", 0, None)
        found = _compare(settings, options, cut, at_rest=at_rest, wall_ms=wall_ms(), told=told)
        if not at_rest:
            await _look_again(settings, options, tail, cut, found, wall_ms, told)
        found.differences += await _totals(settings, tail, cut, found)
    return found


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
        if new or any(committed[place] < end for place, end in ends.items()):
            quiet_since = None
        elif quiet_since is None:
            quiet_since = now_s
        elif now_s - quiet_since >= SETTLE_S:
            return True
        if now_s > deadline:
            return False
        await asyncio.sleep(SETTLE_S / 4)


def _compare(settings: Settings, options: Options, cut: Cut, *, at_rest: bool, wall_ms: int, told: Told) -> Verified:
    """One look at everything that is asked for."""
    recount, shown = cut.recount(), cut.shown()
    known = {scope.name: scope for scope in (*map(parse, shown), *recount.scopes(settings.scopes))}
    scopes = options.scopes or tuple(known[name] for name in sorted(known))
    today = {scope: cut.today(scope, wall_ms) for scope in scopes}
    days = {scope: _days(shown.get(scope.name, {}), today[scope], settings.horizon_days) for scope in scopes}
    if options.sample is not None:
        days = _sampled(days, options.sample, options.seed)
    first_kept = {scope: day - settings.horizon_days for scope, day in today.items()}
    found = Verified(options.source, at_rest, recount, shown, days, today)
    if not options.scopes and options.sample is None:
        found.differences += cut.unreadable
    total = sum(map(len, days.values()))
    n = 0
    for scope, asked in days.items():
        found.differences += audit_live(
            recount, scope, shown.get(scope.name, {}), asked, options.windows, first_kept[scope]
        )
        n += len(asked)
        told("comparing", n, total)
    return found


def _days(shown: Shown, today: int, horizon_days: int) -> list[int]:
    """The days of which figures are kept up: those shown, and today."""
    return sorted({today, *(day for day, _, _ in shown if today - horizon_days <= day <= today)})


def _sampled(days: Mapping[Scope, list[int]], n: int, seed: int) -> dict[Scope, list[int]]:
    pairs = [(scope, day) for scope, asked in days.items() for day in asked]
    drawn = random.Random(seed).sample(pairs, min(n, len(pairs)))  # noqa: S311 - a sample, no secret
    chosen: dict[Scope, list[int]] = {}
    for scope, day in sorted(drawn, key=lambda pair: (pair[0].name, pair[1])):
        chosen.setdefault(scope, []).append(day)
    return chosen


async def _look_again(
    settings: Settings, options: Options, tail: Tail, cut: Cut, found: Verified, wall_ms: Callable[[], int], told: Told
) -> None:
    """Keep the differences that stay as they are; what is equal at any look is right, what keeps changing is moving."""
    before = {(one.place, one.key): one for one in found.differences}
    changed: set[tuple[str, str]] = set()
    for look in range(1, LOOKS):
        if not before:
            break
        told("the system is moving; looking again", look, LOOKS)
        await asyncio.sleep(SETTLE_S)
        await tail.catch_up(cut.apply)
        suspects = {parse(key.rsplit("|", 3)[0]) for _, key in before}
        again = _compare(
            settings, options._replace(scopes=tuple(suspects), sample=None), cut, at_rest=False, wall_ms=wall_ms(),
            told=lambda *_: None,
        )  # fmt: skip
        now = {(one.place, one.key): one for one in again.differences}
        changed |= {key for key in before.keys() & now.keys() if before[key] != now[key]}
        before = {key: now[key] for key in before.keys() & now.keys()}
    found.differences = [one for key, one in before.items() if key not in changed]
    found.moving = [one for key, one in before.items() if key in changed]


async def _totals(settings: Settings, tail: Tail, cut: Cut, found: Verified) -> list[Difference]:
    """Where accepted + refused is not what was consumed, or consumed is not what lies there."""
    places = event_places(settings)
    ends = await tail.ends(places)
    differences: list[Difference] = []
    uneven: list[Place] = []
    for topic, partition in places:
        known = cut.totals.get(partition, Totals()).topics.get(topic, TopicTotals())
        found.accepted += known.accepted
        found.refused += sum(known.refused.values())
        key, end = f"{topic}/{partition}", ends[topic, partition]
        if known.next_offset > end or (found.at_rest and known.next_offset < end):
            differences.append(
                Difference(TOTALS, key, f"applied up to offset {known.next_offset}, the log ends at {end}")
            )
        if known.accepted + sum(known.refused.values()) != known.next_offset:
            uneven.append((topic, partition))
        if cut.source == "events":
            differences += _decided_otherwise(cut, topic, partition, known)
    return differences + (await _uneven(tail, cut, uneven) if uneven else [])


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
