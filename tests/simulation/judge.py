"""What must be true when a seed has come to rest, whatever happened on the way."""

import datetime as dt
from collections import Counter, defaultdict
from operator import attrgetter

import numpy as np

from processors.calendar import date_of, day_of
from processors.decode import decode
from processors.decode.items import decode_item
from processors.decode.profiles import decode_profile
from processors.intraday.pages import add_hours
from processors.pages import parse_page_key, total_series
from processors.partition import Partition
from schemas.control import decode_clock
from schemas.factors import NO_CURRENCY, decode_record
from schemas.refusals import HEADER_OFFSET, HEADER_PARTITION, HEADER_TOPIC
from schemas.scopes import parse
from schemas.store import crossed_key, index_entry, live_key, minutes_key, pages_key
from schemas.topics import CLOCK, FACTORS_LIVE, INTRADAY_MINUTES, ITEMS
from stream.catalogue import CatalogueLog
from stream.clock import latest_day
from stream.control import ControlRecord
from tests.core import differences, oracle_of
from tests.simulation import restatements
from tests.simulation.history import ZONES, dead_letter_topic

COUNTS = attrgetter("s", "s_existing", "b", "b_existing", "items", "buyer_days")


def judge(simulation, *, by_brute_force=False):
    """Problems found, in words."""
    if simulation.problems:
        return simulation.problems
    problems = [*_totals(simulation), *_dead_letters(simulation)]
    reference = _reference(simulation)
    problems += _figures(simulation, reference)
    problems += _stored(simulation, reference)
    problems += restatements.judge(simulation)
    problems += _minutes(simulation, reference)
    if by_brute_force and not problems:
        problems += _brute_force(simulation, reference)
    return problems


def _totals(simulation):
    for (topic, partition), codes in sorted(simulation.traffic.produced.items()):
        found = simulation.totals(partition).topics.get(topic)
        refused = Counter(code for code in codes if code)
        told = (found.next_offset, found.accepted, found.refused) if found else None
        expected = (len(codes), len(codes) - refused.total(), dict(refused))
        if told != expected:
            yield f"totals of {topic}-{partition} are {told}, should be {expected}"


def _dead_letters(simulation):
    found = Counter()
    for (topic, _), log in simulation.broker.logs.items():
        if topic.endswith(".dlq"):
            for entry in log.committed():
                headers = dict(entry.headers)
                name = headers[HEADER_TOPIC].decode()
                found[name, int(headers[HEADER_PARTITION]), int(headers[HEADER_OFFSET])] += 1
                if dead_letter_topic(name) != topic:
                    yield f"a dead letter of {name} lies in {topic}"
    expected = Counter(
        (topic, partition, offset)
        for (topic, partition), codes in simulation.traffic.produced.items()
        for offset, code in enumerate(codes)
        if code
    )
    traffic = simulation.traffic
    items = zip(traffic.item_offsets, traffic.produced_items, strict=True)
    expected.update((ITEMS, 0, offset) for offset, code in items if code)
    if found != expected:
        yield f"dead letters: {dict(found - expected)} too many, {dict(expected - found)} missing"


def _reference(simulation):
    """One partition that has taken in every accepted event, once and in order."""
    log = CatalogueLog("smart", 256)
    for key, value in simulation.traffic.items:
        log.note(ControlRecord(ITEMS, key, value))
    log.catalogue.complete()
    today = latest_day(_now_ms(simulation)) or 1
    partition = Partition(simulation.config, today, zone_of=ZONES.get, catalogue=log.catalogue)
    partition.fold(decode(simulation.traffic.accepted, None, None, partition=0, partitions=1, wall_clock=False))
    partition.fold_profiles([decode_profile(record) for record in simulation.traffic.profiles])
    partition.follow_catalogue()
    return partition


def _now_ms(simulation):
    if simulation.shape.clock == "wall":
        return simulation.wall_ms()
    records = simulation.broker.logs[CLOCK, 0].newest().values()
    return max((decode_clock(value).accepted_ms or 0 for value in records), default=0)


def _figures(simulation, reference):
    now_ms = _now_ms(simulation)
    if not simulation.traffic.accepted:
        return
    try:
        published = _published(simulation)
    except ValueError as error:
        yield f"a published record is none: {error}"
        return
    windows, horizon = simulation.config.windows, simulation.config.horizon_days
    for scope, _ in reference.scopes():
        zone = ZONES.get(scope.shop, simulation.settings.default_timezone)
        today = reference.zones.day_at(zone, now_ms)
        first = today - horizon + 2  # a partition counts its horizon from the date of the easternmost zone
        counts = reference.counts(scope, first, today)
        money = {c: reference.money(scope, c, first, today) for c in reference.currencies(scope)}
        cells = {(int(i), int(w)) for i, w in np.argwhere((counts != 0).any(axis=1))}
        days = {date_of(first + i).isoformat(): i for i in range(len(counts))}
        name, shown, dates = scope.name, published[scope.name], list(days)
        for window, as_of in shown:
            if as_of in days:
                cells.add((days[as_of], windows.index(window)))
            elif as_of > dates[-1]:
                yield f"{name} {window} d to {as_of}: published before its date"
        by_cell = counts.transpose(0, 2, 1).tolist()
        money_by_cell = {c: series.transpose(0, 2, 1).tolist() for c, series in money.items()}
        for i, w in sorted(cells):
            amounts = {c: tuple(series[i][w]) for c, series in money_by_cell.items()}
            for text in _differences(shown.get((windows[w], dates[i]), {}), by_cell[i][w], amounts):
                yield f"{name} {windows[w]} d to {dates[i]}: {text}"


