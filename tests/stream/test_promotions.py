"""Of each promotion the last good version is in force; bad ones go to the dead letters once."""

from schemas.promotion import Phase, PromotionRecord
from schemas.refusals import HEADER_ERROR_CODE, HEADER_ERROR_FIELD, HEADER_OFFSET
from schemas.topics import PROMOTIONS
from stream.control import ControlRecord
from stream.promotions import PromotionLog


def plan(name="p1", title=""):
    phases = [Phase(name="midnight", start="2026-11-11T00:00", end="2026-11-11T01:00")]
    return PromotionRecord(promotion_id=name, title=title, phases=phases).encode()


def noted(*values, key=b"p1"):
    log = PromotionLog("smart")
    for offset, value in enumerate(values):
        log.note(ControlRecord(PROMOTIONS, key, value, offset, 7, [("own", b"x")]))
    return log


def test_a_bad_version_leaves_the_former_one_in_force():
    good, bad = plan(title="first"), b'{"promotion_id":"p1","phases":[]}'
    found = noted(good, bad).collect(0)
    assert found.shown == {"p1": good}
    (letter,) = found.letters
    headers = dict(letter.headers)
    assert (letter.topic, letter.key, letter.value, letter.timestamp_ms) == ("promotions.dlq", b"p1", bad, 7)
    assert (headers[HEADER_ERROR_CODE], headers[HEADER_ERROR_FIELD]) == (b"bad_id", b"phases")
    assert (headers[HEADER_OFFSET], headers["own"]) == (b"1", b"x")


def test_what_has_been_judged_is_not_sent_again():
    log = noted(b"1", b"2", b"3")
    assert [letter.value for letter in log.collect(2).letters] == [b"3"]
    assert log.collect(2).next_offset == 3


def test_a_withdrawn_promotion_is_shown_no_more():
    log = noted(plan(), None)
    assert log.collect(0).shown == {"p1": None}
    assert log.collect(0).shown == {}
    log.refresh()
    assert log.collect(0).shown == {"p1": None}


def test_a_key_of_another_promotion_is_refused():
    assert [dict(one.headers)[HEADER_ERROR_CODE] for one in noted(plan("p2")).collect(0).letters] == [b"key_mismatch"]
