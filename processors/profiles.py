"""The newest profile of each user of a partition.

Profiles join by version: the greater (instant of update, digest) stays, so order and repetition never matter. Users are
numbers of the partition's dictionary; a user who has not been seen in any event may have a profile that waits.
"""

from collections.abc import Iterable, Iterator

from schemas.profile import Profile, decode_durable, encode_durable


class Profiles:
    """Profiles by user number."""

    def __init__(self) -> None:
        self._newest: dict[int, Profile] = {}
        self._changed: set[int] = set()
        self._loaded: list[Profile] = []

    def __len__(self) -> int:
        return len(self._newest)

    def join(self, profiles: Iterable[tuple[int, Profile]], *, is_known: bool = False) -> dict[int, int]:
        """Take in (user, profile); returns user → code of those who have a newer one now.

        is_known: they come from the changelog and need not be written again.
        """
        newer: dict[int, int] = {}
        for user, profile in profiles:
            known = self._newest.get(user)
            if profile.raw and known is not None and known[1:3] >= profile[1:3]:
                continue
            if not profile.raw and known is None:
                continue
            self._newest[user] = profile
            newer[user] = profile.code
        if not is_known:
            self._changed |= newer.keys()
        return newer

    def codes(self) -> Iterator[tuple[int, int]]:
        """(user, code) of all that are known."""
        return ((user, profile.code) for user, profile in self._newest.items() if profile.code)

    def take(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Changelog records of what has changed since the last take."""
        for user in sorted(self._changed):
            profile = self._newest[user]
            yield encode_durable(profile)
            if not profile.raw:
                del self._newest[user]
        self._changed.clear()

    def load(self, key: bytes, value: bytes | None) -> None:
        """Note a changelog record; its user gets a number when all are loaded. Raises DurableError."""
        self._loaded.append(decode_durable(key, value))

    def take_loaded(self) -> list[Profile]:
        """What has been loaded, the newest record of each user; given away."""
        newest = {profile.user_id: profile for profile in self._loaded}
        self._loaded = []
        return [profile for profile in newest.values() if profile.raw]
