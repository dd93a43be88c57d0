"""Many growing lists of records in one pool of words: a user's marks and purchases, a row's minutes.

A list's records take `stride` words each, one after another; its block is of one of a few sizes (those of
`processors.ledger`), and free blocks of a size are chained. Live records are appended.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.kernels import kernel
from processors.ledger import BLOCK_SIZES, size_class, take_block
from processors.pool import reserve

_FREE = 1
AT, COUNT, ROOM, OWN = range(4)
"""Columns of `Lists.of`."""


class Lists(NamedTuple):
    """Lists numbered from 1 on."""

    words: NDArray[np.int64]
    heads: NDArray[np.int64]
    """[0] first unused word, [1 + class] first free block of a size class (0 = none)."""
    of: NDArray[np.int64]
    """[lists, 4] first word, number of records, size class + 1 of the block (0 without one), and a word of the owner's;
    side by side, since a live event needs all of them.
    """


def new_lists(lists: int, max_words: int) -> Lists:
    """Empty lists; the bounds reserve address space only."""
    heads = np.zeros(1 + len(BLOCK_SIZES), np.int64)
    heads[0] = 2  # address 0 means "none"
    return Lists(
        reserve((max_words,), np.int64),
        heads,
        reserve((lists, 4), np.int64),
    )


@kernel
def open_hole(lists: Lists, one: int, stride: int, position: int) -> int:
    """Make room for one record at a position of a list; returns the record's first word."""
    words, heads = lists.words, lists.heads
    n = lists.of[one, COUNT]
    start = lists.of[one, AT]
    room = lists.of[one, ROOM]
    lists.of[one, COUNT] = n + 1
    if room == 0 or (n + 1) * stride > BLOCK_SIZES[room - 1]:
        c = size_class((n + 1) * stride)
        at = take_block(heads, c, words[heads[_FREE + c]])
        for i in range(n * stride):
            words[at + i] = words[start + i]
        if room != 0:
            words[start] = heads[room]
            heads[room] = start
        lists.of[one, AT] = at
        lists.of[one, ROOM] = c + 1
        start = at
    for i in range(start + n * stride - 1, start + position * stride - 1, -1):
        words[i + stride] = words[i]
    return start + position * stride


@kernel
def cut_out(lists: Lists, one: int, stride: int, first: int, end: int) -> None:
    """Take the records first … end - 1 out of a list; an empty list gives its block back."""
    words = lists.words
    n = lists.of[one, COUNT]
    start = lists.of[one, AT]
    gap = (end - first) * stride
    for i in range(start + first * stride, start + n * stride - gap):
        words[i] = words[i + gap]
    lists.of[one, COUNT] = n - (end - first)
    if n == end - first and n > 0:
        room = lists.of[one, ROOM]
        words[start] = lists.heads[room]
        lists.heads[room] = start
        lists.of[one, ROOM] = 0
        lists.of[one, AT] = 0


@kernel
def first_from(lists: Lists, one: int, stride: int, key: int) -> int:
    """Position of the first record whose first word is >= key, in a list sorted by it. What is near the end is found
    soonest: live records are there.
    """
    start = lists.of[one, AT]
    high = lists.of[one, COUNT]
    step = np.int64(1)
    while step <= high and lists.words[start + (high - step) * stride] >= key:
        high -= step
        step <<= 1
    low = max(high - step, np.int64(-1)) + 1
    while low < high:
        middle = (low + high) >> 1
        if lists.words[start + middle * stride] < key:
            low = middle + 1
        else:
            high = middle
    return low
