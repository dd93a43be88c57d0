"""Layout of the serving store (Redis or Valkey): what the aggregators write and everybody else reads.

    smart:live:{scope}    hash: `window|currency` → the newest factor record, compact JSON
    smart:pages:{scope}   hash: page number → difference page added up over all partitions, the first from zero on
    smart:index:{family}  hash: value → nothing; the scopes of a family that have ever had figures, by their last word
    smart:peers:{T}|{W}   string: what is published of all tiers of shops for a period, JSON; by the first who asks
    smart:power:{T}|{W}   string: the new-product power of all shops in a period, JSON; by the first who asks
    smart:restated:{scope}  hash: number → restatement record, compact JSON; the newest ones
    smart:minutes:{scope} hash: hour since 1970 UTC → the page of its minutes (processors.intraday.pages), summed up
    smart:crossed:{shop}|{kind}  hash: scopes of a shop crossed with channels or items, counted by the minute → their
                          last hour
    smart:clock           hash: partition → the instant that its minutes are of, ms since 1970
    smart:promotions      hash: promotion id → the promotion in force, JSON
    smart:onsale:{shop}   hash: date of listing, `-` where it is not known → items of the shop that are on sale
    smart:owner:{n}       the mark of the worker that shows the scopes placed in partition n: a random word of its own

The store is a copy: everything in it can be written again from the topics. Workers write all of it but tiers and
powers, which are computed from the rest, once (docs/concepts/peers.md).
"""

from typing import Final

LIVE_PREFIX: Final = "smart:live:"
PAGES_PREFIX: Final = "smart:pages:"
PEERS_PREFIX: Final = "smart:peers:"
POWER_PREFIX: Final = "smart:power:"
INDEX_PREFIX: Final = "smart:index:"
RESTATED_PREFIX: Final = "smart:restated:"
MINUTES_PREFIX: Final = "smart:minutes:"
CROSSED_PREFIX: Final = "smart:crossed:"
CLOCK_KEY: Final = "smart:clock"
PROMOTIONS_KEY: Final = "smart:promotions"
ON_SALE_PREFIX: Final = "smart:onsale:"
NO_DATE: Final = "-"
"""Field of the items whose date of listing is not known."""
OWNER_PREFIX: Final = "smart:owner:"


def live_key(scope: str) -> str:
    """Key of the hash with the newest records of a scope.

    >>> live_key("shop=s1")
    'smart:live:shop=s1'
    """
    return LIVE_PREFIX + scope


def live_field(window_days: int, currency: str) -> str:
    """Field of a record in that hash.

    >>> live_field(7, "CNY")
    '7|CNY'
    """
    return f"{window_days}|{currency}"


def parse_live_field(field: str) -> tuple[int, str]:
    """(window in days, currency) of a field. Raises ValueError where it is none."""
    window, _, currency = field.partition("|")
    return int(window), currency


def pages_key(scope: str) -> str:
    """Key of the hash with the total pages of a scope; its fields are page numbers."""
    return PAGES_PREFIX + scope


def index_entry(scope: str) -> tuple[str, str] | None:
    """(key, field) under which a scope is listed: scopes that differ in their last word alone are a family.

    A family's hash is written by all owners of its scopes, so fields are only ever added. None for the one scope
    that is no member of a family.

    >>> index_entry("shop=s1|item=i1"), index_entry("shop=s1")
    (('smart:index:shop=s1|item', 'i1'), ('smart:index:shop', 's1'))
    >>> index_entry("market")
    """
    family, equals, value = scope.rpartition("=")
    return (INDEX_PREFIX + family, value) if equals else None


def index_key(family: str) -> str:
    """Key of the list of a family: a scope's name up to its last `=`, such as `shop` or `shop=s1|item`."""
    return INDEX_PREFIX + family


def peers_key(as_of: str, window_days: int) -> str:
    """Key of what is published of all tiers for a period.

    >>> peers_key("2026-11-11", 30)
    'smart:peers:2026-11-11|30'
    """
    return f"{PEERS_PREFIX}{as_of}|{window_days}"


def power_key(as_of: str, window_days: int) -> str:
    """Key of the new-product power of all shops in a period."""
    return f"{POWER_PREFIX}{as_of}|{window_days}"


def restated_key(scope: str) -> str:
    """Key of the hash with the newest restatements of a scope; its fields are their numbers."""
    return RESTATED_PREFIX + scope


def minutes_key(scope: str) -> str:
    """Key of the hash with the minutes of a scope; its fields are numbers of hours.

    >>> minutes_key("shop=s1|channel=paid")
    'smart:minutes:shop=s1|channel=paid'
    """
    return MINUTES_PREFIX + scope


def crossed_key(shop_scope: str, kind: str) -> str:
    """Key of the hash with the crosses of a shop that are counted by the minute.

    >>> crossed_key("shop=s1", "channel")
    'smart:crossed:shop=s1|channel'
    """
    return f"{CROSSED_PREFIX}{shop_scope}|{kind}"


def on_sale_key(shop_scope: str) -> str:
    """Key of the hash with the numbers of a shop's items on sale.

    >>> on_sale_key("shop=s1")
    'smart:onsale:shop=s1'
    """
    return ON_SALE_PREFIX + shop_scope


def owner_key(partition: int) -> str:
    """Key of the mark of a partition's owner.

    >>> owner_key(3)
    'smart:owner:3'
    """
    return f"{OWNER_PREFIX}{partition}"


def scope_of(key: str) -> str:
    """Scope of a live or pages key.

    >>> scope_of("smart:live:shop=s1|item=a:b")
    'shop=s1|item=a:b'
    """
    return key.split(":", 2)[2]
