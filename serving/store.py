"""Reads the serving store: the newest figures of a scope. Every number was computed by the workers; nothing is here."""

import datetime as dt
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from processors.calendar import NO_DAY, day_of
from schemas.errors import SmartError
from schemas.factors import FactorRecord, decode_record, decode_records
from schemas.restatements import RestatementRecord, decode_restatement
from schemas.store import (
    CLOCK_KEY,
    LIVE_PREFIX,
    NO_DATE,
    PROMOTIONS_KEY,
    crossed_key,
    index_key,
    live_field,
    live_key,
    minutes_key,
    on_sale_key,
    pages_key,
    parse_live_field,
    restated_key,
    scope_of,
)

_TIMEOUT_S: Final = 5.0
_SCAN_KEYS: Final = 1_000
_SCOPES_AT_A_TIME: Final = 2_000
_PAGED_SCOPES_AT_A_TIME: Final = 200
"""The records, and the pages, of so many scopes are read by one script: the store answers nobody else meanwhile, for a
few milliseconds.
"""

# One long answer each, put together by the store: to take 100,000 short ones apart costs several times as much.
_LISTED: Final = "return table.concat(redis.call('HKEYS', KEYS[1]), '\\n')"
_NEWEST: Final = """
local found = {}
for _, key in ipairs(KEYS) do
  for _, record in ipairs(redis.call('HMGET', key, unpack(ARGV))) do
    if record then found[#found + 1] = record end
  end
end
return table.concat(found, '\\n')"""
_PAGES: Final = """
local found = {}
for _, key in ipairs(KEYS) do
  local pages = redis.call('HGETALL', key)
  found[#found + 1] = struct.pack('<i4', #pages / 2)
  for i = 1, #pages, 2 do
    found[#found + 1] = struct.pack('<i4i4', tonumber(pages[i]), #pages[i + 1])
    found[#found + 1] = pages[i + 1]
  end
end
return table.concat(found)"""


class StoreError(SmartError):
    """The serving store does not answer, or holds something that is not ours."""


