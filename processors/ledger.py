"""The ledger of a user: the only state that must survive (docs/concepts/ledger.md).

Three lists a user, all joined commutatively, associatively and idempotently, so that order, duplicates and replays of
events never matter:

| list    | one record is                                            | joined by                                   |
|---------|----------------------------------------------------------|---------------------------------------------|
| cells   | active behaviour: (day, shop, channel, product), actions | OR of the action bits                       |
| lines   | a purchase line: (shop, order, line)                     | the greatest (event time, event id, bytes)  |
| refunds | a refund: its event id                                   | the greatest (event time, event id, bytes)  |

Lists lie in one arena of int64 words, in blocks of a few size classes with free lists; cells and lines are sorted by
day. A version that may still be beaten keeps its event id and its raw bytes as a blob in a second arena, because both
decide between versions of one instant.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.kernels import inlined, kernel
from processors.pool import reserve

CELLS, LINES, REFUNDS = 0, 1, 2
STRIDES = (2, 11, 11)
"""Words a record of each list takes."""

# Word 0 of a cell (and of a line's place), from the high bits: day 16, shop 20, channel 12, actions 15.
DAY_SHIFT, SHOP_SHIFT, CHANNEL_SHIFT = 47, 27, 15
SHOP_MASK, CHANNEL_MASK, ACTION_MASK = 0xFFFFF, 0xFFF, 0x7FFF
MAX_SHOPS, MAX_CHANNELS = SHOP_MASK, CHANNEL_MASK
PRODUCT_MASK = 0xFFFFFFFF
CURRENCY_SHIFT = 32

# Words of a line.
L_ID, L_PLACE, L_PRODUCT, L_AMOUNT, L_QUANTITY, L_TIME, L_BLOB, L_LENGTHS, L_NET_AMOUNT, L_NET_QUANTITY = (
    0,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
)
# Words of a refund. Its amount and quantity are ABSENT where the event named none. Day and currency share a word.
R_ID, R_LINE, R_AMOUNT, R_QUANTITY, R_TIME, R_BLOB, R_LENGTHS, R_DAY, R_SHOP = 0, 2, 4, 5, 6, 7, 8, 9, 10
ABSENT = -1
# Both L_TIME.. and R_TIME.. lie at the same words, so one comparison serves both.
V_TIME, V_BLOB, V_LENGTHS = 6, 7, 8
ID_LENGTH_MASK = 0xFFFF

PERIOD_SHIFT = 5
"""A ledger's durable segment covers 2**5 = 32 days."""

_STRIDE = np.array(STRIDES, np.int64)
BLOCK_SIZES = np.array([n for k in range(1, 36) for n in (2 << k, 3 << k)], np.int64)
"""Block sizes in words (and, times 8, in bytes of blobs): 4, 6, 8, 12, 16, 24, …"""
_TOP, _FREE = 0, 1
N_LISTS = 3
ROOMS, PERIODS = 6, 7
"""Columns of `Arena.users` after the lists' starts and counts."""


class Arena(NamedTuple):
    """The lists of all users of a partition."""

    words: NDArray[np.int64]
    heads: NDArray[np.int64]
    """[0] first unused word, [1 + class] first free block of a size class (0 = none)."""
    users: NDArray[np.int64]
    """[users, 8] one cache line a user: first word of each list, records in each list, size class + 1 of each list's
    block (8 bits each, 0 without one), and the periods whose segments have changed (bit p & 63 for period p)."""


class Blobs(NamedTuple):
    """Event ids and raw bytes of versions; word addresses, like the arena's."""

    bytes: NDArray[np.uint8]
    heads: NDArray[np.int64]


class Touched(NamedTuple):
    """Users with segments that have changed since they were last written."""

    users: NDArray[np.int32]
    count: NDArray[np.int64]
    """[1] users listed."""


class Ledger(NamedTuple):
    """Everything a partition knows about its users."""

    arena: Arena
    blobs: Blobs
    touched: Touched


def new_ledger(max_users: int, max_words: int, max_blob_words: int) -> Ledger:
    """An empty ledger; the bounds reserve address space only."""
    heads, blob_heads = np.zeros(1 + len(BLOCK_SIZES), np.int64), np.zeros(1 + len(BLOCK_SIZES), np.int64)
    heads[_TOP] = blob_heads[_TOP] = 2  # address 0 means "none"
    arena = Arena(reserve((max_words,), np.int64), heads, reserve((max_users, 8), np.int64))
    touched = Touched(reserve((max_users,), np.int32), np.zeros(1, np.int64))
    return Ledger(arena, Blobs(reserve((max_blob_words * 8,), np.uint8), blob_heads), touched)


@kernel
def place(day: int, shop: int, channel: int) -> int:
    """Word 0 of a cell without its actions; also where a purchase line stands."""
    return (np.int64(day) << DAY_SHIFT) | (np.int64(shop) << SHOP_SHIFT) | (np.int64(channel) << CHANNEL_SHIFT)


@kernel
def size_class(words: int) -> int:
    """The smallest size class that holds so many words."""
    c = 0
    while BLOCK_SIZES[c] < words:
        c += 1
    return c


