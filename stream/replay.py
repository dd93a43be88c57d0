"""Events of files as batches to be played: where each goes, when it is due, and what was refused.

A refused row becomes a dead letter of the purchase topic with its own bytes, as the data sets that refuse rows are
lists of purchases.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from schemas.adapters import FORMATS, Native
from schemas.adapters.native import keyed
from schemas.event import ACTIONS
from schemas.refusals import Code, Refusal, dead_letter_headers
from schemas.topics import EVENTS_BROWSE, EVENTS_PURCHASE, TOPIC_OF_ACTION, dead_letter_topic
from stream.files import InputFiles
from stream.play import Batch
from stream.routing import Headers, Messages

DEFAULT_TOPIC: Final = EVENTS_BROWSE
"""Where what names no action goes: the worker that reads it says why it refuses it."""
DEAD_LETTER_TOPIC: Final = dead_letter_topic(EVENTS_PURCHASE)
FILE_ORIGIN: Final = "file:"
"""Opens the topic header of dead letters that have never been in a topic."""

_BATCH_RECORDS: Final = 2_000
_WINDOW_S: Final = 0.05
_TOPICS: Final = {word: TOPIC_OF_ACTION[action] for word, action in ACTIONS.items()}


class _Routed(msgspec.Struct):
    action: Any = None
    event_time: Any = None


_DECODER: Final = msgspec.json.Decoder(_Routed)


def route(value: bytes) -> tuple[str, int | None]:
    """The topic that a native event belongs to, and its event time in ms; None where that cannot be read."""
    try:
        routed = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return DEFAULT_TOPIC, None
    action = routed.action
    topic = _TOPICS.get(action, DEFAULT_TOPIC) if isinstance(action, str) else DEFAULT_TOPIC
    return topic, _instant_ms(routed.event_time)


def _instant_ms(event_time: object) -> int | None:
    if isinstance(event_time, int):
        return event_time
    if not isinstance(event_time, str):
        return None
    try:
        instant = dt.datetime.fromisoformat(event_time)
    except ValueError:
        return None
    return int(instant.timestamp() * 1_000) if instant.tzinfo else None


class Source:
    """What an adapter makes of files; iterates once. `last` is the row that was read last."""

    def __init__(self, files: InputFiles, format_name: str, shop_id: str) -> None:
        self.files = files
        self.last = b""
        self._format = format_name
        self._shop_id = shop_id

    def __iter__(self) -> Iterator[Native | Refusal]:
        """Events and refusals, in the order of the rows."""
        if self._format == "native":  # as bytes: a line is passed on as it stands
            return map(keyed, self.files.events())
        return FORMATS[self._format](self._rows(), self._shop_id)

    def _rows(self) -> Iterator[str]:
        for line in self.files.lines():
            self.last = line
            yield line.decode("utf-8", "replace")


@dataclass(slots=True)
class Replay:
    """Makes batches of what a source yields."""

    origin: str
    """What is read, as dead letters name it."""
    topic: str | None = None
    """Where everything goes; None: each event to the topic of its action."""
    speed: float | None = 1.0
    keeps_refused: bool = True
    """Refused rows become dead letters; else they are only counted."""
    refused: Counter[Code] = field(default_factory=Counter)
    """Refused rows by code."""

    def batches(self, source: Source) -> Iterator[Batch]:
        """Batches in the order of the input.

        A batch spans at most 50 ms of the clock at the given speed, so that pace is kept without a wait an event.
        """
        window_ms = None if self.speed is None else max(1, round(_WINDOW_S * 1_000 * self.speed))
        building = _Building()
        for one in source:
            if isinstance(one, Refusal):
                self.refused[one.code] += 1
                if self.keeps_refused:
                    building.add(DEAD_LETTER_TOPIC, None, source.last.rstrip(b"\r\n"), self._headers(one))
                continue
            topic, event_ms = route(one.value)
            if building.is_full(event_ms, window_ms):
                yield building.take()
            building.add(self.topic or topic, one.key, one.value)
            building.due_ms = event_ms if building.due_ms is None else building.due_ms
        if building.values:
            yield building.take()

    def _headers(self, refusal: Refusal) -> Headers:
        origin = FILE_ORIGIN + self.origin
        return dead_letter_headers(refusal, topic=origin, partition=0, offset=refusal.record, connector_name="replay")


@dataclass(slots=True)
class _Building:
    """A batch that is being filled."""

    due_ms: int | None = None
    topics: list[str] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)

    def is_full(self, event_ms: int | None, window_ms: int | None) -> bool:
        """Must it be sent before an event of this time is added?"""
        if len(self.values) >= _BATCH_RECORDS:
            return True
        if window_ms is None or event_ms is None or self.due_ms is None:
            return False
        return event_ms - self.due_ms >= window_ms

    def add(self, topic: str, key: bytes | None, value: bytes, headers: Headers = ()) -> None:
        self.topics.append(topic)
        self.keys.append(key)
        self.values.append(value)
        self.headers.append(headers)

    def take(self) -> Batch:
        """The batch so far; a new one begins."""
        headers = self.headers if any(self.headers) else None
        batch = Batch(self.due_ms, Messages(self.topics, self.keys, self.values, headers))
        self.due_ms, self.topics, self.keys, self.values, self.headers = None, [], [], [], []
        return batch
