"""Draws docs/pictures/demo.svg: the live view of the stack that runs on this machine, as it is now.

    smart demo                    # in one terminal
    python -m docs.picture        # in another, in the same folder

The picture names no font to be fetched: it looks the same with no network.
"""

import asyncio
import datetime as dt
import io
import re
import sys
import time
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import CONSOLE_SVG_FORMAT, Console, RenderableType
from rich.terminal_theme import MONOKAI

from schemas.errors import SmartError
from serving.store import StoreReader
from stream.cli.environment import current_settings
from stream.cli.view import Snapshot, render
from stream.cli.watch import Rate, StoreWatch, read_workers
from stream.local.folder import running_addresses
from stream.local.ports import HOST
from stream.simulate.promotion import DAY_MS, Curve

PICTURE: Final = Path(__file__).parent / "pictures" / "demo.svg"
WIDTH_COLUMNS: Final = 132
WINDOW_DAYS: Final = 1
LOOKS: Final = 4
PAUSE_S: Final = 1.0


def svg(view: RenderableType, title: str) -> str:
    """What a terminal would show, as a picture that refers to nothing outside of it."""
    console = Console(record=True, width=WIDTH_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(view)
    code_format = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    drawn = console.export_svg(title=title, theme=MONOKAI, code_format=code_format, unique_id="demo")
    return "\n".join(line.rstrip() for line in drawn.splitlines() if line.strip()) + "\n"


async def snapshot() -> Snapshot:
    """The figures of this moment, and the rate over the last looks. Raises SmartError where no stack runs."""
    addresses = running_addresses()
    if addresses is None:
        raise SmartError("no stack runs here: start 'smart demo' in this folder first")
    settings = current_settings()
    metrics = [f"{HOST}:{port}" for port in addresses.metrics_ports.values()]
    rate = Rate()
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        store = StoreWatch(reader, WINDOW_DAYS)
        for _ in range(LOOKS):
            workers = await read_workers(metrics)
            per_second = rate.look(workers.accepted, time.monotonic())
            await asyncio.sleep(PAUSE_S)
        records, error = await store.look()
    return Snapshot(
        workers=workers,
        workers_expected=len(metrics),
        records=records,
        rate=per_second,
        window_days=WINDOW_DAYS,
        phase=phase(workers.clock_ms, settings.default_timezone),
        zone=settings.default_timezone,
        store_error=error,
    )


def phase(at_ms: int | None, zone: str) -> str:
    """What the demo's promotion is doing: it begins at the midnight nearest to this instant."""
    if at_ms is None:
        return ""
    local = dt.datetime.fromtimestamp((at_ms + DAY_MS // 2) / 1_000, ZoneInfo(zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return Curve(round(midnight.timestamp() * 1_000)).phase(at_ms).value


def main() -> None:
    """Draw it."""
    try:
        drawn = svg(render(asyncio.run(snapshot())), "smart demo")
    except SmartError as error:
        sys.exit(f"docs.picture: {error}")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn, encoding="utf-8")
    print(PICTURE)


if __name__ == "__main__":
    main()