@kernel
def take_block(heads: NDArray[np.int64], c: int, next_free: int) -> int:
    """Address of a block of class c; `next_free` is the word stored in the free block at the head (0 if none is
    free).
    """
    at = heads[_FREE + c]
    if at != 0:
        heads[_FREE + c] = next_free
        return at
    at = heads[_TOP]
    heads[_TOP] = at + BLOCK_SIZES[c]
    return at


@kernel
def resize(arena: Arena, user: int, kind: int, records: int) -> int:
    """Make the list hold `records` records (moving it if its block is too small); returns its first word."""
    words, heads, users = arena.words, arena.heads, arena.users
    stride = _STRIDE[kind]
    room = (users[user, ROOMS] >> (8 * kind)) & 255
    start = users[user, kind]
    used = users[user, N_LISTS + kind] * stride
    users[user, N_LISTS + kind] = records
    if room != 0 and records * stride <= BLOCK_SIZES[room - 1]:
        return start
    c = size_class(records * stride)
    at = take_block(heads, c, words[heads[_FREE + c]])
    for i in range(used):
        words[at + i] = words[start + i]
    if room != 0:
        words[start] = heads[_FREE + room - 1]
        heads[_FREE + room - 1] = start
    users[user, kind] = at
    users[user, ROOMS] += (c + 1 - room) << (8 * kind)
    return at


@kernel
def open_hole(arena: Arena, user: int, kind: int, position: int) -> int:
    """Make room for one record at a position of a list; returns the record's first word."""
    stride = _STRIDE[kind]
    n = arena.users[user, N_LISTS + kind]
    start = resize(arena, user, kind, n + 1)
    words = arena.words
    for i in range(start + n * stride - 1, start + position * stride - 1, -1):
        words[i + stride] = words[i]
    return start + position * stride


@kernel
def close_hole(arena: Arena, user: int, kind: int, position: int) -> None:
    """Take the record at a position out of a list."""
    stride = _STRIDE[kind]
    n = arena.users[user, N_LISTS + kind]
    start = arena.users[user, kind]
    words = arena.words
    for i in range(start + position * stride, start + (n - 1) * stride):
        words[i] = words[i + stride]
    arena.users[user, N_LISTS + kind] = n - 1


@kernel
def first_at(words: NDArray[np.int64], start: int, n: int, stride: int, field: int, key: int) -> int:
    """Index of the first record whose word `field` is >= key, in a list sorted by it."""
    low = 0
    high = n
    while low < high:
        middle = (low + high) >> 1
        if words[start + middle * stride + field] < key:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def touch(arena: Arena, touched: Touched, user: int, day: int) -> None:
    """Note that the user's segment of this day has changed."""
    if arena.users[user, PERIODS] == 0:
        touched.users[touched.count[0]] = user
        touched.count[0] += 1
    arena.users[user, PERIODS] |= np.int64(1) << ((day >> PERIOD_SHIFT) & 63)


@inlined
def put_cell(arena: Arena, touched: Touched, user: int, word0: int, product: int) -> int:
    """Join a cell (word0 with its action bits); its position if it is new, else -1."""
    words = arena.words
    start = arena.users[user, CELLS]
    n = arena.users[user, N_LISTS + CELLS]
    key = word0 & ~np.int64(ACTION_MASK)
    i = n
    found = False
    # Live events append: look at the end first.
    if n > 0 and words[start + 2 * (n - 1)] >= key:
        i = first_at(words, start, n, 2, 0, key)
        while i < n and words[start + 2 * i] & ~np.int64(ACTION_MASK) == key and words[start + 2 * i + 1] < product:
            i += 1
        found = i < n and words[start + 2 * i] & ~np.int64(ACTION_MASK) == key and words[start + 2 * i + 1] == product
    if found:
        if words[start + 2 * i] & word0 != word0:
            words[start + 2 * i] |= word0
            touch(arena, touched, user, word0 >> DAY_SHIFT)
        i = np.int64(-1)
    else:
        at = open_hole(arena, user, CELLS, i)
        words[at] = word0
        words[at + 1] = product
        touch(arena, touched, user, word0 >> DAY_SHIFT)
    return i


@kernel
def find_by_id(arena: Arena, user: int, kind: int, high: int, low: int) -> int:
    """Position of the line or refund with this 128-bit identity, -1 without one."""
    start = arena.users[user, kind]
    stride = _STRIDE[kind]
    words = arena.words
    for i in range(arena.users[user, N_LISTS + kind]):
        at = start + i * stride
        if words[at + 1] == low and words[at] == high:
            return np.int64(i)
    return np.int64(-1)


@kernel
def compare_bytes(
    a: NDArray[np.uint8], a_start: int, a_length: int, b: NDArray[np.uint8], b_start: int, b_length: int
) -> int:
    """-1, 0 or 1, as byte strings compare."""
    for k in range(min(a_length, b_length)):
        x = a[a_start + k]
        y = b[b_start + k]
        if x != y:
            return -1 if x < y else 1
    return 0 if a_length == b_length else (-1 if a_length < b_length else 1)


