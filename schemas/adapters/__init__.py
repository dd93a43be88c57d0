"""Known data sets as native events: one module a format, each a pure function over rows of text.

An adapter yields, row by row, what it makes of the input: `Native` events (key and JSON bytes) or a `Refusal` with the
number of the row. It opens no file and validates no more than it must; limits of ids and numbers are the decoder's.
"""

from schemas.adapters.completejourney import completejourney
from schemas.adapters.native import native
from schemas.adapters.online_retail import online_retail
from schemas.adapters.rees46 import rees46
from schemas.adapters.retailrocket import retailrocket
from schemas.adapters.rows import Adapter, Native
from schemas.adapters.taobao import taobao

FORMATS: dict[str, Adapter] = {
    "native": native,
    "taobao": taobao,
    "rees46": rees46,
    "retailrocket": retailrocket,
    "online-retail": online_retail,
    "completejourney": completejourney,
}
"""Name of a format → its adapter."""

__all__ = ["FORMATS", "Adapter", "Native"]
