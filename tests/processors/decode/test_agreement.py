"""The scanner never takes what the reference refuses, and never differs from it in a column; no bytes make it raise."""

import json

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.decode import Decoded, decode
from processors.decode.fields import RefusedError
from processors.decode.murmur import partition_of
from processors.decode.reference import Place, decode_record
from schemas.event import ACTIONS, FIELDS, TOUCHES

PARTITIONS = 3
APPEND_MS = 1_773_115_200_000
QUICK = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
MANY = settings(QUICK, max_examples=400)

ids = st.one_of(
    st.sampled_from(["u1", "u2", "i-9", "1", "x" * 128, "漢字", "a b"]),
    st.text(min_size=0, max_size=6),
    st.just("y" * 129),
)
plain_ids = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
times = st.one_of(
    st.datetimes(timezones=st.timezones()).map(lambda t: t.isoformat()),
    st.from_regex(
        r"(19[67]|20[019]|210)[0-9]-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,12})?"
        r"([Zz]|[+-][0-2][0-9]:[0-6][0-9])",
        fullmatch=True,
    ),
    st.integers(-1, 4_102_444_800_000),
    st.integers(APPEND_MS - 1461 * 86_400_000, APPEND_MS + 400_000),
    st.just("2016-12-31T23:59:60Z"),
)
numbers = st.one_of(
    st.integers(0, 20), st.integers(-1, 10**13 + 1), st.sampled_from([10**6, 10**6 + 1, 10**15, 10**40])
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
good_values = {
    "event_id": plain_ids,
    "action": st.sampled_from(sorted(ACTIONS)),
    "user_id": st.sampled_from(["u1", "u2", "u3"]),
    "event_time": st.integers(APPEND_MS - 10**10, APPEND_MS),
    "shop_id": plain_ids,
    "item_id": plain_ids,
    "category_id": plain_ids,
    "brand_id": plain_ids,
    "channel": st.from_regex("[a-z0-9_]{1,9}(/[a-z0-9_]{1,9})?", fullmatch=True),
    "dwell_ms": st.integers(0, 10**6),
    "touch": st.sampled_from(sorted(TOUCHES)),
    "source": plain_ids,
    "quantity": st.integers(1, 99),
    "amount_minor": st.integers(0, 10**6),
    "currency": st.sampled_from(["CNY", "USD", "EUR"]),
    "order_id": plain_ids,
    "line_id": plain_ids,
}
odd_values = {name: st.one_of(ids, junk) for name in FIELDS} | {
    "action": st.sampled_from(["dance", "", "View", "touches"]) | junk,
    "event_time": times | junk,
    "channel": st.text("ab/_0A", max_size=5) | junk,
    "touch": st.sampled_from(["poke", ""]) | junk,
    "currency": st.text("CNYX", max_size=4) | junk,
    "quantity": numbers | junk,
    "amount_minor": numbers | junk,
    "dwell_ms": numbers | junk,
}
REQUIRED = FIELDS[:5]


@st.composite
def good_events(draw):
    """Mostly good events: all fields that any action may need, and some that it does not."""
    fields = [name for name in FIELDS if name in REQUIRED or draw(st.integers(0, 5))]
    return {name: draw(good_values[name]) for name in fields}


@st.composite
def written(draw, events=None):
    """An event as somebody's JSON: odd values, fields missing or moved, unknown ones, white space, escapes, doubles."""
    event = draw(good_events())
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=2)):
        event[name] = draw(odd_values[name])
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=1)):
        if not draw(st.integers(0, 3)):
            event.pop(name, None)
    names = draw(st.permutations(list(event)))
    dump = json.JSONEncoder(ensure_ascii=draw(st.booleans())).encode
    space = draw(st.sampled_from(["", "", " ", "\n\t "]))
    members = [f"{dump(name)}{space}:{space}{dump(event[name])}" for name in names]
    for _ in range(draw(st.integers(0, 2))):
        extra = draw(st.tuples(st.text(max_size=5) | st.sampled_from(FIELDS), junk))
        members.insert(draw(st.integers(0, len(members))), f"{dump(extra[0])}:{space}{dump(extra[1])}")
    text = space + "{" + space + f"{space},{space}".join(members) + space + "}" + space
    if not draw(st.integers(0, 5)):
        text = text.replace("user_id", "\\u0075ser_id", 1)
    return text.encode("utf-8", "surrogatepass")


