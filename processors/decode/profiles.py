"""Profile records: bytes → what the core keeps of a user's profile, or why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from processors.decode.fields import RefusedError, identifier, object_of, one_of, time_ms
from processors.decode.murmur import partition_of
from processors.decode.reference import Place
from schemas.event import RECORD_BYTES_MAX
from schemas.profile import ATTRIBUTES, Profile, deleted, pack
from schemas.refusals import Code


def decode_profile(value: bytes | None, key: bytes | None = None, place: Place | None = None) -> Profile:
    """The profile of a record. Raises RefusedError; the first fault in the order of the fields decides.

    A tombstone deletes the profile of its key. `place` None: the record comes from a file, its key is not checked.
    """
    if value is None and key:
        identifier({"user_id": key.decode(errors="surrogateescape")}, "user_id")
        profile = deleted(key)
    else:
        profile = _read(value or b"")
        if place is not None and key != profile.user_id:
            raise RefusedError(Code.KEY_MISMATCH, "user_id")
    if place is not None and partition_of(profile.user_id, place.partitions, place.partitioner) != place.partition:
        raise RefusedError(Code.WRONG_PARTITION, "user_id")
    return profile


def _read(value: bytes) -> Profile:
    if len(value) > RECORD_BYTES_MAX:
        raise RefusedError(Code.TOO_LARGE)
    fields = object_of(value)
    user_id = identifier(fields, "user_id", required=True).encode()
    updated_ms = time_ms(fields, "updated_at")
    code = pack({name: one_of(fields, name, known, Code.UNKNOWN_VALUE) for name, known in ATTRIBUTES.items()})
    identifier(fields, "region")
    for name, kind, check in _COLLECTIONS:
        given = fields.get(name)
        if given is not None:
            if not isinstance(given, kind):
                raise RefusedError(Code.BAD_TYPE, name)
            check(given, name)
    digest = int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "little")
    return Profile(user_id, updated_ms, digest, code, value)


def _ids(given: list[Any], field: str) -> None:
    for one in given:
        if one is None:
            raise RefusedError(Code.BAD_TYPE, field)
        identifier({field: one}, field)


def _ids_by_name(given: dict[str, Any], field: str) -> None:
    _ids([*given, *given.values()], field)


def _flags_by_name(given: dict[str, Any], field: str) -> None:
    _ids(list(given), field)
    if not all(isinstance(flag, bool) for flag in given.values()):
        raise RefusedError(Code.BAD_TYPE, field)


_COLLECTIONS: Final[tuple[tuple[str, type, Callable[[Any, str], None]], ...]] = (
    ("membership", list, _ids),
    ("identifiers", dict, _ids_by_name),
    ("consent", dict, _flags_by_name),
)
