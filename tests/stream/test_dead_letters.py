"""Dead letters are counted by where they come from and why, and shown without naming anybody."""

from schemas.refusals import Code, Refusal, dead_letter_headers
from stream.dead_letters import Summary, letter_of, masked

OWN = [("ce_id", b"7")]


def letter(code=Code.BAD_TIME, topic="events.cart", at=0, key=b"u1"):
    headers = dead_letter_headers(
        Refusal(0, code, "event_time"), topic=topic, partition=2, offset=41, connector_name="x", original=OWN
    )
    return letter_of(f"{topic}.dlq", at, key, b"value", headers)


def test_a_letter_tells_where_it_was_and_why_it_was_refused():
    one = letter()
    assert (one.origin, one.offset, one.code, one.field) == ("events.cart", 41, "bad_time", "event_time")


def test_only_the_records_own_headers_go_with_it():
    assert letter().headers == OWN


def test_a_letter_of_another_hand_belongs_to_the_topic_of_its_name():
    one = letter_of("events.cart.dlq", 5, None, None, [("trace", b"1")])
    assert (one.origin, one.code, one.offset, one.headers) == ("events.cart", "unknown", None, [("trace", b"1")])
    assert one.can_be_replayed


def test_rows_of_files_are_not_played_again():
    assert not letter(topic="file:orders.csv").can_be_replayed


def test_users_are_told_apart_and_not_named():
    assert masked(b"u1") == masked(b"u1") != masked(b"u2")
    assert "u1" not in masked(b"u1")
    assert masked(None) == "-"


def test_letters_are_counted_and_the_newest_kept():
    summary = Summary(newest_max=3)
    for at in (5, 1, 9, 9, 2, 7):
        summary.add(letter(at=at))
    summary.add(letter(Code.NOT_JSON, at=3))
    assert summary.counts == {("events.cart", "bad_time"): 6, ("events.cart", "not_json"): 1}
    assert [one.timestamp_ms for one in summary.newest] == [9, 9, 7]


def test_none_of_the_newest_may_be_asked_for():
    summary = Summary(newest_max=0)
    summary.add(letter())
    assert summary.newest == []
