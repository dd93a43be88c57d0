"""The worked cases, answered by a running system: all of them at once, each in shops and with users of its own."""

import datetime as dt
import json

import pytest

from tests.examples import CASES, WHY_ABSENT, check_factors
from tests.running import System
from tests.test_examples import record_fields

pytestmark = pytest.mark.skipif(not CASES, reason=WHY_ABSENT)

ASKED = [case for case in CASES if case["ask"]]
OWN = ("user_id", "shop_id", "category_id", "brand_id")
"""Ids that belong to a case alone, so that also figures of the market's categories and of brands are the case's."""
MARKET_SHIFT_DAYS = -7 * 24
"""Cases that ask for the market itself are played at a time of their own."""
ID_CHARS_MAX = 128


class Player:
    """One case as it is played among the others."""

    def __init__(self, number, case):
        self.case, self.prefix = case, f"k{number}."
        self.shift_days = MARKET_SHIFT_DAYS if any(ask["scope"] == "market" for ask in case["ask"]) else 0
        self.values = [self._moved(event) for event in case["events"]]
        self.currencies = {event.get("currency") for event in case["events"] if isinstance(event, dict)}

    def _moved(self, event):
        if isinstance(event, str):
            return event.encode()
        event = dict(event)
        for name in OWN:
            if isinstance(event.get(name), str) and 0 < len(event[name]) <= ID_CHARS_MAX - len(self.prefix):
                event[name] = self.prefix + event[name]
        if self.shift_days:
            at = dt.datetime.fromisoformat(event["event_time"]) + dt.timedelta(days=self.shift_days)
            event["event_time"] = at.isoformat()
        return json.dumps(event).encode()

    def scope(self, asked):
        """The name under which the running system knows a scope of the case."""
        head, bar, cross = asked.partition("|")
        return self._own(head) + bar + self._own(cross)

    def _own(self, part):
        return part if part.startswith("channel=") else part.replace("=", f"={self.prefix}", 1)

    def date(self, asked):
        return (dt.date.fromisoformat(asked) + dt.timedelta(days=self.shift_days)).isoformat()


class SystemAnswers:
    """A system that has taken in all cases; it answers for one."""

    def __init__(self, player, live, refused):
        self._player, self._live, self._refused = player, live, refused

    def feed(self, values):
        assert len(values) == len(self._player.values)
        return sorted(
            (n, self._refused[value]) for n, value in enumerate(self._player.values) if value in self._refused
        )

    def records(self, scope, as_of, window_days):
        wanted = self._player.scope(scope), self._player.date(as_of), window_days
        found = [r for r in self._live.values() if (r.scope, r.as_of, r.window_days) == wanted]
        if scope == "market":  # it has a record for the other cases' currencies, too
            found = [record for record in found if record.currency in self._player.currencies]
        return [dict(record_fields(record)) for record in found if record.s or record.b]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Every case with what the system shows after all of them."""
    players = {case["name"]: Player(number, case) for number, case in enumerate(ASKED)}
    with System(
        tmp_path_factory.mktemp("examples"), scopes="shop,category,brand,channel,market,market-category,brand-wide"
    ) as system:
        system.add_workers(2)
        for player in players.values():
            system.produce(player.values)
        last = {
            "event_id": "last",
            "action": "view",
            "user_id": "last",
            "shop_id": "last",
            "event_time": "2026-03-18T12:00:00+08:00",
        }
        system.produce([json.dumps(last).encode()])
        summary = system.verify()
        assert (
            summary["accepted"] + summary["refused"]
            == system.produced()
            == sum(len(p.values) for p in players.values()) + 1
        )
        yield players, system.live(), system.refused()


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in ASKED])
def test_a_worked_case_gives_its_figures_on_a_running_system(case, played):
    players, live, refused = played
    check_factors(case, SystemAnswers(players[case["name"]], live, refused))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES if case["members"]])
def test_a_worked_case_gives_its_members_on_a_running_system(case):
    pytest.skip("audiences are not computed yet")
