"""Promotions in force, and what is wrong among those that came: for the store and the dead letters. Without I/O.

Every worker reads all of them; the owner of partition 0 judges each once, since its state says up to where they have
been judged. A bad record changes nothing: the former version stays in force.
"""

from dataclasses import dataclass, field

from schemas.promotion import ControlError, decode_promotion
from stream.control import ControlRecord, dead_letter
from stream.transport.committer import Outgoing


@dataclass
class Judged:
    """What has to go out."""

    shown: dict[str, bytes | None] = field(default_factory=dict)
    """Promotion id → the promotion in force, None where it is withdrawn."""
    letters: list[Outgoing] = field(default_factory=list)
    next_offset: int = 0
    """All records below have been judged."""


class PromotionLog:
    """The records of the topic of promotions, as far as they are needed."""

    def __init__(self, application_id: str) -> None:
        self._application_id = application_id
        self._in_force: dict[str, bytes | None] = {}
        self._bad: list[tuple[ControlRecord, ControlError]] = []
        self._changed: dict[str, None] = {}
        self._next_offset = 0

    def note(self, record: ControlRecord) -> None:
        """Take in a record, in the order of the topic."""
        self._next_offset = record.offset + 1
        try:
            if record.value is None:
                name, value = (record.key or b"").decode(), None
            else:
                name, value = decode_promotion(record.value, record.key).promotion_id, record.value
        except ControlError as error:
            self._bad.append((record, error))
        except UnicodeDecodeError:
            pass  # a key that is no text can name no promotion: there is none to withdraw
        else:
            self._in_force[name] = value
            self._changed[name] = None

    def refresh(self) -> None:
        """Show everything once more."""
        self._changed.update(dict.fromkeys(self._in_force))

    def collect(self, judged_below: int) -> Judged:
        """What has changed for the store, and the bad records from an offset on."""
        found = Judged({name: self._in_force[name] for name in self._changed}, next_offset=self._next_offset)
        self._changed.clear()
        self._bad = [(record, error) for record, error in self._bad if record.offset >= judged_below]
        found.letters = [
            dead_letter(record, error.code, error.field, connector_name=self._application_id)
            for record, error in self._bad
        ]
        return found
