"""How figures stand in a table for people; '-' where there is no value."""

from typing import Final

from schemas.factors import NO_CURRENCY

SHARES: Final = ("m", "m_new", "m_existing")
MEANS: Final = ("a", "r")


def figure(name: str, value: float | None) -> str:
    """A figure of the factor record."""
    if name in SHARES:
        return share(value)
    return mean(value) if name in MEANS else number(value)


def number(value: float | None) -> str:
    """A count or a money amount."""
    return "-" if value is None else f"{value:,.0f}"


def change(value: float | None) -> str:
    """A difference of counts or money amounts, with its sign."""
    return "-" if value is None else f"{value:+,.0f}"


def share(value: float | None) -> str:
    """A part of a whole."""
    return "-" if value is None else f"{value:.2%}"


def growth(value: float | None) -> str:
    """A relative change, with its sign."""
    return "-" if value is None else f"{value:+.1%}"


def mean(value: float | None) -> str:
    """So many a buyer."""
    return "-" if value is None else f"{value:,.2f}"


def in_money(currency: str) -> str:
    """The end of a title: what the table's money is in, if it has any."""
    return f", money in minor units of {currency}" if currency != NO_CURRENCY else ""
