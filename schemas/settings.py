"""Every setting: its variable, type, unit, default and meaning. Policy is here; definitions stand beside their formula.

A setting `partitions` is the environment variable `SMART_PARTITIONS`. Settings are read once, at the start, and handed
on; they do not change while a process runs. `smart config` prints them, `docs/reference/settings.md` is generated.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.errors import UsageError

PREFIX: Final = "SMART_"
SCOPE_WORDS: Final = (
    "shop", "item", "category", "brand", "channel", "new", "group", "power", "age", "gender",
    "market", "market-category", "brand-wide",
)  # fmt: skip
"""What figures may be of: the shop itself and its crosses, the market, its categories, a brand over all shops."""
INTRADAY_WORDS: Final = ("shop", "channel", "item", "market")
"""What minutes may be counted of; a channel is its first level."""
MAX_SHOPS: Final = 1048573
MAX_CHANNELS: Final = 4093
"""What fits a ledger's cell."""


class SettingsError(UsageError):
    """One or more settings are wrong; a line for each, with the variable and what was expected."""


def _words(value: object) -> object:
    """Cut "1,7,30" into its words; anything that is not text is left to the type."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("should be the name of a time zone, such as Asia/Shanghai or UTC") from None
    return name


def _known_scopes(words: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [word for word in words if word not in SCOPE_WORDS]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} cannot be kept; what can is {', '.join(SCOPE_WORDS)}")
    return words


def _known_intraday(words: tuple[str, ...]) -> tuple[str, ...]:
    if words == (BY_CLOCK,):
        return words
    unknown = [word for word in words if word not in INTRADAY_WORDS]
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)} cannot be counted by the minute; what can is {', '.join(INTRADAY_WORDS)}, "
            f"and {BY_CLOCK} alone stands for {' and '.join(_BY_WALL_CLOCK)} on the wall clock"
        )
    return words


BY_CLOCK: Final = "by_clock"
_BY_WALL_CLOCK: Final = ("shop", "channel")


def _ascending(days: tuple[int, ...]) -> tuple[int, ...]:
    if not days or list(days) != sorted(set(days)) or days[0] < 1 or days[-1] > 365:
        raise ValueError("should be different numbers of days from 1 to 365, the smallest first, such as 1,7,30,365")
    return days


def _host_ports(brokers: str) -> str:
    for broker in brokers.split(","):
        host, _, port = broker.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"should be host:port, or several with commas; {broker.strip()!r} is not")
    return brokers


Zone = Annotated[str, AfterValidator(_known_zone)]
Brokers = Annotated[str, AfterValidator(_host_ports)]
Windows = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_words), AfterValidator(_ascending)]
IntradayScopes = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words), AfterValidator(_known_intraday)]
Scopes = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words), AfterValidator(_known_scopes)]


def _setting(default: object, unit: str, description: str, **bounds: float | str) -> Any:  # noqa: ANN401 - stands for a value
    """Declare a field; `bounds` are pydantic's (ge, le, gt, min_length …)."""
    checks: dict[str, Any] = {**bounds, "validate_default": True}
    return Field(default, description=description, json_schema_extra={"unit": unit}, **checks)


