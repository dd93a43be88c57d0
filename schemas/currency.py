"""ISO 4217 currency codes: which three letters may stand in an event or a shop record.

The list is data. It holds the active codes and those withdrawn since 2010 (old orders are still in files and may be
refunded); it leaves out `XXX` (no currency) and `XTS` (test), which no purchase can be paid in. A code's minor unit is
not kept: amounts are integers in the unit that the sender calls minor, and currencies are never added together.
"""

from __future__ import annotations

from typing import Final

CODES_ACTIVE: Final = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
    CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
    HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
    MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
    RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
    USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XUA YER ZAR
    ZMW ZWG
    """.split()  # noqa: SIM905 - a list that people compare with the standard's reads best as a block
)
CODES_WITHDRAWN_SINCE_2010: Final = frozenset(
    {"ANG", "BGN", "BYR", "CUC", "EEK", "HRK", "LTL", "LVL", "MRO", "SLL", "STD", "VEF", "ZMK", "ZWL"}
)
CURRENCY_CODES: Final = CODES_ACTIVE | CODES_WITHDRAWN_SINCE_2010
