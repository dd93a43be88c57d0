"""Rows of events → native JSON, keys and topics. Fields stand in one order, absent ones are left out.

Every part of an event that repeats (item with category and brand, channel, action) is a piece of bytes made once; an
event costs one formatting of eight values.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.event import Action
from schemas.topics import TOPIC_OF_ACTION
from stream.routing import Messages
from stream.simulate.channels import CHANNELS, TOUCHES
from stream.simulate.journeys import Rows
from stream.simulate.promotion import HOUR_MS
from stream.simulate.world import World, item_id

UTC_OFFSET_MS: Final = 8 * HOUR_MS
"""Offset that event times are written with; it says nothing about the shop's zone."""

_TEMPLATE: Final = (
    b'{"event_id":"%b%d","action":"%b","user_id":"u%06d","event_time":"%b+08:00","shop_id":"s%03d"%b%b%b}'
)
_WORDS: Final = [action.word.encode() for action in Action]
_TOPICS: Final = [TOPIC_OF_ACTION[action] for action in Action]
_CHANNEL_PIECES: Final = [b',"channel":"%b"' % channel.encode() for channel in CHANNELS] + [b""]
_TOUCH_PIECES: Final = [b',"touch":"%b","source":"%b"' % (kind.encode(), source.encode()) for kind, source in TOUCHES]


def time_texts(event_ms: NDArray[np.int64]) -> list[bytes]:
    """RFC 3339 without its offset, which is UTC_OFFSET_MS for all."""
    local = (event_ms + UTC_OFFSET_MS).astype("datetime64[ms]")
    texts: list[bytes] = np.datetime_as_string(local, unit="ms").astype("S23").tolist()
    return texts


class Encoder:
    """Encodes the rows of one world. `run` stands in front of event and order numbers: different runs share no ids."""

    def __init__(self, world: World, run: str) -> None:
        self._event_prefix = f"e{run}-".encode()
        self._order_prefix = f"o{run}-".encode()
        # Index -1, an absent item, is the empty piece at the end.
        self._item_pieces = [
            b',"item_id":"%b","category_id":"c%04d","brand_id":"b%04d"' % (item_id(item).encode(), category, brand)
            for item, (category, brand) in enumerate(zip(world.category.tolist(), world.brand.tolist(), strict=True))
        ] + [b""]
        self._currencies = np.array([world.money(shop).encode() for shop in range(world.n_shops)], object)

    def encode(self, rows: Rows) -> Messages:
        """The rows as records, in their order."""
        actions = rows["action"].tolist()
        users = rows["user"].tolist()
        prefix, items = self._event_prefix, self._item_pieces
        values = [
            _TEMPLATE % (prefix, number, _WORDS[action], user, time, shop, items[item], _CHANNEL_PIECES[channel], tail)
            for number, action, user, time, shop, item, channel, tail in zip(
                rows["sequence"].tolist(),
                actions,
                users,
                time_texts(rows["event_ms"]),
                rows["shop"].tolist(),
                rows["item"].tolist(),
                rows["channel"].tolist(),
                self._tails(rows),
                strict=True,
            )
        ]
        return Messages([_TOPICS[action] for action in actions], [b"u%06d" % user for user in users], values)

    def _tails(self, rows: Rows) -> list[bytes]:
        """What follows the channel, by kind of action."""
        tails = np.full(len(rows), b"", object)
        action = rows["action"]
        dwelt = np.flatnonzero(rows["dwell_ms"] >= 0)
        tails[dwelt] = [b',"dwell_ms":%d' % dwell_ms for dwell_ms in rows["dwell_ms"][dwelt].tolist()]
        self._fill(tails, rows, np.flatnonzero(action == Action.CART_REMOVE), "quantity")
        self._fill(tails, rows, np.flatnonzero(action == Action.CART), "quantity", "money")
        self._fill(
            tails,
            rows,
            np.flatnonzero((action == Action.ORDER) | (action == Action.PURCHASE)),
            *("quantity", "money", "order"),
        )
        refund = action == Action.REFUND
        has_pieces, has_money = rows["quantity"] >= 0, rows["amount_minor"] >= 0
        self._fill(tails, rows, np.flatnonzero(refund & ~has_pieces & ~has_money), "order")
        self._fill(tails, rows, np.flatnonzero(refund & ~has_pieces & has_money), "money", "order")
        self._fill(tails, rows, np.flatnonzero(refund & has_pieces & has_money), "quantity", "money", "order")
        touched = np.flatnonzero(action == Action.TOUCH)
        tails[touched] = [_TOUCH_PIECES[touch] for touch in rows["touch"][touched].tolist()]
        result: list[bytes] = tails.tolist()
        return result

    def _fill(self, tails: NDArray[np.object_], rows: Rows, where: NDArray[np.int64], *parts: str) -> None:
        """Writes the tails of some rows: the named parts, in the order given."""
        templates = {
            "quantity": b',"quantity":%d',
            "money": b',"amount_minor":%d,"currency":"%b"',
            "order": b',"order_id":"' + self._order_prefix + b'%d","line_id":"%d"',
        }
        picked = rows[where]
        columns = {
            "quantity": [picked["quantity"].tolist()],
            "money": [picked["amount_minor"].tolist(), self._currencies[picked["shop"]].tolist()],
            "order": [picked["order"].tolist(), picked["line"].tolist()],
        }
        template = b"".join(templates[part] for part in parts)
        filled = [template % row for row in zip(*(column for part in parts for column in columns[part]), strict=True)]
        tails[where] = filled
