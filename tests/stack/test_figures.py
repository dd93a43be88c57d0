"""The running stack gives the same figures as the backtest, and `smart verify` finds no difference."""

from tests.running import System, assert_shows_the_backtest, question_for
from tests.streams import ALL_WORDS, ZONES, delivered, seeded_profiles, seeded_stream

HORIZON_DAYS = 40
BAD = [
    b"no json",
    b'{"event_id":"x","action":"dance","user_id":"u","event_time":0,"shop_id":"s1"}',
    b'{"event_id":"x","action":"view","user_id":"u","event_time":"yesterday","shop_id":"s1"}',
]
BAD_PROFILE = b'{"user_id":"u1","updated_at":99,"group":"g99"}'


def test_made_up_shops_in_all_zones_and_scopes(tmp_path):
    values = seeded_stream(21, 2_500, users=200, shops=5)
    sent = [*delivered(values, 4), *BAD]
    profiles = seeded_profiles(21, 600, users=200)
    with System(tmp_path, scopes=",".join(sorted(ALL_WORDS)), horizon_days=HORIZON_DAYS) as system:
        system.tell_shops(ZONES)
        system.add_workers(2)
        system.produce(profiles[::2])
        system.produce([*sent, *profiles[1::2], BAD_PROFILE])
        summary = system.verify()
        assert summary["accepted"] + summary["refused"] == system.produced() == len(sent)
        assert summary["refused"] == len(BAD)
        assert summary["scopes"] > 150
        assert system.refused()[BAD_PROFILE] == "unknown_value"
        sampled = system.verify("--from", "events", "--sample", 40)
        assert (sampled["source"], sampled["dates"]) == ("events", 40)
        compared = assert_shows_the_backtest(
            system.live(), values, question_for(ALL_WORDS, ZONES), HORIZON_DAYS, profiles
        )
        assert compared > 5_000
