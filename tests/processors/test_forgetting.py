"""What no kept figure can need is forgotten, and nothing else: ledgers stay flat over the years."""

import datetime as dt
import random

import pytest

from processors import partition as partition_module
from processors.aggregate import Aggregate
from processors.calendar import date_of, day_of
from processors.figures import Provenance
from processors.pages import total_series
from processors.partition import CoreConfig
from schemas.scopes import Scope
from tests.core import contents, differences, fold_into, folded, new_partition, oracle_of, reloaded
from tests.events import DAY_0, DAY_MS, NOON_MS, date, encode, purchase, refund, view
from tests.streams import ALL_WORDS, cut, seeded_stream

WINDOWS = (1, 7, 30)
HORIZON_DAYS = 100
TRIM_USERS = 10
EMPTY_PAGE_BYTES = 10
"""Version, windows, floor and checksum."""
ACTIVITY_DAYS, PURCHASE_DAYS = HORIZON_DAYS + 30, HORIZON_DAYS + 30 - 1 + 365
SHORT = CoreConfig(
    windows=WINDOWS,
    scopes=ALL_WORDS,
    horizon_days=HORIZON_DAYS,
    activity_days=ACTIVITY_DAYS,
    purchase_days=PURCHASE_DAYS,
    max_users=10_000,
    max_names=10_000,
    max_products=10_000,
    max_rows=10_000,
)


@pytest.fixture(autouse=True)
def few_users_at_a_time(monkeypatch):
    monkeypatch.setattr(partition_module, "_TRIM_USERS", TRIM_USERS)


def taken(partition, changelog):
    """Take as often as it takes to trim the ledgers of all users."""
    for _ in range(0, len(partition.dictionaries.users) + 1, TRIM_USERS):
        changelog |= dict(partition.take_records())


def pages_of(partition):
    return with_entries({key: value for _, key, value in partition.take_pages(1 << 20)})


def with_entries(pages):
    """Without tombstones, and without bases of nothing: a scope that is forgotten may leave one."""
    return {key: value for key, value in pages.items() if value and len(value) > EMPTY_PAGE_BYTES}


@pytest.mark.parametrize("seed", range(3))
def test_figures_of_the_horizon_stay_exact_while_ledgers_are_trimmed(seed):
    values = seeded_stream(seed, 3_000, days=1_900, first_date="2020-01-05", users=25)
    partition, changelog, published, seen = new_partition(dt.date(2020, 1, 1), SHORT), {}, {}, []
    rng = random.Random(seed)
    for batch in cut(values, seed):
        fold_into(partition, batch)
        seen += batch
        partition.advance(partition.last_day)
        taken(partition, changelog)
        published |= {key: value for _, key, value in partition.take_pages(1 << 20)}
        if rng.random() < 0.1:
            oracle = oracle_of(seen)
            for scope in rng.sample(oracle.scopes(*sorted(ALL_WORDS - {"group", "power", "age", "gender"})), 2):
                at = date_of(partition.today - rng.randrange(HORIZON_DAYS))
                assert differences(partition, oracle, scope, at, at, forgets=True) == []
    today = date_of(partition.today)
    around = today - dt.timedelta(days=HORIZON_DAYS), today + dt.timedelta(days=30)
    loaded = reloaded({k: v for k, v in changelog.items() if v is not None}, today, SHORT)
    assert contents(loaded, *around) == contents(partition, *around)
    assert pages_of(loaded) == with_entries(published)
    oldest = partition.today - PURCHASE_DAYS - 64 - 32 - 8
    periods = {int.from_bytes(k[1:3], "big") for k, v in changelog.items() if k[:1] == b"L" and v is not None}
    assert min(periods) >= oldest >> 5
    assert max(int.from_bytes(k[1:3], "big") for k, v in changelog.items() if k[:1] == b"L" and v is None) >= 0


