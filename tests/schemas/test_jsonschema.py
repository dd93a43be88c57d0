"""The published JSON Schemas are those of the structs, and say yes to what the decoder accepts."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from schemas.event import ACTIONS, FIELDS, REQUIRED_FIELDS, TOUCHES, Event
from schemas.factors import FactorRecord
from schemas.jsonschema import FORMS, document, documents

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference" / "schemas"
VIEW = {"event_id": "e1", "action": "view", "user_id": "u1", "event_time": 7, "shop_id": "s1"}
PURCHASE = VIEW | {"action": "purchase", "order_id": "o1", "quantity": 2, "amount_minor": 250, "currency": "CNY"}


def accepts(name: str, value: object) -> bool:
    return jsonschema.Draft202012Validator(document(name)).is_valid(value)


def test_the_committed_schemas_are_those_of_the_code():
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert committed == documents(), "run 'make docs'"


@pytest.mark.parametrize("name", FORMS)
def test_every_schema_is_a_valid_one(name):
    jsonschema.Draft202012Validator.check_schema(document(name))


def test_the_struct_the_field_lists_and_the_word_lists_agree():
    assert Event.__struct_fields__ == FIELDS
    assert document("event")["required"] == list(REQUIRED_FIELDS)
    properties = document("event")["properties"]
    assert properties["action"]["enum"] == sorted(ACTIONS)
    assert set(properties["touch"]["anyOf"][0]["enum"]) == set(TOUCHES)


@pytest.mark.parametrize(
    "event",
    [
        VIEW,
        VIEW | {"event_time": "2026-03-10T12:00:00.5+08:00"},
        VIEW | {"event_time": "2026-03-10 12:00:00z", "item_id": None, "colour": {"any": 1}},
        PURCHASE,
        VIEW | {"action": "refund", "order_id": "o1", "quantity": 0},
        VIEW | {"action": "touch", "touch": "ad_click", "source": "search"},
    ],
)
def test_good_events_fit_the_schema(event):
    assert accepts("event", event)


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": ""},
        {"user_id": "a\nb"},
        {"user_id": "x" * 129},
        {"user_id": None},
        {"action": "dance"},
        {"event_time": "yesterday"},
        {"event_time": -1},
        {"quantity": "2"},
        {"quantity": 0},
        {"quantity": 1.5},
        {"amount_minor": 10**13 + 1},
        {"order_id": None},
        {"currency": "cny!"},
        {"channel": "Organic Search"},
        {"touch": "poke"},
    ],
)
def test_bad_events_do_not(change):
    assert accepts("event", PURCHASE)
    assert not accepts("event", PURCHASE | change)


@pytest.mark.parametrize("field", ["order_id", "quantity", "amount_minor", "currency"])
def test_the_schema_knows_what_a_purchase_needs(field):
    assert not accepts("event", {name: value for name, value in PURCHASE.items() if name != field})


def test_a_factor_record_fits_its_schema():
    record = FactorRecord(scope="shop=s1", as_of="2026-11-11", window_days=7, s=3, b=1, m=1 / 3)
    assert accepts("factor-record", json.loads(record.encode()))
    assert not accepts("factor-record", json.loads(record.encode()) | {"kind": "member"})


def test_structs_take_what_later_versions_add():
    assert msgspec.convert(VIEW | {"new_field": 1}, Event).user_id == "u1"
