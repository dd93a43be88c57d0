"""Runs a partition on record values and compares what it answers with the brute force."""

import datetime as dt
import hashlib
import json

import numpy as np

from processors.calendar import date_of, day_of
from processors.catalogue import Catalogue
from processors.counters import B_EXISTING, BUYER_DAYS, GMV, GMV_EXISTING, ITEMS, N_COUNTS, S_EXISTING, B, S
from processors.decode import decode
from processors.decode.items import decode_item
from processors.decode.profiles import decode_profile
from processors.partition import CoreConfig, Partition
from schemas.scopes import parse
from tests.oracle import Oracle
from tests.streams import ALL_WORDS, WINDOWS, ZONES

KINDS = tuple(sorted(ALL_WORDS))
EVERYTHING = CoreConfig(
    windows=WINDOWS,
    scopes=ALL_WORDS,
    horizon_days=2_600,
    ring_days=4_096,
    activity_days=None,
    purchase_days=None,
    max_users=10_000,
    max_names=10_000,
    max_products=10_000,
    max_rows=10_000,
)
"""All scopes, and nothing forgotten for seven years."""


def decoded(values):
    """The accepted events of record values; refuses none."""
    columns = decode(values, None, None, partition=0, partitions=1, wall_clock=False)
    assert not columns.refusals, columns.refusals[:3]
    return columns


def catalogue_of(records=()):
    """A catalogue that has been read, with these records in it."""
    catalogue = Catalogue(10_000)
    catalogue.complete()
    for record in records:
        catalogue.note(decode_item(record))
    return catalogue


def new_partition(today, config=EVERYTHING, zones=ZONES, catalogue=None):
    return Partition(config, day_of(today), zone_of=zones.get, catalogue=catalogue)


def fold_into(partition, values):
    """The partition after one more batch."""
    partition.fold(decoded(values))
    return partition


def folded(batches, today, config=EVERYTHING, zones=ZONES, catalogue=None):
    """A partition that has taken in batches of record values."""
    partition = new_partition(today, config, zones, catalogue)
    for batch in batches:
        fold_into(partition, batch)
    return partition


def fold_profiles_into(partition, records):
    """The partition after one more batch of profile records."""
    partition.fold_profiles([decode_profile(record) for record in records])
    return partition


def reloaded(records, today, config=EVERYTHING, zones=ZONES, catalogue=None):
    """A partition made from changelog records (key → newest value), in the order given."""
    partition = new_partition(today, config, zones, catalogue)
    partition.load(list(records), list(records.values()))
    partition.rebuild(day_of(today))
    return partition


def oracle_of(values, zones=ZONES, profiles=(), items=()):
    """profiles, items: their records, in any order."""
    return Oracle(values, zones=zones, profiles=newest_profiles(profiles), listed=newest_listings(items))


def newest(records, into):
    """Compaction: the newest value of each key, the order of first writing kept."""
    for key, value in records:
        into[key] = value
    return into


def newest_listings(records):
    """Item → the date of its listing, by the newest record. No two of one instant say different things."""
    newest = {}
    for made in sorted(map(json.loads, records), key=lambda made: made["updated_at"]):
        newest[made["item_id"]] = made.get("listed_on")
    return {item: dt.date.fromisoformat(listed) for item, listed in newest.items() if listed}


def newest_profiles(records):
    """User → the attributes of the newest record."""
    newest = {}
    for record in records:
        made = json.loads(record)
        version = made["updated_at"], hashlib.blake2b(record, digest_size=8).digest()[::-1]
        newest[made["user_id"]] = max(newest.get(made["user_id"], (version, made)), (version, made), key=lambda x: x[0])
    return {user: {k: v for k, v in made.items() if v is not None} for user, (_, made) in newest.items()}


def differences(partition, oracle, scope, first, last, *, forgets=False):
    """Where the partition's answers for a scope differ from the brute force, for T in first … last; in words.

    `forgets`: currencies of lines that count at no T that is kept may be forgotten.
    """
    parsed = parse(scope)
    low, high = day_of(first), day_of(last)
    counts = partition.counts(parsed, low, high)
    found_in = partition.currencies(parsed)
    money = {currency: partition.money(parsed, currency, low, high) for currency in {*found_in, "CNY", "USD", "XAU"}}
    wrong = []
    for day in range(low, high + 1):
        for w, window_days in enumerate(partition.config.windows):
            n, amounts = oracle.counts(scope, window_days, date_of(day))
            expected = [0] * N_COUNTS
            expected[S], expected[S_EXISTING], expected[B] = n["s"], n["s_existing"], n["b"]
            expected[B_EXISTING], expected[ITEMS], expected[BUYER_DAYS] = n["b_existing"], n["items"], n["buyer_days"]
            assert n["s_new"] == n["b_new"]
            got = counts[day - low, :, w].tolist()
            where = f"{scope} {window_days} d to {date_of(day)}"
            if got != expected:
                wrong.append(
                    f"{where}: s, s_existing, b, b_existing, items, buyer_days are {got}, should be {expected}"
                )
            for currency, series in money.items():
                got_money = (int(series[day - low, GMV, w]), int(series[day - low, GMV_EXISTING, w]))
                if got_money != amounts.get(currency, (0, 0)):
                    wrong.append(f"{where}: {currency} is {got_money}, should be {amounts.get(currency, (0, 0))}")
            if not set(found_in) <= set(amounts) or (len(found_in) < len(amounts) and not forgets):
                wrong.append(f"{where}: currencies are {found_in}, should be {sorted(amounts)}")
    return wrong


def contents(partition, first, last):
    """Everything a partition answers for T in first … last: scope and currency → bytes; what is zero is left out."""
    low, high = day_of(first), day_of(last)
    told = {}
    for scope, currencies in partition.scopes():
        series = {"": partition.counts(scope, low, high)}
        series |= {currency: partition.money(scope, currency, low, high) for currency in currencies}
        told |= {(scope.name, name): array.tobytes() for name, array in series.items() if np.any(array)}
    return told


def today_of(oracle):
    """The date of the newest event."""
    return oracle.greatest_event_date


def dates_around(oracle):
    """The first T and the last at which anything of the oracle's can count."""
    first = (oracle.dates() or [today_of(oracle)])[0]
    return first - dt.timedelta(days=2), today_of(oracle) + dt.timedelta(days=2 * 365 + 2)
