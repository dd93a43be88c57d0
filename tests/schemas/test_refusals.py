"""Dead letters say why, where and in which field, and nothing about people."""

import pytest

from schemas.refusals import EXPLANATIONS, HEADER_NAMES, Code, Refusal, dead_letter_headers, message


def headers(refusal=Refusal(0, Code.BAD_ID, "shop_id"), **options):  # noqa: B008 - a tuple
    return dead_letter_headers(
        refusal, topic="events.cart", partition=3, offset=42, connector_name="smart-stream", **options
    )


def test_the_codes_are_the_closed_list_of_the_contract():
    words = """not_json too_large missing_field bad_type bad_id bad_time bad_number bad_currency bad_channel
        unknown_action unknown_touch unknown_value key_mismatch wrong_partition time_ahead time_too_old
        refund_unmatched"""
    assert [code.value for code in Code] == words.split()
    assert set(EXPLANATIONS) == set(Code)


def test_headers_have_kafka_connects_names():
    found = dict(headers())
    assert found["__connect.errors.topic"] == b"events.cart"
    assert found["__connect.errors.partition"] == b"3"
    assert found["__connect.errors.offset"] == b"42"
    assert found["__connect.errors.connector.name"] == b"smart-stream"
    assert found["__connect.errors.exception.message"].startswith(b"bad_id: shop_id: ")
    assert found["smart.errors.code"] == b"bad_id"
    assert found["smart.errors.field"] == b"shop_id"
    assert tuple(found) == HEADER_NAMES


def test_the_originals_own_headers_stay_and_an_earlier_refusal_is_replaced():
    first = headers(original=[("ce_id", b"1"), ("ce_id", b"2")])
    assert first[:2] == [("ce_id", b"1"), ("ce_id", b"2")]
    again = headers(Refusal(5, Code.TIME_TOO_OLD, "event_time"), original=first)
    assert len(again) == len(first)
    assert dict(again)["smart.errors.code"] == b"time_too_old"


@pytest.mark.parametrize("code", Code)
def test_every_message_names_its_code(code):
    assert message(code).startswith(code.value)
    assert message(code, "user_id").startswith(f"{code.value}: user_id: ")
