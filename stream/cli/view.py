"""The live view of a running system, drawn from one snapshot. Pure: figures in, something to print out."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.factors import NO_CURRENCY, FactorRecord
from schemas.scopes import parse

SHOPS_SHOWN: Final = 15


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """What the workers together say of themselves; None where none of them answers."""

    up: int = 0
    """Workers that answer."""
    accepted: int = 0
    refused: int = 0
    skipped: int = 0
    lag_records: int | None = None
    clock_ms: int | None = None
    complete_through_ms: int | None = None
    partitions_owned: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is shown at one moment."""

    workers: WorkerFigures
    workers_expected: int
    records: Sequence[FactorRecord] = ()
    """Of one period: the market's and the shops'."""
    rate: float = 0.0
    """Events accepted per second."""
    sent: int = 0
    window_days: int = 1
    title: str = "SMART stream"
    phase: str = ""
    speed: float | None = None
    zone: str = "Asia/Shanghai"
    store_error: str = ""
    footer: str = ""


def render(snapshot: Snapshot) -> RenderableType:
    """The full view."""
    return Group(
        _headline(snapshot), _state_line(snapshot), Text(), _table(snapshot), Text(snapshot.footer, style="dim")
    )


def plain_line(snapshot: Snapshot) -> str:
    """The same in one line: for logs, and terminals that are none."""
    workers = snapshot.workers
    market = [record for record in snapshot.records if record.scope == "market"]
    parts = [
        instant_text(workers.clock_ms, snapshot.zone) or "no event yet",
        *([snapshot.phase] if snapshot.phase else []),
        f"sent {snapshot.sent:,}",
        f"accepted {workers.accepted:,}",
        f"refused {workers.refused:,}",
        f"{snapshot.rate:,.0f}/s",
        f"lag {_lag(workers)}",
        f"workers {workers.up}/{snapshot.workers_expected}",
    ]
    if market:
        first = market[0]
        parts.append(f"market S {first.s:,} B {first.b:,} M {share(first.m)}")
        parts += [f"GMV {money(record.gmv_minor)} {record.currency}" for record in market if record.gmv_minor]
    if snapshot.store_error:
        parts.append(snapshot.store_error)
    return "  ".join(parts)


def instant_text(at_ms: int | None, zone: str) -> str:
    """An instant in a zone, to the second; "" where there is none."""
    if not at_ms:
        return ""
    return dt.datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def share(value: float | None) -> str:
    """A ratio as a percentage; '-' where there is none."""
    return "-" if value is None else f"{value:.2%}"


def money(minor: float | None) -> str:
    """An amount of minor units, shortened to what fits a column: 12,345 · 1.23 M · 4.56 G; '-' where there is none."""
    if minor is None:
        return "-"
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if minor >= 10 * size:
            return f"{minor / size:,.1f} {unit}"
    return f"{minor:,.0f}"


def _lag(workers: WorkerFigures) -> str:
    return "?" if workers.lag_records is None else f"{workers.lag_records:,}"


def _headline(snapshot: Snapshot) -> Text:
    line = Text(snapshot.title, style="bold")
    clock = instant_text(snapshot.workers.clock_ms, snapshot.zone)
    line.append(f"   {clock or 'waiting for the first event'}", style="bold cyan")
    line.append(f" {snapshot.zone}", style="dim")
    if snapshot.speed:
        line.append(f"   ×{snapshot.speed:g}", style="dim")
    if snapshot.phase:
        line.append(f"   {snapshot.phase}", style="bold magenta")
    return line


def _state_line(snapshot: Snapshot) -> Text:
    workers = snapshot.workers
    all_up = workers.up == snapshot.workers_expected
    line = Text(f"{snapshot.rate:,.0f} events/s", style="green")
    line.append(f"   lag {_lag(workers)}", style="yellow" if workers.lag_records else "")
    line.append(f"   accepted {workers.accepted:,}   refused {workers.refused:,}", style="")
    line.append(f"   workers {workers.up}/{snapshot.workers_expected}", style="" if all_up else "bold red")
    complete = instant_text(workers.complete_through_ms, snapshot.zone)
    if complete:
        line.append(f"   complete through {complete[11:]}", style="")
    if snapshot.store_error:
        line.append(f"   {snapshot.store_error}", style="bold red")
    return line


_COLUMNS: Final = (
    *("S", "potential", "new", "existing", "B", "M", "M new", "M exist."),
    *("ART", "ART new", "ART exist.", "GMV", ""),
)


def _table(snapshot: Snapshot) -> Table:
    """The market first, then the shops with the greatest audiences, at most SHOPS_SHOWN; a row for each currency."""
    days = snapshot.window_days
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("today" if days == 1 else f"{days} days", no_wrap=True)
    table.add_column("to", no_wrap=True, style="dim")
    for title in _COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    by_scope: dict[str, list[FactorRecord]] = {}
    for record in snapshot.records:
        by_scope.setdefault(record.scope, []).append(record)
    market = by_scope.pop("market", None)
    shops = sorted(by_scope.values(), key=lambda records: (-records[0].s, records[0].scope))
    for records in ([market] if market else []) + shops[:SHOPS_SHOWN]:
        for cells in _rows(records):
            table.add_row(*cells, style="bold" if records is market else "")
    if len(shops) > SHOPS_SHOWN:
        table.add_row(f"… {len(shops) - SHOPS_SHOWN} more", style="dim")
    return table


def _rows(records: Sequence[FactorRecord]) -> list[tuple[str, ...]]:
    """The rows of one scope: counts once, money of each currency that there is any of."""
    paid = [record for record in records if record.gmv_minor] or records[:1]
    return [(_counts(record) if index == 0 else ("",) * 10) + _money(record) for index, record in enumerate(paid)]


def _counts(record: FactorRecord) -> tuple[str, ...]:
    shop = parse(record.scope).shop
    return (
        "market" if shop is None else shop,
        record.as_of[5:],
        f"{record.s:,}",
        f"{record.s_potential:,}",
        f"{record.s_new:,}",
        f"{record.s_existing:,}",
        f"{record.b:,}",
        share(record.m),
        share(record.m_new),
        share(record.m_existing),
    )


def _money(record: FactorRecord) -> tuple[str, ...]:
    return (
        money(record.art_minor),
        money(record.art_new_minor),
        money(record.art_existing_minor),
        money(record.gmv_minor),
        "" if record.currency == NO_CURRENCY else record.currency,
    )
