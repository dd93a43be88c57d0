"""A committed offset never runs ahead of what is acknowledged, whatever the order, and never back."""

import random

from stream.transport.offsets import OffsetBook


def test_only_the_unbroken_row_of_acknowledged_chunks_is_committed():
    book = OffsetBook()
    book.seek(10, 10)
    (first, _), (second, _), (third, _) = book.deliver(10, 19), book.deliver(20, 29), book.deliver(30, 39)
    book.acknowledge(third)
    assert book.committable() is None
    book.acknowledge(first)
    assert book.committable() == 20
    book.acknowledge(second)
    assert book.committable() == 40


def test_nothing_is_forgotten_before_the_commit_has_succeeded():
    book = OffsetBook()
    book.seek(0, None)
    book.acknowledge(book.deliver(0, 9)[0])
    assert [book.committable(), book.committable()] == [10, 10]
    book.commit(10)
    assert book.committable() is None


def test_a_topic_read_from_the_start_is_not_committed_backwards():
    book = OffsetBook()
    book.seek(None, 100)
    for first in range(0, 100, 10):
        book.acknowledge(book.deliver(first, first + 9)[0])
        assert book.committable() is None
    book.acknowledge(book.deliver(100, 104)[0])
    assert book.committable() == 105


def test_an_acknowledgement_from_before_a_rebalance_counts_for_nothing():
    book = OffsetBook()
    book.seek(0, 0)
    old, _ = book.deliver(0, 9)
    book.seek(0, 0)
    book.deliver(0, 9)
    book.acknowledge(old)
    assert book.committable() is None


def test_records_cut_away_under_the_reader_are_told():
    book = OffsetBook()
    book.seek(None, None)
    assert book.deliver(50, 59)[1] == 0
    assert book.deliver(70, 79)[1] == 10
    assert book.deliver(60, 64)[1] == -20


def test_random_orders_of_acknowledgement_commit_exactly_what_is_done():
    draw = random.Random(1)
    for _ in range(300):
        book = OffsetBook()
        book.seek(0, 0)
        ends = sorted(draw.sample(range(1, 200), 12))
        deliveries = [(book.deliver(first, end - 1)[0], end) for first, end in zip([0, *ends], ends, strict=False)]
        done = set()
        for delivery, end in draw.sample(deliveries, len(deliveries)):
            book.acknowledge(delivery)
            done.add(end)
            unbroken = 0
            for reached in ends:
                if reached not in done:
                    break
                unbroken = reached
            assert book.committable() == (unbroken if unbroken > (book.committed or 0) else None)
            if draw.random() < 0.3 and book.committable():
                book.commit(book.committable())
