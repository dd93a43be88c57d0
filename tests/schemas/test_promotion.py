"""A promotion is taken as it was meant, or refused with a code and the field at fault."""

import json

import pytest

from schemas.promotion import ControlError, decode_promotion

GOOD = {
    "promotion_id": "p11",
    "shop_id": "s1",
    "zone": "Asia/Shanghai",
    "compare_days": 365,
    "phases": [
        {"name": "midnight", "start": "2026-11-11T00:00", "end": "2026-11-11T01:00", "s": 10, "b": 5},
        {
            "name": "return",
            "start": "2026-11-10T17:00:00Z",
            "end": "2026-11-13T00:00",
            "gmv_minor": 7,
            "currency": "CNY",
        },
    ],
}


def encoded(**changed):
    return json.dumps({name: value for name, value in (GOOD | changed).items() if value is not None}).encode()


def phase(**changed):
    return {"phases": [{name: v for name, v in (GOOD["phases"][0] | changed).items() if v is not None}]}


def test_instants_are_of_the_promotions_zone_unless_they_say_another():
    record = decode_promotion(encoded(), b"p11")
    midnight, back = (record.minutes(one) for one in record.phases)
    assert midnight[1] - midnight[0] == 60
    assert back[0] == midnight[1]
    assert decode_promotion(record.encode()) == record


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (b"{", "not_json", ""),
        (b"\xff", "not_json", ""),
        (b"[]", "bad_type", ""),
        (encoded(promotion_id=None), "missing_field", "promotion_id"),
        (encoded(promotion_id=""), "bad_id", "promotion_id"),
        (encoded(promotion_id=7), "bad_type", "promotion_id"),
        (encoded(compare_days=0), "bad_number", "compare_days"),
        (encoded(phases=[]), "bad_id", "phases"),
        (encoded(phases=GOOD["phases"][:1] * 2), "bad_id", "phases"),
        (encoded(zone="Mars"), "bad_time", "zone"),
        (encoded(**phase(end=None)), "missing_field", "phases[0].end"),
        (encoded(**phase(end="noon")), "bad_time", "phases[0].end"),
        (encoded(**phase(end="2026-11-11T00:00:30")), "bad_time", "phases[0].end"),
        (encoded(**phase(end="2026-11-11T00:00")), "bad_time", "phases[0].end"),
        (encoded(**phase(end="2026-11-11T03:00")), "bad_number", "phases[0].s"),
        (encoded(**phase(s=0)), "bad_number", "phases[0].s"),
        (encoded(**phase(gmv_minor=5)), "missing_field", "phases[0].currency"),
        (encoded(**phase(gmv_minor=5, currency="XXQ")), "bad_currency", "phases[0].currency"),
    ],
)
def test_what_is_wrong_has_a_code_and_a_field(value, code, field):
    with pytest.raises(ControlError) as refused:
        decode_promotion(value)
    assert (refused.value.code.value, refused.value.field) == (code, field)


def test_the_key_is_the_promotion():
    with pytest.raises(ControlError, match="key_mismatch"):
        decode_promotion(encoded(), b"p12")


def test_a_target_of_distinct_users_that_cannot_be_held_says_how_long_its_phase_is():
    with pytest.raises(ControlError, match="24 hours, this one lasts 180 minutes: leave the target out"):
        decode_promotion(encoded(**phase(end="2026-11-11T03:00")))
