"""A Parquet file gives the lines that its exported text has, and the events that its columns say."""

import csv
import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.decode.reference import decode_record
from schemas.adapters import FORMATS
from stream.files import InputFiles, UnreadableFileError
from stream.replay import Replay, Source

AT = dt.datetime(2017, 7, 5, 12, 0, 1, 250_000, tzinfo=dt.UTC)


def written(path, row_group_size=None, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def cells(path):
    return list(csv.reader(InputFiles([path]).text()))


def events(path):
    return [json.loads(line) for line in InputFiles([path]).events()]


def test_rows_are_csv_with_a_header(tmp_path):
    path = written(
        tmp_path / "rows.parquet",
        id=pa.array([900, None]),
        name=pa.array(['CAPS, "HATS"', "two\nlines"]),
        kind=pa.array(["a", "b"]).dictionary_encode(),
        raw=pa.array([b"x", None]),
        at=pa.array([AT.replace(tzinfo=None, microsecond=0), None], pa.timestamp("ns")),
        utc=pa.array([AT, AT], pa.timestamp("ms", "America/New_York")),
    )
    assert cells(path) == [
        ["id", "name", "kind", "raw", "at", "utc"],
        ["900", 'CAPS, "HATS"', "a", "x", "2017-07-05 12:00:01", "2017-07-05 12:00:01.250000Z"],
        ["", "two\nlines", "b", "", "", "2017-07-05 12:00:01.250000Z"],
    ]


@given(cents=st.lists(st.integers(0, 10**12), min_size=1))
def test_money_in_doubles_is_the_decimal_that_was_stored(cents, tmp_path_factory):
    path = written(tmp_path_factory.mktemp("money") / "m", value=pa.array([n / 100 for n in cents]))
    assert [Decimal(cell) * 100 for (cell,) in cells(path)[1:]] == cents


def test_a_double_that_is_none_is_an_empty_cell(tmp_path):
    assert cells(written(tmp_path / "m", a=[float("nan"), None, 0.5], b=[1, 2, 3]))[1:] == [
        ["", "1"], ["", "2"], ["0.5", "3"],
    ]  # fmt: skip


def test_columns_are_the_fields_of_native_events(tmp_path):
    path = written(
        tmp_path / "events.parquet",
        unknown=[1, 2],
        event_id=["e1", "e2"],
        action=pa.array(["purchase", "view"]).dictionary_encode(),
        user_id=["ü", "u2"],
        event_time=pa.array([AT, AT], pa.timestamp("us", "UTC")),
        shop_id=["s1", "s1"],
        quantity=[2, None],
        amount_minor=pa.array([Decimal(19900), None], pa.decimal128(18, 0)),
        currency=["CNY", None],
        order_id=["o1", None],
    )
    purchase, view = events(path)
    at_ms = 1_499_256_001_250
    assert view == {"event_id": "e2", "action": "view", "user_id": "u2", "event_time": at_ms, "shop_id": "s1"}
    assert (purchase["amount_minor"], purchase["quantity"], purchase["event_time"]) == (19900, 2, at_ms)
    for line in InputFiles([path]).events():
        decode_record(line)


def test_times_may_be_text_or_milliseconds_and_one_without_a_zone_stays_what_it_is(tmp_path):
    assert events(written(tmp_path / "a", event_time=["2026-11-11T00:00:00Z"])) == [
        {"event_time": "2026-11-11T00:00:00Z"}
    ]
    assert events(written(tmp_path / "b", event_time=[1_000])) == [{"event_time": 1_000}]
    local = pa.array([AT.replace(tzinfo=None)])
    assert events(written(tmp_path / "c", event_time=local)) == [{"event_time": "2017-07-05 12:00:01.250000"}]


def test_a_file_without_any_field_of_an_event_gives_events_that_are_refused(tmp_path):
    assert events(written(tmp_path / "a", x=[1, 2])) == [{}, {}]


def test_text_and_parquet_of_a_data_set_give_the_same_events(tmp_path):
    columns = {
        "timestamp": [1433221332117, 1433221332118],
        "visitorid": [257597, 7],
        "event": ["view", "transaction"],
        "itemid": [355908, 1],
        "transactionid": pa.array([None, 4]),
    }
    path = written(tmp_path / "a.parquet", **columns)
    text = ["timestamp,visitorid,event,itemid,transactionid\n", "1433221332117,257597,view,355908,\n"]
    text.append("1433221332118,7,transaction,1,4\n")
    read = FORMATS["retailrocket"]
    assert list(read(InputFiles([path]).text(), "s")) == list(read(text, "s"))
    replay = Replay("a", speed=None)
    (batch,) = replay.batches(Source(InputFiles([path]), "retailrocket", "s"))
    assert batch.messages.topics == ["events.browse", "events.purchase"]


def test_how_much_has_been_read_is_told_by_rows(tmp_path):
    paths = [written(tmp_path / str(n), row_group_size=10_000, n=list(range(40_000)), m=[0] * 40_000) for n in (1, 2)]
    files = InputFiles(paths)
    told = [files.bytes_read for _ in files.lines()]
    assert told == sorted(told)
    assert len(set(told)) >= 8
    assert files.bytes_read == files.bytes_total == sum(path.stat().st_size for path in paths)


@pytest.mark.parametrize("keep", [10, -20])
def test_a_broken_file_is_told(tmp_path, keep):
    path = written(tmp_path / "a.parquet", a=[1, 2])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnreadableFileError, match=r"cannot read .*a\.parquet"):
        list(InputFiles([path]).lines())


def test_pages_that_are_damaged_are_told(tmp_path):
    path = written(tmp_path / "a.parquet", a=[str(n) for n in range(1_000)])
    content = bytearray(path.read_bytes())
    content[4:2_000] = bytes(1_996)
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match="cannot read"):
        list(InputFiles([path]).lines())
