"""Crossed scopes are published by turns: nothing that waits is lost, whoever owns the partition when its turn comes."""

import random

import pytest

from processors.calendar import day_of
from processors.pages import page_of
from processors.waiting import SLICES
from schemas.durable import WAITING_PREFIX
from schemas.scopes import is_crossed
from tests.core import fold_into, folded, newest, oracle_of, reloaded, today_of
from tests.streams import cut, delivered, seeded_stream


def keep_pages(pages, into):
    return newest(((key, page) for _, key, page in pages), into)


def whole_pages(batches, today):
    return keep_pages(folded(batches, today).take_pages(day_of(today) + 1), {})


@pytest.mark.parametrize("seed", range(6))
def test_what_waits_is_published_by_whoever_owns_the_partition_then(seed):
    rng = random.Random(seed)
    values = seeded_stream(seed, 800, users=30, shops=3)
    today, batches = today_of(oracle_of(values)), cut(delivered(values, seed), seed)
    partition, published, changelog = folded([], today), {}, {}
    for batch in batches:
        fold_into(partition, batch)
        is_due = rng.random() < 0.5
        keep_pages(partition.take_pages(day_of(today) + 1, partition.waiting.turn(is_due=is_due)), published)
        newest(partition.take_records(), changelog)
        if rng.random() < 0.2:  # a takeover
            partition = reloaded(changelog, today)
            partition.forget_pages(page_of(day_of(today) + 1))
    assert partition.waiting.records
    for _ in range(SLICES + 1):
        keep_pages(partition.take_pages(day_of(today) + 1, partition.waiting.turn(is_due=True)), published)
        newest(partition.take_records(), changelog)
    assert not partition.waiting.records
    assert not [key for key, value in changelog.items() if key[:1] == WAITING_PREFIX and value is not None]
    wanted = whole_pages(batches, today)
    assert {key: page for key, page in published.items() if page} == {key: page for key, page in wanted.items() if page}


def test_shops_and_the_market_do_not_wait():
    values = seeded_stream(1, 300, users=10, shops=2)
    today = today_of(oracle_of(values))
    partition = folded(cut(values, 1), today)
    at_once = {
        name.decode() for name, _, _ in partition.take_pages(day_of(today) + 1, partition.waiting.turn(is_due=False))
    }
    assert at_once == {"market", "shop=s1", "shop=s2"}
    later = set()
    for _ in range(SLICES):
        turn = partition.waiting.turn(is_due=True)
        later |= {name.decode() for name, _, _ in partition.take_pages(day_of(today) + 1, turn)}
    assert later
    assert all(map(is_crossed, later))
