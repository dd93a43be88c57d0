"""In a round every date of every scope has its turn, and each turn takes about its share."""

import pytest

from processors.rotation import Turn

SCOPES = [f"shop=s{n}" for n in range(200)]
DAYS = range(20_000, 20_365)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.02, 0.001])
def test_everything_has_its_turn_in_a_round_and_only_one(share):
    seen = []
    for number in range(100, 100 + Turn(share=share).round_turns):
        turn = Turn(number, share)
        seen += [(name, day) for name in SCOPES if turn.has_scope(name) for day in DAYS if turn.has_day(day)]
    assert len(seen) == len(set(seen)) == len(SCOPES) * len(DAYS)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02, 0.001])
def test_a_turn_takes_about_its_share_and_never_all_dates_of_a_scope(share):
    assert 1 / share <= Turn(share=share).round_turns < 1.6 / share
    if share < 0.5:
        assert sum(map(Turn(7, share).has_day, DAYS)) < len(DAYS) / 2


def test_a_round_is_known_by_its_ends():
    turns = [Turn(number, 0.1) for number in range(24)]
    assert [turn.number for turn in turns if turn.begins_round] == [0, 12]
    assert [turn.number for turn in turns if turn.ends_round] == [11, 23]