def test_memory_stays_flat_over_two_years():
    """The same shoppers come every day of four years: from the second on nothing grows."""
    partition, sizes = new_partition(DAY_0, SHORT), []
    for day in range(4 * 365):
        at_ms = NOON_MS + day * DAY_MS
        made = [view(f"u{k}", at_ms=at_ms, item_id=f"i{k}") for k in range(day % 7, 40, 7)]
        bought = f"o{day}"
        made += [purchase("u1", at_ms=at_ms, order=bought), refund("u1", at_ms=at_ms + 1, order=bought, amount=1)]
        fold_into(partition, [encode(one) for one in made])
        partition.advance(partition.last_day)
        taken(partition, {})
        if day % 64 == 63:
            sizes.append(partition.sizes())
    half = len(sizes) // 2
    for name in ("cells", "lines", "refunds", "bytes"):
        first, last = (
            max(getattr(size, name) for size in part) for part in (sizes[half : -half // 2], sizes[-half // 2 :])
        )
        assert last <= first * 1.03, name
    assert sizes[-1].lines < PURCHASE_DAYS + 64 + 64
    assert len(partition._scratch.lines) <= 8 * (sizes[-1].lines + 128)


def test_a_refund_outlives_the_period_of_its_own_day_with_its_line():
    partition = folded([[encode(refund("u", 0)), encode(purchase("u", 160))]], DAY_0, SHORT)
    partition.advance(day_of(date(0)) + PURCHASE_DAYS + 8 + 64 + 40)
    taken(partition, {})
    assert (partition.sizes().lines, partition.sizes().refunds) == (1, 1)
    partition.advance(day_of(date(160)) + PURCHASE_DAYS + 8 + 64 + 40)
    taken(partition, {})
    assert (partition.sizes().lines, partition.sizes().refunds) == (0, 0)


def test_a_backtest_forgets_nothing():
    config = CoreConfig(**{**SHORT.__dict__, "activity_days": None, "purchase_days": None})
    partition = folded([[encode(view("u", 0))], [encode(view("u", 1_500))]], DAY_0, config)
    partition.advance(day_of(date(1_500)))
    taken(partition, {})
    assert partition.sizes().cells == 2


def test_beyond_the_bound_of_rows_new_names_count_together():
    config = CoreConfig(**{**SHORT.__dict__, "scopes": frozenset({"shop", "item", "category"}), "max_rows": 64})
    partition, changelog = new_partition(DAY_0, config), {}
    values = [encode(view(f"u{n}", n // 50, item_id=f"i{n}", category_id="c1")) for n in range(200)]
    for value in values:
        fold_into(partition, [value])
        changelog |= dict(partition.take_records())
    day = partition.last_day
    named = {scope.name: int(partition.counts(scope, day, day)[0, 0, 2]) for scope, _ in partition.scopes()}
    others = named.pop("shop=s1|item=_other")
    assert named.pop("shop=s1") == named.pop("shop=s1|category=c1") == 200
    assert set(named.values()) == {1}
    assert others == 200 - len(named) == partition.over_bound["item"] > 100
    assert sum(partition.over_bound.values()) == others
    loaded = reloaded(changelog, date_of(partition.today), config)
    assert contents(loaded, DAY_0, date(40)) == contents(partition, DAY_0, date(40))


def test_what_is_published_stays_flat_too():
    """Total pages and figures of days before the horizon are deleted where they have been published."""
    partition, aggregate = new_partition(DAY_0, SHORT), Aggregate(WINDOWS, HORIZON_DAYS)
    figures, totals, sizes = {}, {}, []
    for day in range(3 * 365):
        at_ms = NOON_MS + day * DAY_MS
        made = [
            view("u", at_ms=at_ms),
            purchase("u", at_ms=at_ms, order=f"o{day}", currency="CNY" if day < 9 else "USD"),
        ]
        fold_into(partition, [encode(one) for one in made])
        partition.advance(partition.last_day)
        taken(partition, {})
        for _, key, value in partition.take_pages(partition.today + 1):
            aggregate.apply(key, value)
        aggregate.advance("shop=s1", partition.today, partition.today - 1)
        figures |= dict(aggregate.take("shop=s1", partition.today, Provenance()))
        totals |= dict(aggregate.take_pages("shop=s1"))
        kept = {key for key, record in figures.items() if record is not None}
        sizes.append((len(kept), sum(page is not None for page in totals.values())))
    assert {key.split("|")[3] for key in kept} == {"USD"}
    assert min(key.split("|")[2] for key in kept) >= (date_of(partition.today - HORIZON_DAYS - 72)).isoformat()
    most_records, most_pages = map(max, zip(*sizes[500:], strict=True))
    assert most_records <= len(WINDOWS) * (HORIZON_DAYS + 72 + 1)
    assert most_pages <= (HORIZON_DAYS + 72 + 366) // 8 + 2
    oracle_counts = partition.counts(Scope("s1"), partition.today - HORIZON_DAYS, partition.today)
    first, series = total_series({n: page for n, page in totals.items() if page}, len(WINDOWS), "", partition.today)
    assert (series[partition.today - HORIZON_DAYS - first :] == oracle_counts).all()
