"""What people ask figures by: a scope, a date, a period; and what the serving store has of it."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from processors.figures import Provenance
from processors.pages import PageError
from schemas.errors import SmartError, UsageError
from schemas.factors import FactorRecord
from schemas.scopes import Scope, ScopeError, parse
from schemas.settings import Settings
from serving.past import figures_between
from serving.store import StoreReader

ScopeArgument = Annotated[str, typer.Argument(help="Such as market, shop=s1 or 'shop=s1|category=c1'.")]
WindowOption = Annotated[
    int | None, typer.Option(min=1, help="Only this period, in days. Default: all.", show_default=False)
]
AsOfOption = Annotated[
    str | None, typer.Option(help="Last date of the periods, YYYY-MM-DD. Default: the newest.", show_default=False)
]
ShopArgument = Annotated[str, typer.Argument(help="The id of a shop, such as s1, or its scope, shop=s1.")]
SortOption = Annotated[str, typer.Option(help="The figure to sort by, the greatest first: gmv, s, m, art_new …")]
LimitOption = Annotated[int, typer.Option(min=1, help="So many of them, for each currency.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the records, one JSON object a line.")]

USUAL_WINDOW: Final = 30
"""The period that is shown where one is enough and none was asked for, if it is kept."""


def scope_name(text: str) -> str:
    """The one name of the scope that a text means. Raises UsageError."""
    try:
        return parse(text).name
    except ScopeError as error:
        raise UsageError(str(error)) from error


def shop_scope(text: str) -> Scope:
    """The shop that a text means: its scope where it begins with `shop=`, its id otherwise. Raises UsageError."""
    if not text.startswith("shop="):
        return Scope(text)
    scope = parse(scope_name(text))
    if scope.kind:
        raise UsageError(f"{text!r} is a part of a shop, not a shop")
    return scope


def one_window(settings: Settings, window: int | None) -> int:
    """The period that was asked for, or the one that is shown where none was. Raises UsageError."""
    check_window(settings, window)
    return window or (USUAL_WINDOW if USUAL_WINDOW in settings.windows else settings.windows[-1])


def date(text: str | None) -> dt.date | None:
    """The date that a text means, if there is one. Raises UsageError."""
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date such as 2026-11-11") from None


def check_window(settings: Settings, window: int | None) -> None:
    """Raise UsageError for a period of which no figures are kept."""
    if window is not None and window not in settings.windows:
        known = ", ".join(map(str, settings.windows))
        raise UsageError(f"there are no figures of {window} days: SMART_WINDOWS has {known}")


def check_has_come(scope: str, date: dt.date, latest: FactorRecord) -> None:
    """Raise SmartError for a date after that of the newest figures."""
    if date.isoformat() > latest.as_of:
        raise SmartError(f"the figures of {scope} reach up to {latest.as_of}; {date} has not come for it")


def nothing_of(scope: str, when: str = "") -> SmartError:
    """The error for a scope without figures."""
    return SmartError(f"there are no figures of {scope}{when}; 'smart config' lists what figures are kept of")


async def latest_of(reader: StoreReader, scope: str, date: dt.date | None) -> FactorRecord:
    """The scope's newest record. Raises SmartError where there is none, or `date` has not come for the scope."""
    newest = await reader.newest(scope)
    if not newest:
        raise nothing_of(scope)
    latest = max(newest, key=lambda record: record.as_of)
    if date is not None:
        check_has_come(scope, date, latest)
    return latest


async def pages_of(reader: StoreReader, scope: str) -> dict[int, bytes]:
    """The scope's total pages by number."""
    return {int(number): page for number, page in (await reader.pages(scope)).items()}


def past(
    settings: Settings, latest: FactorRecord, pages: Mapping[int, bytes], first: dt.date, last: dt.date
) -> list[FactorRecord]:
    """The figures of a scope for the dates first … last, from its pages; `latest` is its newest record.

    Raises SmartError where the pages cannot be read.
    """
    provenance = Provenance(latest.history_from, latest.complete_through, latest.computed_at)
    try:
        return figures_between(latest.scope, pages, settings.windows, first, last, provenance)
    except PageError as error:
        raise SmartError(f"the pages of {latest.scope} cannot be read: {error}") from error
