"""What the serving store shows, held to the recount of a verification."""

import asyncio
import time
from typing import Final

from processors.audit import Difference, audit_pages, audit_store
from processors.recount import Recount
from schemas.scopes import Scope
from serving.store import StoreReader
from stream.verify import Told, Verified, Verifier, suspects_of

_STORE_S: Final = 5.0
"""So long the store may lag behind the topic."""
_SCOPES_AT_A_TIME: Final = 500


async def compare(reader: StoreReader, verifier: Verifier, found: Verified, told: Told) -> None:
    """Add to what has been found where the store differs once it has had time to catch up.

    Where the system moves, the same figures are counted and read once more: what differs otherwise then is moving.
    """
    if not found.is_added_up:
        return
    deadline, scopes = time.monotonic() + _STORE_S, list(found.days)
    while True:
        differences = await _differences(reader, verifier, found, found.recount, scopes)
        scopes = list(suspects_of(differences))
        if not differences or time.monotonic() > deadline:
            break
        told("waiting for the store", 0, None)
        await asyncio.sleep(_STORE_S / 10)
    if not found.at_rest and differences:
        recount, before = await verifier.recount_anew(scopes), set(differences)
        again = await _differences(reader, verifier, found, recount, scopes)
        differences = [one for one in again if one in before]
        found.moving += [one for one in again if one not in before]
    found.differences += differences


async def _differences(
    reader: StoreReader, verifier: Verifier, found: Verified, recount: Recount, scopes: list[Scope]
) -> list[Difference]:
    return [
        difference
        for at in range(0, len(scopes), _SCOPES_AT_A_TIME)
        for difference in await _of_some(reader, verifier, found, recount, scopes[at : at + _SCOPES_AT_A_TIME])
    ]


async def _of_some(
    reader: StoreReader, verifier: Verifier, found: Verified, recount: Recount, scopes: list[Scope]
) -> list[Difference]:
    settings, windows = verifier.settings, verifier.options.windows
    stored = await reader.newest_of([scope.name for scope in scopes])
    differences: list[Difference] = []
    for scope in scopes:
        today = found.today[scope]
        first_kept = today - settings.horizon_days
        if not verifier.is_new_date(scope):
            differences += audit_store(recount, scope, stored[scope.name], windows, today, first_kept)
        pages = {int(number): page for number, page in (await reader.pages(scope.name)).items()}
        days = found.days[scope]
        differences += audit_pages(recount, scope, pages, days, settings.windows, first_kept)
    return differences
