"""A partition keeps its state over a rebalance only where nobody else can have had it in between."""

from stream.transport.ownership import Ownership


def take_over(ownership):
    ownership.begin()
    for partition in ownership.current.gained:
        ownership.recovered(partition)


def test_partitions_held_in_two_generations_in_a_row_are_kept():
    ownership = Ownership()
    ownership.assign({0, 1, 2}, 5)
    take_over(ownership)
    now = ownership.assign({1, 2, 3}, 6)
    assert (now.kept, now.gained, now.lost) == ({1, 2}, {3}, {0})
    assert now.owned == {1, 2, 3}


def test_a_worker_that_missed_a_generation_keeps_nothing():
    ownership = Ownership()
    ownership.assign({0, 1}, 5)
    take_over(ownership)
    now = ownership.assign({0, 1}, 7)
    assert (now.kept, now.gained) == (set(), {0, 1})
    assert ownership.live == set()


def test_a_partition_that_was_not_recovered_in_time_is_recovered_anew():
    ownership = Ownership()
    ownership.assign({0, 1}, 5)
    ownership.begin()
    ownership.recovered(0)
    now = ownership.assign({0, 1}, 6)
    assert (now.kept, now.gained) == ({0}, {1})


def test_what_a_cancelled_takeover_left_behind_is_given_up():
    ownership = Ownership()
    ownership.assign({0, 1}, 5)
    ownership.begin()  # producers were started, nothing was recovered
    assert ownership.assign({1}, 6).lost == {0}


def test_only_recovered_partitions_that_are_still_owned_are_live():
    ownership = Ownership()
    ownership.assign({0, 1}, 5)
    take_over(ownership)
    assert ownership.live == {0, 1}
    ownership.assign({1}, 6)
    assert ownership.live == {1}


def test_a_takeover_is_held_up_by_the_next_rebalance():
    ownership = Ownership()
    first = ownership.assign({0, 1}, 5)
    assert ownership.holds(first)
    ownership.revoke()
    assert not ownership.holds(first)
    second = ownership.assign({0, 1}, 6)
    assert ownership.holds(second)
    assert not ownership.holds(first)