class Settings(BaseSettings):
    """All settings of a process, checked. Made by `load`, which says in words what is wrong."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # Where the others are
    brokers: Brokers = _setting("127.0.0.1:9092", "host:port", "Kafka brokers to start from, with commas between them.")
    redis_url: SecretStr = _setting("redis://127.0.0.1:6379/0", "URL", "The serving store (Redis or Valkey). A secret.")
    application_id: str = _setting(
        "smart-stream",
        "",
        "Name of this deployment: the consumer group, and the prefix of transactional ids and internal topics.",
        pattern=r"^[a-zA-Z0-9._-]{1,100}$",
    )
    data_dir: Path = _setting(
        ".smart", "path", "Folder of a local stack: its broker, its store, its addresses and logs."
    )

    # Topics
    partitions: int = _setting(
        8, "partitions", "Partitions of every event topic; never to be changed later.", ge=1, le=1024
    )
    partitioner: Literal["murmur2", "crc32"] = _setting(
        "murmur2", "", "How producers place a user: murmur2 (Kafka's own clients) or crc32 (librdkafka's default)."
    )
    replication_factor: int = _setting(
        1, "copies", "Copies of each topic that 'smart topics create' asks for.", ge=1, le=9
    )

    # Time
    clock: Literal["wall", "event"] = _setting(
        "wall", "", "What moves time: wall, or event (the greatest accepted event time; for replays)."
    )
    default_timezone: Zone = _setting(
        "Asia/Shanghai", "zone", "Zone of shops without a record, and of the market's dates."
    )

    # Figures
    windows: Windows = _setting("1,7,30,365", "days", "Lengths of the periods that figures are kept for.")
    scopes: Scopes = _setting("shop,market", "", f"What figures are kept of: {', '.join(SCOPE_WORDS)}.")
    horizon_days: int = _setting(
        731,
        "days",
        "How far back figures are kept for each date (731: year over year for the past year).",
        ge=1,
        le=3650,
    )
    retention_purchase_days: int = _setting(1460, "days", "How long purchases and refunds are kept.", ge=366, le=1900)
    retention_activity_days: int = _setting(1096, "days", "How long other activity is kept.", ge=1, le=1900)

    # Minutes
    intraday_scopes: IntradayScopes = _setting(
        BY_CLOCK,
        "",
        f"What is counted by the minute: {', '.join(INTRADAY_WORDS)}; empty counts nothing; {BY_CLOCK}: "
        f"{' and '.join(_BY_WALL_CLOCK)} on the wall clock, nothing in a replay.",
    )
    intraday_hours: int = _setting(
        48, "hours", "So far back late events and refunds restate their minute.", ge=24, le=240
    )
    intraday_interval_ms: int = _setting(
        1_000, "ms", "Time between two publications of minutes, at least; with a commit.", ge=10, le=60_000
    )
    intraday_history_days: int = _setting(
        400, "days", "How long the minutes of shops and the market are kept to compare with.", ge=4, le=3_650
    )
    intraday_max_items: int = _setting(
        10_000, "names", "Items of one partition that are counted by the minute under their own name.", ge=1, le=2**20
    )
    intraday_max_rows: int = _setting(
        65_536, "rows", "Scopes, and currencies of one, that one partition may count by the minute.", ge=1, le=2**20
    )

    # Bounds of what one partition knows; what comes after them counts under _other, and a metric tells
    max_users: int = _setting(4_194_304, "users", "Users that one partition may know.", ge=1, le=2**30)
    max_shops: int = _setting(MAX_SHOPS, "names", "Shops that one partition may know.", ge=1, le=MAX_SHOPS)
    max_channels: int = _setting(1_000, "names", "Channels that one partition may know.", ge=1, le=MAX_CHANNELS)
    max_names: int = _setting(
        4_194_304, "names", "Items, brands and categories, of each, that one partition may know.", ge=1, le=2**30
    )
    max_products: int = _setting(
        16_777_216,
        "products",
        "Products (an item in a category of a brand) that one partition may know.",
        ge=1,
        le=2**30,
    )
    max_rows: int = _setting(1_048_576, "rows", "Scopes that one partition may keep figures of.", ge=1, le=2**24)

    # Moving records
    commit_interval_ms: int = _setting(250, "ms", "Time between two transactions of a partition.", ge=10, le=60_000)
    transaction_timeout_ms: int = _setting(
        60_000,
        "ms",
        "After this the broker aborts a transaction; must outlast a broker's restart.",
        ge=10_000,
        le=900_000,
    )
    session_timeout_ms: int = _setting(
        10_000, "ms", "After this silence a worker's partitions are given to others.", ge=6_000, le=1_800_000
    )
    fetch_max_wait_ms: int = _setting(
        20, "ms", "How long a broker may gather records before it answers.", ge=1, le=5_000
    )
    fetch_min_bytes: int = _setting(1_048_576, "bytes", "What a broker gathers before it answers at once.", ge=1)
    fetch_max_bytes: int = _setting(16_777_216, "bytes", "What one answer of a broker may hold.", ge=65_536)
    profiles_per_second: int = _setting(
        5_000, "records", "Profiles that a worker takes in, at most, behind the live events.", ge=1, le=1_000_000
    )
    crosses_interval_ms: int = _setting(
        10_000,
        "ms",
        "Until every crossed scope that has changed has had its turn to be published; shops and the market go out with "
        "every commit.",
        ge=10,
        le=600_000,
    )
    crossed_figures_per_second: int = _setting(
        4_000, "records", "Figures of crossed scopes that a worker publishes, at most, while events come.", ge=1
    )
    catalogue_interval_ms: int = _setting(
        2_000, "ms", "Time between two looks at listing dates that have changed, at least.", ge=10, le=3_600_000
    )
    max_chunk_records: int = _setting(4_096, "records", "Records that are folded in one piece.", ge=1, le=65_536)
    reconnect_pause_ms: int = _setting(
        250, "ms", "Pause before a lost broker or store is called again.", ge=10, le=60_000
    )

    # When to stop rather than refuse everything
    undecodable_ratio_max: float = _setting(
        0.9, "share", "A worker stops where more than this share of the last records was no JSON at all …", gt=0, le=1
    )
    undecodable_window_records: int = _setting(10_000, "records", "… counted over this many records …", ge=1)
    undecodable_run_records_max: int = _setting(5_000, "records", "… or where this many came in a row.", ge=1)

    # Looking at it
    metrics_host: str = _setting("127.0.0.1", "host", "Address that a worker serves its metrics on.")
    metrics_port: int = _setting(0, "port", "Port of the metrics; 0 takes a free one and logs it.", ge=0, le=65_535)
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "", "Least important lines that are logged."
    )
    log_format: Literal["json", "console"] = _setting("json", "", "json for machines, console for people.")

    @property
    def minute_scopes(self) -> frozenset[str]:
        """What is counted by the minute. A replay plays days in seconds, where nobody watches minutes: unless they are
        asked for, they are not worth a record an hour and scope.
        """
        if self.intraday_scopes != (BY_CLOCK,):
            return frozenset(self.intraday_scopes)
        return frozenset(_BY_WALL_CLOCK) if self.clock == "wall" else frozenset()

    @model_validator(mode="after")
    def _kept_long_enough(self) -> Self:
        """The oldest figure looks back over its period, and from there over the year that decides who is existing."""
        activity_days = self.horizon_days + self.windows[-1]
        purchase_days = activity_days - 1 + 365
        reach = f"figures {self.horizon_days} days back with periods of {self.windows[-1]} days need"
        if self.retention_activity_days < activity_days:
            raise ValueError(
                f"SMART_RETENTION_ACTIVITY_DAYS is {self.retention_activity_days}: {reach} {activity_days}"
            )
        if self.retention_purchase_days < purchase_days:
            raise ValueError(
                f"SMART_RETENTION_PURCHASE_DAYS is {self.retention_purchase_days}: {reach} {purchase_days}"
            )
        return self


class SettingRow(NamedTuple):
    """One setting as it is shown; a secret's value is not in here."""

    variable: str
    value: str
    default: str
    unit: str
    description: str
    source: str


