"""Restatements are numbered without a gap, told within a bound, and only the newest are kept."""

import numpy as np

from processors.calendar import day_of
from processors.restated import Restated
from schemas.durable import PublishedFigures, encode_published_restatement
from schemas.restatements import Figures, decode_restatement
from stream import restatements
from stream.restatements import Restatements
from tests.serving.test_past import DATE

AT = "2026-11-11T10:00:00.000Z"


def change(n=2, window_days=7, s=5):
    """S of n dates that has grown by one."""
    before = np.zeros((n, 8), np.int64)
    before[:, 0] = s
    after = before.copy()
    after[:, 0] += 1
    return Restated(window_days, "CNY", np.arange(n) + day_of(DATE), before, after)


def test_a_record_says_what_changed_and_nothing_else():
    (record,) = Restatements({}).tell("market", [change()], 0, AT).records
    assert (record.key, record.number, record.as_of) == ("market|7|CNY", 1, ["2026-11-11", "2026-11-12"])
    assert (record.before, record.after) == (Figures(s=[5, 5]), Figures(s=[6, 6]))
    assert decode_restatement(record.encode()) == record
    assert b"gmv" not in record.encode()


def test_a_successor_goes_on_with_the_next_number():
    owner, figures = Restatements({}), PublishedFigures()
    for at_ms in range(40):
        for number, record in owner.tell("market", [change()], at_ms, AT).kept:
            figures.load(*encode_published_restatement("market", number, record))
    successor = Restatements(figures.scopes)
    assert successor.kept("market") == owner.kept("market")
    assert [number for number, _ in successor.kept("market")] == list(range(9, 41))
    assert [record.number for record in successor.tell("market", [change()], 0, AT).records] == [41]


def test_what_is_kept_is_bounded_in_bytes_too():
    told = Restatements({})
    for at_ms in range(6):
        told.tell("market", [change(1_400)], 60_000 * at_ms, AT)
    kept = told.kept("market")
    assert 1 <= len(kept) < 6
    assert kept[-1][0] == 6
    assert sum(len(record) for _, record in kept) <= restatements.KEPT_BYTES


def test_beyond_the_bound_of_a_minute_figures_are_counted_and_not_told(monkeypatch):
    monkeypatch.setattr(restatements, "TOLD_A_MINUTE", 5)
    told = Restatements({})
    first = told.tell("market", [change(4), change(3), change(1)], 60_000, AT)
    assert ([len(one.as_of) for one in first.records], first.untold) == ([4, 1], 3)
    assert told.tell("market", [change(1)], 119_999, AT).untold == 1
    again = told.tell("market", [change(5)], 120_000, AT)
    assert ([one.number for one in again.records], again.untold) == ([3], 0)
