"""The words that the scanner knows, as tables: field names, actions, touch kinds, currencies, and the limits.

A word's slot is a hash of its length and first two letters; the constants are chosen so that no two words of a table
share one. Whoever adds a word and makes two meet is told so at import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.decode.columns import SPAN_FIELDS
from schemas import event as form
from schemas.currency import CURRENCY_CODES
from schemas.event import ACTIONS, FIELDS, TOUCHES

N_SLOTS: Final = 64
WORD_BYTES_MAX: Final = 16
FIRST_FACTOR: Final = 15
FIELD_WORDS, ACTION_WORDS, TOUCH_WORDS = range(3)

(
    MAX_ID_CHARS,
    MAX_QUANTITY,
    MAX_AMOUNT_MINOR,
    MAX_DWELL_MS,
    MIN_EVENT_MS,
    MAX_EVENT_MS,
    MAX_AHEAD_MS,
    MAX_BEHIND_MS,
) = range(8)


def slot(word: bytes) -> int:
    """Slot of a word of two or more letters, 0 ≤ slot < N_SLOTS."""
    return (len(word) + FIRST_FACTOR * word[0] + word[1]) % N_SLOTS


def word_table(vocabularies: Iterable[Mapping[str, int]]) -> NDArray[np.uint64]:
    """[vocabulary, N_SLOTS, 4]: length (0 = free), value, the first eight letters and the others as in `eight`."""
    tables = []
    for vocabulary in vocabularies:
        table = np.zeros((N_SLOTS, 4), np.uint64)
        for word, value in vocabulary.items():
            letters = word.encode()
            row = table[slot(letters)]
            if row[0] or len(letters) > WORD_BYTES_MAX:
                raise ValueError(
                    f"no slot for {word!r}: choose another FIRST_FACTOR or hash in processors.decode.words"
                )
            row[:] = len(letters), value, int.from_bytes(letters[:8], "little"), int.from_bytes(letters[8:], "little")
        tables.append(table)
    return np.stack(tables)


def currency_table() -> NDArray[np.bool_]:
    """[26³] is the code of these three letters one? Index: letters as digits to the base 26, A = 0."""
    table = np.zeros(26**3, np.bool_)
    for code in CURRENCY_CODES:
        first, second, third = (ord(letter) - ord("A") for letter in code)
        table[(first * 26 + second) * 26 + third] = True
    return table


WORDS: Final = word_table([{name: i for i, name in enumerate(FIELDS)}, ACTIONS, TOUCHES])
CURRENCIES: Final = currency_table()
SPAN_FIELD_INDEX: Final = np.array([FIELDS.index(name) for name in SPAN_FIELDS], np.int64)
"""[N_SPANS] index in FIELDS of each span column."""
LIMITS: Final = np.array(
    [
        form.ID_CHARS_MAX,
        form.QUANTITY_MAX,
        form.AMOUNT_MINOR_MAX,
        form.DWELL_MS_MAX,
        form.EVENT_MS_MIN,
        form.EVENT_MS_MAX,
        form.TIME_AHEAD_MS_MAX,
        form.TIME_BEHIND_MS_MAX,
    ],
    np.int64,
)
"""Limits by index MAX_…, MIN_…. Handed to the kernel, whose compiled cache would freeze what it reads from a module."""
