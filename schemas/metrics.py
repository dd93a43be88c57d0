"""Every metric, declared once: name, type, unit, labels and meaning. Plain data; `stream.metrics` makes them count.

Names have one prefix and end in their unit (base units: seconds, bytes) or, for counters, in `_total`. Labels are
bounded by the deployment (topics, partitions, refusal codes): never a user, item or shop. `smart metrics` lists them
and `docs/reference/metrics.md` is generated from here.
"""

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric family; `buckets` (upper bounds, in its unit) for histograms only."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


_MILLISECONDS_TO_MINUTE: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SECONDS_TO_HOUR: Final = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600)
_POWERS_OF_TWO: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)

# What came in since the process started (consumed = accepted + refused + skipped); the durable totals are in the log.
EVENTS_CONSUMED: Final = Metric(
    "smart_events_consumed_total", "counter", "events", ("topic",), "Records read from an event topic."
)
EVENTS_ACCEPTED: Final = Metric(
    "smart_events_accepted_total", "counter", "events", ("topic",), "Events that went into the ledgers."
)
EVENTS_REFUSED: Final = Metric(
    "smart_events_refused_total",
    "counter",
    "events",
    ("topic", "code"),
    "Records that went to the dead letters, by code.",
)
EVENTS_SKIPPED: Final = Metric(
    "smart_events_skipped_total", "counter", "events", ("topic",), "Records read again after a takeover and skipped."
)

PROFILES: Final = Metric(
    "smart_profiles_total", "counter", "profiles", (), "Profiles of users that were taken in, newer ones or not."
)

CATALOGUE_ITEMS: Final = Metric("smart_catalogue_items", "gauge", "items", (), "Items with a record in the catalogue.")
ITEMS_UNKNOWN: Final = Metric(
    "smart_items_unknown", "gauge", "items", ("partition",), "Items that events have named and the catalogue has not."
)
ITEMS_RELISTED: Final = Metric(
    "smart_items_relisted_total",
    "counter",
    "items",
    (),
    "Items with events that have got another date of listing; once for each partition.",
)

# How fast it goes.
CHUNK_RECORDS: Final = Metric(
    "smart_chunk_records", "histogram", "records", (), "Records folded in one piece.", _POWERS_OF_TWO
)
CHUNK_SECONDS: Final = Metric(
    "smart_chunk_processing_seconds",
    "histogram",
    "seconds",
    ("stage",),
    "Time that a chunk took, by stage (decode, fold, profiles, catalogue).",
    _MILLISECONDS_TO_MINUTE,
)
APPEND_TO_COMMIT_SECONDS: Final = Metric(
    "smart_append_to_commit_seconds",
    "histogram",
    "seconds",
    (),
    "From the broker's append of an event to the commit of what it changed; of the oldest event of each transaction.",
    _MILLISECONDS_TO_MINUTE,
)
COMMIT_SECONDS: Final = Metric(
    "smart_commit_seconds",
    "histogram",
    "seconds",
    (),
    "Duration of a partition's transaction.",
    _MILLISECONDS_TO_MINUTE,
)
COMMITS: Final = Metric("smart_commits_total", "counter", "transactions", (), "Transactions committed.")
RECOVERY_SECONDS: Final = Metric(
    "smart_recovery_seconds",
    "histogram",
    "seconds",
    (),
    "From the assignment of a partition to its first new event: reading the changelog and rebuilding the counters.",
    _SECONDS_TO_HOUR,
)

# Where it is.
PARTITIONS_OWNED: Final = Metric("smart_partitions_owned", "gauge", "partitions", (), "Partitions of this worker.")
LAG_RECORDS: Final = Metric(
    "smart_lag_records", "gauge", "records", ("topic", "partition"), "Records of a partition not yet committed."
)
WATERMARK_SECONDS: Final = Metric(
    "smart_watermark_timestamp_seconds",
    "gauge",
    "seconds",
    ("partition",),
    "Greatest event time applied, as seconds since 1970 UTC.",
)
COMPLETE_THROUGH_SECONDS: Final = Metric(
    "smart_complete_through_timestamp_seconds",
    "gauge",
    "seconds",
    (),
    "Up to when figures are complete over all partitions, as seconds since 1970 UTC.",
)
CLOCK_SECONDS: Final = Metric(
    "smart_clock_timestamp_seconds",
    "gauge",
    "seconds",
    (),
    "The clock that moves the periods, as seconds since 1970 UTC.",
)

# How much it holds.
STATE_USERS: Final = Metric("smart_state_users", "gauge", "users", ("partition",), "Users with a ledger.")
STATE_CELLS: Final = Metric(
    "smart_state_cells", "gauge", "cells", ("partition",), "Ledger cells: a user, a date, what was touched and how."
)
STATE_LINES: Final = Metric("smart_state_lines", "gauge", "lines", ("partition",), "Purchase lines in the ledgers.")
STATE_REFUNDS: Final = Metric("smart_state_refunds", "gauge", "refunds", ("partition",), "Refunds in the ledgers.")
STATE_NAMES: Final = Metric(
    "smart_state_names", "gauge", "names", ("partition",), "Names in the dictionaries (shops, items, channels, …)."
)
STATE_ROWS: Final = Metric(
    "smart_state_rows", "gauge", "rows", ("partition",), "Counter rows: a scope in a currency, with its pages."
)
STATE_BYTES: Final = Metric("smart_state_bytes", "gauge", "bytes", ("partition",), "Memory that the state takes.")
NAMES_OVER_BOUND: Final = Metric(
    "smart_names_over_bound_total", "counter", "events", ("kind",), "Events whose name counts under _other, by kind."
)
REFUNDS_UNMATCHED: Final = Metric(
    "smart_refunds_unmatched", "gauge", "refunds", ("partition",), "Refunds that wait for their purchase."
)
REFUND_CURRENCY_MISMATCHES: Final = Metric(
    "smart_refund_currency_mismatches",
    "gauge",
    "refunds",
    ("partition",),
    "Refunds in another currency than their purchase; they take nothing back.",
)
RESTATEMENTS: Final = Metric(
    "smart_restatements_total", "counter", "events", (), "Events that changed the figures of a date before today."
)

