"""Turns and allowances: what need not go out with every commit has its time, and no more than its share."""

from schemas.control import ClockRecord
from stream.clock import SharedClock
from stream.pace import Allowance, Turns

PARTITIONS = 4


def due_at(turns, partition, *, start_ms, steps, slower=1):
    """How many ms after the start a partition that is asked every 10 ms has its turns."""
    return [10 * step for step in range(steps) if turns.is_due(partition, start_ms + 10 * step, slower=slower)]


def test_each_partition_has_a_turn_an_interval_and_they_are_spread_over_it():
    turns = Turns(100, PARTITIONS)
    assert [due_at(turns, p, start_ms=5_000, steps=25) for p in range(PARTITIONS)] == [
        [0, 100, 200], [30, 130, 230], [50, 150], [80, 180],
    ]  # fmt: skip


def test_a_slower_pace_and_a_clock_that_is_set_back():
    assert due_at(Turns(100, 1), 0, start_ms=0, steps=41, slower=2) == [0, 200, 400]
    turns = Turns(100, 1)
    assert turns.is_due(0, 5_000)
    assert turns.is_due(0, 4_000)
    assert not turns.is_due(0, 4_050)


def test_a_partition_that_comes_back_begins_anew():
    turns = Turns(100, 1)
    assert turns.is_due(0, 1_000)
    assert not turns.is_due(0, 1_050)
    turns.forget(0)
    assert turns.is_due(0, 1_050)


def test_an_allowance_is_shared_and_not_saved_up():
    allowance = Allowance(4_000)
    assert allowance.take(0, 10_000, partitions=8) == 500
    assert allowance.take(0, 10_250, partitions=8) == 125
    assert allowance.take(0, 60_000, partitions=8) == 500
    assert allowance.take(0, 60_000, partitions=8) == 1
    assert allowance.take(1, 60_000, partitions=1) == 4_000


def test_figures_of_crossed_scopes_say_how_far_their_own_pages_reach():
    clock = SharedClock("wall", 2)
    clock.note(ClockRecord(partition=0, watermark_ms=900, accepted_ms=900, caught_up=True, at_ms=1_000))
    clock.note(ClockRecord(partition=1, watermark_ms=800, accepted_ms=800, caught_up=True, at_ms=990, crossed_ms=300))
    assert clock.complete_through_ms() == 990
    assert clock.complete_through_ms(crossed=True) == 300
    clock.note(ClockRecord(partition=1, watermark_ms=800, accepted_ms=800, caught_up=True, at_ms=990))
    assert clock.complete_through_ms(crossed=True) == 990
