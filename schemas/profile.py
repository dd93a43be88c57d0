"""The profile of a user: who they are, as far as the platform knows, and the form in which it is kept.

`profiles` (key: user id, compacted) holds one record a user; the newest by `updated_at` counts, whatever order they
come in, and of two of one instant the one with the greater digest. Figures are crossed with four attributes: strategic
group, purchasing power, age band and gender. A user without a record, or without an attribute in it, is `unknown`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from schemas.durable import VERSION, DurableError
from schemas.event import EventTimeMs, EventTimeText, Id
from schemas.scopes import UNKNOWN

GROUPS: Final = (UNKNOWN, *(f"g{n}" for n in range(1, 17)))
POWERS: Final = (UNKNOWN, "L1", "L2", "L3", "L4", "L5")
AGES: Final = (UNKNOWN, "0-17", "18-23", "24-29", "30-35", "36-45", "46-55", "56+")
GENDERS: Final = (UNKNOWN, "f", "m")
ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {"group": GROUPS, "power": POWERS, "age": AGES, "gender": GENDERS}
"""Attribute → its values; the place of a value is its number, `unknown` is 0."""
SHIFTS: Final = (0, 5, 8, 11)
"""Where each attribute's number stands in a profile's code, in the order of `ATTRIBUTES`."""
MASKS: Final = (31, 7, 7, 3)

GroupWord = Literal[
    "unknown",
    "g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8", "g9", "g10", "g11", "g12", "g13", "g14", "g15", "g16"
]  # fmt: skip
PowerWord = Literal["unknown", "L1", "L2", "L3", "L4", "L5"]
AgeWord = Literal["unknown", "0-17", "18-23", "24-29", "30-35", "36-45", "46-55", "56+"]
GenderWord = Literal["unknown", "f", "m"]


class ProfileRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user's profile. What is absent or null is unknown; unknown fields are ignored.

    `identifiers` are what channels know the user by (kind → value), `consent` is per channel; they are personal data
    and are kept in the changelog alone (a record that is refused lies in the dead letters for as long as those do).
    """

    user_id: Id
    updated_at: EventTimeText | EventTimeMs
    group: GroupWord | None = None
    power: Annotated[PowerWord | None, Meta(description="Purchasing power, L1 the lowest.")] = None
    age: AgeWord | None = None
    gender: GenderWord | None = None
    region: Id | None = None
    membership: tuple[Id, ...] = ()
    identifiers: dict[Id, Id] = {}
    consent: dict[Id, bool] = {}

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, absent fields left out."""
        return msgspec.json.encode(self)

    def key(self) -> bytes:
        """The record key: the user."""
        return self.user_id.encode()


class Profile(NamedTuple):
    """What the core keeps of a profile record."""

    user_id: bytes
    updated_ms: int
    digest: int
    """Of the record's bytes: decides between two of one instant."""
    code: int
    """The numbers of its four attributes, packed."""
    raw: bytes
    """The record itself; b"" where the profile has been deleted."""


def deleted(user_id: bytes) -> Profile:
    """What a tombstone leaves: nothing is known, and any record counts again."""
    return Profile(user_id, -1, 0, 0, b"")


def pack(values: Mapping[str, str | None]) -> int:
    """The code of attribute values; absent ones are unknown.

    >>> pack({"group": "g7", "gender": "f"}) == 7 | 1 << 11
    True
    """
    return sum(
        known.index(values.get(name) or UNKNOWN) << shift
        for shift, (name, known) in zip(SHIFTS, ATTRIBUTES.items(), strict=True)
    )


def unpack(code: int) -> dict[str, str]:
    """Attribute → value of a code.

    >>> unpack(pack({"age": "56+"}))
    {'group': 'unknown', 'power': 'unknown', 'age': '56+', 'gender': 'unknown'}
    """
    return {
        name: known[code >> shift & mask]
        for (name, known), shift, mask in zip(ATTRIBUTES.items(), SHIFTS, MASKS, strict=True)
    }


# ---------------------------------------------------------------------- the durable form

PROFILE_PREFIX: Final = b"U"
_HEAD: Final = struct.Struct("<BqQH")


def encode_durable(profile: Profile) -> tuple[bytes, bytes | None]:
    """Key and value of a changelog record: version, instant, digest, code, the record, CRC-32."""
    key = PROFILE_PREFIX + profile.user_id
    if not profile.raw:
        return key, None
    body = _HEAD.pack(VERSION, profile.updated_ms, profile.digest, profile.code) + profile.raw
    return key, body + zlib.crc32(body).to_bytes(4, "little")


def decode_durable(key: bytes, value: bytes | None) -> Profile:
    """The profile of a changelog record. Raises DurableError."""
    if value is None:
        return deleted(key[1:])
    if len(value) < _HEAD.size + 4 or value[0] != VERSION:
        raise DurableError(f"a profile has version {value[0] if value else 'none'}, this program reads {VERSION}")
    if zlib.crc32(value[:-4]) != int.from_bytes(value[-4:], "little"):
        raise DurableError("a profile has a wrong checksum: restore the changelog topic")
    _, updated_ms, digest, code = _HEAD.unpack_from(value)
    return Profile(key[1:], updated_ms, digest, code, value[_HEAD.size : -4])
