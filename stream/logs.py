"""Logs: one line an event, JSON for machines or plain for people, for our own loggers and everybody else's alike.

Ours come from `structlog.get_logger(__name__)` with fields: `log.info("took over", partition=3)`. No personal data goes
into a log: what names a person or quotes a record is replaced here, whoever logs it.
"""

import logging
import sys
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

PERSONAL: Final = frozenset(
    {"user", "user_id", "key", "value", "record", "payload", "event_id", "order_id", "identifiers"}
)
"""Fields that name a person or quote a record; their values never reach a log."""

QUIET: Final = ("aiohttp", "aiokafka", "asyncio", "faust", "kafka", "mode", "numba", "urllib3")
"""Libraries that tell every record or poll at level debug: they stay at info at least (10 % of a worker otherwise)."""


def configure(level: str = "info", form: Literal["json", "console"] = "json", stream: TextIO | None = None) -> None:
    """Set up all logging of this process, to stderr unless `stream` is given; may be called again.

    Faust's worker must be started with `override_logging=False`: with a level above info it would set the root logger
    to debug.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        conceal,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=(stream or sys.stderr).isatty(), timestamp_key="at")
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    severity = logging.getLevelNamesMapping()[level.upper()]
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(severity)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(severity, logging.INFO))
    logging.captureWarnings(capture=True)


def conceal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what names a person or quotes a record."""
    for name in PERSONAL.intersection(event):
        event[name] = "(withheld)"
    return event
