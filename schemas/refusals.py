"""Why a record is refused, and how that is written on its dead letter.

The code list is closed: dashboards, totals and the `smart dlq` command rely on it. A refusal is decided from the record
alone, so a replay decides the same. Dead letters keep the original bytes, key and timestamp; the headers carry the
reason under the names that Kafka Connect gives them, plus an error code and the field. Messages quote no value of the
record: they may be personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple


class Code(StrEnum):
    """The closed list of refusal codes."""

    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    MISSING_FIELD = "missing_field"
    BAD_TYPE = "bad_type"
    BAD_ID = "bad_id"
    BAD_TIME = "bad_time"
    BAD_NUMBER = "bad_number"
    BAD_CURRENCY = "bad_currency"
    BAD_CHANNEL = "bad_channel"
    UNKNOWN_ACTION = "unknown_action"
    UNKNOWN_TOUCH = "unknown_touch"
    UNKNOWN_VALUE = "unknown_value"
    KEY_MISMATCH = "key_mismatch"
    WRONG_PARTITION = "wrong_partition"
    TIME_AHEAD = "time_ahead"
    TIME_TOO_OLD = "time_too_old"
    REFUND_UNMATCHED = "refund_unmatched"


UNDECODABLE: Final = frozenset({Code.NOT_JSON, Code.TOO_LARGE})
"""Codes of records that could not be read at all: a run of them means a wrong topic, not bad events."""

EXPLANATIONS: Final[dict[Code, str]] = {
    Code.NOT_JSON: "the value is not one JSON object in UTF-8",
    Code.TOO_LARGE: "the value is longer than 64 KiB",
    Code.MISSING_FIELD: "a required field is absent or null",
    Code.BAD_TYPE: "a field has another JSON type than its form says",
    Code.BAD_ID: "an id must have 1 to 128 characters and no control characters",
    Code.BAD_TIME: "the event time must be RFC 3339 with an offset or integer milliseconds, from 1970 to 2099",
    Code.BAD_NUMBER: "a number is outside its limits",
    Code.BAD_CURRENCY: "the currency is not an ISO 4217 code",
    Code.BAD_CHANNEL: "a channel is level1 or level1/level2, each of a-z, 0-9 and _",
    Code.UNKNOWN_ACTION: "the action is not on the list",
    Code.UNKNOWN_TOUCH: "the kind of touch is not on the list",
    Code.UNKNOWN_VALUE: "the value is not on the list of its field",
    Code.KEY_MISMATCH: "the record's key is not its user_id",
    Code.WRONG_PARTITION: "the record lies in another partition than its key belongs to",
    Code.TIME_AHEAD: "the event time is more than 5 minutes after the record was appended",
    Code.TIME_TOO_OLD: "the event time is more than 1,460 days before the record was appended",
    Code.REFUND_UNMATCHED: "the refund finds no earlier line that it could take back",
}
"""What each code means, for people. Never holds a value of a record."""


class Refusal(NamedTuple):
    """One refused record: its index within the chunk, the code, and the field at fault ("" = the record as a whole)."""

    record: int
    code: Code
    field: str = ""


ERROR_CLASS: Final = "RefusedRecord"
STAGE: Final = "VALUE_CONVERTER"

HEADER_TOPIC: Final = "__connect.errors.topic"
HEADER_PARTITION: Final = "__connect.errors.partition"
HEADER_OFFSET: Final = "__connect.errors.offset"
HEADER_CONNECTOR_NAME: Final = "__connect.errors.connector.name"
HEADER_TASK_ID: Final = "__connect.errors.task.id"
HEADER_STAGE: Final = "__connect.errors.stage"
HEADER_CLASS_NAME: Final = "__connect.errors.class.name"
HEADER_EXCEPTION_CLASS_NAME: Final = "__connect.errors.exception.class.name"
HEADER_EXCEPTION_MESSAGE: Final = "__connect.errors.exception.message"
HEADER_EXCEPTION_STACKTRACE: Final = "__connect.errors.exception.stacktrace"
HEADER_ERROR_CODE: Final = "smart.errors.code"
HEADER_ERROR_FIELD: Final = "smart.errors.field"
HEADER_NAMES: Final = (
    HEADER_TOPIC,
    HEADER_PARTITION,
    HEADER_OFFSET,
    HEADER_CONNECTOR_NAME,
    HEADER_TASK_ID,
    HEADER_STAGE,
    HEADER_CLASS_NAME,
    HEADER_EXCEPTION_CLASS_NAME,
    HEADER_EXCEPTION_MESSAGE,
    HEADER_EXCEPTION_STACKTRACE,
    HEADER_ERROR_CODE,
    HEADER_ERROR_FIELD,
)
"""Every header that a dead letter gets from us; the original's own headers stand before them."""


def message(code: Code, field: str = "") -> str:
    """The refusal in words, without any value of the record.

    >>> message(Code.BAD_ID, "shop_id")
    'bad_id: shop_id: an id must have 1 to 128 characters and no control characters'
    """
    return f"{code}: {field}: {EXPLANATIONS[code]}" if field else f"{code}: {EXPLANATIONS[code]}"


def dead_letter_headers(
    refusal: Refusal,
    *,
    topic: str,
    partition: int,
    offset: int,
    connector_name: str,
    task_id: int = 0,
    original: Sequence[tuple[str, bytes]] = (),
) -> list[tuple[str, bytes]]:
    """Headers of a dead letter: the original's own ones, then where the record lay and why it was refused.

    `connector_name` is the application's id, `task_id` its partition number or worker. Headers that an earlier
    refusal of the same record has left (a replayed dead letter) are replaced, not stacked.
    """
    ours = {
        HEADER_TOPIC: topic,
        HEADER_PARTITION: str(partition),
        HEADER_OFFSET: str(offset),
        HEADER_CONNECTOR_NAME: connector_name,
        HEADER_TASK_ID: str(task_id),
        HEADER_STAGE: STAGE,
        HEADER_CLASS_NAME: "processors.decode",
        HEADER_EXCEPTION_CLASS_NAME: ERROR_CLASS,
        HEADER_EXCEPTION_MESSAGE: message(refusal.code, refusal.field),
        HEADER_EXCEPTION_STACKTRACE: "",
        HEADER_ERROR_CODE: refusal.code.value,
        HEADER_ERROR_FIELD: refusal.field,
    }
    kept = [(name, value) for name, value in original if name not in ours]
    return kept + [(name, text.encode()) for name, text in ours.items()]