class StoreReader:
    """A connection to the serving store; an async context manager. Every method raises StoreError."""

    def __init__(self, redis_url: str) -> None:
        self._client: Any = Redis.from_url(  # its methods are typed as both sync and async
            redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
        )
        url = urlsplit(redis_url)
        self._address = f"{url.hostname or 'localhost'}:{url.port or 6379}"  # never the password

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def newest(self, scope: str, window_days: int | None = None) -> list[FactorRecord]:
        """The newest records of a scope, of one window or of all, by window and currency; [] where there is none."""
        found = await self.newest_of([scope])
        return [record for record in found[scope] if window_days in (None, record.window_days)]

    async def newest_of(self, scopes: Sequence[str]) -> dict[str, list[FactorRecord]]:
        """The newest records of several scopes, asked for at once; in the order of windows and currencies."""
        hashes = await self._ask([("HGETALL", live_key(scope)) for scope in scopes])
        return {scope: _records(scope, fields) for scope, fields in zip(scopes, hashes, strict=True)}

    async def newest_in(self, scopes: Sequence[str], window_days: int, currencies: Sequence[str]) -> list[FactorRecord]:
        """The newest records of known windows and currencies: a read of single fields, for views that refresh often."""
        fields = [live_field(window_days, currency) for currency in currencies]
        rows = await self._ask([("HMGET", live_key(scope), *fields) for scope in scopes])
        return [_record(scope, value) for scope, row in zip(scopes, rows, strict=True) for value in row if value]

    async def family(self, name: str) -> list[str]:
        """The scopes that have figures and differ from one another in their last word alone, by name.

        name: what they have in common, such as `shop` or `shop=s1|item` (docs/concepts/breakdown.md).
        """
        return (await self.families([name]))[0]

    async def families(self, names: Sequence[str]) -> list[list[str]]:
        """`family` for several names at once."""
        answers = await self._ask([("EVAL", _LISTED, 1, index_key(name)) for name in names])
        listed = [answer.decode() for answer in answers]
        return [
            sorted(f"{name}={value}" for value in values.split("\n")) if values else []
            for name, values in zip(names, listed, strict=True)
        ]

    async def on_sale(self, shops: Sequence[str]) -> list[dict[int, int]]:
        """For each shop (its scope) the day number of listing, NO_DAY where it is not known → items on sale."""
        hashes = await self._ask([("HGETALL", on_sale_key(shop)) for shop in shops])
        try:
            return [{_day_listed(field.decode()): int(n) for field, n in fields.items()} for fields in hashes]
        except ValueError as error:
            raise StoreError(f"the serving store holds no numbers of items on sale: {error}") from error

    async def newest_of_many(
        self, scopes: Sequence[str], window_days: int, currencies: Sequence[str]
    ) -> list[FactorRecord]:
        """The newest records of any number of scopes, of one window and known currencies; in their order."""
        fields = [live_field(window_days, currency) for currency in currencies]
        found: list[FactorRecord] = []
        for at in range(0, len(scopes), _SCOPES_AT_A_TIME):
            keys = [live_key(scope) for scope in scopes[at : at + _SCOPES_AT_A_TIME]]
            answer = (await self._ask([("EVAL", _NEWEST, len(keys), *keys, *fields)]))[0]
            try:
                found += decode_records(answer)
            except msgspec.DecodeError as error:
                raise StoreError(f"the serving store holds what is no factor record: {error}") from error
        return found

    async def pages_of_many(self, scopes: Sequence[str]) -> bytes:
        """The total pages of any number of scopes, packed as `processors.snapshot` takes them."""
        packed = []
        for at in range(0, len(scopes), _PAGED_SCOPES_AT_A_TIME):
            keys = [pages_key(scope) for scope in scopes[at : at + _PAGED_SCOPES_AT_A_TIME]]
            packed.append((await self._ask([("EVAL", _PAGES, len(keys), *keys)]))[0])
        return b"".join(packed)

    async def pages(self, scope: str) -> dict[str, bytes]:
        """The total pages of a scope: page number → bytes."""
        fields = dict((await self._ask([("HGETALL", pages_key(scope))]))[0])
        return {field.decode(): value for field, value in fields.items()}

    async def published_once(self, key: str) -> bytes | None:
        """A value that is never changed once it is there."""
        found: bytes | None = (await self._ask([("GET", key)]))[0]
        return found

    async def publish_once(self, key: str, value: bytes) -> bytes:
        """Put a value there unless there is one; returns the one that stands."""
        found: bytes = (await self._ask([("SET", key, value, "NX"), ("GET", key)]))[1]
        return found

    async def restatements(self, scope: str) -> list[RestatementRecord]:
        """The newest restatements of a scope, oldest first."""
        fields = dict((await self._ask([("HGETALL", restated_key(scope))]))[0])
        try:
            found = [decode_restatement(value) for value in fields.values()]
        except msgspec.DecodeError as error:
            raise StoreError(f"the serving store holds no restatements under {restated_key(scope)}: {error}") from error
        return sorted(found, key=lambda record: record.number)

    async def hours(self, scopes: Sequence[str], hours: Iterable[int]) -> dict[str, dict[int, bytes]]:
        """Scope → hour → the page of its minutes, of those hours that there is one of."""
        asked = list(hours)
        if not asked:
            return {scope: {} for scope in scopes}
        rows = await self._ask([("HMGET", minutes_key(scope), *map(str, asked)) for scope in scopes])
        return {
            scope: {hour: page for hour, page in zip(asked, row, strict=True) if page is not None}
            for scope, row in zip(scopes, rows, strict=True)
        }

    async def crosses(self, shop_scope: str, kind: str) -> dict[str, int]:
        """The scopes of a shop crossed with channels or items that are counted by the minute → their last hour."""
        fields = dict((await self._ask([("HGETALL", crossed_key(shop_scope, kind))]))[0])
        return {scope.decode(): int(hour) for scope, hour in fields.items()}

    async def clock_ms(self) -> int | None:
        """The instant that minutes are of, as ms since 1970; None before there are any."""
        fields = dict((await self._ask([("HGETALL", CLOCK_KEY)]))[0])
        return max(map(int, fields.values()), default=None)

    async def promotions(self) -> dict[str, bytes]:
        """Promotion id → the promotion in force, JSON."""
        fields = dict((await self._ask([("HGETALL", PROMOTIONS_KEY)]))[0])
        return {name.decode(): value for name, value in fields.items()}

    async def scopes(self, pattern: str = "*") -> list[str]:
        """Names of the scopes that have records, by a glob pattern such as `shop=*`; walks all keys, so not for hot
        paths.
        """
        try:
            keys = [key async for key in self._client.scan_iter(match=LIVE_PREFIX + pattern, count=_SCAN_KEYS)]
        except (RedisError, OSError) as error:
            raise self._unreachable(error) from error
        return sorted(scope_of(key.decode()) for key in keys)

    async def _ask(self, commands: Iterable[tuple[str | int | bytes, ...]]) -> list[Any]:
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                answers: list[Any] = await pipeline.execute()
                return answers
        except (RedisError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> StoreError:
        return StoreError(
            f"the serving store at {self._address} does not answer ({error}); start it with 'smart demo', "
            "or set SMART_REDIS_URL"
        )


def _day_listed(field: str) -> int:
    return NO_DAY if field == NO_DATE else day_of(dt.date.fromisoformat(field))


def _records(scope: str, fields: dict[bytes, bytes]) -> list[FactorRecord]:
    try:
        ordered: Iterable[bytes] = sorted(fields, key=lambda field: parse_live_field(field.decode()))
    except ValueError as error:
        raise StoreError(f"the serving store holds no figures under {live_key(scope)}: {error}") from error
    return [_record(scope, fields[field]) for field in ordered]


def _record(scope: str, value: bytes) -> FactorRecord:
    try:
        return decode_record(value)
    except msgspec.DecodeError as error:
        raise StoreError(f"the serving store holds no factor record under {live_key(scope)}: {error}") from error
