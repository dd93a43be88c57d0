"""Of each item the newest good version is in force, and is written again behind what has been written over it."""

from schemas.refusals import HEADER_ERROR_CODE, HEADER_ERROR_FIELD, HEADER_OFFSET
from schemas.topics import ITEMS
from stream.catalogue import CatalogueLog
from stream.control import ControlRecord
from tests.events import encode


def item(at, name="i1", **fields):
    return encode({"item_id": name, "updated_at": at, "shop_id": "s1", **fields})


def noted(*values, key=b"i1"):
    log = CatalogueLog("smart", 100)
    for offset, value in enumerate(values):
        log.note(ControlRecord(ITEMS, key, value, offset, 7, [("own", b"x")]))
    return log


def test_a_bad_version_leaves_the_former_one_in_force_and_that_is_written_again():
    bad = item(2, listed_on="soon")
    log = noted(item(1), bad)
    found = log.collect(0)
    (letter,), (restored,) = found.letters, found.restored
    headers = dict(letter.headers)
    assert (letter.topic, letter.key, letter.value, letter.timestamp_ms) == ("items.dlq", b"i1", bad, 7)
    assert (headers[HEADER_ERROR_CODE], headers[HEADER_ERROR_FIELD]) == (b"bad_time", b"listed_on")
    assert (headers[HEADER_OFFSET], headers["own"]) == (b"1", b"x")
    assert (restored.topic, restored.key, restored.value) == (ITEMS, b"i1", item(1))
    log.note(ControlRecord(ITEMS, b"i1", restored.value, 2))
    found = log.collect(found.next_offset)
    assert (found.letters, found.restored, found.next_offset) == ([], [], 3)


def test_an_older_version_that_comes_late_is_written_over():
    found = noted(item(5, on_sale=False), item(4)).collect(0)
    assert ([one.value for one in found.restored], found.letters) == ([item(5, on_sale=False)], [])


def test_what_has_been_judged_is_not_sent_again():
    log = noted(b"1", b"2", b"3")
    assert [letter.value for letter in log.collect(2).letters] == [b"3"]
    assert log.collect(3).letters == []


def test_a_bad_version_of_an_unknown_item_is_only_a_dead_letter():
    found = noted(b"1").collect(0)
    assert (len(found.letters), found.restored) == (1, [])


def test_a_key_of_another_item_is_refused():
    (letter,) = noted(item(1, "i2")).collect(0).letters
    assert dict(letter.headers)[HEADER_ERROR_CODE] == b"key_mismatch"


def test_a_deleted_item_stays_deleted_whatever_is_written_again_behind_its_tombstone():
    log = noted(item(1), b"1", None, item(1))
    found = log.collect(0)
    assert log.catalogue.item(b"i1") is None
    assert [(one.key, one.value) for one in found.restored] == [(b"i1", None)]
