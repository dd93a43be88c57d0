"""A replayed file goes where its actions say, keeps its bytes, its order and its times, and counts what it refuses."""

import gzip
import json
from collections import Counter

import pytest

from schemas.refusals import HEADER_ERROR_CODE, HEADER_TOPIC, Code
from stream.files import InputFiles
from stream.replay import DEAD_LETTER_TOPIC, Replay, Source, route


def event(action, at=0, user="u1"):
    return json.dumps({"event_id": "e", "action": action, "user_id": user, "event_time": at, "shop_id": "s"}).encode()


def replayed(tmp_path, content, *, format_name="native", **options):
    file = tmp_path / "input"
    file.write_bytes(content)
    replay = Replay("input", **options)
    return replay, list(replay.batches(Source(InputFiles([file]), format_name, "shop")))


def sent(batches, field):
    return [value for batch in batches for value in getattr(batch.messages, field)]


@pytest.mark.parametrize(
    ("action", "topic"),
    [
        ("view", "events.browse"),
        ("comment", "events.browse"),
        ("cart", "events.cart"),
        ("cart_remove", "events.cart"),
        ("order", "events.purchase"),
        ("refund", "events.purchase"),
        ("touch", "events.touch"),
        ("dance", "events.browse"),
    ],
)
def test_an_event_goes_to_the_topic_of_its_action(action, topic):
    assert route(event(action))[0] == topic


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b'"view"', b'{"action":[]}', b"\xff\xfe", b'{"event_time":"soon"}']
)
def test_what_is_no_event_goes_on_to_be_refused_by_a_worker(value):
    assert route(value) == ("events.browse", None)


@pytest.mark.parametrize(
    "time",
    [1_000_000_000_250, "2001-09-09T01:46:40.250Z", "2001-09-09T09:46:40.250+08:00", "2001-09-09T01:46:40.2509Z"],
)
def test_every_form_of_the_event_time_is_read(time):
    assert route(event("view", time))[1] == 1_000_000_000_250


def test_lines_keep_their_bytes_and_their_order(tmp_path):
    lines = [b'{"user_id":"\xc3\xa9",  "action":"view"}', b"no json \xff", b'{"user_id":"b","action":"cart"}']
    replay, batches = replayed(tmp_path, b"\n".join(lines) + b"\n\n", speed=None)
    assert sent(batches, "values") == lines
    assert sent(batches, "keys") == ["é".encode(), None, b"b"]
    assert not replay.refused


def test_compressed_files_are_read_alike(tmp_path):
    content = event("view") + b"\r\n" + event("cart") + b"\r\n"
    _, batches = replayed(tmp_path, gzip.compress(content), speed=None)
    assert sent(batches, "values") == [event("view"), event("cart")]


def test_a_topic_may_be_given_for_everything(tmp_path):
    _, batches = replayed(tmp_path, event("view") + b"\n" + event("cart"), topic="mine")
    assert sent(batches, "topics") == ["mine", "mine"]


def test_batches_are_cut_so_that_times_between_events_are_kept(tmp_path):
    content = b"\n".join(event("view", at) for at in (0, 10, 49, 50, 99, 5_000))
    _, batches = replayed(tmp_path, content, speed=1)
    assert [(batch.due_ms, len(batch.messages.values)) for batch in batches] == [(0, 3), (50, 2), (5_000, 1)]
    _, batches = replayed(tmp_path, content, speed=100)
    assert [(batch.due_ms, len(batch.messages.values)) for batch in batches] == [(0, 5), (5_000, 1)]


def test_a_batch_does_not_grow_without_bound(tmp_path):
    _, batches = replayed(tmp_path, b"\n".join([event("view", 7)] * 4_100), speed=1)
    assert [len(batch.messages.values) for batch in batches] == [2_000, 2_000, 100]


RETAIL = b"""InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,A,cup,2,2010-01-04 09:00,1.50,77,United Kingdom
2,B,"odd, cup",2,2010-01-04 09:00,1.50,,United Kingdom
C3,Z,cup,-1,2010-01-05 09:00,1.50,77,United Kingdom
"""


def test_a_refused_row_becomes_a_dead_letter_with_its_own_bytes(tmp_path):
    replay, batches = replayed(tmp_path, RETAIL, format_name="online-retail", speed=None)
    assert replay.refused == Counter({Code.MISSING_FIELD: 1, Code.REFUND_UNMATCHED: 1})
    assert sent(batches, "topics") == ["events.purchase", DEAD_LETTER_TOPIC, DEAD_LETTER_TOPIC]
    letters = [
        (value, dict(headers))
        for batch in batches
        for topic, value, headers in zip(
            batch.messages.topics, batch.messages.values, batch.messages.headers, strict=True
        )
        if topic == DEAD_LETTER_TOPIC
    ]
    assert [value for value, _ in letters] == RETAIL.splitlines()[2:]
    assert [headers[HEADER_ERROR_CODE] for _, headers in letters] == [b"missing_field", b"refund_unmatched"]
    assert letters[0][1][HEADER_TOPIC] == b"file:input"


def test_refused_rows_may_be_only_counted(tmp_path):
    replay, batches = replayed(tmp_path, RETAIL, format_name="online-retail", speed=None, keeps_refused=False)
    assert replay.refused.total() == 2
    assert sent(batches, "topics") == ["events.purchase"]
