"""Pages of hours that are looked at in numbers: what is said of many is what is said of each."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.intraday.counts import HOUR
from processors.intraday.pages import N_COLUMNS, are_readable, check_hour, encode_hour
from processors.pages import PageError

PAGE = encode_hour({"": np.arange(HOUR * N_COLUMNS), "CNY": np.arange(HOUR)})


@st.composite
def _pages(draw):
    """A page, a tombstone, or a page that something has happened to."""
    kind = draw(st.sampled_from(("whole", "tombstone", "cut", "changed", "noise")))
    if kind == "tombstone":
        return None
    if kind == "cut":
        return PAGE[: draw(st.integers(0, len(PAGE) - 1))]
    if kind == "changed":
        at = draw(st.one_of(st.integers(0, 9), st.integers(0, len(PAGE) - 1)))
        return PAGE[:at] + bytes([PAGE[at] ^ draw(st.integers(1, 255))]) + PAGE[at + 1 :]
    return draw(st.binary(max_size=40)) if kind == "noise" else PAGE


def _is_readable(page):
    try:
        if page is not None:
            check_hour(page)
    except PageError:
        return False
    return True


@settings(deadline=None)  # the first call may compile
@given(st.lists(_pages(), max_size=8))
def test_many_pages_are_judged_like_each(pages):
    assert are_readable(pages) == [_is_readable(page) for page in pages]
