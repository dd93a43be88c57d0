"""The registry of topics: every topic with its partitions, its configuration, and who writes and reads it.

`smart topics create` makes them, `smart topics show` compares; no program makes a topic by itself. Names of topics that
belong to one deployment begin with its application id; all others are a contract.
"""

from dataclasses import dataclass
from typing import Final, Literal

from schemas.event import Action

EVENTS_BROWSE: Final = "events.browse"
EVENTS_CART: Final = "events.cart"
EVENTS_PURCHASE: Final = "events.purchase"
EVENTS_TOUCH: Final = "events.touch"
EVENT_TOPICS: Final = (EVENTS_BROWSE, EVENTS_CART, EVENTS_PURCHASE, EVENTS_TOUCH)
"""Any of them takes any action: the topic is for routing, the action decides."""
PROFILES: Final = "profiles"
SOURCE_TOPICS: Final = (*EVENT_TOPICS, PROFILES)
"""What the ledgers are made of; all have the same number of partitions, and dead letters."""
FACTORS_PAGES: Final = "factors.pages"
FACTORS_LIVE: Final = "factors.live"
FACTORS_RESTATEMENTS: Final = "factors.restatements"
INTRADAY_PAGES: Final = "intraday.pages"
INTRADAY_MINUTES: Final = "intraday.minutes"
SHOPS: Final = "shops"
ITEMS: Final = "items"
PROMOTIONS: Final = "promotions"
CLOCK: Final = "clock"
DEAD_LETTER_SUFFIX: Final = ".dlq"

WITH_DEAD_LETTERS: Final = (*SOURCE_TOPICS, ITEMS, PROMOTIONS)

LEDGER_TABLE: Final = "ledgers"
"""Name of the table whose changelog holds all durable state."""

TOPIC_OF_ACTION: Final[dict[Action, str]] = {
    **dict.fromkeys(
        (Action.VIEW, Action.FAVOURITE, Action.SHARE, Action.FOLLOW, Action.SEARCH, Action.LIKE, Action.COMMENT),
        EVENTS_BROWSE,
    ),
    **dict.fromkeys((Action.CART, Action.CART_REMOVE), EVENTS_CART),
    **dict.fromkeys((Action.ORDER, Action.PURCHASE, Action.REFUND), EVENTS_PURCHASE),
    Action.TOUCH: EVENTS_TOUCH,
}
"""Where producers send an action."""

_DAY_MS: Final = 86_400_000
_MIB: Final = 1 << 20