def _stored(simulation, reference):
    """What the serving store shows of today, and the pages that it has of any date."""
    now_ms, windows = _now_ms(simulation), simulation.config.windows
    for scope, currencies in reference.scopes():
        today = reference.zones.day_at(ZONES.get(scope.shop, simulation.settings.default_timezone), now_ms)
        first = today - simulation.config.horizon_days + 2
        counts = reference.counts(scope, first, today)
        pages = {int(n): page for n, page in simulation.stored.get(pages_key(scope.name), {}).items()}
        start, series = total_series(pages, len(windows), "", today)
        at = max(first, start)
        if counts[: at - first].any() or not np.array_equal(series[at - start :], counts[at - first :]):
            yield f"{scope.name}: the store's pages say something else"
        listed = index_entry(scope.name)
        if counts.any() and listed is not None and listed[1] not in simulation.stored.get(listed[0], {}):
            yield f"{scope.name}: the store does not list it"
        by_window = defaultdict(dict)
        for value in simulation.stored.get(live_key(scope.name), {}).values():
            record = decode_record(value)
            by_window[record.window_days][record.currency] = record
        money = {c: reference.money(scope, c, today, today) for c in currencies}
        for w, window in enumerate(windows):
            amounts = {c: tuple(series[0, :, w].tolist()) for c, series in money.items()}
            for text in _differences(by_window[window], counts[-1, :, w].tolist(), amounts):
                yield f"store: {scope.name} {window} d to {date_of(today)}: {text}"


def _minutes(simulation, reference):
    """What the store and the topic of minutes say of the hours that are exact still."""
    now_ms = _now_ms(simulation)
    if not simulation.traffic.accepted:
        return
    told = {}
    for (topic, _), log in simulation.broker.logs.items():
        if topic == INTRADAY_MINUTES:
            told |= log.newest()
    for name, key, page in reference.intraday.take_pages(now_ms // 60_000):
        scope, hour = parse(name.decode()), parse_page_key(key)[2]
        should = _lanes(page)
        if _lanes(simulation.stored.get(minutes_key(scope.name), {}).get(str(hour))) != should:
            yield f"{scope.name} hour {hour}: the store's minutes say something else"
        if not scope.kind and _lanes(told.get(f"{scope.name}|{hour}".encode())) != should:
            yield f"{scope.name} hour {hour}: the minutes in the topic say something else"
        if scope.kind and scope.name not in simulation.stored.get(crossed_key(f"shop={scope.shop}", scope.kind), {}):
            yield f"{scope.name} is not listed among the crosses of its shop"


def _lanes(page):
    return {name: lane.tobytes() for name, lane in add_hours([page] if page else []).items()}


def _differences(found, expected, amounts):
    """How the records of one scope, window and T differ from what they should say."""
    if any(expected) and not found:
        yield f"nothing is published, should be {expected}"
    if NO_CURRENCY in found and len(found) > 1:
        yield f"published with currencies {sorted(found)}"
    for currency, record in found.items():
        told = COUNTS(record)
        if told != tuple(expected):
            yield f"published in {currency}: {told}, should be {expected}"
        told, should = (record.gmv_minor, record.gmv_existing_minor), amounts.get(currency, (0, 0))
        if told != should:
            yield f"published {currency} {told}, should be {should}"
    for currency, amount in amounts.items():
        if any(amount) and currency not in found and found:
            yield f"{currency} {amount} is not published"


def _published(simulation):
    """Scope → (window, as_of) → currency → the newest record."""
    found = defaultdict(lambda: defaultdict(dict))
    for (topic, _), log in simulation.broker.logs.items():
        if topic == FACTORS_LIVE:
            for value in log.newest().values():
                try:
                    record = decode_record(value)
                except ValueError as error:
                    raise ValueError(f"{value.decode()}: {error}") from None
                found[record.scope][record.window_days, record.as_of][record.currency] = record
    return found


def _in_force(records, codes):
    """The catalogue's records in force, one an item."""
    newest, deleted = {}, set()
    for (name, value), code in zip(records, codes, strict=True):
        if value is None:
            deleted.add(name)
        elif not code:
            made = decode_item(value)
            version = made.updated_ms, 0 if name in deleted else made.digest()
            if name not in newest or newest[name][0] < version:
                newest[name] = version, value
                deleted.discard(name)
    return [value for name, (_, value) in newest.items() if name not in deleted]


def _brute_force(simulation, reference):
    """The reference itself against the oracle."""
    if not simulation.traffic.accepted:
        return
    traffic = simulation.traffic
    items = _in_force(traffic.items, traffic.produced_items)
    oracle = oracle_of(traffic.accepted, zones=ZONES, profiles=traffic.profiles, items=items)
    last = date_of(latest_day(_now_ms(simulation)) - 1)
    for scope, _ in reference.scopes():
        for days in (0, 1, 6, 7, 20, 39):
            at = last - dt.timedelta(days=days)
            if day_of(at) > 0:
                found = differences(reference, oracle, scope.name, at, at)
                yield from (text for text in found if "currencies are" not in text)
