"""The live view shows what the snapshot says, in a terminal of any width, and in one line where there is none."""

import io

import pytest
from rich.console import Console

from schemas.factors import FactorRecord
from stream.cli.view import SHOPS_SHOWN, Snapshot, WorkerFigures, instant_text, money, plain_line, render
from stream.cli.watch import Rate, figures_of

MIDNIGHT_MS = 1_794_326_400_000


def record(scope, s=100, currency="CNY", **figures):
    return FactorRecord(scope=scope, as_of="2026-11-11", window_days=1, s=s, currency=currency, **figures)


def snapshot(*records, **changed):
    figures = WorkerFigures(
        up=2, accepted=123_456, refused=7, lag_records=0, clock_ms=MIDNIGHT_MS, complete_through_ms=MIDNIGHT_MS - 5_000
    )
    return Snapshot(**{"workers": figures, "workers_expected": 2, "records": records, "rate": 1_234.6} | changed)


def text(shown, width=120):
    console = Console(file=io.StringIO(), width=width)
    console.print(render(shown))
    return console.file.getvalue()


def test_the_state_of_the_system_stands_above():
    shown = text(snapshot(phase="peak", speed=120))
    assert "2026-11-11 00:00:00 Asia/Shanghai" in shown
    assert "peak" in shown
    assert "1,235 events/s" in shown
    assert "accepted 123,456   refused 7" in shown
    assert "workers 2/2" in shown
    assert "complete through 23:59:55" in shown


def test_shops_stand_by_their_audience_below_the_market():
    shops = [record(f"shop=s{number:03d}", s=number) for number in range(5)]
    lines = text(snapshot(record("market", s=1), *shops)).splitlines()
    names = [line.split()[0] for line in lines if line.startswith(("market", "s0"))]
    assert names == ["market", "s004", "s003", "s002", "s001", "s000"]


def test_counts_stand_once_and_money_by_currency():
    rows = text(
        snapshot(
            record("market", currency="CNY", gmv_minor=500), record("market", currency="EUR"),
            record("market", currency="USD", gmv_minor=70, art_minor=7.2),
        )
    ).splitlines()  # fmt: skip
    rows = [row.split() for row in rows if row.rstrip().endswith(("CNY", "EUR", "USD"))]
    assert [row[-1] for row in rows] == ["CNY", "USD"]
    assert rows[0][:3] == ["market", "11-11", "100"]
    assert rows[1] == ["7", "-", "-", "70", "USD"]


def test_only_the_first_shops_are_shown():
    shown = text(snapshot(*(record(f"shop=s{number:03d}") for number in range(SHOPS_SHOWN + 4))))
    assert "… 4 more" in shown


def test_figures_stand_by_class_and_absent_ratios_are_told():
    shown = text(
        snapshot(
            record(
                "shop=a%7Cb", s_potential=60, s_new=30, s_existing=10, b=12, m=0.125, art_minor=99_999.6, gmv_minor=12
            )
        )
    )
    row = next(line for line in shown.splitlines() if line.startswith("a|b")).split()
    assert row == ["a|b", "11-11", "100", "60", "30", "10", "12", "12.50%", "-", "-", "100,000", "-", "-", "12", "CNY"]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_any_width_will_do(width):
    assert all(len(line) <= width for line in text(snapshot(record("market"), record("shop=s1")), width).splitlines())


def test_nothing_yet_is_told():
    shown = text(Snapshot(WorkerFigures(), 2))
    assert "waiting for the first event" in shown
    assert "lag ?" in shown
    assert "workers 0/2" in shown


def test_a_store_that_does_not_answer_is_told():
    assert "does not answer" in text(snapshot(store_error="the serving store does not answer"), 160)
    assert "does not answer" in plain_line(snapshot(store_error="the serving store does not answer"))


def test_one_line_has_the_same():
    line = plain_line(
        snapshot(record("market", b=5, m=0.05, gmv_minor=1_000), record("market", currency="USD", gmv_minor=20), sent=9)
    )
    assert line.startswith("2026-11-11 00:00:00  sent 9  accepted 123,456  refused 7  1,235/s  lag 0  workers 2/2")
    assert line.endswith("market S 100 B 5 M 5.00%  GMV 1,000 CNY  GMV 20 USD")


@pytest.mark.parametrize(
    ("minor", "shown"),
    [(None, "-"), (0, "0"), (9_999_999, "9,999,999"), (12_345_678, "12.3 M"), (45_000_000_000, "45.0 G")],
)
def test_money_fits_its_column(minor, shown):
    assert money(minor) == shown


def test_no_instant_is_no_text():
    assert instant_text(None, "UTC") == ""
    assert instant_text(0, "UTC") == ""


PAGE = """# HELP smart_events_accepted_total Events that went into the ledgers.
# TYPE smart_events_accepted_total counter
smart_events_accepted_total{topic="events.browse"} 70.0
smart_events_accepted_total{topic="events.cart"} 30.0
# TYPE smart_events_accepted_created gauge
smart_events_accepted_created{topic="events.cart"} 1.7e9
# TYPE smart_lag_records gauge
smart_lag_records{topic="events.cart",partition="0"} 4.0
smart_lag_records{topic="events.cart",partition="1"} 5.0
# TYPE smart_clock_timestamp_seconds gauge
smart_clock_timestamp_seconds %s
# TYPE smart_complete_through_timestamp_seconds gauge
smart_complete_through_timestamp_seconds %s
# TYPE smart_partitions_owned gauge
smart_partitions_owned 4.0
"""


def test_the_workers_metrics_are_added_up():
    found = figures_of([PAGE % (1_000.5, 990.0), PAGE % (1_001.0, 995.0)])
    assert found == WorkerFigures(
        up=2, accepted=200, lag_records=18, clock_ms=1_001_000, complete_through_ms=990_000, partitions_owned=8
    )


def test_workers_that_say_nothing_are_told_from_those_without_lag():
    assert figures_of([]).lag_records is None


def test_the_rate_is_taken_between_two_looks_and_survives_a_restart():
    rate = Rate()
    assert rate.look(1_000, 10.0) == 0
    assert rate.look(2_000, 11.0) == 500  # half of what was seen, half of what was known
    assert rate.look(3_000, 12.0) == 750
    assert rate.look(0, 13.0) == 375
