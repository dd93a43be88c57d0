"""Decimal money from text to integer minor units, through integers alone."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from schemas.adapters.rows import RowError
from schemas.event import AMOUNT_MINOR_MAX
from schemas.refusals import Code

DIGITS_MAX: Final = 30
_DECIMAL: Final = re.compile(r"(-?)(\d+)(?:\.(\d*))?", re.ASCII)


@lru_cache(maxsize=1 << 15)  # a catalogue has few prices, and they come again and again
def amount_minor(price: str, quantity: int = 1, minor_digits: int = 2) -> int:
    """Price × quantity in minor units of 10^-`minor_digits`, rounded half even once, at the end.

    Raises RowError: missing_field where `price` is empty, bad_number where it is no decimal number, is negative or
    gives an amount that no event may have.

    >>> amount_minor("0.125"), amount_minor("0.375"), amount_minor("0.125", 3), amount_minor("6.95", 12)
    (12, 38, 38, 8340)
    """
    if not price:
        raise RowError(Code.MISSING_FIELD, "amount_minor")
    match = _DECIMAL.fullmatch(price) if len(price) <= DIGITS_MAX else None
    if match is None:
        raise RowError(Code.BAD_NUMBER, "amount_minor")
    sign, whole, fraction = match[1], match[2], match[3] or ""
    scaled = int(whole + fraction) * quantity
    if sign and scaled:
        raise RowError(Code.BAD_NUMBER, "amount_minor")
    amount = _divided_half_even(scaled * 10**minor_digits, 10 ** len(fraction))
    if amount > AMOUNT_MINOR_MAX:
        raise RowError(Code.BAD_NUMBER, "amount_minor")
    return amount


def _divided_half_even(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    doubled = 2 * rest
    if doubled > denominator or (doubled == denominator and quotient % 2 == 1):
        quotient += 1
    return quotient
