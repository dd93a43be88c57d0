"""The running stack gives the same figures as the backtest, and `smart verify` finds no difference."""

import json
import time

import pytest
from redis import Redis

from tests.running import System, assert_shows_the_backtest, question_for
from tests.streams import ALL_WORDS, ZONES, delivered, seeded_profiles, seeded_stream

HORIZON_DAYS = 40
BAD = [
    b"no json",
    b'{"event_id":"x","action":"dance","user_id":"u","event_time":0,"shop_id":"s1"}',
    b'{"event_id":"x","action":"view","user_id":"u","event_time":"yesterday","shop_id":"s1"}',
]
BAD_PROFILE = b'{"user_id":"u1","updated_at":99,"group":"g99"}'


@pytest.mark.timeout(400)  # commands start in seconds on a machine that does other things too
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
        parts_are_shown_side_by_side(system)
        with Redis.from_url(system.stack.redis_url) as client:
            client.flushall()
        wait_until_shown(system)
        parts_are_shown_side_by_side(system)


def parts_are_shown_side_by_side(system):
    """A row of the item table is the figure of the item alone, and other tables are of the same."""
    tables = records(system.smart("items", "s1", "--window", 365, "--json"))
    assert {row["value"] for one in tables for row in one["rows"]} == {"i1", "i2", "i3", "i4"}
    told = records(system.smart("factors", "shop=s1|item=i1", "--window", 365, "--json"))
    alone = {record["currency"]: record for record in told}
    for one in tables:
        for row in one["rows"]:
            record = row["figures"]
            assert row["value"] != "i1" or record == alone[record["currency"]]
    (best, *_) = records(system.smart("spend", "s1", "--window", 365, "--json"))
    assert [spread["by"] for spread in best["concentrations"]] == ["category", "channel", "item"]
    compared = records(system.smart("compare", "shop=s1", "--window", 365, "--json"))
    assert {one["currency"] for one in compared} >= {one["currency"] for one in tables}


def wait_until_shown(system, seconds=60):
    """Until the workers have noticed that the store is empty and have written all of it again."""
    deadline = time.monotonic() + seconds
    while system.smart("items", "s1", "--window", 365, expect=None).returncode:
        assert time.monotonic() < deadline, "the store was not written again"
        time.sleep(0.5)
    time.sleep(2)


def records(told):
    return [json.loads(line) for line in told.stdout.splitlines()]