FIGURES_RESTATED: Final = Metric(
    "smart_figures_restated_total",
    "counter",
    "figures",
    (),
    "Published figures of dates before today that changed, each told as a restatement.",
)
FIGURES_RESTATED_UNTOLD: Final = Metric(
    "smart_figures_restated_untold_total",
    "counter",
    "figures",
    (),
    "Published figures of dates before today that changed beyond the bound of what is told.",
)
INTRADAY_MARKS: Final = Metric(
    "smart_intraday_marks", "gauge", "marks", ("partition",), "Minutes in which a user was active somewhere, as kept."
)
INTRADAY_ROWS: Final = Metric(
    "smart_intraday_rows", "gauge", "rows", ("partition",), "Scopes, and their currencies, counted by the minute."
)
INTRADAY_BYTES: Final = Metric(
    "smart_intraday_bytes", "gauge", "bytes", ("partition",), "Memory that the minutes of the users and scopes take."
)
INTRADAY_TOTALS_BYTES: Final = Metric(
    "smart_intraday_totals_bytes",
    "gauge",
    "bytes",
    ("partition",),
    "Memory that the pages of hours take where partitions are added up.",
)
INTRADAY_LEFT_OUT: Final = Metric(
    "smart_intraday_left_out_total",
    "counter",
    "events",
    ("kind",),
    "Events that no minute counts, by kind: late, or rows (in a scope beyond the bound on rows).",
)

# What went out.
CHANGELOG_RECORDS: Final = Metric(
    "smart_changelog_records_total", "counter", "records", (), "Ledger, dictionary and totals records written."
)
CHANGELOG_BYTES: Final = Metric(
    "smart_changelog_bytes_total", "counter", "bytes", (), "Keys and values of those records."
)
PAGES_PUBLISHED: Final = Metric("smart_pages_published_total", "counter", "pages", (), "Counter pages written.")
INTRADAY_PAGES_PUBLISHED: Final = Metric(
    "smart_intraday_pages_published_total", "counter", "pages", (), "Pages of hours written."
)
AGGREGATED_SCOPES: Final = Metric(
    "smart_aggregated_scopes", "gauge", "scopes", ("partition",), "Scopes that this worker adds up over all partitions."
)
LIVE_RECORDS: Final = Metric("smart_live_records_total", "counter", "records", (), "Factor records written.")
STORE_WRITES: Final = Metric(
    "smart_store_writes_total", "counter", "records", (), "Records written to the serving store."
)
STORE_ERRORS: Final = Metric(
    "smart_store_errors_total", "counter", "errors", (), "Writes to the serving store that failed."
)
STORE_PENDING: Final = Metric(
    "smart_store_pending_records", "gauge", "records", (), "Records that wait for the serving store."
)

# What `smart verify --every` finds.
VERIFY_RUNS: Final = Metric("smart_verify_runs_total", "counter", "runs", (), "Runs of the verification to their end.")
VERIFY_FAILURES: Final = Metric(
    "smart_verify_failures_total", "counter", "runs", (), "Runs that a broker or a store that is away has broken off."
)
VERIFY_SCOPES: Final = Metric("smart_verify_scopes_total", "counter", "scopes", (), "Scopes compared, in all runs.")
VERIFY_RECORDS: Final = Metric(
    "smart_verify_records_total", "counter", "records", (), "Factor records compared with a recount, in all runs."
)
VERIFY_DIFFERENCES: Final = Metric(
    "smart_verify_differences",
    "gauge",
    "differences",
    ("place",),
    "What is shown otherwise than it should be, by place; every run looks again at what the one before has found.",
)
VERIFY_UNJUDGED: Final = Metric(
    "smart_verify_unjudged", "gauge", "records", (), "Figures that changed while the last run compared them."
)
VERIFY_RUN_SECONDS: Final = Metric("smart_verify_run_seconds", "gauge", "seconds", (), "Duration of the last run.")
VERIFY_CPU_SECONDS: Final = Metric(
    "smart_verify_run_cpu_seconds", "gauge", "seconds", (), "CPU time of the last run and of the reading before it."
)
VERIFY_RUN_TIMESTAMP: Final = Metric(
    "smart_verify_run_timestamp_seconds", "gauge", "seconds", (), "End of the last run, as seconds since 1970 UTC."
)
VERIFY_ROUND_TIMESTAMP: Final = Metric(
    "smart_verify_round_timestamp_seconds",
    "gauge",
    "seconds",
    (),
    "Begin of the last whole round: every date of every scope has been compared since then. Seconds since 1970 UTC.",
)

METRICS: Final[tuple[Metric, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in the order of their declaration."""
VERIFY_METRICS: Final = tuple(metric for metric in METRICS if metric.name.startswith("smart_verify_"))
"""Those of a verification that goes on beside the workers."""
WORKER_METRICS: Final = tuple(metric for metric in METRICS if metric not in VERIFY_METRICS)
"""Those of a worker."""