@st.composite
def corrupted(draw):
    """Somebody's JSON with a few bytes replaced, inserted or cut out."""
    value = bytearray(draw(written()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(value)))
        cut = draw(st.integers(0, 2))
        value[at : at + cut] = draw(
            st.sampled_from([b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b".", b"e", b" ", b"\n"])
            | st.binary(max_size=3)
        )
    return bytes(value)


def rows(result: Decoded) -> list[tuple]:
    """Every column of every accepted event, strings as bytes."""
    buffer = result.buffer.tobytes()
    return [
        (
            int(result.record[i]),
            int(result.action[i]),
            int(result.event_ms[i]),
            int(result.quantity[i]),
            int(result.amount_minor[i]),
            int(result.dwell_ms[i]),
            int(result.touch[i]),
            tuple(buffer[offset : offset + length] for offset, length in result.spans[i].tolist()),
            buffer[result.raw[i, 0] : result.raw[i, 0] + result.raw[i, 1]],
        )
        for i in range(len(result))
    ]


def by_the_reference(values, keys, partition, *, wall_clock):
    accepted, refused = [], []
    for i, value in enumerate(values):
        try:
            row = decode_record(
                value,
                key=keys[i] if keys else None,
                place=Place(partition, PARTITIONS) if keys else None,
                append_ms=APPEND_MS if keys else None,
                wall_clock=wall_clock,
            )
        except RefusedError as error:
            refused.append((i, error.code, error.field))
        else:
            accepted.append((i, *row, value))
    return accepted, refused


def agree(values, keys=None, partition=0, *, wall_clock=False):
    append_ms = np.full(len(values), APPEND_MS, np.int64)
    result = decode(values, keys, append_ms, partition=partition, partitions=PARTITIONS, wall_clock=wall_clock)
    accepted, refused = by_the_reference(values, keys, partition, wall_clock=wall_clock)
    assert rows(result) == accepted
    assert [tuple(refusal) for refusal in result.refusals] == refused
    assert len(result) + len(result.refusals) == len(values)


@QUICK
@given(st.lists(written(), max_size=6))
def test_they_agree_on_whatever_json_senders_write(values):
    agree(values)


@QUICK
@given(st.lists(corrupted(), min_size=1, max_size=6))
def test_they_agree_on_damaged_records(values):
    agree(values)


@MANY
@given(st.lists(st.none() | st.binary(max_size=40), max_size=6))
def test_they_agree_on_any_bytes_at_all(values):
    agree(values, [b"u1"] * len(values), wall_clock=True)


@QUICK
@given(
    st.lists(st.tuples(written(), st.sampled_from([b"u1", b"u2", b"u3", None, b"", b"\xff"])), max_size=6),
    st.integers(0, PARTITIONS - 1),
    st.booleans(),
)
def test_they_agree_on_keys_partitions_and_ages(records, partition, wall_clock):
    agree([value for value, _ in records], [key for _, key in records], partition, wall_clock=wall_clock)


@MANY
@given(times)
def test_they_agree_on_times(time):
    event = {"event_id": "e", "action": "view", "user_id": "u", "event_time": time, "shop_id": "s"}
    agree([json.dumps(event).encode()])


@QUICK
@given(good_events(), st.booleans())
def test_good_events_take_the_fast_path(event, spaced):
    user = event["user_id"].encode()
    event |= {"title": "a \\ name, 漢字", "context": {"ip": [1, {"x": None}]}, "score": -1.5e-3}
    if event["action"] in {"purchase", "refund"}:
        event |= {"order_id": "o", "quantity": 1, "amount_minor": 1, "currency": "CNY"}
    if event["action"] == "touch":
        event["touch"] = "ad_click"
    value = json.dumps(event, ensure_ascii=False, separators=None if spaced else (",", ":")).encode()
    home = partition_of(user, PARTITIONS)
    result = decode([value], [user], np.array([APPEND_MS]), partition=home, partitions=PARTITIONS, wall_clock=True)
    agree([value], [user], home, wall_clock=True)
    assert not result.refusals
    longest = len(value) + 32
    assert len(result.buffer) <= longest, "the reference has written its strings: the scanner has left this record"