def load(**local: str) -> Settings:
    """Read the environment; `local` holds values of a local stack for settings that the environment does not set.

    Raises SettingsError with a line for every setting that is wrong.
    """
    try:
        from_environment = Settings().model_fields_set
        return Settings(**{name: value for name, value in local.items() if name not in from_environment})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("\n".join(_complaints(error))) from None


def rows(settings: Settings, environment: Mapping[str, str]) -> Iterator[SettingRow]:
    """Every setting in the order of its declaration; the source is "environment", "local stack" or "default"."""
    given = {name.upper() for name in environment}
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        is_local = name in settings.model_fields_set
        yield SettingRow(
            variable,
            _shown(getattr(settings, name)),
            _shown(field.default),
            _unit(name),
            field.description or "",
            "environment" if variable in given else "local stack" if is_local else "default",
        )


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Variables with our prefix that are no setting, each with the setting that may have been meant."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    strangers = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return {name: next(iter(difflib.get_close_matches(name, known, 1, 0.9)), None) for name in strangers}


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(secret)"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _unit(name: str) -> str:
    extra = Settings.model_fields[name].json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) else ""


def _complaints(error: ValidationError) -> Iterator[str]:
    """'SMART_PARTITIONS is 'eight': input should be a valid integer', for each wrong setting."""
    for problem in error.errors(include_url=False):
        expected = problem["msg"].removeprefix("Value error, ").replace("Input should", "should")
        name = str(problem["loc"][0]) if problem["loc"] else ""
        given = "(secret)" if name == "redis_url" else repr(problem["input"])
        yield f"{PREFIX}{name.upper()} is {given}: {expected}" if name else expected
