"""Format `native`: JSON lines, one event a line, passed on as they are.

Nothing is refused here: a line that is no event goes on too, and the worker that reads it says why it refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from schemas.adapters.rows import Native
from schemas.refusals import Refusal


class _Keyed(msgspec.Struct):
    user_id: Any = None


_DECODER: Final = msgspec.json.Decoder(_Keyed)


def native(lines: Iterable[str], shop_id: str) -> Iterator[Native | Refusal]:
    """Every line that is not blank, keyed by its user; `shop_id` is not used, as each event names its shop."""
    del shop_id
    for line in lines:
        value = line.strip()
        if value:
            yield keyed(value.encode("utf-8", "surrogateescape"))


def keyed(value: bytes) -> Native:
    """One record value with its user as the key; the key is None where the value names no user."""
    try:
        user = _DECODER.decode(value).user_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Native(None, value)
    return Native(user.encode() if isinstance(user, str) else None, value)
