"""The figures of simulated traffic, counted from its rows with set arithmetic: nothing of the product's core is used.

For every scope (market and shops), window W and last date T: S, S_existing, B, B_existing, GMV, GMV_existing, items and
buyer days by their definitions, date by date. Traffic must have no refunds and no order twice.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.event import Action
from stream.simulate.encode import UTC_OFFSET_MS
from stream.simulate.journeys import Rows
from stream.simulate.promotion import DAY_MS
from stream.simulate.world import shop_id

FIELDS: Final = (
    "s", "s_existing", "b", "b_existing", "gmv_minor", "gmv_existing_minor", "items", "buyer_days",
)  # fmt: skip
LOOKBACK_DAYS: Final = 365
_NOT_ACTIVE: Final = (Action.CART_REMOVE, Action.REFUND, Action.TOUCH)


def figures(rows: Rows, windows: tuple[int, ...]) -> dict[tuple[str, int, str], tuple[int, ...]]:
    """(scope, window, last date) → FIELDS, for all dates and all shops, in UTC+8. Rows of zeros are left out."""
    day = (rows["event_ms"] + UTC_OFFSET_MS) // DAY_MS
    first, n_days = int(day.min()), int(day.max() - day.min()) + 1
    day = day - first
    is_active = ~np.isin(rows["action"], _NOT_ACTIVE)
    order = np.argsort(rows["shop"], kind="stable")
    cuts = np.searchsorted(rows["shop"][order], np.arange(int(rows["shop"].max()) + 2))
    picks = [("market", np.arange(len(rows)))]
    picks += [(f"shop={shop_id(k)}", order[cuts[k] : cuts[k + 1]]) for k in range(len(cuts) - 1)]
    found: dict[tuple[str, int, str], tuple[int, ...]] = {}
    for scope, picked in picks:
        for (window, t), values in _scope(rows[picked], day[picked], is_active[picked], n_days, windows).items():
            found[scope, window, str(np.datetime64(first + t, "D"))] = values
    return found


def _scope(
    rows: Rows, day: NDArray[np.int64], is_active: NDArray[np.bool_], n_days: int, windows: tuple[int, ...]
) -> dict[tuple[int, int], tuple[int, ...]]:
    _, user = np.unique(rows["user"], return_inverse=True)
    shape = (int(user.max(initial=-1)) + 1, n_days)
    bought = rows["action"] == Action.PURCHASE
    active, buying = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    money, items = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    active[user[is_active], day[is_active]] = True
    buying[user[bought], day[bought]] = True
    np.add.at(money, (user[bought], day[bought]), rows["amount_minor"][bought])
    np.add.at(items, (user[bought], day[bought]), rows["quantity"][bought])
    found = {}
    for window in windows:
        for t in range(n_days):
            since = max(t - window + 1, 0)
            is_existing = buying[:, max(t - window - LOOKBACK_DAYS + 1, 0) : since].any(axis=1)
            s, b = active[:, since : t + 1].any(axis=1), buying[:, since : t + 1].any(axis=1)
            paid = money[:, since : t + 1].sum(axis=1)
            if s.any():
                found[window, t] = tuple(
                    int(value)
                    for value in (
                        s.sum(), (s & is_existing).sum(), b.sum(), (b & is_existing).sum(), paid.sum(),
                        paid[is_existing].sum(), items[:, since : t + 1].sum(), buying[:, since : t + 1].sum(),
                    )
                )  # fmt: skip
    return found


def differences(
    expected: dict[tuple[str, int, str], tuple[int, ...]], newest: dict[bytes, dict[str, object]]
) -> tuple[int, int]:
    """(records that are missing or have a wrong field, records compared) of what lies in factors.live."""
    published: dict[tuple[str, int, str], tuple[object, ...]] = {}
    for record in newest.values():
        key = (str(record["scope"]), int(str(record["window_days"])), str(record["as_of"]))
        published[key] = tuple(record[name] for name in FIELDS)
    wrong = sum(published.get(key) != values for key, values in expected.items())
    more = sum(key not in expected and any(published[key]) for key in published)
    return wrong + more, len(expected)
