"""Chunks: what comes out stands in the order of the log, whichever of the two ways each record has gone."""

import json

import numpy as np

from processors.decode import decode
from processors.decode.columns import EVENT_ID, LINE_ID


def view(event_id: str, **fields: object) -> bytes:
    event = {"event_id": event_id, "action": "view", "user_id": "u", "event_time": 7, "shop_id": "s"}
    return json.dumps(event | fields).encode()


def test_both_ways_meet_in_the_order_of_the_log():
    values = [
        view("a"),
        view('b"\\'),  # escaped: the reference's way
        b"{",
        view("c"),
        None,
        view("d\u00e9"),
        view("e", action="purchase", order_id="o", quantity=1, amount_minor=2, currency="CNY"),
    ]
    result = decode(values, None, None, partition=0, partitions=1, wall_clock=False)
    assert result.record.tolist() == [0, 1, 3, 5, 6]
    assert [result.text(i, EVENT_ID) for i in range(5)] == ["a", 'b"\\', "c", "dé", "e"]
    assert result.text(4, LINE_ID) == "1"
    assert [refusal.record for refusal in result.refusals] == [2, 4]
    raw = [result.buffer[offset : offset + length].tobytes() for offset, length in result.raw]
    assert raw == [values[i] for i in (0, 1, 3, 5, 6)]


def test_columns_have_the_shapes_and_types_they_promise():
    for values in ([], [view("a")], [b"x", view("a"), view("b\n")]):
        result = decode(values, None, None, partition=0, partitions=1, wall_clock=False)
        n = len(result)
        types = {
            "buffer": np.uint8,
            "record": np.int32,
            "action": np.int8,
            "event_ms": np.int64,
            "quantity": np.int64,
            "amount_minor": np.int64,
            "dwell_ms": np.int64,
            "touch": np.int8,
            "spans": np.int32,
            "raw": np.int32,
        }
        for name, dtype in types.items():
            column = getattr(result, name)
            assert column.dtype == dtype, name
            assert column.flags.c_contiguous, name
        assert result.spans.shape == (n, 10, 2)
        assert result.raw.shape == (n, 2)
        assert result.action.shape == (n,)


def test_a_record_decodes_alike_in_any_chunk():
    values = [view("a"), b'{"event_id":"unfinished', view("b"), b'{"event_id":"x', b'"', view("c")]
    together = decode(values, None, None, partition=0, partitions=1, wall_clock=False)
    alone = [decode([value], None, None, partition=0, partitions=1, wall_clock=False) for value in values]
    assert [len(result) for result in alone] == [1, 0, 1, 0, 0, 1]
    assert together.record.tolist() == [0, 2, 5]
    assert [(r.code, r.field) for r in together.refusals] == [(r.refusals[0].code, "") for r in alone if r.refusals]
