"""JSON Schema of the forms that other programs write and read, generated from the structs.

The committed copies stand in `docs/reference/schemas/`; a test holds them to this. What a schema cannot say (which
dates exist, the currency list, the key) stands in the descriptions; the decoder decides.
"""

from __future__ import annotations

import json
from inspect import cleandoc
from typing import Any, Final

import msgspec

from schemas.breakdown import BreakdownRecord
from schemas.comparison import ComparisonRecord
from schemas.control import ClockRecord, ShopRecord
from schemas.event import COUNTED_ACTIONS, REQUIRED_BY_ACTION, Event
from schemas.factors import FactorRecord
from schemas.growth import GrowthRecord
from schemas.intraday import MinuteRecord, TrailingRecord
from schemas.item import ItemRecord
from schemas.peers import PeerRecord
from schemas.power import PowerRecord
from schemas.profile import ProfileRecord
from schemas.promotion import PromotionRecord
from schemas.restatements import RestatementRecord
from schemas.spend import SpendRecord

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FORMS: Final[dict[str, type[msgspec.Struct]]] = {
    "event": Event,
    "factor-record": FactorRecord,
    "comparison-record": ComparisonRecord,
    "growth-record": GrowthRecord,
    "profile-record": ProfileRecord,
    "item-record": ItemRecord,
    "breakdown-record": BreakdownRecord,
    "spend-record": SpendRecord,
    "peer-record": PeerRecord,
    "power-record": PowerRecord,
    "restatement-record": RestatementRecord,
    "shop-record": ShopRecord,
    "clock-record": ClockRecord,
    "promotion-record": PromotionRecord,
    "minute-record": MinuteRecord,
    "trailing-record": TrailingRecord,
}
"""Name of a document → the struct that it describes."""


def document(name: str) -> dict[str, Any]:
    """The JSON Schema of one of FORMS."""
    form = FORMS[name]
    _, components = msgspec.json.schema_components((form,), ref_template="#/$defs/{name}")
    schema: dict[str, Any] = {"$schema": DIALECT, **components.pop(form.__name__)}
    schema["description"] = cleandoc(schema["description"])  # Python 3.13 does so itself; one text for all versions
    if form is Event:
        schema["allOf"] = [_requirement(action.word, fields) for action, fields in REQUIRED_BY_ACTION.items()]
        schema["allOf"].append(_at_least_one_piece())
    if components:
        schema["$defs"] = components
    return schema


def _requirement(action: str, fields: tuple[str, ...]) -> dict[str, Any]:
    """An event with this action has these fields, and none of them is null."""
    present = {field: {"not": {"type": "null"}} for field in fields}
    return {
        "if": {"properties": {"action": {"const": action}}, "required": ["action"]},
        "then": {"required": list(fields), "properties": present},
    }


def _at_least_one_piece() -> dict[str, Any]:
    """Some actions are of at least one piece."""
    return {
        "if": {"properties": {"action": {"enum": [action.word for action in COUNTED_ACTIONS]}}, "required": ["action"]},
        "then": {"properties": {"quantity": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 1}]}}},
    }


def documents() -> dict[str, str]:
    """File name → text of every document, as it is committed."""
    return {f"{name}.json": json.dumps(document(name), indent=2, ensure_ascii=False) + "\n" for name in FORMS}