_COMPACTED: Final = {
    "cleanup.policy": "compact",
    "message.timestamp.type": "CreateTime",
    # A table is read from its start at every takeover: what is dead must not stay long. A reader that is slower than
    # delete.retention.ms could miss a tombstone.
    "min.cleanable.dirty.ratio": "0.2",
    "segment.ms": str(_DAY_MS // 4),
    "max.compaction.lag.ms": str(_DAY_MS),
    "delete.retention.ms": str(_DAY_MS),
    "max.message.bytes": str(8 * _MIB),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it should be."""

    name: str
    partitions: int
    config: dict[str, str]
    key: str
    value: str
    written_by: str
    read_by: str
    kind: Literal["events", "dead letters", "state", "figures", "control"]

    @property
    def is_compacted(self) -> bool:
        """Only the newest record of a key is kept for good."""
        return "compact" in self.config["cleanup.policy"].split(",")


def dead_letter_topic(topic: str) -> str:
    """Where the refused records of a topic go.

    >>> dead_letter_topic("events.cart")
    'events.cart.dlq'
    """
    return topic + DEAD_LETTER_SUFFIX


def changelog_topic(application_id: str) -> str:
    """The changelog of a deployment: ledgers, dictionaries and totals.

    >>> changelog_topic("smart-stream")
    'smart-stream-ledgers-changelog'
    """
    return f"{application_id}-{LEDGER_TABLE}-changelog"


def registry(*, partitions: int, application_id: str, intraday_history_days: int = 400) -> tuple[Topic, ...]:
    """Every topic of a deployment, in the order in which data flow."""
    events = [_events(name, partitions) for name in EVENT_TOPICS]
    profiles = Topic(
        PROFILES,
        partitions,
        _COMPACTED,
        "user_id",
        "profile record, JSON",
        "the platform's user data; smart profiles, smart simulate",
        "workers",
        "control",
    )
    dead_letters = [_dead_letters(name, partitions) for name in SOURCE_TOPICS]
    changelog = Topic(
        changelog_topic(application_id),
        partitions,
        _COMPACTED,
        "segment, profile, dictionary entry or totals of a partition",
        "binary, versioned, with a checksum",
        "workers",
        "workers, at a takeover",
        "state",
    )
    pages = Topic(
        FACTORS_PAGES,
        partitions,
        _COMPACTED,
        "scope|partition|page",
        "difference page of one source partition",
        "workers, placed by scope",
        "workers, as aggregators",
        "figures",
    )
    live = Topic(
        FACTORS_LIVE,
        partitions,
        _COMPACTED,
        "scope|window|as_of|currency",
        "factor record, compact JSON",
        "workers, as aggregators",
        "anybody",
        "figures",
    )
    minutes = _intraday(partitions, intraday_history_days)
    figures = (pages, live, _restatements(partitions), *minutes)
    return (*events, profiles, *dead_letters, changelog, *figures, *_control())


def _events(name: str, partitions: int) -> Topic:
    return Topic(
        name,
        partitions,
        {
            "cleanup.policy": "delete",
            # The broker's time of arrival: whether an event is too old or ahead of time is decided from the record
            # alone.
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(30 * _DAY_MS),
            "max.message.bytes": str(8 * _MIB),
        },
        "user_id",
        "native event, JSON",
        "shops and collectors; smart replay, smart simulate",
        "workers",
        "events",
    )


def _dead_letters(name: str, partitions: int) -> Topic:
    return Topic(
        dead_letter_topic(name),
        partitions,
        {
            "cleanup.policy": "delete",
            "message.timestamp.type": "CreateTime",  # of the refused record
            "retention.ms": str(90 * _DAY_MS),  # they may hold personal data, so not for ever
            "max.message.bytes": str(8 * _MIB),
        },
        "as it was refused",
        "as it was refused",
        "workers; smart replay",
        "smart dlq",
        "dead letters",
    )


def _restatements(partitions: int) -> Topic:
    return Topic(
        FACTORS_RESTATEMENTS,
        partitions,
        {
            "cleanup.policy": "delete",
            "message.timestamp.type": "CreateTime",
            "retention.ms": str(90 * _DAY_MS),
            "max.message.bytes": str(8 * _MIB),
        },
        "scope|window|currency",
        "restatement record, compact JSON",
        "workers, as aggregators",
        "anybody",
        "figures",
    )


def _intraday(partitions: int, history_days: int) -> tuple[Topic, ...]:
    """Pages of hours end by themselves: nobody asks for one that is older than is kept, so it needs no tombstone."""
    return (
        Topic(
            INTRADAY_PAGES,
            partitions,
            # A page is of the last SMART_INTRADAY_HOURS and what a step of a day adds, at most.
            _COMPACTED | {"cleanup.policy": "compact,delete", "retention.ms": str(14 * _DAY_MS)},
            "scope|partition|hour",
            "page of an hour of one source partition",
            "workers, placed by scope",
            "workers, as aggregators",
            "figures",
        ),
        Topic(
            INTRADAY_MINUTES,
            partitions,
            _COMPACTED | {"cleanup.policy": "compact,delete", "retention.ms": str(history_days * _DAY_MS)},
            "scope|hour",
            "page of an hour of a shop or the market",
            "workers, as aggregators",
            "anybody",
            "figures",
        ),
    )


def _control() -> tuple[Topic, ...]:
    return (
        Topic(SHOPS, 1, _COMPACTED, "shop_id", "shop record, JSON", "shop administration", "workers", "control"),
        Topic(
            ITEMS,
            1,
            _COMPACTED,
            "item_id",
            "item record, JSON",
            "the shops' catalogues; smart catalogue; workers, where a version in force has been written over",
            "workers",
            "control",
        ),
        _dead_letters(ITEMS, 1),
        Topic(
            PROMOTIONS,
            1,
            _COMPACTED,
            "promotion_id",
            "promotion, JSON",
            "smart promotion apply",
            "workers",
            "control",
        ),
        _dead_letters(PROMOTIONS, 1),
        Topic(CLOCK, 1, _COMPACTED, "partition", "clock record, JSON", "workers", "workers", "control"),
    )