@kernel
def is_newer(
    ledger: Ledger,
    at: int,
    time_ms: int,
    buffer: NDArray[np.uint8],
    event_id: NDArray[np.int32],
    raw: NDArray[np.int32],
) -> bool:
    """Whether (time, event id, raw bytes) beats the version recorded at word `at`."""
    words = ledger.arena.words
    if time_ms != words[at + V_TIME]:
        return time_ms > words[at + V_TIME]
    blob = words[at + V_BLOB] * 8
    id_length = words[at + V_LENGTHS] & ID_LENGTH_MASK
    order = compare_bytes(buffer, event_id[0], event_id[1], ledger.blobs.bytes, blob, id_length)
    if order == 0:
        raw_length = words[at + V_LENGTHS] >> 16
        order = compare_bytes(buffer, raw[0], raw[1], ledger.blobs.bytes, blob + id_length, raw_length)
    return order > 0


@kernel
def word_at(blobs: NDArray[np.uint8], address: int) -> int:
    """The free-list link kept in the first bytes of a free blob block."""
    link = np.int64(0)
    for k in range(8):
        link |= np.int64(blobs[address * 8 + k]) << (8 * k)
    return link


@kernel
def new_blob(blobs: Blobs, length: int) -> int:
    """Address (in words of 8 bytes) of a block for a blob of so many bytes."""
    c = size_class((length + 7) >> 3)
    return take_block(blobs.heads, c, word_at(blobs.bytes, blobs.heads[_FREE + c]))


@kernel
def free_blob(blobs: Blobs, address: int, length: int) -> None:
    """Give a blob's block back."""
    c = size_class((length + 7) >> 3)
    for k in range(8):
        blobs.bytes[address * 8 + k] = np.uint8((blobs.heads[_FREE + c] >> (8 * k)) & 255)
    blobs.heads[_FREE + c] = address


@kernel
def blob_length(lengths: int) -> int:
    """Bytes of a version's blob: event id, then raw bytes."""
    return (lengths & ID_LENGTH_MASK) + (lengths >> 16)


@kernel
def set_version(
    ledger: Ledger,
    at: int,
    time_ms: int,
    buffer: NDArray[np.uint8],
    event_id: NDArray[np.int32],
    raw: NDArray[np.int32],
) -> None:
    """Record (time, event id, raw bytes) at word `at`; a former blob must have been freed."""
    words = ledger.arena.words
    target = ledger.blobs.bytes
    blob = new_blob(ledger.blobs, np.int64(event_id[1]) + raw[1])
    words[at + V_TIME] = time_ms
    words[at + V_BLOB] = blob
    words[at + V_LENGTHS] = np.int64(event_id[1]) | (np.int64(raw[1]) << 16)
    b = blob * 8
    for k in range(event_id[1]):
        target[b + k] = buffer[event_id[0] + k]
    b += event_id[1]
    for k in range(raw[1]):
        target[b + k] = buffer[raw[0] + k]


@kernel
def net_of_line(arena: Arena, user: int, at: int) -> tuple[int, int]:
    """(amount, quantity) of the line at word `at` that count, after all refunds known for it: sums are clipped, not
    each.

    A refund without amount and quantity takes the whole line; one in another currency than the line's takes nothing.
    """
    words = arena.words
    amount = words[at + L_AMOUNT]
    quantity = words[at + L_QUANTITY]
    currency = words[at + L_PRODUCT] >> CURRENCY_SHIFT
    start = arena.users[user, REFUNDS]
    for i in range(arena.users[user, N_LISTS + REFUNDS]):
        r = start + i * 11
        if words[r + R_LINE] != words[at + L_ID] or words[r + R_LINE + 1] != words[at + L_ID + 1]:
            continue
        other = words[r + R_DAY] >> CURRENCY_SHIFT
        if other not in (0, currency):
            continue
        if words[r + R_AMOUNT] == ABSENT and words[r + R_QUANTITY] == ABSENT:
            return np.int64(0), np.int64(0)
        amount -= max(words[r + R_AMOUNT], 0)
        quantity -= max(words[r + R_QUANTITY], 0)
    # No items left: no purchase any more, and its money is gone with it.
    if quantity <= 0:
        return np.int64(0), np.int64(0)
    return max(amount, np.int64(0)), quantity


@kernel
def refunds_without_effect(arena: Arena, users: int) -> tuple[int, int]:
    """(refunds whose line is unknown, refunds in another currency than their line) over all users."""
    unknown = 0
    mismatched = 0
    words = arena.words
    for user in range(1, users + 1):
        for i in range(arena.users[user, N_LISTS + REFUNDS]):
            r = arena.users[user, REFUNDS] + i * 11
            line = find_by_id(arena, user, LINES, words[r + R_LINE], words[r + R_LINE + 1])
            if line < 0:
                unknown += 1
                continue
            currency = words[r + R_DAY] >> CURRENCY_SHIFT
            at = arena.users[user, LINES] + line * 11
            if currency not in (0, words[at + L_PRODUCT] >> CURRENCY_SHIFT):
                mismatched += 1
    return unknown, mismatched
