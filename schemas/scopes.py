"""Scopes: over what a figure is taken, and how that is named.

A scope is a shop or the whole market, alone or crossed with one attribute, or a brand over all shops. Names are text
that people type and that stands in topic keys: `shop=s1|channel=organic/search`. Within an id `%`, `|` and `=` are
percent-encoded, `/` too except in a channel; so a name has one meaning, and `Scope.name` is one-to-one.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MARKET: Final = "market"
SHOP_KINDS: Final = ("", "category", "item", "brand", "channel", "new", "group", "power", "age", "gender")
"""What a shop may be crossed with; "" is the shop itself, `new` its new items by first level of channel."""
MARKET_KINDS: Final = ("", "category", "brand")
"""What the market may be crossed with: `market`, `market|category=c1`, and a brand over all shops, `brand=b1`."""
OTHER: Final = "_other"
"""The value under which names beyond a bound are counted together, flagged as not exact."""
UNKNOWN: Final = "unknown"
"""The value of a profile attribute where a user has no profile."""

_ENCODED: Final = str.maketrans({"%": "%25", "|": "%7C", "=": "%3D", "/": "%2F"})
_ENCODED_CHANNEL: Final = str.maketrans({"%": "%25", "|": "%7C", "=": "%3D"})
_ESCAPE: Final = re.compile(r"%(.{0,2})", re.DOTALL)
_ESCAPES: Final = {"25": "%", "7C": "|", "3D": "=", "2F": "/"}
_FORMS: Final = (
    "a scope is shop=ID, shop=ID|KIND=VALUE (category, item, brand, channel, new, group, power, age, gender), "
    "brand=ID, market or market|category=ID"
)


class ScopeError(ValueError):
    """A text that names no scope."""


class Scope(NamedTuple):
    """`shop` is None for the market; `kind` is one of SHOP_KINDS or MARKET_KINDS; `value` is "" where `kind` is ""."""

    shop: str | None = None
    kind: str = ""
    value: str = ""

    @property
    def name(self) -> str:
        """The canonical name.

        >>> Scope("s1", "channel", "organic/search").name, Scope(None, "brand", "a|b").name, Scope().name
        ('shop=s1|channel=organic/search', 'brand=a%7Cb', 'market')
        """
        cross = f"{self.kind}={encode_value(self.kind, self.value)}" if self.kind else ""
        if self.shop is None:
            if self.kind == "brand":
                return cross
            return f"{MARKET}|{cross}" if cross else MARKET
        shop = f"shop={encode_value('shop', self.shop)}"
        return f"{shop}|{cross}" if cross else shop


def is_crossed(name: str) -> bool:
    """Whether a canonical name is of anything but a whole shop or the whole market.

    >>> [is_crossed(name) for name in ("shop=s1", "market", "shop=s1|item=i1", "brand=b1")]
    [False, False, True, True]
    """
    return "|" in name or name.startswith("brand=")


def encode_value(kind: str, value: str) -> str:
    """Percent-encode an id for use in a scope name; `/` stays itself in a channel only."""
    return value.translate(_ENCODED_CHANNEL if kind == "channel" else _ENCODED)


def decode_value(text: str) -> str:
    """The id that `encode_value` has encoded. Raises ScopeError for an escape that it never writes.

    >>> decode_value("a%7Cb%2fc")
    'a|b/c'
    """

    def plain(escape: re.Match[str]) -> str:
        try:
            return _ESCAPES[escape[1].upper()]
        except KeyError:
            raise ScopeError(f"{escape[0]!r} is no escape here: only %25, %7C, %3D and %2F are") from None

    return _ESCAPE.sub(plain, text)


def parse(name: str) -> Scope:
    """The scope of a name. Raises ScopeError, which says what a scope looks like.

    >>> parse("shop=s1|category=c1")
    Scope(shop='s1', kind='category', value='c1')
    """
    head, bar, cross = name.partition("|")
    kind, value = _pair(cross, name) if bar else ("", "")
    if head == MARKET:
        if kind in {"", "category"}:
            return Scope(None, kind, value)
    else:
        head_kind, head_value = _pair(head, name)
        if head_kind == "shop" and kind in SHOP_KINDS:
            return Scope(head_value, kind, value)
        if head_kind == "brand" and not bar:
            return Scope(None, "brand", head_value)
    raise ScopeError(f"{name!r} names no scope: {_FORMS}")


def _pair(text: str, name: str) -> tuple[str, str]:
    kind, equals, encoded = text.partition("=")
    if not equals or not kind or not encoded or "=" in encoded or "|" in encoded:
        raise ScopeError(f"{name!r} names no scope: {_FORMS}")
    return kind, decode_value(encoded)
