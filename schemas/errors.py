"""Errors that speak to a person: one line that says what is wrong and what to do.

The command line prints them on stderr without a traceback and leaves with their exit code. Raise them where the cause
is known ("topic events.cart has 4 partitions, SMART_PARTITIONS is 8"); let everything unexpected rise as it is.
"""

from typing import ClassVar


class SmartError(Exception):
    """What was asked for could not be done. Exit code 1."""

    exit_code: ClassVar[int] = 1


class UsageError(SmartError):
    """What was asked for makes no sense: an unknown word, a bad value, a bad setting. Exit code 2."""

    exit_code: ClassVar[int] = 2
